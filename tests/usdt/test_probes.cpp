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

void indexed_probe(const std::uint64_t* array, std::uint64_t index) {
#if defined(__x86_64__)
  // As the header's macros make it of an operand in memory, which compilers seldom choose.
  asm volatile(
      "990: nop\n"
      ".pushsection .note.stapsdt,\"\",\"note\"\n"
      ".balign 4\n"
      ".4byte 992f-991f, 994f-993f, 3\n"
      "991: .asciz \"stapsdt\"\n"
      "992: .balign 4\n"
      "993: .8byte 990b\n"
      ".8byte _.stapsdt.base\n"
      ".8byte 0\n"
      ".asciz \"qemu\"\n"
      ".asciz \"test_indexed\"\n"
      ".asciz \"8@(%0,%1,8)\"\n"
      "994: .balign 4\n"
      ".popsection\n"
      :
      : "r"(array), "r"(index)
      : "memory");
#else
  (void)array, (void)index;
#endif
}

std::uint16_t numbers_semaphore() {
  return qemu_test_numbers_semaphore;
}

void foreign_probe() {
  DTRACE_PROBE(other, test_numbers);
}

}  // namespace qemon::test
