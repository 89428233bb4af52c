#include "trace/exec_log_decoder.hpp"

#include <algorithm>
#include <array>

#include "trace/log_prefix.hpp"

namespace qemon::trace {
namespace {

constexpr std::size_t digits_max = 16;

/// What a line is, and the digits of the program counter if it has one.
struct Line {
  enum class Kind : std::uint8_t { block, program_counter, other_registers, unknown };
  Kind kind = Kind::unknown;
  std::string_view digits;
};

constexpr std::uint8_t no_digit = 255;

/// The value of a hexadecimal digit as QEMU prints it, or no_digit.
constexpr std::array<std::uint8_t, 256> digit_values = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(no_digit);
  for (std::uint8_t i = 0; i < 10; ++i) values[static_cast<std::size_t>('0' + i)] = i;
  for (std::uint8_t i = 10; i < 16; ++i) values[static_cast<std::size_t>('a' + i - 10)] = i;
  return values;
}();

std::uint8_t digit_value(char c) {
  return digit_values[static_cast<unsigned char>(c)];
}

/// The digits that `text` begins with.
std::string_view leading_digits(std::string_view text) {
  std::size_t size = 0;
  while (size < text.size() && digit_value(text[size]) != no_digit) ++size;
  return text.substr(0, size);
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Part of the name of a register: "x0/zero", "FPR00".
bool is_name(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '/' || c == '_';
}

void skip_blanks(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && text[size] == ' ') ++size;
  text.remove_prefix(size);
}

/// Digits that make up a whole word.
std::string_view whole_digits(std::string_view text) {
  const std::string_view digits = leading_digits(text);
  const bool whole = digits.size() == text.size() || !is_name(text[digits.size()]);
  return whole ? digits : std::string_view();
}

/// The program counter in "0x7f33e8000100 [...", what follows "Trace " and perhaps "0: "; empty if
/// it is none.
std::string_view block_digits(std::string_view text) {
  // The index of a CPU and an address are shorter.
  constexpr std::size_t front_max = 40;
  const std::size_t bracket = text.substr(0, front_max).find('[');
  if (bracket == std::string_view::npos) return {};
  text.remove_prefix(bracket + 1);
  std::string_view digits = leading_digits(text);
  if (digits.empty() || digits.size() >= text.size()) return {};
  switch (text[digits.size()]) {
    case ']':  // QEMU 2.6 and older: nothing but the program counter.
      return digits;
    case '/':  // The code segment's base, or what else a target has in its place.
      text.remove_prefix(digits.size() + 1);
      break;
    case ':':  // QEMU 2.7 to 2.10: the index of the CPU.
      text.remove_prefix(digits.size() + 1);
      skip_blanks(text);
      break;
    default:
      return {};
  }
  digits = leading_digits(text);
  const char next = digits.size() < text.size() ? text[digits.size()] : '\0';
  return next == '/' || next == ']' ? digits : std::string_view();
}

/// The program counter in a line of a dump; empty if the line has none.
std::string_view dump_digits(std::string_view line) {
  const auto behind = [&](std::string_view mark) {
    if (!line.starts_with(mark)) return std::string_view();
    std::string_view rest = line.substr(mark.size());
    skip_blanks(rest);
    return whole_digits(rest);
  };
  // Where QEMU prints "R12=%08x R13=%08x R14=%08x R15=%08x". The same line of x86-64 and of s390x
  // is longer, because there a register has 16 digits.
  constexpr std::size_t arm_size = 51, arm_at = 43, arm_digits = 8;
  // "PSW=mask %016x addr %016x"
  constexpr std::size_t psw_at = 31;
  switch (line.empty() ? '\0' : line.front()) {
    case 'R':
      if (line.starts_with("R12=") && line.size() >= arm_size &&
          line.substr(arm_at - 5, 5) == " R15=") {
        const std::string_view digits = whole_digits(line.substr(arm_at));
        return digits.size() == arm_digits ? digits : std::string_view();
      }
      return behind("RIP=");
    case 'E':
      return behind("EIP=");
    case ' ':
      return line.starts_with(" PC=") ? behind(" PC=") : behind(" pc ");
    case 'P':
      if (line.starts_with("PSW=mask ") && line.size() > psw_at &&
          line.substr(psw_at - 6, 6) == " addr ")
        return whole_digits(line.substr(psw_at));
      return behind("PC=");
    case 'N':
      return behind("NIP ");
    case 'p':
      return behind("pc=0x");
    default:
      return {};
  }
}

/// Whether a line looks like one of a dump: "CS =f000 ffff0000 ...", "GDT=     00000000 0000ffff",
/// " x0/zero  0000000000000000 ...", "GPR00 0000000000000000 ...", "GPR00: r0 00000000 ...", or
/// nothing at all. Without a `=`, digits are the value of a register only if they are all of 32
/// bits, or some times that.
bool is_dump_line(std::string_view line) {
  skip_blanks(line);
  if (line.empty()) return true;
  const auto take_name = [&line] {
    std::size_t size = 0;
    while (size < line.size() && is_name(line[size])) ++size;
    const bool taken = size > 0 && is_letter(line.front());
    line.remove_prefix(taken ? size : 0);
    return taken;
  };
  // MIPS: "CP0 Status  0x20000010 ..." and "Config0 0x80008482 ...".
  if (line.starts_with("CP0 Status ")) return true;
  if (line.starts_with("Config") && line.find(" 0x") == 7) return true;
  if (!take_name()) return false;
  skip_blanks(line);
  if (line.starts_with('=')) {
    line.remove_prefix(1);
    skip_blanks(line);
    return !whole_digits(line).empty();
  }
  if (line.starts_with(':')) {
    line.remove_prefix(1);
    skip_blanks(line);
    if (whole_digits(line).empty() && !take_name()) return false;
    skip_blanks(line);
  }
  const std::size_t size = whole_digits(line).size();
  return size > 0 && size % 8 == 0;
}

bool is_address(std::string_view digits) {
  return !digits.empty() && digits.size() <= digits_max;
}

Line classify(std::string_view line) {
  constexpr std::size_t word_bytes = sizeof("Trace ") - 1;
  if (line.starts_with("Trace ") || line.starts_with("Chain ")) {
    const std::string_view digits = block_digits(line.substr(word_bytes));
    return {is_address(digits) ? Line::Kind::block : Line::Kind::unknown, digits};
  }
  if (const std::string_view digits = dump_digits(line); is_address(digits))
    return {Line::Kind::program_counter, digits};
  return {is_dump_line(line) ? Line::Kind::other_registers : Line::Kind::unknown, {}};
}

/// What `take` leaves of the line.
template <typename Take>
std::string_view without(std::string_view line, Take take, LogPrefix& prefix) {
  const char* const end = line.data() + line.size();
  return {take(line.data(), end, prefix), end};
}

}  // namespace

