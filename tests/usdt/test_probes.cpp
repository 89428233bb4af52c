#include "tests/usdt/test_probes.hpp"

// As the header wants it for probes with semaphores.
#define _SDT_HAS_SEMAPHORES 1  // NOLINT(bugprone-reserved-identifier)
#include <sys/sdt.h>

extern "C" {
// Named by the header's macros.
volatile unsigned short qemu_test_numbers_semaphore __attribute__((section(".probes"))) = 0;
volatile unsigned short qemu_test_text_semaphore __attribute__((section(".probes"))) = 0;
volatile unsigned short other_test_numbers_semaphore __attribute__((section(".probes"))) = 0;
}

namespace qemon::test {

void numbers_probe(int a, std::uint64_t b, bool c, std::int8_t d) {
  DTRACE_PROBE4(qemu, test_numbers, a, b, c, d);
}

void numbers_probe_elsewhere(int a) {
  DTRACE_PROBE4(qemu, test_numbers, a, std::uint64_t{0}, false, std::int8_t{0});
}

void text_probe(const char* first, int n, const char* second) {
  DTRACE_PROBE3(qemu, test_text, first, n, second);
}

std::uint16_t numbers_semaphore() {
  return qemu_test_numbers_semaphore;
}

void foreign_probe() {
  DTRACE_PROBE(other, test_numbers);
}

}  // namespace qemon::test
