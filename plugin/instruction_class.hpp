// What an instruction does, by what its disassembly says.
#pragma once

#include <string_view>

#include "plugin/shared_figures.hpp"

namespace qemon::plugin {

/// How the mnemonics of a target are to be read.
enum class Family : std::uint8_t { unknown, x86, arm, riscv };

/// `target` is what QEMU calls it, for instance "x86_64" or "aarch64".
[[nodiscard]] Family family_of(std::string_view target);

/// Of a line of disassembly as capstone or QEMU prints it ("movq %rax, 8(%rdi)"). `other` where the
/// family or the mnemonic is not known.
[[nodiscard]] InstructionClass classify(Family family, std::string_view disassembly);

}  // namespace qemon::plugin
