// Any text as a trace-events-all file; and lines that printf makes of its formats, given back.
//
// An input is the file, and behind a line "----" lines that are scanned by the first events.
#include <array>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tests/fuzz/fuzz.hpp"
#include "trace/catalog.hpp"
#include "trace/event_table.hpp"
#include "trace/format_scanner.hpp"

namespace qemon::fuzz {
namespace {

using namespace std::string_view_literals;
using trace::Argument;
using trace::ArgumentKind;
using trace::CatalogEvent;

// Of the first events only: a file of thousands says no more.
constexpr std::size_t events_max = 16;

/// Prints an event as QEMU does, from arguments of our choice. Only formats that leave no doubt
/// where an argument ends: a blank or a comma stands behind each, and widths are for numbers only.
class Printer {
 public:
  Printer(const CatalogEvent& event, Choices& choices) : event_(event), choices_(choices) {}

  /// Nothing if the format leaves doubts.
  std::optional<std::string> line() {
    const std::string& format = event_.format;
    for (std::size_t at = 0; at < format.size();) {
      if (format[at] != '%') {
        text_ += format[at++];
      } else if (format.compare(at, 2, "%%") == 0) {
        text_ += '%';
        at += 2;
      } else {
        const std::size_t end = format.find_first_of("diuxXocsp", at + 1) + 1;
        const bool ends = end == format.size() || (end != 0 && " ,"sv.find(format[end]) != npos);
        if (!ends || !conversion(format.substr(at, end - at))) return std::nullopt;
        at = end;
      }
    }
    return text_;
  }

 private:
  static constexpr std::size_t npos = std::string_view::npos;

  bool conversion(const std::string& spec) {
    const Argument& argument = event_.arguments.at(next_++);
    if (spec == "%s") {
      // No digits, and nothing that formats have between strings.
      for (auto size = 1 + choices_.below(12); size > 0; --size) text_ += letter();
      return true;
    }
    if (spec == "%c") {
      text_ += letter();
      return true;
    }
    const std::uint64_t sign = choices_.below(2) * 2 - 1;
    const std::uint64_t bits = choices_.below(std::size_t{1} << choices_.below(53)) * sign;
    if (spec == "%p") return print(spec, reinterpret_cast<void*>(bits));
    if (spec.find_first_of("csp.*") != npos) return false;
    const auto value = narrowed(bits, argument);
    return spec.find_first_of("lzjt") != npos ? print(spec, static_cast<long>(value))
                                              : print(spec, static_cast<int>(value));
  }

  char letter() { return static_cast<char>('g' + choices_.below(20)); }

  template <typename T>
  bool print(const std::string& spec, T value) {
    std::array<char, 2048> buffer{};
    const int size = std::snprintf(buffer.data(), buffer.size(), spec.c_str(), value);
    if (size < 0 || static_cast<std::size_t>(size) >= buffer.size()) return false;
    text_.append(buffer.data(), static_cast<std::size_t>(size));
    return true;
  }

  /// What a variable of the declared type holds, promoted as C does.
  static std::uint64_t narrowed(std::uint64_t bits, const Argument& argument) {
    if (argument.bits >= 64 || argument.bits == 0) return bits;
    bits &= (std::uint64_t{1} << argument.bits) - 1;
    const bool negative =
        argument.kind == ArgumentKind::signed_integer && (bits >> (argument.bits - 1U)) != 0;
    return negative ? bits - (std::uint64_t{1} << argument.bits) : bits;
  }

  const CatalogEvent& event_;
  Choices& choices_;
  std::string text_;
  std::size_t next_ = 0;
};

void require_sound(const trace::Arguments& arguments, const CatalogEvent& event,
                   std::string_view text) {
  require(arguments.count == event.arguments.size(), "a scan gives every argument");
  for (std::size_t i = 0; i < arguments.count; ++i) {
    const auto& value = arguments.values[i];
    require(
        value.text.empty() || (value.text.data() >= text.data() &&
                               value.text.data() + value.text.size() <= text.data() + text.size()),
        "a string is a view of the text");
    require(event.arguments[i].kind == ArgumentKind::string || value.text.empty(),
            "only strings have texts");
  }
}

void scan(const CatalogEvent& event, std::string_view lines, Choices& choices) {
  const trace::FormatScanner scanner(event);
  trace::Arguments arguments;
  while (!lines.empty()) {
    // In memory of its very size, so that reading too far is noticed.
    const auto part = take_until(lines, "\n");
    const std::vector<char> line(part.begin(), part.end());
    const std::string_view text(line.data(), line.size());
    if (scanner.scan(text, arguments)) {
      require(scanner.usable(), "a scanner that is not usable fits nothing");
      require_sound(arguments, event, text);
    }
  }
  if (!scanner.usable()) return;
  if (const auto line = Printer(event, choices).line()) {
    if (!scanner.scan(*line, arguments))
      require(false, "what printf makes of \"" + event.format + "\" fits it: " + *line);
    require_sound(arguments, event, *line);
  }
}

void check(const CatalogEvent& event) {
  require(!event.name.empty() && event.name.find_first_of(" \t\n(") == std::string::npos,
          "an event's name is a word");
  for (const auto& argument : event.arguments) {
    require(!argument.name.empty(), "an argument has a name");
    const auto bits = argument.bits;
    const bool known = argument.kind == ArgumentKind::string ? bits == 0
                       : argument.kind == ArgumentKind::pointer
                           ? bits == 64
                           : bits == 1 || bits == 8 || bits == 16 || bits == 32 || bits == 64;
    require(known, "an argument has the width of its kind");
  }
}

void run(std::string_view input) {
  Choices choices(input);
  const auto text = take_until(input, "\n----\n");
  auto parsed = trace::Catalog::parse(text);
  if (!parsed) return require_one_line(parsed.error().detail, "an error is one line");
  const trace::Catalog catalog = std::move(*parsed);
  require(catalog.problems().size() <= 21, "problems are bounded");
  for (const auto& problem : catalog.problems())
    require_one_line(problem, "a problem is told in one line");
  std::set<std::string_view> names;
  trace::EventTable events;
  events.use_catalog(&catalog);
  for (const auto& event : catalog.events()) {
    check(event);
    require(names.insert(event.name).second, "every event is there once");
    require(catalog.find(event.name) == &event, "every event is found by its name");
    require(events.described(events.add(event.name)) == &event, "a table has its description");
    if (names.size() <= events_max) scan(event, input, choices);
  }
}

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qemon::fuzz::run(qemon::fuzz::text_of(data, size));
  return 0;
}
