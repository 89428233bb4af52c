#include "trace/format_scanner.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace qemon::trace {
namespace {

/// The widest field of QEMU is 23. Bounds the work that one conversion can cause.
constexpr std::uint16_t width_max = 1000;
/// How wide a field of unknown (`*`) width may be.
constexpr std::uint16_t star_width_max = 64;
constexpr std::uint8_t no_digit = 255;

constexpr std::array<std::uint8_t, 256> digit_values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(no_digit);
  for (std::uint8_t i = 0; i < 10; ++i) values['0' + i] = i;
  for (std::uint8_t i = 0; i < 6; ++i) values['a' + i] = values['A' + i] = std::uint8_t(10 + i);
  return values;
}();

std::uint8_t digit_value(char c) {
  return digit_values[static_cast<unsigned char>(c)];
}

std::uint64_t low_bits(unsigned bits) {
  return bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}

/// Sign-extends the lower `bits` of `value`.
std::uint64_t extend_sign(std::uint64_t value, unsigned bits) {
  if (bits >= 64) return value;
  const std::uint64_t sign = std::uint64_t{1} << (bits - 1);
  return ((value & low_bits(bits)) ^ sign) - sign;
}

/// How many digits a number of `bits` bits can have.
unsigned digits_of(unsigned bits, unsigned base) {
  if (base == 16) return (bits + 3) / 4;
  if (base == 8) return (bits + 2) / 3;
  switch (bits) {
    case 1:
      return 1;
    case 8:
      return 3;
    case 16:
      return 5;
    case 32:
      return 10;
    default:
      return 20;
  }
}

/// How many digits of `base` can be read without looking for overflow.
constexpr std::ptrdiff_t safe_digits(unsigned base) {
  return base == 16 ? 16 : base == 10 ? 19 : 21;
}

/// Takes a decimal number from the front of `format`. False if it is above width_max.
bool take_number(std::string_view& format, std::uint16_t& number) {
  number = 0;
  while (!format.empty() && digit_value(format.front()) < 10) {
    number = static_cast<std::uint16_t>(number * 10 + digit_value(format.front()));
    if (number > width_max) return false;
    format.remove_prefix(1);
  }
  return true;
}

/// Takes a length modifier from the front of `format`; returns the bits that it stands for on LP64.
std::uint8_t take_length(std::string_view& format) {
  struct Length {
    std::string_view text;
    std::uint8_t bits;
  };
  static constexpr std::array<Length, 7> lengths = {
      {{"hh", 8}, {"h", 16}, {"ll", 64}, {"l", 64}, {"z", 64}, {"j", 64}, {"t", 64}}};
  for (const auto& length : lengths) {
    if (!format.starts_with(length.text)) continue;
    format.remove_prefix(length.text.size());
    return length.bits;
  }
  return 32;
}

}  // namespace

FormatScanner::FormatScanner(const CatalogEvent& event) : usable_(compile(event)) {
  if (usable_) link();
}

bool FormatScanner::compile(const CatalogEvent& event) {
  argument_count_ = event.arguments.size();
  if (argument_count_ > arguments_max) return false;
  std::string_view format = event.format;
  std::size_t next = 0;
  while (!format.empty()) {
    if (format.front() == '%' && !format.starts_with("%%")) {
      format.remove_prefix(1);
      if (!compile_conversion(format, event, next)) return false;
      continue;
    }
    if (steps_.empty() || steps_.back().kind != Kind::literal) {
      steps_.emplace_back();
      steps_.back().literal_at = static_cast<std::uint32_t>(literals_.size());
    }
    literals_ += format.front();
    ++steps_.back().literal_size;
    format.remove_prefix(format.front() == '%' ? 2 : 1);
  }
  return next == argument_count_;
}

