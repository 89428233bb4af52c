#include "daemon/collect_tcg_plugin.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using test::expect_sound;
using test::samples_of;
using testing::HasSubstr;
using testing::Not;

plugin::Figures one_vcpu() {
  plugin::Figures figures;
  figures.header.system = 1;
  figures.header.translations = 3;
  auto& vcpu = figures.vcpus.emplace_back();
  vcpu.index = 1;
  vcpu.counts.instructions = 120;
  vcpu.counts.blocks = 10;
  return figures;
}

TEST(CollectTcgPlugin, ShowsWhatIsCounted) {
  const auto shown = tcg_plugin_figures(one_vcpu());

  expect_sound(shown);
  EXPECT_EQ(samples_of(shown),
            "qemu_tcg_blocks_total{vcpu=\"1\"} 10\n"
            "qemu_tcg_flushes_total 0\n"
            "qemu_tcg_idles_total{vcpu=\"1\"} 0\n"
            "qemu_tcg_instructions_total{vcpu=\"1\"} 120\n"
            "qemu_tcg_plugin_level{state=\"all\"} 0\n"
            "qemu_tcg_plugin_level{state=\"blocks\"} 0\n"
            "qemu_tcg_plugin_level{state=\"count\"} 1\n"
            "qemu_tcg_plugin_level{state=\"memory\"} 0\n"
            "qemu_tcg_translated_instructions_total 0\n"
            "qemu_tcg_translations_total 3\n"
            "qemu_tcg_uncounted_blocks_total 0\n");
}

TEST(CollectTcgPlugin, ShowsAccessesOnceTheyAreCounted) {
  auto figures = one_vcpu();
  figures.header.level = plugin::level_memory;
  figures.vcpus[0].counts.accesses[plugin::target_device][plugin::operation_store][2] = 7;

  const auto on = samples_of(tcg_plugin_figures(figures));
  EXPECT_THAT(on, HasSubstr("{vcpu=\"1\",operation=\"store\",size=\"4\",target=\"device\"} 7\n"));
  EXPECT_THAT(on, HasSubstr("{vcpu=\"1\",operation=\"load\",size=\"16\",target=\"ram\"} 0\n"));
  EXPECT_THAT(on, Not(HasSubstr("size=\"32\"")));

  // Switched off again, they stay.
  figures.header.level = plugin::level_count;
  EXPECT_THAT(samples_of(tcg_plugin_figures(figures)), HasSubstr("target=\"device\"} 7\n"));

  // A program has no devices.
  figures.header.level = plugin::level_memory;
  figures.header.system = 0;
  EXPECT_THAT(samples_of(tcg_plugin_figures(figures)), Not(HasSubstr("device")));
}

TEST(CollectTcgPlugin, ShowsDiscontinuitiesWhereQemuTellsThem) {
  auto figures = one_vcpu();
  figures.header.has_discontinuities = 1;
  figures.vcpus[0].counts.interrupts = 5;
  figures.vcpus[0].counts.host_calls = 2;

  const auto shown = samples_of(tcg_plugin_figures(figures));

  EXPECT_THAT(shown,
              HasSubstr("qemu_tcg_discontinuities_total{vcpu=\"1\",type=\"interrupt\"} 5\n"));
  EXPECT_THAT(shown,
              HasSubstr("qemu_tcg_discontinuities_total{vcpu=\"1\",type=\"exception\"} 0\n"));
  EXPECT_THAT(shown,
              HasSubstr("qemu_tcg_discontinuities_total{vcpu=\"1\",type=\"host_call\"} 2\n"));
}

TEST(TcgBlocks, AddUpToPagesAndClasses) {
  TcgBlocks blocks;
  plugin::Block first;
  first.address = 0x401010;
  first.executions = 10;
  first.instructions = 4;
  first.classes[static_cast<std::size_t>(plugin::InstructionClass::integer)] = 3;
  first.classes[static_cast<std::size_t>(plugin::InstructionClass::branch)] = 1;
  plugin::Block second = first;
  second.address = 0x401ff0;
  blocks.update({first, second});
  first.executions = 11;
  second.executions = 2;  // Of a file that is damaged: a count that falls is none.
  blocks.update({first, second});

  const auto shown = samples_of(blocks.figures(100));

  EXPECT_THAT(shown, HasSubstr("qemu_tcg_page_instructions_total{page=\"0x401000\"} 84\n"));
  EXPECT_THAT(shown, HasSubstr("qemu_tcg_page_instructions_total{page=\"__other__\"} 100\n"));
  EXPECT_THAT(shown, HasSubstr("qemu_tcg_classified_instructions_total{class=\"integer\"} 63\n"));
  EXPECT_THAT(shown, HasSubstr("qemu_tcg_classified_instructions_total{class=\"call\"} 0\n"));
}

}  // namespace
}  // namespace qemon::daemon
