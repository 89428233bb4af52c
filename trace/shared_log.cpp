#include "trace/shared_log.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>

#include "base/text.hpp"

namespace qemon::trace {
namespace {

using Kind = SharedLogLine::Kind;

constexpr std::int64_t second_ns = 1'000'000'000;

/// QEMU's ftrace backend makes its text in a buffer of 512 bytes and drops what does not fit, the
/// end of the line then being the kernel's.
constexpr std::size_t marker_bytes_max = 511;
/// rsyslogd puts no more of a message into "message repeated".
constexpr std::size_t repeated_bytes_max = 800;

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
}

/// Up to the next blank, which is taken too; empty if there is none.
std::string_view take_word(std::string_view& text) {
  const auto size = text.find(' ');
  if (size == std::string_view::npos) return {};
  const auto word = text.substr(0, size);
  text.remove_prefix(size + 1);
  return word;
}

bool take_id(std::string_view& text, LogPrefix& prefix) {
  const auto id = take_count(text);
  if (!id || *id > std::numeric_limits<std::uint32_t>::max()) return false;
  prefix.id = static_cast<std::uint32_t>(*id);
  return true;
}

/// "56477.171424"; also a whole number, as the clocks `counter` and `x86-tsc` of a trace make it,
/// which is no time.
bool take_seconds(std::string_view& text, LogPrefix& prefix) {
  constexpr std::size_t fraction_digits = 6;
  constexpr auto seconds_max =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / second_ns - 1);
  const auto seconds = take_count(text);
  if (!seconds) return false;
  if (!take(text, ".")) return true;
  const auto before = text.size();
  const auto fraction = take_count(text);
  if (!fraction || before - text.size() != fraction_digits || *seconds > seconds_max) return false;
  prefix.has_time = true;
  prefix.time_ns = static_cast<std::int64_t>(*seconds * second_ns + *fraction * 1000);
  return true;
}

std::optional<SharedLogLine> parse_lost_events(std::string_view line) {
  SharedLogLine found;
  if (!take(line, "CPU:") || !take_count(line) || !take(line, " [LOST ")) return std::nullopt;
  found.kind = Kind::loss;
  found.count = 0;
  if (const auto count = take_count(line)) {
    found.count = *count;
    if (!take(line, " ")) return std::nullopt;
  }
  return line == "EVENTS]" ? std::optional(found) : std::nullopt;
}

