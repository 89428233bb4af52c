// ExecLogDecoder: turns what QEMU logs with `-d exec` and `-d cpu` into records of two pseudo
// events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "trace/catalog.hpp"
#include "trace/decoder.hpp"
#include "trace/event_table.hpp"

namespace qemon::trace {

/// Both events have one argument: the guest's program counter.
inline constexpr std::string_view exec_log_block_event = "exec_log_block";
inline constexpr std::string_view exec_log_registers_event = "exec_log_registers";

/// Describes the two events, as a trace-events-all file would.
[[nodiscard]] Catalog exec_log_catalog();

/// A block is a translation block that begins to run, one line each (accel/tcg/cpu-exec.c):
///   "Trace 0: 0x7f33e8000100 [00000000ffff0000/00000000fffffff0/00000040/ff000200] symbol"
/// with the program counter second in the brackets. QEMU 6.0 and older write "Chain" for "Trace"
/// where one block leads to the next by an indirect jump, and early ones of 2.x
/// "Trace 0x7f33e8000100 [0: 00000000fffffff0] ", or that without the CPU's number. Blocks that
/// were linked to the one before run without a line, unless QEMU was started with `-d
/// exec,nochain`.
///
/// A dump of registers is one record, made of the line with the program counter. Known are those
/// of x86 (where it is EIP, an offset into the code segment, outside long mode), Arm, RISC-V,
/// PowerPC, s390x and MIPS. `-d int` and `-d cpu_reset` write the same dumps, and they count too.
///
/// The other lines of a dump are no records and no errors. They are told by their form (a
/// register's name and hexadecimal digits), not by their place, so that a log may begin or break
/// off within a dump. Everything else is an `unknown_line`: "Linking TBs", "Stopped execution of TB
/// chain", output of other -d items, messages. A prefix of log_prefix.hpp is taken in front of any
/// line; without one, and QEMU up to 11.0 writes none here, records have no time.
///
/// A record's payload is the digits of the program counter. NUL bytes at the beginning of a line
/// are passed over, as LogDecoder does. A line longer than decode_bytes_max is an `overlong_line`;
/// what its beginning says is believed.
class ExecLogDecoder final : public Decoder {
 public:
  /// Adds its two events to `events`, which is not used afterwards.
  explicit ExecLogDecoder(EventTable& events);

  std::size_t decode(std::string_view bytes, RecordSink& sink) override;
  void restart() override { skipping_ = false; }
  [[nodiscard]] bool arguments(const Record& record, Arguments& into) const override;
  [[nodiscard]] const DecoderStats& stats() const override { return stats_; }

 private:
  /// False if the line is an unknown one.
  bool decode_line(std::string_view line, RecordSink& sink);
  void count(DecodeError error) { ++stats_.errors[static_cast<std::size_t>(error)]; }

  EventIndex block_;
  EventIndex registers_;
  DecoderStats stats_;
  bool skipping_ = false;  ///< Everything up to the next newline is the rest of an overlong line.
};

}  // namespace qemon::trace
