#include "daemon/budget.hpp"

#include <algorithm>
#include <cmath>

namespace qemon::daemon {
namespace {

using namespace std::chrono_literals;

// QEMU and we hand the trace on in portions of up to 100 ms each, so that anything much shorter
// measures those.
constexpr auto window = 1s;
// What makes less of the records than this is not what is too much.
constexpr double share_worth_switching = 0.01;

double per_second(std::uint64_t before, std::uint64_t now, double seconds) {
  return now > before ? static_cast<double>(now - before) / seconds : 0;
}

double seconds_between(const BudgetSample& from, const BudgetSample& to) {
  return std::chrono::duration<double>(to.time - from.time).count();
}

}  // namespace

std::vector<Trip> Budget::tick(BudgetSample sample) {
  const auto now = sample.time;
  samples_.push_back(std::move(sample));
  measure();
  const auto too_much = excess();
  if (too_much.empty()) {
    over_since_.reset();
    exceeded_by_others_.clear();
    return {};
  }
  if (!over_since_) over_since_ = now;
  if (now - *over_since_ < limits_.grace) return {};

  const auto all = costs();
  double remaining = rates_->records;
  double remaining_ours = 0;
  for (const auto& cost : all) remaining_ours += cost.rate;
  const double unknown_share = fits(remaining) ? 1 : 0;  // Of drops or lag.
  std::vector<Trip> trips;
  for (const auto& cost : all) {
    if (fits(remaining) && static_cast<double>(trips.size()) >= unknown_share) break;
    if (remaining_ours <= rates_->records * share_worth_switching) break;
    trips.push_back({cost.event, grouped(cost.rate) + " records/s when there were " + too_much});
    remaining -= cost.rate;
    remaining_ours -= cost.rate;
  }
  if (trips.empty()) {
    exceeded_by_others_ = too_much;
  } else {
    restart();
  }
  return trips;
}

void Budget::restart() {
  samples_.clear();
  rates_.reset();
  over_since_.reset();
  exceeded_by_others_.clear();
}

/// Forgets what is older than a second, but for the one sample that a second is measured from.
void Budget::measure() {
  const auto& last = samples_.back();
  while (samples_.size() > 2 && last.time - samples_[1].time >= window) samples_.pop_front();
  const auto& first = samples_.front();
  rates_.reset();
  if (last.time - first.time < window) return;
  const double seconds = seconds_between(first, last);
  rates_ = BudgetRates{per_second(first.records, last.records, seconds),
                       per_second(first.bytes, last.bytes, seconds),
                       per_second(first.drops, last.drops, seconds)};
}

/// What is beyond its limit, for people; empty if nothing is.
std::string Budget::excess() const {
  if (!rates_) return {};
  const auto more = [](double rate, double limit, const char* what) {
    return grouped(rate) + what + ", with a budget of " + grouped(limit);
  };
  if (rates_->records > limits_.records)
    return more(rates_->records, limits_.records, " records/s in all");
  if (rates_->bytes > limits_.bytes) return more(rates_->bytes, limits_.bytes, " bytes/s of trace");
  if (rates_->drops > limits_.drops)
    return more(rates_->drops, limits_.drops, " records/s dropped by QEMU");
  const auto lag = samples_.back().lag_seconds.value_or(0);
  if (lag > limits_.lag_seconds) return more(lag, limits_.lag_seconds, " s of trace lag");
  return {};
}

/// Whether that many records a second would keep to the limits of records and bytes.
bool Budget::fits(double records) const {
  const double bytes =
      rates_->records > 0 ? rates_->bytes * records / rates_->records : rates_->bytes;
  return records <= limits_.records && bytes <= limits_.bytes;
}

std::vector<Budget::Cost> Budget::costs() const {
  std::vector<Cost> all;
  if (samples_.empty()) return all;
  const auto& last = samples_.back();
  for (const auto& event : last.events) {
    if (!event.ours) continue;
    // One that went on meanwhile is measured since then.
    for (const auto& sample : samples_) {
      const auto at = std::lower_bound(
          sample.events.begin(), sample.events.end(), event.event,
          [](const BudgetSample::Event& each, auto index) { return each.event < index; });
      if (at == sample.events.end() || at->event != event.event) continue;
      const double seconds = seconds_between(sample, last);
      if (seconds > 0 && event.records > at->records)
        all.push_back({event.event, per_second(at->records, event.records, seconds)});
      break;
    }
  }
  std::sort(all.begin(), all.end(), [](const Cost& a, const Cost& b) { return a.rate > b.rate; });
  return all;
}

std::string grouped(double number) {
  if (number < 100 && number != std::floor(number)) {
    auto text = std::to_string(number);
    text.resize(text.find('.') + 2);
    return text;
  }
  auto text = std::to_string(std::llround(number));
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

}  // namespace qemon::daemon