/// Behind "[002]": flags of the interrupt state, if the trace shows them, and the time.
bool take_trace_context(std::string_view& text, LogPrefix& prefix) {
  skip_blanks(text);
  auto flags_behind = text;
  if (take_seconds(text, prefix) && take(text, ": ")) return true;
  prefix.has_time = false;
  if (take_word(flags_behind).empty()) return false;
  text = flags_behind;
  skip_blanks(text);
  return take_seconds(text, prefix) && take(text, ": ");
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// "+01:00", "+0100" (journalctl) or "Z", and a blank.
std::optional<std::int64_t> take_zone_ns(std::string_view& text) {
  if (take(text, "Z ")) return 0;
  if (text.size() < sizeof("+0100") || (text[0] != '+' && text[0] != '-')) return std::nullopt;
  const std::int64_t sign = text[0] == '-' ? -1 : 1;
  text.remove_prefix(1);
  const auto take_two = [&text]() -> std::optional<std::int64_t> {
    if (text.size() < 2 || !is_digit(text[0]) || !is_digit(text[1])) return std::nullopt;
    const std::int64_t number = (text[0] - '0') * 10 + (text[1] - '0');
    text.remove_prefix(2);
    return number;
  };
  const auto hours = take_two();
  take(text, ":");
  const auto minutes = take_two();
  if (!hours || !minutes || !take(text, " ")) return std::nullopt;
  return sign * (*hours * 60 + *minutes) * 60 * second_ns;
}

/// A time of RFC 3339 and the blank behind it.
bool take_rfc3339(std::string_view& text, LogPrefix& prefix) {
  DateTime time;
  const char* const begin = text.data();
  const char* const next = parse_date_time(begin, begin + text.size(), time);
  if (next == begin) return false;
  auto rest = text.substr(static_cast<std::size_t>(next - begin));
  const auto zone = take_zone_ns(rest);
  if (!zone) return false;
  text = rest;
  prefix.has_time = time.fraction_digits >= 6;
  prefix.time_ns = prefix.has_time ? time.time_ns - *zone : 0;
  return true;
}

/// "1795673306.540085 ".
bool take_unix_time(std::string_view& text, LogPrefix& prefix) {
  auto rest = text;
  LogPrefix time;
  if (!take_seconds(rest, time) || !time.has_time || !take(rest, " ")) return false;
  prefix = time;
  text = rest;
  return true;
}

/// "Nov 26 06:08:26 ", maybe with a fraction. The year and the zone are missing.
bool take_traditional_time(std::string_view& text) {
  constexpr std::string_view shape = "Aaa dd 00:00:00";
  if (text.size() < shape.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const char c = text[i];
    switch (shape[i]) {
      case 'A':
        if (c < 'A' || c > 'Z') return false;
        break;
      case 'a':
        if (c < 'a' || c > 'z') return false;
        break;
      case 'd':
        if (c != ' ' && !is_digit(c)) return false;
        break;
      case '0':
        if (!is_digit(c)) return false;
        break;
      default:
        if (c != shape[i]) return false;
    }
  }
  auto rest = text.substr(shape.size());
  if (take(rest, ".") && !take_count(rest)) return false;
  if (!take(rest, " ")) return false;
  text = rest;
  return true;
}

/// The program that wrote a line, and its text.
struct Source {
  std::string_view program;
  LogPrefix prefix;
  std::string_view text;
};

/// "qemu-system-x86_64[1234]: TEXT"; without "[1234]" the id is 0.
bool take_tag(std::string_view rest, Source& source) {
  const auto end = rest.find(": ");
  if (end == std::string_view::npos) return false;
  auto tag = rest.substr(0, end);
  source.text = rest.substr(end + 2);
  const auto open = tag.find('[');
  source.program = tag.substr(0, open);
  if (open == std::string_view::npos) return source.program.find(' ') == std::string_view::npos;
  tag.remove_prefix(open + 1);
  return take_id(tag, source.prefix) && tag == "]";
}

/// "1 2026-11-26T06:08:26.540085+01:00 host qemu-system-x86_64 1234 - -  TEXT", behind "<30>".
bool take_rfc5424(std::string_view rest, Source& source) {
  if (!take(rest, "1 ") || !take_rfc3339(rest, source.prefix) || take_word(rest).empty())
    return false;
  source.program = take_word(rest);
  auto id = take_word(rest);
  if (source.program.empty() || id.empty() || take_word(rest).empty()) return false;
  if (id != "-" && (!take_id(id, source.prefix) || !id.empty())) return false;
  if (!take(rest,
            "-")) {  // Structured data, in which a backslash protects the character behind it.
    std::size_t at = 0;
    while (at < rest.size() && rest[at] == '[') {
      bool quoted = false;
      for (++at; at < rest.size() && (quoted || rest[at] != ']'); ++at) {
        if (rest[at] == '\\')
          ++at;
        else if (rest[at] == '"')
          quoted = !quoted;
      }
      ++at;
    }
    if (at == 0 || at > rest.size()) return false;
    rest.remove_prefix(at);
  }
  if (!rest.empty() && rest.front() != ' ') return false;
  skip_blanks(rest);
  source.text = rest;
  return true;
}

/// "imjournal: 29 messages lost due to rate-limiting (20000 allowed within 600 seconds)".
std::optional<SharedLogLine> rsyslogd_loss(std::string_view text) {
  SharedLogLine found;
  found.kind = Kind::loss;
  constexpr std::string_view what = " messages lost due to rate-limiting";
  const auto end = text.find(what);
  if (end == std::string_view::npos) return std::nullopt;
  const auto number = text.rfind(": ", end);
  if (number == std::string_view::npos) return std::nullopt;
  auto digits = text.substr(number + 2, end - number - 2);
  const auto count = take_count(digits);
  if (!count || !digits.empty()) return std::nullopt;
  found.count = *count;
  constexpr std::string_view process = "[pid: ";
  if (const auto at = text.substr(0, number).find(process); at != std::string_view::npos) {
    auto id = text.substr(at + process.size());
    if (!take_id(id, found.prefix)) return std::nullopt;
  }
  return found;
}

/// "Suppressed 917 messages from machine-qemu\x2d1\x2dweb1.scope".
std::optional<SharedLogLine> journald_loss(std::string_view text) {
  SharedLogLine found;
  found.kind = Kind::loss;
  if (!take(text, "Suppressed ")) return std::nullopt;
  const auto count = take_count(text);
  if (!count || !take(text, " messages from ")) return std::nullopt;
  found.count = *count;
  found.unit = trimmed(text);
  return found;
}

/// "message repeated 3 times: [ TEXT]".
void undo_repetition(SharedLogLine& line) {
  auto text = line.text;
  if (!take(text, "message repeated ")) return;
  const auto count = take_count(text);
  if (!count || !take(text, " times: [") || !text.ends_with(']')) return;
  text.remove_suffix(1);
  line.cut = text.size() >= repeated_bytes_max;
  skip_blanks(text);
  line.count = *count;
  line.text = text;
}

/// "last message repeated 3 times", behind the host's name: what rsyslogd wrote before version 7.
std::optional<SharedLogLine> last_message_repeated(std::string_view rest) {
  SharedLogLine found;
  found.kind = Kind::repetition;
  if (!take(rest, "last message repeated ")) return std::nullopt;
  const auto count = take_count(rest);
  if (!count || !rest.starts_with(" times")) return std::nullopt;
  found.count = *count;
  return found;
}

}  // namespace

