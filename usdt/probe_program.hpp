// The program for the kernel, compiled from probe.bpf.c when qemond is built.
#pragma once

#include <span>

namespace qemon::usdt {

/// An ELF object for libbpf.
[[nodiscard]] std::span<const unsigned char> probe_program();

}  // namespace qemon::usdt
