#include "trace/catalog_line.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <type_traits>
#include <utility>

namespace qemon::trace {
namespace {

constexpr std::size_t excerpt_bytes_max = 60;
/// The limit of tracetool; the implicit argument of `vcpu` events is not in it.
constexpr std::size_t explicit_arguments_max = 10;

constexpr std::string_view blanks = " \t\r\f\v";

std::string_view strip(std::string_view text) {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
}

bool is_identifier(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_word);
}

/// The first word of `text`, which is taken away from it; empty at the end.
std::string_view take_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  const auto word = text.substr(0, text.find_first_of(blanks));
  text.remove_prefix(word.size());
  return word;
}

struct IntegerType {
  bool is_signed = false;
  std::uint8_t bits = 0;
};

/// The types that tracetool allows, on a 64-bit Unix (LP64). nullopt for any other.
std::optional<IntegerType> integer_type(std::string_view c_type) {
  struct Named {
    std::string_view name;
    IntegerType type;
  };
  static constexpr std::array<Named, 13> named = {{
      {"bool", {false, 1}},
      {"int8_t", {true, 8}},
      {"uint8_t", {false, 8}},
      {"int16_t", {true, 16}},
      {"uint16_t", {false, 16}},
      {"int32_t", {true, 32}},
      {"uint32_t", {false, 32}},
      {"int64_t", {true, 64}},
      {"uint64_t", {false, 64}},
      {"size_t", {false, 64}},
      {"ssize_t", {true, 64}},
      {"uintptr_t", {false, 64}},
      {"ptrdiff_t", {true, 64}},
  }};
  std::uint8_t bits = 32;
  bool is_char = false, is_signed = false, is_unsigned = false, any = false;
  while (true) {
    const auto word = take_word(c_type);
    if (word.empty()) break;
    if (word == "const" || word == "volatile") continue;
    any = true;
    if (word == "signed") {
      is_signed = true;
    } else if (word == "unsigned") {
      is_unsigned = true;
    } else if (word == "char") {
      is_char = true;
    } else if (word == "short") {
      bits = 16;
    } else if (word == "long") {
      bits = 64;
    } else if (word != "int") {
      const auto known = std::find_if(named.begin(), named.end(),
                                      [word](const Named& entry) { return entry.name == word; });
      if (known == named.end()) return std::nullopt;
      return known->type;
    }
  }
  if (!any) return std::nullopt;
  // QEMU runs on the same machine as we, so that its plain char is signed where ours is.
  if (is_char) return IntegerType{is_signed || (!is_unsigned && std::is_signed_v<char>), 8};
  return IntegerType{!is_unsigned, bits};
}

/// Decides by its C type, as tracetool's is_string() and the C cast of the `simple` backend do.
/// False for a type that tracetool would refuse, because its width and sign are unknown.
bool classify(std::string_view type, Argument& argument) {
  const auto stars = std::count(type.begin(), type.end(), '*');
  if (stars == 0) {
    const auto integer = integer_type(type);
    if (!integer) return false;
    argument.kind =
        integer->is_signed ? ArgumentKind::signed_integer : ArgumentKind::unsigned_integer;
    argument.bits = integer->bits;
    return true;
  }
  const bool is_string =
      stars == 1 && (type.starts_with("const char*") || type.starts_with("const char *") ||
                     type.starts_with("char*") || type.starts_with("char *"));
  argument.kind = is_string ? ArgumentKind::string : ArgumentKind::pointer;
  argument.bits = is_string ? 0 : 64;
  return true;
}

Result<Argument> parse_argument(std::string_view text) {
  // As tracetool splits it: at the last '*', which belongs to the type, else at the last blank.
  const auto star = text.rfind('*');
  const auto split = star != std::string_view::npos ? star + 1 : text.find_last_of(blanks);
  if (split == std::string_view::npos)
    return Error{"argument " + excerpt(text) + " has no type or no name"};
  Argument argument;
  argument.name = strip(text.substr(split));
  if (!is_identifier(argument.name)) return Error{"argument " + excerpt(text) + " has no name"};
  if (!classify(strip(text.substr(0, split)), argument))
    return Error{"argument " + excerpt(text) + " is not of a standard C type"};
  return argument;
}

