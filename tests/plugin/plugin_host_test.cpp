// libqemon-plugin.so in a QEMU that is played: one with the newest plugin API, which no QEMU of the
// distribution has yet. It "translates" one block and runs it.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "plugin/figures_reader.hpp"
#include "tests/support/temp_dir.hpp"

// The side of QEMU, declared anew; names are QEMU's.
// NOLINTBEGIN(readability-identifier-naming)
namespace {

struct Inline {
  std::size_t offset;
  std::uint64_t add;
};
struct Host {
  std::function<void(std::uint64_t, void*)> on_translation;
  std::function<void(std::uint64_t, unsigned)> on_idle, on_init, on_resume;
  std::function<void(std::uint64_t, int, unsigned)> on_discontinuity;
  std::function<void(std::uint64_t, void*)> at_exit;
  std::vector<Inline> inlines;
  std::vector<std::function<void(unsigned)>> block_callbacks;
  std::vector<std::function<void(unsigned)>> memory_callbacks;
  std::array<std::array<std::uint64_t, 2>, 4> scoreboard{};
  std::uint64_t threshold = 0;
  std::function<void(unsigned)> on_threshold;
  int resets = 0;
  unsigned instructions = 4;
} host;

/// QEMU translates a block anew after a reset.
void translate() {
  host.inlines.clear();
  host.block_callbacks.clear();
  host.memory_callbacks.clear();
  host.on_threshold = nullptr;
  host.on_translation(1, &host);
}

void run_block(unsigned vcpu, int times = 1) {
  for (int time = 0; time < times; ++time) {
    const int resets = host.resets;
    if (vcpu < host.scoreboard.size()) {
      for (const auto& each : host.inlines) host.scoreboard[vcpu][each.offset / 8] += each.add;
      if (host.on_threshold && host.scoreboard[vcpu][0] >= host.threshold) host.on_threshold(vcpu);
    }
    const auto callbacks = host.block_callbacks;
    for (const auto& call : callbacks) call(vcpu);
    const auto accesses = host.memory_callbacks;
    for (const auto& call : accesses) call(vcpu);
    if (host.resets != resets) translate();
  }
}

}  // namespace

extern "C" {
using plugin_id = std::uint64_t;
struct u64_entry {
  void* score;
  std::size_t offset;
};
struct info {
  const char* target_name;
  int min, cur;
  bool system_emulation;
  int smp_vcpus, max_vcpus;
};
void qemu_plugin_reset(plugin_id id, void (*done)(plugin_id)) {
  ++host.resets;
  done(id);
}
void qemu_plugin_register_vcpu_init_cb(plugin_id, void (*call)(plugin_id, unsigned)) {
  host.on_init = call;
}
void qemu_plugin_register_vcpu_exit_cb(plugin_id, void (*)(plugin_id, unsigned)) {}
void qemu_plugin_register_vcpu_idle_cb(plugin_id, void (*call)(plugin_id, unsigned)) {
  host.on_idle = call;
}
void qemu_plugin_register_vcpu_resume_cb(plugin_id, void (*call)(plugin_id, unsigned)) {
  host.on_resume = call;
}
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, void*) {}
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*call)(plugin_id, void*)) {
  host.on_translation = call;
}
void qemu_plugin_register_flush_cb(plugin_id, void (*)(plugin_id)) {}
void qemu_plugin_register_atexit_cb(plugin_id, void (*call)(plugin_id, void*), void*) {
  host.at_exit = call;
}
void qemu_plugin_register_vcpu_tb_exec_cb(void*, void (*call)(unsigned, void*), int, void* data) {
  host.block_callbacks.emplace_back([=](unsigned vcpu) { call(vcpu, data); });
}
void qemu_plugin_register_vcpu_mem_cb(void*,
                                      void (*call)(unsigned, std::uint32_t, std::uint64_t, void*),
                                      int, int, void* data) {
  // A store of 8 bytes to a device.
  host.memory_callbacks.emplace_back([=](unsigned vcpu) { call(vcpu, 3 | 0x100, 0x1000, data); });
}
std::size_t qemu_plugin_tb_n_insns(const void*) {
  return host.instructions;
}
std::uint64_t qemu_plugin_tb_vaddr(const void*) {
  return 0xffff800000001000;
}
void* qemu_plugin_tb_get_insn(const void*, std::size_t) {
  return &host;
}
std::size_t qemu_plugin_insn_size(const void*) {
  return 3;
}
char* qemu_plugin_insn_disas(const void*) {
  return strdup("addl $1, %eax");
}
unsigned qemu_plugin_mem_size_shift(std::uint32_t information) {
  return information & 0xff;
}
bool qemu_plugin_mem_is_store(std::uint32_t information) {
  return (information & 0x100) != 0;
}
void* qemu_plugin_get_hwaddr(std::uint32_t, std::uint64_t) {
  return &host;
}
bool qemu_plugin_hwaddr_is_io(const void*) {
  return true;
}
void* qemu_plugin_scoreboard_new(std::size_t) {
  return &host.scoreboard;
}
std::uint64_t qemu_plugin_u64_get(u64_entry entry, unsigned vcpu) {
  return host.scoreboard.at(vcpu)[entry.offset / 8];
}
void qemu_plugin_u64_set(u64_entry entry, unsigned vcpu, std::uint64_t value) {
  host.scoreboard.at(vcpu)[entry.offset / 8] = value;
}
void qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(void*, int, u64_entry entry,
                                                       std::uint64_t add) {
  host.inlines.push_back({entry.offset, add});
}
void qemu_plugin_register_vcpu_tb_exec_cond_cb(void*, void (*call)(unsigned, void*), int, int,
                                               u64_entry, std::uint64_t threshold, void* data) {
  host.threshold = threshold;
  host.on_threshold = [=](unsigned vcpu) { call(vcpu, data); };
}
void qemu_plugin_register_vcpu_discon_cb(plugin_id, int,
                                         void (*call)(plugin_id, unsigned, int, std::uint64_t,
                                                      std::uint64_t)) {
  host.on_discontinuity = [=](plugin_id id, int type, unsigned vcpu) {
    call(id, vcpu, type, 1, 2);
  };
}
}  // extern "C"
// NOLINTEND(readability-identifier-naming)