/// Appends the step of the conversion at the front of `format`, behind its '%'. `next` is the
/// argument that it takes first.
bool FormatScanner::compile_conversion(std::string_view& format, const CatalogEvent& event,
                                       std::size_t& next) {
  Step step;
  take_flags(format, step);
  const auto take_star = [&](std::int8_t& argument) {
    if (!format.starts_with('*')) return false;
    format.remove_prefix(1);
    argument = static_cast<std::int8_t>(next++);
    return true;
  };
  if (!take_star(step.width_argument) && !take_number(format, step.width)) return false;
  if (format.starts_with('.')) {
    format.remove_prefix(1);
    std::uint16_t precision = 0;
    if (!take_star(step.precision_argument)) {
      if (!take_number(format, precision)) return false;
      step.precision = precision;
    }
  }
  step.printed_bits = take_length(format);
  if (format.empty() || next >= argument_count_) return false;
  const char conversion = format.front();
  format.remove_prefix(1);

  const Argument& argument = event.arguments[next];
  step.argument = static_cast<std::uint8_t>(next++);
  step.declared_bits = argument.bits;
  step.declared_signed = argument.kind == ArgumentKind::signed_integer;
  const bool is_integer = step.declared_signed || argument.kind == ArgumentKind::unsigned_integer;
  if (std::string_view("diuxXo").find(conversion) != std::string_view::npos && is_integer) {
    set_integer(conversion, step);
  } else if (conversion == 'c' && is_integer) {
    step.kind = Kind::character;
  } else if (conversion == 'p' && argument.kind == ArgumentKind::pointer) {
    step.kind = Kind::pointer;
  } else if (conversion == 's' && argument.kind == ArgumentKind::string) {
    step.kind = Kind::string;
  } else {
    return false;
  }
  steps_.push_back(step);
  return true;
}

void FormatScanner::take_flags(std::string_view& format, Step& step) {
  for (; !format.empty(); format.remove_prefix(1)) {
    switch (format.front()) {
      case '#':
        step.alternate = true;
        break;
      case '0':
        step.zero = true;
        break;
      case '-':
        step.left = true;
        break;
      case ' ':
        step.blank = true;
        break;
      case '+':
        step.plus = true;
        break;
      default:
        return;
    }
  }
}

void FormatScanner::set_integer(char conversion, Step& step) {
  step.kind = Kind::integer;
  step.prints_sign = conversion == 'd' || conversion == 'i';
  step.base = conversion == 'o' ? 8 : conversion == 'x' || conversion == 'X' ? 16 : 10;
  // A negative value printed by an unsigned conversion shows all bits that printf was given.
  const unsigned bits = step.declared_signed && !step.prints_sign
                            ? step.printed_bits
                            : std::min(step.printed_bits, step.declared_bits);
  unsigned digits = digits_of(bits, step.base) + (step.base == 8 && step.alternate ? 1 : 0);
  digits = std::max(digits, static_cast<unsigned>(std::max(step.precision, 0)));
  if (step.zero) digits = std::max<unsigned>(digits, step.width);
  if (step.width_argument >= 0 || step.precision_argument >= 0)
    digits = std::max<unsigned>(digits, star_width_max);
  step.digits_max = static_cast<std::uint16_t>(digits);
}

/// Fills in what a step needs to know of those behind it.
void FormatScanner::link() {
  auto next_string = static_cast<std::uint32_t>(steps_.size());
  for (std::size_t i = steps_.size(); i-- > 0;) {
    Step& step = steps_[i];
    if (step.kind == Kind::string) {
      step.next_string = next_string;
      next_string = static_cast<std::uint32_t>(i);
    }
    if (step.kind != Kind::integer || i + 1 == steps_.size()) continue;
    if (steps_[i + 1].kind != Kind::literal) continue;
    for (const char c : literal(steps_[i + 1])) {
      if (digit_value(c) >= step.base) break;
      ++step.glued;
    }
  }
  first_string_ = next_string;
}

std::string_view FormatScanner::literal(const Step& step) const {
  return {literals_.data() + step.literal_at, step.literal_size};
}

