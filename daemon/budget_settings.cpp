#include "daemon/budget_settings.hpp"

#include <charconv>
#include <cmath>
#include <limits>

#include "base/duration.hpp"
#include "daemon/config_file.hpp"

namespace qemon::daemon {
namespace {

constexpr double no_limit = std::numeric_limits<double>::infinity();

// A record of `log` is a line that the guest's thread formats and writes itself, with a lock held;
// one of `simple` is copied to a buffer that another thread writes, so there may be more of them.
constexpr double records_of_log = 50'000;
constexpr double records_of_simple = 200'000;
// Several times what the records of the defaults need; events with long texts are meant by it.
constexpr double default_bytes = 64.0 * (1 << 20);
// QEMU's buffer holds some thousand records, so that a burst overflows it once in a while: that is
// counted, and no reason to switch anything off. This is a trace that is mostly holes.
constexpr double default_drops = 10'000;
constexpr double default_lag_seconds = 5;
constexpr auto default_grace = std::chrono::milliseconds(5000);

std::optional<double> parse_number(const std::string& text) {
  std::uint64_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [at, code] = std::from_chars(text.data(), end, number);
  if (code != std::errc() || at != end) return std::nullopt;
  return static_cast<double>(number);
}

}  // namespace

void BudgetSettings::add(const BudgetSettings& later) {
  if (later.records) records = later.records;
  if (later.bytes) bytes = later.bytes;
  if (later.drops) drops = later.drops;
  if (later.lag_seconds) lag_seconds = later.lag_seconds;
  if (later.grace) grace = later.grace;
}

Result<BudgetSettings> parse_budget(std::string_view text) {
  BudgetSettings settings;
  if (text == "unlimited") {
    settings.records = settings.bytes = settings.drops = settings.lag_seconds = no_limit;
    return settings;
  }
  while (true) {
    const auto comma = text.find(',');
    const auto part = text.substr(0, comma);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos)
      return Error{"write unlimited, or for instance records=100000,grace=5s"};
    const auto set =
        set_budget_value(part.substr(0, equals), std::string(part.substr(equals + 1)), settings);
    if (!set) return set.error();
    if (comma == std::string_view::npos) return settings;
    text.remove_prefix(comma + 1);
  }
}

Result<void> set_budget_value(std::string_view key, const std::string& value,
                              BudgetSettings& settings) {
  const auto set = [&](std::optional<double>& into, std::optional<double> number,
                       const char* example) -> Result<void> {
    into = value == "unlimited" ? std::optional(no_limit) : number;
    if (into) return {};
    return Error{std::string(key) + ": write " + example + ", or unlimited"};
  };
  if (key == "records")
    return set(settings.records, parse_number(value), "how many a second, for instance 100000");
  if (key == "drops")
    return set(settings.drops, parse_number(value), "how many a second, for instance 1000");
  if (key == "bytes") {
    const auto size = parse_size(value);
    const auto number = size ? std::optional(static_cast<double>(*size)) : std::nullopt;
    return set(settings.bytes, number, "how many a second, for instance 64MiB");
  }
  const auto duration = parse_duration(value == "0" ? "0s" : value);
  if (key == "lag") {
    const auto seconds =
        duration ? std::optional(std::chrono::duration<double>(*duration).count()) : std::nullopt;
    return set(settings.lag_seconds, seconds, "a duration, for instance 5s");
  }
  if (key != "grace")
    return Error{"\"" + std::string(key) +
                 "\" is unknown: there are records, bytes, drops, lag and grace"};
  if (!duration) return Error{"grace: write a duration, for instance 5s"};
  settings.grace = duration;
  return {};
}

bool is_budget_key(std::string_view word) {
  return word == "records" || word == "bytes" || word == "drops" || word == "lag" ||
         word == "grace";
}

bool BudgetLimits::any() const {
  return std::isfinite(records) || std::isfinite(bytes) || std::isfinite(drops) ||
         std::isfinite(lag_seconds);
}

BudgetLimits budget_limits(const BudgetSettings& settings, bool simple) {
  BudgetLimits limits{};
  limits.records = settings.records.value_or(simple ? records_of_simple : records_of_log);
  limits.bytes = settings.bytes.value_or(default_bytes);
  limits.drops = settings.drops.value_or(default_drops);
  limits.lag_seconds = settings.lag_seconds.value_or(default_lag_seconds);
  limits.grace = settings.grace.value_or(default_grace);
  return limits;
}

}  // namespace qemon::daemon
