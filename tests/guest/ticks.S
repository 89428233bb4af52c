# A guest that only keeps time: 100 times a second the local APIC's timer interrupts it, and it reads the HPET's counter once and writes
# port 0x80 WRITES times, twenty if nothing else is said. In between it sleeps.

  .code16
  .section .text
  .globl _start

  .set IDT, 0x8000
  .set VECTOR, 0x20
  .set APIC, 0xfee00000
  .set HPET_COUNTER, 0xfed000f0
  .ifndef WRITES
  .set WRITES, 20
  .endif
  .set TICK, 10000000          # Nanoseconds: QEMU's APIC counts them, if it does not divide.

_start:
  ljmp $0, $start              # Some BIOSes start us at 07c0:0000.
start:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  movb $0xff, %al              # No interrupt but the timer's.
  outb %al, $0x21
  outb %al, $0xa1
  lgdt gdt_pointer
  lidt idt_pointer
  movl %cr0, %eax
  orb $1, %al
  movl %eax, %cr0
  ljmp $0x08, $protected

  .code32
protected:
  movw $0x10, %ax
  movw %ax, %ds
  movw %ax, %ss
  movl $0x7c00, %esp
  movl $(0x00080000 + handler), IDT + 8 * VECTOR
  movl $0x00008e00, IDT + 8 * VECTOR + 4
  movl $0x1ff, APIC + 0xf0     # Enabled.
  movl $0x0b, APIC + 0x3e0     # Divide by 1.
  movl $(0x20000 + VECTOR), APIC + 0x320
  movl $TICK, APIC + 0x380     # Periodic, from now on.
tick:
  sti
  hlt
  movl HPET_COUNTER, %eax
  movl $WRITES, %ecx
1:
  outb %al, $0x80
  loop 1b
  jmp tick

handler:
  movl $0, APIC + 0xb0         # End of interrupt.
  iret

  .balign 8
gdt:
  .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdt_pointer:
  .word gdt_pointer - gdt - 1
  .long gdt
idt_pointer:
  .word 8 * VECTOR + 7
  .long IDT

  .org 510
  .word 0xaa55