SharedLogLine parse_ftrace_line(std::string_view line) {
  if (line.starts_with("CPU:")) {
    if (const auto lost = parse_lost_events(line)) return *lost;
  }
  // The name of a thread may have any characters, also blanks and a hyphen, but no more than 15 of
  // them, and is put at the right of 16 columns.
  constexpr std::size_t name_columns = 16;
  SharedLogLine found;
  if (line.size() <= name_columns || line[name_columns] != '-') return found;
  auto rest = line.substr(name_columns + 1);
  if (!take_id(rest, found.prefix)) return found;
  skip_blanks(rest);
  if (take(rest, "(")) {  // The thread group, of `record-tgid`.
    const auto close = rest.find(") ");
    if (close == std::string_view::npos) return found;
    rest.remove_prefix(close + 2);
    skip_blanks(rest);
  }
  if (!take(rest, "[") || !take_count(rest) || !take(rest, "] ")) return found;
  if (!take_trace_context(rest, found.prefix)) return found;
  found.kind = Kind::other;
  // Behind the function's name its address may stand, if the trace's options say so.
  if (!take(rest, "tracing_mark_write")) return found;
  const auto colon = rest.find(": ");
  if (colon == std::string_view::npos) return found;
  found.kind = Kind::message;
  found.text = rest.substr(colon + 2);
  found.cut = found.text.size() >= marker_bytes_max;
  return found;
}

SharedLogLine parse_syslog_line(std::string_view line) {
  Source source;
  SharedLogLine found;
  auto rest = line;
  if (take(rest, "<")) {
    if (!take_count(rest) || !take(rest, ">")) return found;
    if (!take_rfc5424(rest, source)) return found;
  } else {
    if (!take_rfc3339(rest, source.prefix) && !take_traditional_time(rest) &&
        !take_unix_time(rest, source.prefix))
      return found;
    if (take_word(rest).empty()) return found;
    if (const auto repeated = last_message_repeated(rest)) return *repeated;
    found.kind = Kind::other;
    if (!take_tag(rest, source)) return found;
  }
  const auto loss = source.program.starts_with("rsyslogd")          ? rsyslogd_loss(source.text)
                    : source.program.starts_with("systemd-journal") ? journald_loss(source.text)
                                                                    : std::nullopt;
  if (loss) return *loss;
  found.kind = source.prefix.id != 0 ? Kind::message : Kind::other;
  found.prefix = source.prefix;
  found.text = source.text;
  undo_repetition(found);
  return found;
}

}  // namespace qemon::trace