Catalog exec_log_catalog() {
  return Catalog::parse(
             "exec_log_block(uint64_t pc) \"pc=0x%\"PRIx64\n"
             "exec_log_registers(uint64_t pc) \"pc=0x%\"PRIx64\n")
      .value();
}

ExecLogDecoder::ExecLogDecoder(EventTable& events)
    : block_(events.add(exec_log_block_event)), registers_(events.add(exec_log_registers_event)) {}

std::size_t ExecLogDecoder::decode(std::string_view bytes, RecordSink& sink) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    if (!skipping_ && rest.front() == '\0') {
      rest.remove_prefix(std::min(rest.find_first_not_of('\0'), rest.size()));
      continue;
    }
    const std::size_t newline = rest.find('\n');
    const std::size_t size = std::min(newline, rest.size());
    const bool whole = newline != std::string_view::npos;
    if (size >= decode_bytes_max && !skipping_) {
      count(DecodeError::overlong_line);
      (void)decode_line(rest.substr(0, size), sink);
      skipping_ = true;
    }
    if (skipping_) {
      skipping_ = !whole;
    } else {
      if (!whole) break;
      if (!decode_line(rest.substr(0, size), sink)) count(DecodeError::unknown_line);
    }
    rest.remove_prefix(whole ? size + 1 : size);
  }
  return bytes.size() - rest.size();
}

bool ExecLogDecoder::decode_line(std::string_view line, RecordSink& sink) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  LogPrefix prefix;
  line = without(line, parse_log_time, prefix);
  Line is = classify(line);
  if (is.kind == Line::Kind::unknown) {
    const std::string_view behind_program = without(line, parse_log_program, prefix);
    if (behind_program.size() != line.size()) is = classify(behind_program);
  }
  if (is.kind == Line::Kind::unknown) return false;
  if (is.kind == Line::Kind::other_registers) return true;
  Record record;
  record.event = is.kind == Line::Kind::block ? block_ : registers_;
  record.has_time = prefix.has_time;
  record.time_ns = prefix.time_ns;
  record.id = prefix.id;
  record.payload = is.digits;
  record.decoder = this;
  ++stats_.records;
  if (record.has_time) stats_.span.include(record.time_ns);
  sink.on_record(record);
  return true;
}

bool ExecLogDecoder::arguments(const Record& record, Arguments& into) const {
  const std::string_view digits = record.payload;
  if (record.event != block_ && record.event != registers_) return false;
  if (digits.empty() || digits.size() > digits_max) return false;
  std::uint64_t pc = 0;
  for (const char c : digits) {
    const std::uint8_t value = digit_value(c);
    if (value == no_digit) return false;
    pc = pc << 4 | value;
  }
  into.count = 1;
  into.values[0] = {pc, {}};
  return true;
}

}  // namespace qemon::trace
