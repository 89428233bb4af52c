# A guest of known instructions and memory accesses: a boot sector that does exactly as many rounds as it is told over its
# first serial port.
#
# It says '>' once it is ready, and '.' when the work is done. The command is a count of rounds (two bytes, little endian).
# Each round is one block of ROUND_INSTRUCTIONS instructions at ROUND, with loads and stores of 1, 2, 4 and 8 bytes in RAM,
# one of each. After the last one come DEVICE_LOADS loads and twice as many stores of 4 bytes of the I/O APIC.
# Between commands the processor is halted, and nothing but a received byte wakes it.

  .include "serial.inc"

  .code16
  .section .text
  .globl _start

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

  serial_begin
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

  serial_functions

  .org 510
  .word 0xaa55
