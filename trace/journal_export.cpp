#include "trace/journal_export.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/text.hpp"

namespace qemon::trace {
namespace {

std::optional<std::uint64_t> number_in(std::string_view text) {
  const auto number = take_count(text);
  return text.empty() ? number : std::nullopt;
}

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

}  // namespace

std::size_t JournalExport::convert(std::string_view bytes, std::string& lines) {
  const auto all = bytes.size();
  while (!bytes.empty()) {
    if (skip_ > 0) {
      const auto size = std::min<std::uint64_t>(skip_, bytes.size());
      bytes.remove_prefix(size);
      skip_ -= size;
      continue;
    }
    if (skip_line_) {
      const auto end = bytes.find('\n');
      bytes.remove_prefix(std::min(end, bytes.size() - 1) + 1);
      skip_line_ = end == std::string_view::npos;
      continue;
    }
    if (bytes.front() == '\n') {
      finish(lines);
      bytes.remove_prefix(1);
      continue;
    }
    const auto size = take_field(bytes);
    if (size == 0) break;
    bytes.remove_prefix(size);
  }
  return all - bytes.size();
}

void JournalExport::restart() {
  entry_ = {};
  skip_ = 0;
  skip_line_ = false;
}

/// "NAME=VALUE" and a newline, or, of a value that is no line, "NAME", a newline, the value's size
/// in eight bytes, the value and a newline. Returns its size; 0 if more bytes are needed.
std::size_t JournalExport::take_field(std::string_view bytes) {
  const auto end = bytes.find('\n');
  if (end == std::string_view::npos) {
    if (bytes.size() < entry_bytes_max) return 0;
    entry_.overlong = skip_line_ = true;
    return bytes.size();
  }
  const auto line = bytes.substr(0, end);
  if (const auto equals = line.find('='); equals != std::string_view::npos) {
    if (line.size() > entry_bytes_max) {
      entry_.overlong = true;
    } else {
      set(line.substr(0, equals), line.substr(equals + 1));
    }
    return end + 1;
  }
  constexpr std::size_t size_bytes = 8;
  if (bytes.size() < end + 1 + size_bytes) return 0;
  const auto size = little_endian(bytes.substr(end + 1, size_bytes));
  const auto value = end + 1 + size_bytes;
  if (size > entry_bytes_max) {
    entry_.overlong = true;
    // A size that cannot be is none of journalctl's: what follows is passed over for ever.
    skip_ = size + std::uint64_t{size < ~std::uint64_t{0}};
    return value;
  }
  if (bytes.size() < value + size + 1) return 0;
  set(line, bytes.substr(value, size));
  return value + size + 1;
}

void JournalExport::set(std::string_view name, std::string_view value) {
  if (name == "MESSAGE") {
    entry_.message = value;
  } else if (name == "MESSAGE_ID") {
    entry_.about_drops = value == journal_dropped_id;
  } else if (name == "_PID") {
    entry_.process = number_in(value).value_or(0);
  } else if (name == "_SOURCE_REALTIME_TIMESTAMP") {
    entry_.sent_us = number_in(value);
  } else if (name == "__REALTIME_TIMESTAMP") {
    entry_.received_us = number_in(value);
  } else if (name == "__CURSOR") {
    entry_.cursor = value;
  }
}

void JournalExport::finish(std::string& lines) {
  const auto entry = std::exchange(entry_, Entry());
  if (!entry.cursor.empty()) cursor_ = entry.cursor;
  if (entry.overlong) ++overlong_;
  const auto time = entry.sent_us ? entry.sent_us : entry.received_us;
  if (entry.overlong || entry.message.empty() || entry.process == 0 || !time) return;
  constexpr std::uint64_t second_us = 1'000'000;
  const auto fraction = std::to_string(*time % second_us);
  lines += std::to_string(*time / second_us) + "." + std::string(6 - fraction.size(), '0') +
           fraction + " - " + (entry.about_drops ? "systemd-journald[" : "qemu[") +
           std::to_string(entry.process) + "]: " + entry.message + "\n";
}

}  // namespace qemon::trace
