// What stands in front of an event's name in a line of QEMU's log: time, thread, program.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace qemon::trace {

struct LogPrefix {
  bool has_time = false;
  std::int64_t time_ns = 0;  ///< Since the epoch.
  std::uint32_t id = 0;      ///< Thread id; 0 if the line does not tell.
};

/// Reads the prefix of the line [at, end) that `-msg timestamp=on` makes, and returns what follows
/// it; `at` itself if there is none. The forms:
///   "30048@1795377070.851320:"        QEMU 10.0 and older
///   "2026-11-22T20:17:07.141597Z "    QEMU 10.1 and newer; GLib leaves a zero fraction out
const char* parse_log_time(const char* at, const char* end, LogPrefix& prefix);

struct DateTime {
  std::int64_t time_ns = 0;  ///< Since the epoch, if the time is one of UTC.
  unsigned fraction_digits = 0;
};

/// Reads "2026-11-22T20:17:07" with a fraction of up to nine digits or none, and returns what
/// follows, a time zone maybe; `at` itself if that is no time.
const char* parse_date_time(const char* at, const char* end, DateTime& into);

/// parse_log_time() for one line after another: most are of the thread and the second of the one
/// before, and then differ from it in the digits behind the point alone.
class LogTimeReader {
 public:
  const char* read(const char* at, const char* end, LogPrefix& prefix) {
    if (end - at < fast_bytes || !repeats(at)) return read_anew(at, end, prefix);
    return read_fraction(at, end, prefix);
  }

 private:
  /// Of text up to the point: "2026-11-22T20:17:07" or "30048@1795377070".
  static constexpr std::size_t text_min = 8, text_max = 24;
  static constexpr std::ptrdiff_t fast_bytes = 40;

  [[nodiscard]] bool repeats(const char* at) const {
    return load(at) == first_ && load(at + middle_at_) == middle_ && load(at + last_at_) == last_;
  }
  static std::uint64_t load(const char* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
  }
  const char* read_anew(const char* at, const char* end, LogPrefix& prefix);
  const char* read_fraction(const char* at, const char* end, LogPrefix& prefix);

  // The text before the point, eight bytes at a time, which may overlap. No text is all zeros.
  std::uint64_t first_ = 0, middle_ = 0, last_ = 0;
  std::uint8_t middle_at_ = 0, last_at_ = 0;
  bool is_iso_ = false;
  LogPrefix whole_seconds_;
};

/// Reads "[GUEST] " and "PROGRAM(TID:THREAD): ", each optional, which a pending change of QEMU
/// ("util: sync error_report & qemu_log output more closely", 2026) puts behind the time, and
/// returns what follows; `at` itself if there is neither.
const char* parse_log_program(const char* at, const char* end, LogPrefix& prefix);

}  // namespace qemon::trace
