#include "cli/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/duration.hpp"
#include "base/utf8.hpp"

namespace qemon::cli {

namespace {

constexpr std::size_t names_shown_max = 8;

template <typename... Values>
std::string format(const char* pattern, Values... values) {
  std::array<char, 64> text{};
  const int length = std::snprintf(text.data(), text.size(), pattern, values...);
  return {text.data(), static_cast<std::size_t>(std::clamp(length, 0, 63))};
}

std::uint32_t code_point(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  switch (sequence.size()) {
    case 2:
      return (byte(0) & 0x1FU) << 6U | (byte(1) & 0x3FU);
    case 3:
      return (byte(0) & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU);
    case 4:
      return (byte(0) & 0x07U) << 18U | (byte(1) & 0x3FU) << 12U | (byte(2) & 0x3FU) << 6U |
             (byte(3) & 0x3FU);
    default:
      return byte(0);
  }
}

/// Marks that change the direction or the order of what is shown, invisible ones, and line
/// separators.
bool reorders(std::uint32_t code) {
  return (code >= 0x200B && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2060 && code <= 0x2069) || code == 0x061C || code == 0xFEFF;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const std::string_view sequence = text.substr(0, std::max<std::size_t>(length, 1));
    const std::uint32_t code = length == 0 ? 0 : code_point(sequence);
    if (length == 0) {
      shown += format("\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(text[0])));
    } else if (code == '\n') {
      shown += "\\n";
    } else if (code == '\t') {
      shown += "\\t";
    } else if (code == '\r') {
      shown += "\\r";
    } else if (code < 0x20 || (code >= 0x7F && code <= 0x9F)) {
      shown += format("\\x%02x", code);
    } else if (reorders(code)) {
      shown += format("\\u%04x", code);
    } else {
      shown += sequence;
    }
    text.remove_prefix(sequence.size());
  }
  return shown;
}

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

std::string human_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  constexpr std::array<const char*, 6> units{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would be shown as 1024.0.
  for (; value >= 1023.95 && unit + 1 < units.size(); ++unit) value /= 1024;
  return format("%.1f %s", value, units[unit]);
}

std::string human_seconds(double seconds) {
  if (!(seconds >= 0) || seconds > 1e15) return "unknown";
  if (seconds < 9.95) return format("%.1f s", seconds);
  const auto whole = static_cast<unsigned long long>(std::llround(seconds));
  if (whole < 60) return format("%llu s", whole);
  if (whole < 3600) return format("%llum %llus", whole / 60, whole % 60);
  if (whole < 86400) return format("%lluh %llum", whole / 3600, whole % 3600 / 60);
  return format("%llud %lluh", whole / 86400, whole % 86400 / 3600);
}

std::string share_text(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  const auto tenths = static_cast<std::uint64_t>(
      1000.0 * static_cast<double>(part) / static_cast<double>(whole) + 0.5);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " %";
}

std::string counted(std::uint64_t count, std::string_view noun) {
  const bool hisses = noun.ends_with("s") || noun.ends_with("sh");
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : hisses ? "es" : "s");
}

std::string name_list(std::span<const std::string> names) {
  std::string list;
  const std::size_t shown = std::min(names.size(), names_shown_max);
  for (std::size_t i = 0; i < shown; ++i) list += (i == 0 ? "" : ", ") + printable(names[i]);
  if (shown < names.size()) list += " and " + std::to_string(names.size() - shown) + " more";
  return list;
}

Result<double> parse_seconds(std::string_view text) {
  constexpr auto longest = std::chrono::hours(10 * 365 * 24 + 60);  // As qemond has it.
  const auto duration = parse_duration(text);
  if (!duration) {
    return Error{
        "'" + printable(text) +
        "' is not a duration: give a number and a unit, for instance 500ms, 60s, 10m or 2h"};
  }
  if (duration->count() == 0)
    return Error{"'" + printable(text) + "' is no time at all: give a duration above 0"};
  if (*duration > longest)
    return Error{"'" + printable(text) + "' is more than ten years: give a shorter one"};
  return std::chrono::duration<double>(*duration).count();
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char character : text) {
    const bool plain = (character >= 'a' && character <= 'z') ||
                       (character >= 'A' && character <= 'Z') ||
                       (character >= '0' && character <= '9') || character == '-' ||
                       character == '.' || character == '_' || character == '~';
    if (plain) {
      encoded += character;
    } else {
      encoded += format("%%%02X", static_cast<unsigned>(static_cast<unsigned char>(character)));
    }
  }
  return encoded;
}

}  // namespace qemon::cli
