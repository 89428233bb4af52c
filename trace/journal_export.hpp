// JournalExport: turns what `journalctl --output=export` prints into lines of a shared log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qemon::trace {

/// The fields of an entry that are read; journalctl prints its cursor and its time in any case.
inline constexpr std::string_view journal_fields =
    "MESSAGE,MESSAGE_ID,_PID,_SOURCE_REALTIME_TIMESTAMP";
/// The MESSAGE_ID of the entries by which journald says that it dropped messages.
inline constexpr std::string_view journal_dropped_id = "a596d6fe7bfa4994828e72309e95d61e";

/// Each entry becomes a line such as parse_syslog_line() reads ("SECONDS - qemu[PID]: MESSAGE",
/// those of journald about dropped messages with its own name); lines within a message stay as
/// they are. The time is when the message was sent if the journal has that, else when it was
/// received. Entries that are longer than entry_bytes_max, or have no message, are passed over.
class JournalExport {
 public:
  static constexpr std::size_t entry_bytes_max = 256 * 1024;

  /// Takes what is whole at the front of `bytes`, appends to `lines`, and returns how many bytes
  /// are done with; the rest has to come again, with more.
  std::size_t convert(std::string_view bytes, std::string& lines);
  /// The stream begins anew, with an entry.
  void restart();

  /// That of the last whole entry; empty before the first.
  [[nodiscard]] const std::string& cursor() const { return cursor_; }
  /// Entries that were too long.
  [[nodiscard]] std::uint64_t overlong() const { return overlong_; }

 private:
  struct Entry {
    std::string message, cursor;
    std::uint64_t process = 0;
    std::optional<std::uint64_t> sent_us, received_us;
    bool about_drops = false, overlong = false;
  };

  [[nodiscard]] std::size_t take_field(std::string_view bytes);
  void set(std::string_view name, std::string_view value);
  void finish(std::string& lines);

  Entry entry_;
  std::uint64_t skip_ = 0;  // So much of a field that is too long is still to come.
  bool skip_line_ = false;  // The same of one that ends with its line.
  std::string cursor_;
  std::uint64_t overlong_ = 0;
};

}  // namespace qemon::trace
