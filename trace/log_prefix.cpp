#include "trace/log_prefix.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string_view>

namespace qemon::trace {
namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t seconds_max = std::numeric_limits<std::int64_t>::max() / second_ns - 1;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr std::array<std::uint64_t, 10> powers_of_ten = {
    1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000, 1'000'000'000};

/// Eight characters as a number whose lowest byte is the first one, minus '0' each: digits are 0 to
/// 9 then, anything else is more.
std::uint64_t load_eight(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
  return word ^ 0x3030303030303030;
}

/// How many of the lower bytes, counted from the lowest, are digits.
int leading_digits(std::uint64_t word) {
  // A byte of 10 or more gets its top bit from the sum. It may carry into those above it, where no
  // one looks.
  const std::uint64_t others = ((word + 0x7676767676767676) | word) & 0x8080808080808080;
  return std::countr_zero(others) / 8;
}

/// The number that eight digits are: joined to four of two digits, two of four, one of eight.
std::uint64_t join_eight(std::uint64_t word) {
  word = word * 10 + (word >> 8);
  constexpr std::uint64_t pairs = 0x000000ff000000ff;
  return ((word & pairs) * 0x000f424000000064 + ((word >> 16) & pairs) * 0x0000271000000001) >> 32;
}

/// Reads up to 19 digits, which cannot overflow. Returns what follows them. Eight at a time: a time
/// stamp is a quarter of a usual line, and reading it the largest part of decoding one.
const char* take_digits(const char* at, const char* end, std::uint64_t& number) {
  number = 0;
  const char* const limit = end - at > 19 ? at + 19 : end;
  while (limit - at >= 8) {
    const std::uint64_t word = load_eight(at);
    const int count = leading_digits(word);
    if (count == 0) return at;
    number = number * powers_of_ten[static_cast<std::size_t>(count)] +
             join_eight(word << (64 - 8 * count));
    at += count;
    if (count < 8) return at;
  }
  for (; at < limit && is_digit(*at); ++at) number = number * 10 + static_cast<unsigned>(*at - '0');
  return at;
}

/// Two digits; 255 if they are others. The caller knows that they are in range.
unsigned two_digits(const char* at) {
  const auto tens = static_cast<unsigned>(at[0] - '0'), ones = static_cast<unsigned>(at[1] - '0');
  return tens <= 9 && ones <= 9 ? tens * 10 + ones : 255;
}

/// Days since 1970-01-01 of a date of the Gregorian calendar. Counts in years that begin in March,
/// so that the leap day is the last one; 400 years have 146,097 days. (No mktime: it knows about
/// time zones, and is slow.)
std::int64_t days_since_epoch(unsigned year, unsigned month, unsigned day) {
  const unsigned march_year = month > 2 ? year : year - 1;
  const unsigned march_month = month > 2 ? month - 3 : month + 9;
  const unsigned day_of_year = (153 * march_month + 2) / 5 + day - 1;
  const unsigned leap_days = march_year / 4 - march_year / 100 + march_year / 400;
  return std::int64_t{march_year * 365 + leap_days + day_of_year} - 719'468;
}

const char* parse_thread_time(const char* at, const char* end, LogPrefix& prefix) {
  std::uint64_t id = 0, seconds = 0;
  const char* next = take_digits(at, end, id);
  if (next == at || next == end || *next != '@') return at;
  if (id > std::numeric_limits<std::uint32_t>::max()) return at;
  const char* const digits = next + 1;
  next = take_digits(digits, end, seconds);
  if (next == digits || seconds > static_cast<std::uint64_t>(seconds_max)) return at;
  constexpr std::ptrdiff_t fraction_size = sizeof(".851320:") - 1;
  if (end - next < fraction_size || next[0] != '.' || next[7] != ':') return at;
  const std::uint64_t fraction = (load_eight(next) << 8) & ~std::uint64_t{0xffff};
  if (leading_digits(fraction) != 8) return at;
  const auto microseconds = static_cast<std::int64_t>(join_eight(fraction));
  prefix = {true, static_cast<std::int64_t>(seconds) * second_ns + microseconds * 1000,
            static_cast<std::uint32_t>(id)};
  return next + fraction_size;
}

const char* parse_iso_time(const char* at, const char* end, LogPrefix& prefix) {
  DateTime time;
  const char* const next = parse_date_time(at, end, time);
  if (next == at || end - next < 2 || next[0] != 'Z' || next[1] != ' ') return at;
  prefix = {true, time.time_ns, 0};
  return next + 2;
}

}  // namespace

const char* parse_date_time(const char* at, const char* end, DateTime& into) {
  constexpr std::ptrdiff_t time_size = sizeof("2026-11-22T20:17:07") - 1;
  if (end - at < time_size) return at;
  if (at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' || at[16] != ':') return at;
  const unsigned century = two_digits(at), year_of_century = two_digits(at + 2);
  const unsigned month = two_digits(at + 5), day = two_digits(at + 8);
  const unsigned hour = two_digits(at + 11), minute = two_digits(at + 14);
  const unsigned second = two_digits(at + 17);  // 60 in a leap second.
  // A nanosecond count of 64 bits ends in 2262.
  const unsigned year = century * 100 + year_of_century;
  if (year_of_century > 99 || year < 1970 || year > 2261) return at;
  if (month < 1 || month > 12 || day < 1 || day > 31) return at;
  if (hour > 23 || minute > 59 || second > 60) return at;
  const char* next = at + time_size;
  std::uint64_t fraction_ns = 0;
  into.fraction_digits = 0;
  if (next < end && *next == '.') {
    const char* const digits = next + 1;
    next = take_digits(digits, end, fraction_ns);
    if (next == digits || next - digits > 9) return at;
    into.fraction_digits = static_cast<unsigned>(next - digits);
    fraction_ns *= powers_of_ten[9 - into.fraction_digits];
  }
  const std::int64_t seconds =
      ((days_since_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
  into.time_ns = seconds * second_ns + static_cast<std::int64_t>(fraction_ns);
  return next;
}

const char* parse_log_time(const char* at, const char* end, LogPrefix& prefix) {
  if (at == end || !is_digit(*at)) return at;
  const char* const next = parse_thread_time(at, end, prefix);
  return next != at ? next : parse_iso_time(at, end, prefix);
}

const char* LogTimeReader::read_anew(const char* at, const char* end, LogPrefix& prefix) {
  const char* const next = parse_log_time(at, end, prefix);
  if (next == at) return at;
  const auto* const point = static_cast<const char*>(std::memchr(
      at, '.', std::min<std::size_t>(static_cast<std::size_t>(next - at), text_max + 1)));
  const auto size = point == nullptr ? 0 : static_cast<std::size_t>(point - at);
  if (size < text_min || size > text_max) return next;
  middle_at_ = static_cast<std::uint8_t>(std::min<std::size_t>(8, size - 8));
  last_at_ = static_cast<std::uint8_t>(size - 8);
  first_ = load(at);
  middle_ = load(at + middle_at_);
  last_ = load(at + last_at_);
  is_iso_ = next[-1] == ' ';
  whole_seconds_ = prefix;
  whole_seconds_.time_ns -= prefix.time_ns % second_ns;
  return next;
}

/// The text before the point is that of the line before.
const char* LogTimeReader::read_fraction(const char* at, const char* end, LogPrefix& prefix) {
  const char* const point = at + last_at_ + 8;
  const std::uint64_t fraction = (load_eight(point) << 8) & ~std::uint64_t{0xffff};
  const bool whole = point[0] == '.' && leading_digits(fraction) == 8 &&
                     (is_iso_ ? point[7] == 'Z' && point[8] == ' ' : point[7] == ':');
  if (!whole) return read_anew(at, end, prefix);
  prefix = whole_seconds_;
  prefix.time_ns += static_cast<std::int64_t>(join_eight(fraction)) * 1000;
  return point + (is_iso_ ? 9 : 8);
}

const char* parse_log_program(const char* at, const char* end, LogPrefix& prefix) {
  // Longer ones are no prefix; the limit bounds what a long line costs.
  constexpr std::ptrdiff_t part_bytes_max = 256;
  const auto rest = [&end](const char* from) {
    const auto size = end - from < part_bytes_max ? end - from : part_bytes_max;
    return std::string_view(from, static_cast<std::size_t>(size));
  };
  auto text = rest(at);
  if (text.starts_with('[')) {
    const auto close = text.find("] ");
    if (close == std::string_view::npos) return at;
    at += close + 2;
    text = rest(at);
  }
  const auto open = text.find_first_of(" (");
  if (open == 0 || open == std::string_view::npos || text[open] != '(') return at;
  std::uint64_t id = 0;
  const char* const digits = at + open + 1;
  const char* const colon = take_digits(digits, at + text.size(), id);
  if (colon == digits || id > std::numeric_limits<std::uint32_t>::max()) return at;
  const auto name = text.substr(static_cast<std::size_t>(colon - at));
  const auto close = name.find("): ");
  if (!name.starts_with(':') || close == std::string_view::npos) return at;
  prefix.id = static_cast<std::uint32_t>(id);
  return colon + close + 3;
}

}  // namespace qemon::trace
