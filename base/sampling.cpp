#include "base/sampling.hpp"

#include <array>
#include <utility>

#include "base/duration.hpp"

namespace qemon {
namespace {

constexpr std::array<std::pair<std::string_view, std::int64_t>, 3> units{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}}};

std::string time_text(std::chrono::milliseconds time) {
  for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
    if (time.count() % unit->second == 0)
      return std::to_string(time.count() / unit->second) + std::string(unit->first);
  }
  return {};
}

}  // namespace

Result<void> check_sampling(const Sampling& sampling) {
  if (sampling.period < sampling_period_min || sampling.period > sampling_period_max)
    return Error{"must have a period of 50ms to 60m"};
  if (sampling.on < std::chrono::milliseconds(1) || sampling.on >= sampling.period)
    return Error{"must be at least 1ms and less than its period"};
  return Result<void>();
}

Result<Sampling> parse_sampling(std::string_view text) {
  const auto slash = text.find('/');
  if (slash != std::string_view::npos) {
    const auto on = parse_duration(text.substr(0, slash));
    const auto period = parse_duration(text.substr(slash + 1));
    if (on && period) {
      const Sampling sampling{*on, *period};
      if (const auto checked = check_sampling(sampling); !checked) return checked.error();
      return sampling;
    }
  }
  return Error{"is no sample: write how long in which time, for instance 20ms/1s"};
}

std::string to_string(const Sampling& sampling) {
  return time_text(sampling.on) + "/" + time_text(sampling.period);
}

}  // namespace qemon
