// SimpleWriter: makes records as QEMU's `simple` backend writes them (version 4), for a decoder
// at the other end of a pipe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace qemon::lttng {

/// Collects bytes until somebody takes them. One thread.
class SimpleWriter {
 public:
  /// `pid` is in every record.
  explicit SimpleWriter(std::uint32_t pid) : pid_(pid) {}

  void header();
  void mapping(std::uint64_t id, std::string_view name);

  /// An event: begin, its arguments in declared order, end.
  void begin_event(std::uint64_t id, std::int64_t time_ns);
  void add_integer(std::uint64_t value);
  /// As QEMU does, cut to 512 bytes.
  void add_string(std::string_view text);
  void end_event();

  /// So many events were lost before what comes next.
  void dropped(std::uint64_t count, std::int64_t time_ns);

  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  template <typename Number>
  void add(Number number);

  std::uint32_t pid_;
  std::string bytes_;
  std::size_t event_at_ = 0;  // Where the event that was begun begins.
};

}  // namespace qemon::lttng
