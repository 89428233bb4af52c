// libqemon-plugin.so: counts in QEMU's TCG what the guest executes, and publishes it in a file
// (shared_figures.hpp) that others read while the guest runs. The guest waits for nobody.
//
// Each vCPU counts in memory of its own and publishes every 65536 instructions, when it has nothing
// to do, and in user-mode QEMU at each system call. Where QEMU has scoreboards (API 3),
// instructions and blocks are counted by code that is generated into the block; before, by a call
// for each block.
#include <pthread.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "plugin/block_table.hpp"
#include "plugin/figures_file.hpp"
#include "plugin/instruction_class.hpp"
#include "plugin/options.hpp"
#include "plugin/qemu_api.hpp"

// 2 is the oldest that newer QEMUs accept, and 1 the newest that older ones do. QEMU reads it after
// the constructor below.
int qemu_plugin_version = 2;

namespace qemon::plugin {
namespace {

constexpr int newest_api = 6;                   ///< QEMU 11.0; 7 has callbacks of other types.
constexpr std::uint64_t publish_every = 65536;  ///< Instructions.
constexpr std::uint32_t user_vcpu_slots = 1024, system_vcpu_slots_max = 4096;

/// What a vCPU has counted since it published.
struct alignas(64) Pending {
  bool has_run = false;
  std::uint64_t instructions = 0, blocks = 0;
  AccessCounts accesses{};
  std::uint64_t idles = 0, interrupts = 0, exceptions = 0, host_calls = 0;
};

/// One for the process: QEMU's callbacks have no other place for it.
struct Plugin {
  qemu_plugin_id_t id = 0;
  bool is_system = false;
  Family family = Family::unknown;
  FiguresFile file;
  std::uint32_t slots = 0;
  Pending* pending = nullptr;
  BlockTable blocks;
  std::uint32_t level = level_count;  ///< Changes only while no vCPU runs.
  std::uint32_t switching = 0;        ///< 1 from the request for another level until it is there.
  qemu_plugin_scoreboard* scoreboard = nullptr;
};
Plugin plugin;  // NOLINT(readability-identifier-naming)

qemu_plugin_u64 inline_instructions() {
  return {plugin.scoreboard, 0};
}
qemu_plugin_u64 inline_blocks() {
  return {plugin.scoreboard, sizeof(std::uint64_t)};
}

template <typename Integer>
void publish(Integer& published, Integer value) {
  std::atomic_ref(published).store(value, std::memory_order_relaxed);
}

void add_pending(std::uint64_t& published, std::uint64_t& pending) {
  publish(published, published + pending);
  pending = 0;
}

/// Moves the counts that generated code made, which only the vCPU's own thread may do.
void take_inline_counts(unsigned vcpu, Pending& pending) {
  if (plugin.scoreboard == nullptr) return;
  pending.instructions += qemu_plugin_u64_get(inline_instructions(), vcpu);
  pending.blocks += qemu_plugin_u64_get(inline_blocks(), vcpu);
  qemu_plugin_u64_set(inline_instructions(), vcpu, 0);
  qemu_plugin_u64_set(inline_blocks(), vcpu, 0);
}

void begin(qemu_plugin_id_t id);

void on_reset(qemu_plugin_id_t id) {
  plugin.level =
      std::atomic_ref(plugin.file.header->wanted_level).load(std::memory_order_relaxed) & level_all;
  begin(id);
  std::atomic_ref(plugin.switching).store(0);
}

/// All blocks are translated anew at another level. In the thread of a vCPU only: QEMU stops the
/// others for it.
void follow_level() {
  const std::uint32_t wanted =
      std::atomic_ref(plugin.file.header->wanted_level).load(std::memory_order_relaxed) & level_all;
  if (wanted == plugin.level || std::atomic_ref(plugin.switching).exchange(1) != 0) return;
  qemu_plugin_reset(plugin.id, on_reset);
}

void publish_counts(unsigned vcpu) {
  Pending& pending = plugin.pending[vcpu];
  Vcpu& page = plugin.file.vcpus[vcpu];
  take_inline_counts(vcpu, pending);

  std::atomic_ref sequence(page.sequence);
  const std::uint32_t before = sequence.load(std::memory_order_relaxed);
  sequence.store(before + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  pending.has_run = true;
  publish(page.started, 1U);
  add_pending(page.instructions, pending.instructions);
  add_pending(page.blocks, pending.blocks);
  add_pending(page.idles, pending.idles);
  add_pending(page.interrupts, pending.interrupts);
  add_pending(page.exceptions, pending.exceptions);
  add_pending(page.host_calls, pending.host_calls);
  for (std::size_t target = 0; target < access_targets; ++target) {
    for (std::size_t operation = 0; operation < access_operations; ++operation) {
      for (std::size_t size = 0; size < access_sizes; ++size)
        add_pending(page.accesses[target][operation][size],
                    pending.accesses[target][operation][size]);
    }
  }
  sequence.store(before + 2, std::memory_order_release);
}

/// False, and counted, for a vCPU that has no page.
bool has_page(unsigned vcpu) {
  if (vcpu < plugin.slots) return true;
  std::atomic_ref(plugin.file.header->vcpus_beyond).fetch_add(1, std::memory_order_relaxed);
  return false;
}

// ---- Callbacks of blocks and accesses: the hot path

void count_block(unsigned vcpu, std::uint64_t instructions) {
  if (!has_page(vcpu)) return;
  Pending& pending = plugin.pending[vcpu];
  ++pending.blocks;
  pending.instructions += instructions;
  if (pending.instructions < publish_every) return;
  publish_counts(vcpu);
  follow_level();
}

void on_block(unsigned vcpu, void* instructions) {
  count_block(vcpu, reinterpret_cast<std::uintptr_t>(instructions));
}

void on_known_block(unsigned vcpu, void* entry) {
  auto* block = static_cast<Block*>(entry);
  std::atomic_ref(block->executions).fetch_add(1, std::memory_order_relaxed);
  count_block(vcpu, block->instructions);
}

void on_block_beyond(unsigned vcpu, void* instructions) {
  const auto count = reinterpret_cast<std::uintptr_t>(instructions);
  std::atomic_ref(plugin.file.header->beyond_executions).fetch_add(1, std::memory_order_relaxed);
  std::atomic_ref(plugin.file.header->beyond_instructions)
      .fetch_add(count, std::memory_order_relaxed);
  count_block(vcpu, count);
}

/// Generated code has counted as many as are to be published.
void on_many(unsigned vcpu, void*) {
  if (!has_page(vcpu)) return;
  publish_counts(vcpu);
  follow_level();
}

void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, std::uint64_t address, void*) {
  if (vcpu >= plugin.slots) return;
  std::size_t size = qemu_plugin_mem_size_shift(info);
  if (size >= access_sizes) size = access_sizes - 1;
  std::size_t target = target_ram;
  if (plugin.is_system) {
    const qemu_plugin_hwaddr* where = qemu_plugin_get_hwaddr(info, address);
    if (where != nullptr && qemu_plugin_hwaddr_is_io(where)) target = target_device;
  }
  ++plugin.pending[vcpu]
        .accesses[target][qemu_plugin_mem_is_store(info) ? operation_store : operation_load][size];
}

// ---- Translation

void describe(const qemu_plugin_tb* translated, Block& block) {
  for (std::uint32_t at = 0; at < block.instructions; ++at) {
    const qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(translated, at);
    block.bytes += static_cast<std::uint32_t>(qemu_plugin_insn_size(instruction));
    InstructionClass is = InstructionClass::other;
    if (char* text =
            plugin.family != Family::unknown ? qemu_plugin_insn_disas(instruction) : nullptr;
        text != nullptr) {
      is = classify(plugin.family, text);
      std::free(text);
    }
    std::uint8_t& count = block.classes[static_cast<std::size_t>(is)];
    if (count < 255) ++count;
  }
}

/// Which callback counts it, or generated code.
void count_executions(qemu_plugin_tb* translated, std::uint32_t instructions) {
  auto* count = reinterpret_cast<void*>(static_cast<std::uintptr_t>(instructions));
  if ((plugin.level & level_blocks) != 0) {
    Block* block = plugin.blocks.find_or_add(qemu_plugin_tb_vaddr(translated), instructions,
                                             [&](Block& added) { describe(translated, added); });
    if (block != nullptr)
      qemu_plugin_register_vcpu_tb_exec_cb(translated, on_known_block, QEMU_PLUGIN_CB_NO_REGS,
                                           block);
    else
      qemu_plugin_register_vcpu_tb_exec_cb(translated, on_block_beyond, QEMU_PLUGIN_CB_NO_REGS,
                                           count);
    return;
  }
  if (plugin.scoreboard == nullptr) {
    qemu_plugin_register_vcpu_tb_exec_cb(translated, on_block, QEMU_PLUGIN_CB_NO_REGS, count);
    return;
  }
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(translated, QEMU_PLUGIN_INLINE_ADD_U64,
                                                    inline_instructions(), instructions);
  qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(translated, QEMU_PLUGIN_INLINE_ADD_U64,
                                                    inline_blocks(), 1);
  qemu_plugin_register_vcpu_tb_exec_cond_cb(translated, on_many, QEMU_PLUGIN_CB_NO_REGS,
                                            QEMU_PLUGIN_COND_GE, inline_instructions(),
                                            publish_every, nullptr);
}

void on_translation(qemu_plugin_id_t, qemu_plugin_tb* translated) {
  const auto instructions = static_cast<std::uint32_t>(qemu_plugin_tb_n_insns(translated));
  Header& header = *plugin.file.header;
  std::atomic_ref(header.translations).fetch_add(1, std::memory_order_relaxed);
  std::atomic_ref(header.translated_instructions)
      .fetch_add(instructions, std::memory_order_relaxed);
  count_executions(translated, instructions);
  if ((plugin.level & level_memory) == 0) return;
  for (std::uint32_t at = 0; at < instructions; ++at)
    qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(translated, at), on_access,
                                     QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, nullptr);
}

// ---- Other callbacks

void on_flush(qemu_plugin_id_t) {
  std::atomic_ref(plugin.file.header->flushes).fetch_add(1, std::memory_order_relaxed);
}

void on_vcpu_step(qemu_plugin_id_t, unsigned vcpu) {
  if (vcpu < plugin.slots) publish_counts(vcpu);
}

void on_idle(qemu_plugin_id_t, unsigned vcpu) {
  if (vcpu >= plugin.slots) return;
  ++plugin.pending[vcpu].idles;
  publish_counts(vcpu);
}

/// Not when it becomes idle, nor at a system call that may end its thread: what is asked of QEMU
/// there waits for as long as the vCPU does, or is forgotten.
void on_resume(qemu_plugin_id_t, unsigned vcpu) {
  if (vcpu < plugin.slots) follow_level();
}

void on_system_call(qemu_plugin_id_t, unsigned vcpu, std::int64_t, std::uint64_t, std::uint64_t,
                    std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t,
                    std::uint64_t) {
  if (vcpu < plugin.slots) publish_counts(vcpu);
}

void on_discontinuity(qemu_plugin_id_t, unsigned vcpu, qemu_plugin_discon_type type, std::uint64_t,
                      std::uint64_t) {
  if (vcpu >= plugin.slots) return;
  Pending& pending = plugin.pending[vcpu];
  if (type == QEMU_PLUGIN_DISCON_INTERRUPT)
    ++pending.interrupts;
  else if (type == QEMU_PLUGIN_DISCON_EXCEPTION)
    ++pending.exceptions;
  else
    ++pending.host_calls;
}

void on_exit(qemu_plugin_id_t, void*) {
  for (std::uint32_t vcpu = 0; vcpu < plugin.slots; ++vcpu) {
    if (plugin.pending[vcpu].has_run) publish_counts(vcpu);
  }
  std::atomic_ref(plugin.file.header->ended).store(1, std::memory_order_release);
}

void in_child() {
  make_private(plugin.file);
}

/// At the start, and again when the level changes, with no vCPU running.
void begin(qemu_plugin_id_t id) {
  std::atomic_ref(plugin.file.header->level).store(plugin.level, std::memory_order_relaxed);
  qemu_plugin_register_vcpu_init_cb(id, on_vcpu_step);
  qemu_plugin_register_vcpu_exit_cb(id, on_vcpu_step);
  qemu_plugin_register_vcpu_idle_cb(id, on_idle);
  qemu_plugin_register_vcpu_resume_cb(id, on_resume);
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_flush_cb(id, on_flush);
  qemu_plugin_register_atexit_cb(id, on_exit, nullptr);
  if (!plugin.is_system) qemu_plugin_register_vcpu_syscall_cb(id, on_system_call);
  if (qemu_plugin_register_vcpu_discon_cb != nullptr)
    qemu_plugin_register_vcpu_discon_cb(id, QEMU_PLUGIN_DISCON_ALL, on_discontinuity);
}

__attribute__((constructor)) void choose_version() {
  if (qemu_plugin_scoreboard_new == nullptr) qemu_plugin_version = 1;
}

std::uint32_t vcpu_slots(const qemu_info_t& info) {
  if (!info.system_emulation) return user_vcpu_slots;
  const int most = info.system.max_vcpus;
  if (most < 1) return 1;
  return static_cast<std::uint32_t>(most) < system_vcpu_slots_max ? static_cast<std::uint32_t>(most)
                                                                  : system_vcpu_slots_max;
}

/// For the figures of all vCPUs that have a page.
bool make_pending() {
  void* memory = mmap(nullptr, plugin.slots * sizeof(Pending), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::fprintf(stderr, "qemon-plugin: no memory for the figures of %u vCPUs\n", plugin.slots);
    return false;
  }
  plugin.pending = static_cast<Pending*>(memory);
  return true;
}

Header describe_qemu(const qemu_info_t& info) {
  Header header;
  header.system = plugin.is_system ? 1 : 0;
  header.api = static_cast<std::uint32_t>(info.version.cur);
  std::snprintf(header.target.data(), header.target.size(), "%s", info.target_name);
  header.wanted_level = plugin.level;
  header.has_discontinuities = qemu_plugin_register_vcpu_discon_cb != nullptr ? 1 : 0;
  return header;
}

bool install(qemu_plugin_id_t id, const qemu_info_t& info, int argc, char** argv) {
  if (info.version.cur > newest_api) {
    std::fprintf(stderr,
                 "qemon-plugin: this QEMU has plugin API %d, and the newest that this plugin knows "
                 "is %d: install a newer qemon\n",
                 info.version.cur, newest_api);
    return false;
  }
  Options options;
  if (!read_options(argc, argv, options)) return false;
  plugin.id = id;
  plugin.is_system = info.system_emulation;
  plugin.family = family_of(info.target_name);
  plugin.level = options.level;
  plugin.slots = vcpu_slots(info);
  if (!make_pending() ||
      !make_figures_file(options, describe_qemu(info), plugin.slots, plugin.file))
    return false;
  if (!plugin.blocks.begin(plugin.file, options.block_capacity)) {
    std::fprintf(stderr, "qemon-plugin: no memory for an index of blocks: use a smaller blocks=\n");
    return false;
  }
  // Code that counts cannot be generated without being able to look after so many counts. Programs
  // may begin so many threads that QEMU moves the scoreboard while one of them publishes.
  if (plugin.is_system && qemu_plugin_register_vcpu_tb_exec_cond_cb != nullptr)
    plugin.scoreboard = qemu_plugin_scoreboard_new(2 * sizeof(std::uint64_t));
  begin(id);
  if (!plugin.is_system) pthread_atfork(nullptr, nullptr, in_child);
  return true;
}

}  // namespace
}  // namespace qemon::plugin

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc, char** argv) {
  return qemon::plugin::install(id, *info, argc, argv) ? 0 : 1;
}
