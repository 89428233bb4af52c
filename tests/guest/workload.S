# A guest of known work: a boot sector that does exactly as many disk requests as it is told over
# its first serial port.
#
# It says '>' once it is ready; everything that the BIOS reads to boot happens before that. A
# command is one letter and, for the first three, a count (two bytes, little endian). The answer
# is '.' when the work is done, '!' when the BIOS reports an error, '?' when the letter means
# nothing.
#   R count   as many reads of one sector (sector 64)
#   W count   as many writes of one sector (sector 2048)
#   M count   as many reads of eight sectors (sector 128)
#   L         reads of one sector, one after another, until the next byte arrives, which is the next
#             command; no answer
#   S         polls the serial port until the next byte arrives, which is the next command; no
#             answer
#   P         nothing: an answer shows that everything before it is done
# Between commands the processor is halted: an idle guest costs nothing, and makes no port reads
# that a trace would show.

  .include "serial.inc"

  .code16
  .section .text
  .globl _start

  .set DATA, 0x8000

_start:
  ljmp $0, $start              # Some BIOSes start us at 07c0:0000.
start:
  cli
  cld
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  movb %dl, drive

  serial_begin
  inb $0x21, %al
  andb $0xef, %al              # Unmask IRQ 4.
  outb %al, $0x21

  movb $'>', %al
answer:
  call put
next:
  call get
dispatch:
  movw $read_one, %si
  cmpb $'R', %al
  je counted
  movw $read_eight, %si
  cmpb $'M', %al
  je counted
  movw $write_one, %si
  cmpb $'W', %al
  je counted
  cmpb $'L', %al
  je loop_until_byte
  cmpb $'S', %al
  je spin_until_byte
  cmpb $'P', %al
  je done
  movb $'?', %al
  jmp answer

counted:
  call get
  movb %al, %cl
  call get
  movb %al, %ch
  jcxz done
1:
  call request
  jc failed
  loop 1b
done:
  movb $'.', %al
  jmp answer
failed:
  movb $'!', %al
  jmp answer

loop_until_byte:
  movw $read_one, %si
1:
  call request
  jc failed
  call received
  jz 1b
  jmp next

spin_until_byte:
  call received
  jz spin_until_byte
  jmp next

# One disk request; %si points at the BIOS function's number, followed by the address packet that
# it takes. Carry: it failed.
request:
  pushw %si
  pushw %cx
  movw $1, %cx
  cmpw $read_eight, %si
  jne 1f
  movw $8, %cx
1:
  movw %cx, 3(%si)             # The BIOS writes back how many sectors it moved.
  movb (%si), %ah
  xorb %al, %al
  movb drive, %dl
  incw %si
  int $0x13
  popw %cx
  popw %si
  ret

  serial_functions

# Function number, then the packet of the extended disk functions: size, zero, sectors, offset,
# segment, first sector.
read_one:
  .byte 0x42, 0x10, 0
  .word 1, DATA, 0
  .quad 64
read_eight:
  .byte 0x42, 0x10, 0
  .word 8, DATA, 0
  .quad 128
write_one:
  .byte 0x43, 0x10, 0
  .word 1, DATA, 0
  .quad 2048
drive:
  .byte 0

  .org 510
  .word 0xaa55