Result<std::vector<Argument>> parse_arguments(std::string_view text) {
  std::vector<Argument> arguments;
  while (true) {
    const auto comma = text.find(',');
    const auto one = strip(text.substr(0, comma));
    if (one.empty()) return Error{"empty argument (\"void\" stands for none)"};
    if (one != "void") {
      auto argument = parse_argument(one);
      if (!argument) return argument.error();
      if (arguments.size() == explicit_arguments_max) return Error{"more than 10 arguments"};
      arguments.push_back(std::move(*argument));
    }
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  arguments.shrink_to_fit();  // They are kept, and there are thousands of them.
  return arguments;
}

int digit_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

/// The character that an escape stands for; `text` begins behind the backslash and is advanced.
std::optional<char> take_escape(std::string_view& text) {
  if (text.empty()) return std::nullopt;
  static constexpr std::string_view letters = "abfnrtv\\\"'?", meanings = "\a\b\f\n\r\t\v\\\"'?";
  if (const auto at = letters.find(text.front()); at != std::string_view::npos) {
    text.remove_prefix(1);
    return meanings[at];
  }
  const int base = text.front() == 'x' ? 16 : 8;
  if (base == 16) text.remove_prefix(1);
  int value = 0;
  std::size_t size = 0;
  for (const std::size_t size_max = base == 16 ? 2 : 3; size < size_max && size < text.size();
       ++size) {
    const int digit = digit_value(text[size]);
    if (digit >= base) break;
    value = value * base + digit;
  }
  text.remove_prefix(size);
  // A NUL would end the format for printf.
  if (size == 0 || value == 0 || value > 255) return std::nullopt;
  return static_cast<char>(value);
}

/// Expands PRIu64 to "lu", PRIx8 to "x" and so on: what glibc and musl have on LP64.
std::optional<std::string> expand_macro(std::string_view macro) {
  if (!macro.starts_with("PRI") || macro.size() < 5) return std::nullopt;
  const char conversion = macro[3];
  if (std::string_view("dioxXu").find(conversion) == std::string_view::npos) return std::nullopt;
  const auto width = macro.substr(4);
  if (width == "8" || width == "16" || width == "32") return std::string(1, conversion);
  if (width == "64" || width == "PTR" || width == "MAX") return std::string("l") + conversion;
  return std::nullopt;
}

/// Takes one format from the front of `text`: string literals and PRI macros, up to the end or a
/// comma.
Result<std::string> take_format(std::string_view& text) {
  std::string format;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
    if (text.empty() || text.front() == ',')
      return {boost::system::in_place_value, std::move(format)};
    if (text.front() != '"') {
      const auto size = static_cast<std::size_t>(
          std::find_if_not(text.begin(), text.end(), is_word) - text.begin());
      const auto expanded = expand_macro(text.substr(0, size));
      if (!expanded) return Error{"format has " + excerpt(text) + " outside its quotes"};
      format += *expanded;
      text.remove_prefix(size);
      continue;
    }
    text.remove_prefix(1);
    while (true) {
      if (text.empty()) return Error{"format has no closing quote"};
      const char c = text.front();
      text.remove_prefix(1);
      if (c == '"') break;
      if (c == '\0') return Error{"format has a NUL byte"};
      if (c != '\\') {
        format += c;
        continue;
      }
      const auto escaped = take_escape(text);
      if (!escaped) return Error{"format has an escape that C does not know"};
      format += *escaped;
    }
  }
}

struct Properties {
  bool disable = false;
  bool vcpu = false;
  bool tcg = false;
};