bool FormatScanner::scan(std::string_view text, Arguments& into) const {
  if (!usable_) return false;
  into.count = argument_count_;
  std::fill_n(into.values.begin(), argument_count_, Value{});
  const char* const end = text.data() + text.size();
  const char* at = match_run(0, first_string_, text.data(), end, into);
  for (std::size_t i = first_string_; at != nullptr && i < steps_.size();) {
    // No string is revisited when a later one does not fit: what stands between strings can begin
    // no earlier than where it was found, so that looking further right gains nothing.
    const Step& string = steps_[i];
    const char* const from =
        at + std::min<std::ptrdiff_t>(end - at, static_cast<std::ptrdiff_t>(string.width));
    const Span found = find_run(i + 1, string.next_string, from, end, into);
    if (found.begin == nullptr) return false;
    const std::string_view raw(at, static_cast<std::size_t>(found.begin - at));
    if (!store_string(string, raw, into)) return false;
    at = found.end;
    i = string.next_string;
  }
  return at == end;
}

/// The first place at or behind `from` at which the steps [first, last) fit; up to the text's end,
/// if they are the format's last.
FormatScanner::Span FormatScanner::find_run(std::size_t first, std::size_t last, const char* from,
                                            const char* end, Arguments& into) const {
  const bool to_end = last == steps_.size();
  if (first == last) return to_end ? Span{end, end} : Span{from, from};
  const bool begins_with_literal = steps_[first].kind == Kind::literal;
  const auto start = begins_with_literal ? literal(steps_[first]) : std::string_view();
  if (to_end && begins_with_literal && first + 1 == last) {
    const auto size = static_cast<std::ptrdiff_t>(start.size());
    if (end - from < size || std::memcmp(end - size, start.data(), start.size()) != 0) return {};
    return {end - size, end};
  }
  for (; from < end; ++from) {
    if (begins_with_literal) {
      const std::string_view rest(from, static_cast<std::size_t>(end - from));
      const auto offset = rest.find(start);
      if (offset == std::string_view::npos) return {};
      from += offset;
    }
    const char* const behind = match_run(first, last, from, end, into);
    if (behind != nullptr && (!to_end || behind == end)) return {from, behind};
  }
  return {};
}

const char* FormatScanner::match_run(std::size_t first, std::size_t last, const char* at,
                                     const char* end, Arguments& into) const {
  for (std::size_t i = first; i < last; ++i) {
    const Step& step = steps_[i];
    if (step.kind == Kind::literal) {
      if (end - at < static_cast<std::ptrdiff_t>(step.literal_size)) return nullptr;
      if (std::memcmp(at, literals_.data() + step.literal_at, step.literal_size) != 0)
        return nullptr;
      at += step.literal_size;
    } else {
      at = match_padded(step, at, end, into);
      if (at == nullptr) return nullptr;
    }
  }
  return at;
}