namespace qemon::plugin {
namespace {

/// One for all, since a plugin is loaded once in a process.
TEST(PluginHost, CountsWithTheNewestApi) {
  void* const loaded = dlopen(QEMON_TEST_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(loaded, nullptr) << dlerror();
  ASSERT_EQ(*static_cast<int*>(dlsym(loaded, "qemu_plugin_version")), 2);
  const auto install = reinterpret_cast<int (*)(std::uint64_t, const info*, int, char**)>(
      dlsym(loaded, "qemu_plugin_install"));
  ASSERT_NE(install, nullptr);
  test::TempDir folder;
  std::string path = "path=" + (folder.path() / "vm.tcg").string();
  std::array<char*, 1> arguments{path.data()};
  info about{"x86_64", 2, 7, true, 2, 2};
  ::testing::internal::CaptureStderr();
  EXPECT_NE(install(1, &about, 1, arguments.data()), 0);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::HasSubstr("has plugin API 7, and the newest that this plugin knows is 6"));
  about.cur = 5;
  ASSERT_EQ(install(1, &about, 1, arguments.data()), 0);
  auto reader = FiguresReader::open(path.substr(5));
  ASSERT_TRUE(reader) << reader.error().detail;

  // Code that is generated counts; it is published now and then, and when there is nothing to do.
  host.on_init(1, 0);
  translate();
  run_block(0, 10);
  EXPECT_EQ(reader->read()->vcpus.at(0).counts.instructions, 0U);
  host.on_idle(1, 0);
  auto figures = *reader->read();
  EXPECT_EQ(figures.vcpus.at(0).counts.instructions, 40U);
  EXPECT_EQ(figures.vcpus.at(0).counts.blocks, 10U);
  EXPECT_EQ(figures.vcpus.at(0).counts.idles, 1U);
  run_block(0, 65536 / 4);
  EXPECT_EQ(reader->read()->vcpus.at(0).counts.instructions, 40U + 65536U);

  // What no QEMU before API 5 tells.
  EXPECT_EQ(figures.header.has_discontinuities, 1U);
  EXPECT_EQ(figures.header.api, 5U);
  for (const int type : {1, 1, 1, 2, 2, 4}) host.on_discontinuity(1, type, 0);
  host.on_idle(1, 0);
  figures = *reader->read();
  EXPECT_EQ(figures.vcpus.at(0).counts.interrupts, 3U);
  EXPECT_EQ(figures.vcpus.at(0).counts.exceptions, 2U);
  EXPECT_EQ(figures.vcpus.at(0).counts.host_calls, 1U);

  // Another level, from outside.
  ASSERT_TRUE(reader->want_level(level_all));
  EXPECT_EQ(reader->read()->header.level, level_count);
  host.on_idle(1, 0);
  EXPECT_EQ(host.resets, 0);
  host.on_resume(1, 0);
  EXPECT_EQ(host.resets, 1);
  translate();
  run_block(0, 5);
  run_block(1, 2);
  host.on_idle(1, 0);
  host.on_idle(1, 1);
  figures = *reader->read();
  EXPECT_EQ(figures.header.level, level_all);
  EXPECT_EQ(figures.vcpus.at(1).counts.instructions, 8U);
  // An access of each instruction.
  EXPECT_EQ(figures.vcpus.at(0).counts.accesses[target_device][operation_store][3], 20U);
  const auto blocks = *reader->read_blocks();
  ASSERT_EQ(blocks.size(), 1U);
  EXPECT_EQ(blocks[0].address, 0xffff800000001000U);
  EXPECT_EQ(blocks[0].executions, 7U);
  EXPECT_EQ(blocks[0].bytes, 12U);
  EXPECT_EQ(blocks[0].classes[static_cast<std::size_t>(InstructionClass::integer)], 4);

  // Back, while a vCPU runs.
  ASSERT_TRUE(reader->want_level(level_count));
  run_block(0, 65536 / 4);
  EXPECT_EQ(host.resets, 2);
  EXPECT_EQ(reader->read()->header.level, level_count);
  const auto counted_before = reader->read_blocks()->at(0).executions;
  run_block(0, 3);
  host.on_idle(1, 0);
  EXPECT_EQ(reader->read_blocks()->at(0).executions, counted_before);

  // A vCPU that there is no page for is told, and does no harm; the end publishes what is left.
  run_block(3, 65536 / 4);
  run_block(0);
  host.at_exit(1, nullptr);
  figures = *reader->read();
  EXPECT_EQ(figures.header.vcpus_beyond, 1U);
  EXPECT_EQ(figures.header.ended, 1U);
  EXPECT_EQ(figures.vcpus.at(0).counts.blocks, 10U + 65536 / 4 + 5 + 65536 / 4 + 3 + 1);
}

}  // namespace
}  // namespace qemon::plugin
