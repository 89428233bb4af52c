# A guest of known instructions and memory accesses: a boot sector that does exactly as many rounds as it is told over its
# first serial port.
#
# It says '>' once it is ready, and '.' when the work is done. The command is a count of rounds (two bytes, little endian).
# Each round is one block of ROUND_INSTRUCTIONS instructions at ROUND, with loads and stores of 1, 2, 4 and 8 bytes in RAM,
# one of each. After the last one come DEVICE_LOADS loads and twice as many stores of 4 bytes of the I/O APIC.
# Between commands the processor is halted, and nothing but a received byte wakes it.

  .code16
  .section .text
  .globl _start

  .set COM1, 0x3f8
  .set LINE_STATUS, COM1 + 5
  .set IRQ4_VECTOR, 0x0c * 4
  .set DATA, 0x8000
  .set IOAPIC, 0xfec00000      # TCG checks no limits of segments, so real mode reaches it.

_start:
  ljmp $0, $start              # Some BIOSes start us at 07c0:0000.
start:
  cli
  cld
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %ss
  movw $0x7c00, %sp
  fninit

  # A received byte raises IRQ 4, whose only work is to end the halt.
  movw $acknowledge, IRQ4_VECTOR
  movw $0, IRQ4_VECTOR + 2
  movw $(COM1 + 3), %dx
  movb $0x03, %al              # Eight bits, no parity, and the divisor latch closed.
  outb %al, %dx
  movw $(COM1 + 4), %dx
  movb $0x0b, %al              # DTR, RTS, and OUT2, without which no interrupt leaves the UART.
  outb %al, %dx
  movw $(COM1 + 1), %dx
  movb $0x01, %al              # Interrupt on received data.
  outb %al, %dx
  movb $0xef, %al              # IRQ 4 alone.
  outb %al, $0x21

  movb $'>', %al
answer:
  call put
  call get
  movb %al, %cl
  call get
  movb %al, %ch
  jcxz done
  jmp round
done:
  movb $'.', %al
  jmp answer

  .org 0x100
round:                         # ROUND is 0x7d00, ROUND_INSTRUCTIONS 9.
  movb DATA, %al
  movb %al, DATA + 1
  movw DATA + 2, %ax
  movw %ax, DATA + 4
  movl DATA + 8, %eax
  movl %eax, DATA + 12
  fldl DATA + 16
  fstpl DATA + 24
  loop round
  movw $100, %cx               # DEVICE_LOADS
1:
  addr32 movl IOAPIC, %eax
  addr32 movl %eax, IOAPIC
  addr32 movl %eax, IOAPIC
  loop 1b
  jmp done

# %al = the next byte of the serial port. The flag and the halt are one step, so that no byte can
# slip in between.
get:
  cli
  call received
  jnz 1f
  sti
  hlt
  jmp get
1:
  sti
  movw $COM1, %dx
  inb %dx, %al
  ret

# Zero flag clear: a byte is waiting.
received:
  movw $LINE_STATUS, %dx
  inb %dx, %al
  testb $0x01, %al
  ret

put:
  movb %al, %bl
1:
  movw $LINE_STATUS, %dx
  inb %dx, %al
  testb $0x20, %al
  jz 1b
  movw $COM1, %dx
  movb %bl, %al
  outb %al, %dx
  ret

acknowledge:
  pushw %ax
  movb $0x20, %al
  outb %al, $0x20
  popw %ax
  iret

  .org 510
  .word 0xaa55