/// What the two events generated from one with the property `tcg` have (QEMU 6.2 and older): the
/// one at translation lacks the TCG values, the one at execution has them as host integers.
void split_tcg_arguments(std::string_view& text, std::string& at_translation,
                         std::string& at_execution) {
  while (true) {
    const auto comma = text.find(',');
    const auto one = strip(text.substr(0, comma));
    auto words = one;
    const auto type = take_word(words);
    const bool is_tcg = type.starts_with("TCGv");
    std::string host(one);
    if (is_tcg) {
      const std::string_view host_type = type == "TCGv_i32"   ? "uint32_t"
                                         : type == "TCGv_ptr" ? "void *"
                                                              : "uint64_t";
      host = std::string(host_type) + std::string(words);
    } else {
      at_translation += (at_translation.empty() ? "" : ",") + std::string(one);
    }
    at_execution += (at_execution.empty() ? "" : ",") + host;
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (at_translation.empty()) at_translation = "void";
}

Result<CatalogEvent> make_event(std::string name, const Properties& properties,
                                std::string_view arguments_text, std::string format) {
  auto arguments = parse_arguments(arguments_text);
  if (!arguments) return arguments.error();
  CatalogEvent event{std::move(name), std::move(*arguments), std::move(format), properties.disable};
  if (properties.vcpu) {
    Argument cpu{"__cpu", ArgumentKind::pointer, 64};
    event.arguments.insert(event.arguments.begin(), std::move(cpu));
    event.format.insert(0, "cpu=%p ");
  }
  return event;
}

}  // namespace

std::string excerpt(std::string_view text) {
  std::string shown = "\"";
  for (const char c : text.substr(0, excerpt_bytes_max)) shown += c >= ' ' && c <= '~' ? c : '?';
  if (text.size() > excerpt_bytes_max) shown += "...";
  return shown + '"';
}

Result<std::vector<CatalogEvent>> parse_catalog_line(std::string_view line) {
  const auto open = line.find('(');
  const auto close = line.find(')', open == std::string_view::npos ? 0 : open);
  if (open == std::string_view::npos || close == std::string_view::npos)
    return Error{excerpt(line) + " is no event: want NAME(ARGUMENTS) \"FORMAT\""};
  auto words = line.substr(0, open);
  Properties properties;
  std::string_view name;
  for (auto word = take_word(words); !word.empty(); word = take_word(words)) {
    if (name == "disable") {
      properties.disable = true;
    } else if (name == "vcpu") {
      properties.vcpu = true;
    } else if (name == "tcg") {
      properties.tcg = true;
    } else if (!name.empty()) {
      return Error{"unknown property " + excerpt(name)};
    }
    name = word;
  }
  if (!is_identifier(name)) return Error{excerpt(line) + " has no event name"};

  auto arguments = line.substr(open + 1, close - open - 1);
  auto rest = line.substr(close + 1);
  auto format = take_format(rest);
  if (!format) return format.error();
  std::vector<CatalogEvent> events;
  if (!properties.tcg) {
    if (!rest.empty()) return Error{"a comma follows the format"};
    auto event = make_event(std::string(name), properties, arguments, std::move(*format));
    if (!event) return event.error();
    events.push_back(std::move(*event));
    return events;
  }

  std::string format_at_execution;
  if (!rest.empty()) {
    rest.remove_prefix(1);
    auto second = take_format(rest);
    if (!second) return second.error();
    if (!rest.empty()) return Error{"more than two formats"};
    format_at_execution = std::move(*second);
  }
  std::string at_translation, at_execution;
  split_tcg_arguments(arguments, at_translation, at_execution);
  auto translation =
      make_event(std::string(name) + "_trans", properties, at_translation, std::move(*format));
  if (!translation) return translation.error();
  auto execution = make_event(std::string(name) + "_exec", properties, at_execution,
                              std::move(format_at_execution));
  if (!execution) return execution.error();
  events.push_back(std::move(*translation));
  events.push_back(std::move(*execution));
  return events;
}

}  // namespace qemon::trace
