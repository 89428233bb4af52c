// What the TCG plugin publishes: the layout of the file that QEMU's process maps and writes, and
// that others read while the guest runs.
//
// The file is: a Header, then `vcpu_slots` pages of type Vcpu, then room for `block_capacity`
// Blocks. All integers are of the host's own byte order: writer and reader are on one machine. A
// figure that grows never falls while QEMU lives.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace qemon::plugin {

inline constexpr std::array<char, 8> file_magic{'Q', 'E', 'M', 'O', 'N', 'T', 'C', 'G'};
/// Of this layout. A reader refuses any other.
inline constexpr std::uint32_t layout_version = 1;

/// What is counted beside instructions and blocks: bits, of which any may be set.
enum Level : std::uint32_t {
  level_count = 0,
  level_memory = 1U << 0,  ///< Loads and stores.
  level_blocks = 1U << 1,  ///< Each block by its address, and classes of instructions.
  level_all = level_memory | level_blocks,
};

/// What an instruction does, as far as its mnemonic tells.
enum class InstructionClass : std::uint8_t {
  other,
  move,
  integer,
  branch,
  call,
  ret,
  vector,  ///< Floating point and vectors.
  system,
};
inline constexpr std::size_t instruction_classes = 8;

/// Sizes of a memory access: 1, 2, 4, 8, 16 and 32 bytes.
inline constexpr std::size_t access_sizes = 6;
enum AccessTarget : std::size_t { target_ram, target_device };
inline constexpr std::size_t access_targets = 2;
enum AccessOperation : std::size_t { operation_load, operation_store };
inline constexpr std::size_t access_operations = 2;
using AccessCounts =
    std::array<std::array<std::array<std::uint64_t, access_sizes>, access_operations>,
               access_targets>;

/// Of one vCPU. Written by that vCPU alone, under `sequence`: odd while it writes.
struct alignas(64) Vcpu {
  std::uint32_t sequence = 0;
  std::uint32_t started = 0;  ///< 1 once it has run.
  /// Guest instructions of the blocks that it entered. If an exception ends a block early, the rest
  /// is counted too.
  std::uint64_t instructions = 0;
  std::uint64_t blocks = 0;  ///< Translated blocks that it entered.
  AccessCounts accesses{};   ///< At level_memory.
  std::uint64_t idles = 0;   ///< How often it had nothing to do.
  // Where QEMU's plugin API tells them (5 and newer).
  std::uint64_t interrupts = 0;
  std::uint64_t exceptions = 0;
  std::uint64_t host_calls = 0;
  std::array<std::uint64_t, 33> reserved{};
};
static_assert(sizeof(Vcpu) == 512);

/// One translated block, at level_blocks. Entries are added and never change but for `executions`.
struct Block {
  std::uint64_t address = 0;  ///< Virtual, of its first instruction.
  std::uint64_t executions = 0;
  std::uint32_t instructions = 0;
  std::uint32_t bytes = 0;
  std::array<std::uint8_t, instruction_classes> classes{};  ///< How many of each; 255 at most.
};
static_assert(sizeof(Block) == 32);

struct alignas(64) Header {
  std::array<char, 8> magic{};  ///< file_magic.
  std::uint32_t version = 0;
  std::uint32_t vcpu_slots = 0;
  std::uint64_t vcpus_offset = 0;   ///< In bytes, from the beginning of the file.
  std::uint64_t blocks_offset = 0;  ///< In bytes, from the beginning of the file.
  std::uint64_t block_capacity = 0;
  std::uint64_t pid = 0;          ///< QEMU's process.
  std::uint32_t system = 0;       ///< 1 in system emulation, 0 for a program (linux-user).
  std::uint32_t api = 0;          ///< QEMU's newest plugin API.
  std::array<char, 32> target{};  ///< For instance "x86_64"; ends with a 0.
  std::uint32_t wanted_level =
      0;  ///< Of type Level. Written by whoever reads: QEMU follows within milliseconds of running.
  std::uint32_t level = 0;  ///< What is counted at the moment.
  std::uint32_t has_discontinuities =
      0;                           ///< 1 if interrupts, exceptions and host calls are counted.
  std::uint32_t ended = 0;         ///< 1 once the guest has ended and all of it is counted.
  std::uint64_t translations = 0;  ///< Blocks translated.
  std::uint64_t translated_instructions = 0;
  std::uint64_t flushes = 0;      ///< How often all translations were thrown away.
  std::uint64_t block_count = 0;  ///< Blocks there are. Raised after the Block is whole.
  // Executions, and instructions in them, of blocks that the table has no room for.
  std::uint64_t beyond_executions = 0;
  std::uint64_t beyond_instructions = 0;
  std::uint64_t vcpus_beyond =
      0;  ///< Times that a vCPU without a page ran a block: not counted at all.
  std::array<std::uint64_t, 490> reserved{};
};
static_assert(sizeof(Header) == 4096);

}  // namespace qemon::plugin
