#include "qmp/hmp_text.hpp"

#include <algorithm>

#include <utility>

#include "base/utf8.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

Result<std::string> quote_hmp_argument(std::string_view argument) {
  // monitor/hmp.c, get_str(): inside double quotes a backslash introduces one of n r \ ' ",
  // everything else is literal.
  std::string quoted = "\"";
  for (const char c : argument) {
    if (c == '\n' || c == '\r' || c == '\0') {
      return make_error(
          errc::invalid_argument,
          "\"" + one_line(argument) + "\" contains a line break or NUL; use another name");
    }
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  quoted.push_back('"');
  return {boost::system::in_place_value, std::move(quoted)};
}

std::string clean_hmp_text(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    clean.push_back(text[i]);
  }
  while (!clean.empty() && (clean.back() == '\n' || clean.back() == '\r')) clean.pop_back();
  return clean;
}

Result<TraceFileStatus> parse_trace_file_status(std::string_view text) {
  constexpr std::string_view head = "Trace file \"";
  for (const bool on : {true, false}) {
    const std::string_view tail = on ? "\" on." : "\" off.";
    if (text.size() >= head.size() + tail.size() && text.starts_with(head) &&
        text.ends_with(tail)) {
      const auto name = text.substr(head.size(), text.size() - head.size() - tail.size());
      return TraceFileStatus{std::string(name), on};
    }
  }
  return make_error(errc::command_failed,
                    "unexpected answer \"" + one_line(text) +
                        "\"; is QEMU built without the simple trace backend?");
}

std::vector<TraceEventLine> parse_trace_event_lines(std::string_view text) {
  constexpr std::string_view separator = " : state ";
  std::vector<TraceEventLine> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto at = line.find(separator);
    if (at == 0 || at == std::string_view::npos) continue;
    const auto state = line.substr(at + separator.size());
    if (state == "0" || state == "1") lines.push_back({line.substr(0, at), state == "1"});
  }
  return lines;
}

}  // namespace qemon::qmp
