#include "daemon/collect_irq.hpp"

#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using test::expect_sound;
using test::samples_of;

TEST(CollectIrq, ShowsTheCountOfEachLine) {
  // Of 7.2 and 10.0; the human monitor ends its lines with CR and LF.
  const Figures figures = irq_figures(
      "IRQ statistics for ioapic:\r\n 0: 8\r\n 4: 10\r\nIRQ statistics for isa-i8259:\r\n 0: 8\r\n "
      "4: 10\r\n");

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_irq_statistics_total{controller=\"ioapic\",line=\"0\"} 8\n"
            "qemu_irq_statistics_total{controller=\"ioapic\",line=\"4\"} 10\n"
            "qemu_irq_statistics_total{controller=\"isa-i8259\",line=\"0\"} 8\n"
            "qemu_irq_statistics_total{controller=\"isa-i8259\",line=\"4\"} 10\n");
}

TEST(CollectIrq, AHeaderWithoutNumbersGivesNothing) {
  EXPECT_TRUE(
      irq_figures("IRQ statistics for kvm-ioapic:\nIRQ statistics for kvm-i8259:\n").empty());
  EXPECT_TRUE(irq_figures("IRQ statistics not available for arm_gic.\n").empty());
  EXPECT_TRUE(irq_figures("unknown command: 'info irq'\r\n").empty());
  EXPECT_TRUE(irq_figures("").empty());
}

TEST(CollectIrq, TwoControllersOfOneNameAreTold) {
  EXPECT_EQ(samples_of(irq_figures("IRQ statistics for pic:\n 1: 2\nIRQ statistics for pic:\n "
                                   "1: 3\n")),
            "qemu_irq_statistics_total{controller=\"pic\",line=\"1\"} 2\n"
            "qemu_irq_statistics_total{controller=\"pic#2\",line=\"1\"} 3\n");
}

TEST(CollectIrq, SurvivesWhateverTextComes) {
  const std::string strange =
      "1: 2\nIRQ statistics for a:\n 1: -2\n 1: x\n1 2\n 99999999999999999999: 1\n 2: "
      "18446744073709551615\n 2: 5\n 3: 4 5\n:\n\xff\xfe\n";

  const Figures figures = irq_figures(strange);

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_irq_statistics_total{controller=\"a\",line=\"2\"} 18446744073709551616\n");
  std::string long_text = "IRQ statistics for a:\n";
  for (int i = 0; i < 5000; ++i) long_text += std::to_string(i) + ": 1\n";
  EXPECT_EQ(irq_figures(long_text)[0].metric.size(), 1000U);
}

}  // namespace
}  // namespace qemon::daemon
