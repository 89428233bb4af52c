# The guest of demo.sh: a boot sector that reads and writes its disk for ever, in bursts that swell and ebb, and sleeps until the
# next timer interrupt in between: about 18 bursts a second of 1 to 32 requests, three reads to one write.

  .code16
  .section .text
  .globl _start

  .set FIRST_SECTOR, 64        # Sectors before it, the boot sector among them, are never written.
  .set SECTORS, 4096
  .set REQUEST_SECTORS, 8
  .set BURST_MAX, 32
  .set TICKS_PER_STEP, 9       # Half a second of the BIOS's 18.2 Hz timer.

_start:
  ljmp $0, $start              # Some BIOSes start us at 07c0:0000.
start:
  cld
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  movb %dl, drive

  xorw %bp, %bp                # Requests so far.
  movw $1, %di                 # Requests in a burst.
step:
  movw $TICKS_PER_STEP, %bx
burst:
  movw %di, %cx
1:
  call request
  loop 1b
  sti
  hlt                          # Until the timer interrupt, which the BIOS handles.
  decw %bx
  jnz burst

  addw growth, %di
  cmpw $1, %di
  je turn
  cmpw $BURST_MAX, %di
  jne step
turn:
  negw growth
  jmp step

# One disk request; an error leaves it at the next one, as there is nobody to tell.
request:
  pusha
  movw $REQUEST_SECTORS, count # The BIOS writes back how many sectors it moved.
  movw sector, %ax
  addw $REQUEST_SECTORS, %ax
  cmpw $(FIRST_SECTOR + SECTORS), %ax
  jb 1f
  movw $FIRST_SECTOR, %ax
1:
  movw %ax, sector
  movb $0x42, %ah              # Extended read.
  testw $3, %bp
  jnz 2f
  movb $0x43, %ah              # Extended write, of what the request before has read.
2:
  xorb %al, %al
  movb drive, %dl
  movw $packet, %si
  int $0x13
  popa
  incw %bp
  ret

packet:
  .byte 0x10, 0
count:
  .word REQUEST_SECTORS
  .word 0x8000, 0              # Offset and segment of the buffer.
sector:
  .quad FIRST_SECTOR
growth:
  .word 1
drive:
  .byte 0

  .org 510
  .word 0xaa55