/// One conversion that is no string, with the blanks that its width brings.
const char* FormatScanner::match_padded(const Step& step, const char* at, const char* end,
                                        Arguments& into) {
  const char* const begin = at;
  const bool star = step.width_argument >= 0;
  const std::ptrdiff_t width = star ? star_width_max : step.width;
  if (!step.left && !(step.zero && step.precision < 0) && step.kind != Kind::character) {
    while (at < end && *at == ' ' && at - begin < width - 1) ++at;
  }
  const bool padded = at != begin;
  Value& value = into.values[step.argument];
  if (step.kind == Kind::integer) {
    at = match_integer(step, at, end, value);
  } else if (step.kind == Kind::pointer) {
    static constexpr std::string_view null = "(nil)";  // glibc; others print 0x0 or 0.
    const std::string_view rest(at, static_cast<std::size_t>(end - at));
    if (rest.starts_with(null)) {
      value.bits = 0;
      at += null.size();
    } else {
      const std::size_t prefix = rest.starts_with("0x") ? 2 : 0;
      std::size_t size = prefix;
      value.bits = 0;
      for (; size < rest.size() && size < prefix + 16 && digit_value(rest[size]) < 16; ++size)
        value.bits = value.bits * 16 + digit_value(rest[size]);
      if (size == prefix) return nullptr;
      at += size;
    }
  } else {
    if (!step.left) at += std::min(end - at, std::max<std::ptrdiff_t>(step.width - 1, 0));
    if (at == end) return nullptr;
    const auto byte = static_cast<unsigned char>(*at++);
    value.bits = step.declared_signed && step.declared_bits == 8 ? extend_sign(byte, 8)
                                                                 : std::uint64_t{byte};
  }
  if (at == nullptr) return nullptr;
  if (step.left) {
    while (at < end && *at == ' ' && at - begin < width) ++at;
  }
  const auto printed = at - begin;
  if (!star && (printed < width || (padded && printed > width))) return nullptr;
  const auto count = static_cast<std::uint64_t>(printed);
  if (star) into.values[static_cast<std::size_t>(step.width_argument)].bits = count;
  if (step.precision_argument >= 0)
    into.values[static_cast<std::size_t>(step.precision_argument)].bits = count;
  return at;
}

const char* FormatScanner::match_integer(const Step& step, const char* at, const char* end,
                                         Value& value) {
  bool negative = false;
  if (at < end && step.prints_sign) {
    negative = *at == '-';
    if (negative || (*at == '+' && step.plus) || (*at == ' ' && step.blank)) ++at;
  }
  if (step.alternate && step.base == 16 && end - at > 2 && at[0] == '0' &&
      (at[1] == 'x' || at[1] == 'X'))
    at += 2;

  const char* const limit = at + std::min<std::ptrdiff_t>(end - at, step.digits_max + step.glued);
  const char* behind = at;
  std::uint64_t number = 0;
  for (; behind < limit; ++behind) {
    const std::uint8_t digit = digit_value(*behind);
    if (digit >= step.base) break;
    number = number * step.base + digit;
  }
  const auto digits = behind - at - step.glued;
  if (digits < std::max(step.precision, 1)) return nullptr;
  if (step.glued != 0 || digits > safe_digits(step.base)) {
    behind = at + digits;
    if (std::from_chars(at, behind, number, step.base).ec != std::errc{}) return nullptr;
  }

  // What printf was given, as far as it was printed.
  const std::uint64_t printed_mask = low_bits(step.printed_bits);
  const std::uint64_t positive_max = step.prints_sign ? printed_mask >> 1 : printed_mask;
  if (number > positive_max + (negative ? 1 : 0)) return nullptr;
  if (negative) number = (0 - number) & printed_mask;
  // What the declared type holds of it, stored as the `simple` backend does.
  const bool all_printed = step.printed_bits >= step.declared_bits;
  const unsigned bits = all_printed ? step.declared_bits : step.printed_bits;
  const bool is_signed = all_printed ? step.declared_signed : step.prints_sign;
  value.bits = is_signed ? extend_sign(number, bits) : number & low_bits(bits);
  // Anything else was not printed from a value of the declared type: not our format.
  return (value.bits & printed_mask) == number ? behind : nullptr;
}

bool FormatScanner::store_string(const Step& step, std::string_view text, Arguments& into) {
  const std::size_t size = text.size();
  if (size < step.width) return false;
  if (step.width != 0 && size == step.width) {
    if (step.left) {
      text = text.substr(0, text.find_last_not_of(' ') + 1);
    } else {
      text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    }
  }
  if (step.precision >= 0 && text.size() > static_cast<std::size_t>(step.precision)) return false;
  for (const auto argument : {step.width_argument, step.precision_argument}) {
    if (argument >= 0) into.values[static_cast<std::size_t>(argument)].bits = size;
  }
  into.values[step.argument].text = text == "(null)" ? std::string_view() : text;
  return true;
}

}  // namespace qemon::trace
