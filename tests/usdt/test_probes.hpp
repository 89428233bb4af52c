// Probes in the test program itself, of the provider that QEMU's have.
#pragma once

#include <cstdint>

namespace qemon::test {

/// qemu:test_numbers, at two places.
void numbers_probe(int a, std::uint64_t b, bool c, std::int8_t d);
void numbers_probe_elsewhere(int a);
/// qemu:test_text
void text_probe(const char* first, int n, const char* second);
/// qemu:test_indexed, whose argument is an element of an array: where only newer versions of libbpf
/// find it.
void indexed_probe(const std::uint64_t* array, std::uint64_t index);
/// How many are attached to test_numbers.
std::uint16_t numbers_semaphore();
/// other:test_numbers, which is not QEMU's.
void foreign_probe();

}  // namespace qemon::test
