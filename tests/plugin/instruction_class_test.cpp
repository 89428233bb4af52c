#include "plugin/instruction_class.hpp"

#include <gtest/gtest.h>

namespace qemon::plugin {
namespace {

using enum InstructionClass;

TEST(InstructionClass, KnowsTheFamiliesOfQemusTargets) {
  EXPECT_EQ(family_of("x86_64"), Family::x86);
  EXPECT_EQ(family_of("i386"), Family::x86);
  EXPECT_EQ(family_of("aarch64"), Family::arm);
  EXPECT_EQ(family_of("arm"), Family::arm);
  EXPECT_EQ(family_of("riscv64"), Family::riscv);
  EXPECT_EQ(family_of("s390x"), Family::unknown);
}

struct Case {
  const char* text;
  InstructionClass is;
};

TEST(InstructionClass, IsToldByTheMnemonicOnX86) {
  for (const auto& [text, is] : std::initializer_list<Case>{{"movq %rax, 8(%rdi)", move},
                                                            {"pushq %rbp", move},
                                                            {"leaq 8(%rsp), %rax", move},
                                                            {"cmovneq %rax, %rbx", move},
                                                            {"addl $1, %ecx", integer},
                                                            {"incl %eax", integer},
                                                            {"lock cmpxchgl %ecx, (%rdx)", integer},
                                                            {"setne %al", integer},
                                                            {"jne 0x401000", branch},
                                                            {"jmpq *%rax", branch},
                                                            {"callq 0x401000", call},
                                                            {"retq ", ret},
                                                            {"ret", ret},
                                                            {"iretq ", ret},
                                                            {"addsd %xmm0, %xmm1", vector},
                                                            {"movups (%rbx), %xmm0", vector},
                                                            {"fldl 8(%rsp)", vector},
                                                            {"vzeroupper", vector},
                                                            {"inb %dx, %al", system},
                                                            {"outl %eax, %dx", system},
                                                            {"syscall", system},
                                                            {"hlt", system},
                                                            {"movq %rax, %cr3", system},
                                                            {"invlpg (%rax)", system},
                                                            {"rep movsb (%rsi), %es:(%rdi)", move},
                                                            {"rep stosq %rax, %es:(%rdi)", move},
                                                            {"nop", other},
                                                            {"nopw %cs:(%rax, %rax)", other},
                                                            {".byte 0x06", other},
                                                            {"", other}})
    EXPECT_EQ(classify(Family::x86, text), is) << text;
}

TEST(InstructionClass, IsToldByTheMnemonicOnArmAndRiscv) {
  for (const auto& [text, is] : std::initializer_list<Case>{{"ldr x0, [x1]", move},
                                                            {"stp x29, x30, [sp, #-16]!", move},
                                                            {"add x0, x0, #1", integer},
                                                            {"b.ne 0x40", branch},
                                                            {"cbz x0, 0x40", branch},
                                                            {"bl 0x40", call},
                                                            {"blr x8", call},
                                                            {"ret", ret},
                                                            {"fadd d0, d0, d1", vector},
                                                            {"msr daifset, #2", system},
                                                            {"svc #0", system},
                                                            {"nop", other}})
    EXPECT_EQ(classify(Family::arm, text), is) << text;
  for (const auto& [text, is] : std::initializer_list<Case>{{"ld a0, 8(sp)", move},
                                                            {"sd ra, 8(sp)", move},
                                                            {"c.mv a0, a1", move},
                                                            {"addi a0, a0, 1", integer},
                                                            {"beqz a0, 16", branch},
                                                            {"j 16", branch},
                                                            {"jal ra, 16", call},
                                                            {"ret", ret},
                                                            {"fadd.d fa0, fa0, fa1", vector},
                                                            {"csrrw a0, mstatus, a1", system},
                                                            {"ecall", system},
                                                            {"fence", system}})
    EXPECT_EQ(classify(Family::riscv, text), is) << text;
  EXPECT_EQ(classify(Family::unknown, "add r1, r2"), other);
}

}  // namespace
}  // namespace qemon::plugin
