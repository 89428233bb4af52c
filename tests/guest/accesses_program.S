# A Linux program of known instructions and memory accesses, for user-mode QEMU. With ROUNDS rounds it executes
# 3 + 12 * ROUNDS + 3 instructions, in 1 + ROUNDS + 1 blocks, and each round loads and stores 1, 2, 4, 8 and 16 bytes once.

  .globl _start
  .text
_start:
  leaq data(%rip), %rbx
  movl $ROUNDS, %ecx
  jmp round

round:
  movb (%rbx), %al
  movb %al, 1(%rbx)
  movw 2(%rbx), %ax
  movw %ax, 4(%rbx)
  movl 8(%rbx), %eax
  movl %eax, 12(%rbx)
  movq 16(%rbx), %rax
  movq %rax, 24(%rbx)
  movups 32(%rbx), %xmm0
  movups %xmm0, 48(%rbx)
  decl %ecx
  jnz round

  xorl %edi, %edi
  movl $60, %eax               # exit
  syscall

  .data
  .balign 64
data:
  .fill 64
