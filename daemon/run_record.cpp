#include "daemon/run_record.hpp"

#include <algorithm>

namespace qemon::daemon {
namespace {

/// Keeps every other one, the first among them.
void halve(std::vector<double>& points) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < points.size(); i += 2) points[kept++] = points[i];
  points.resize(kept);
}

bool went_back(const SeriesValue& value, const RunRecord::Series& series) {
  if (value.value < series.last || value.is_histogram != series.is_histogram) return true;
  if (value.buckets.size() != series.last_buckets.size()) return true;
  for (std::size_t i = 0; i < value.buckets.size(); ++i) {
    if (value.buckets[i].first != series.last_buckets[i].first ||
        value.buckets[i].second < series.last_buckets[i].second)
      return true;
  }
  return false;
}

}  // namespace

void RunRecord::add(const Look& look) {
  const bool first = seconds_.empty();
  const bool restarted = !process_.empty() && !look.process.empty() && look.process != process_;
  if (restarted) ++restarts_;
  if (!look.process.empty()) process_ = look.process;
  if (first) first_was_whole_ = look.is_whole;
  for (const auto& [key, value] : *look.snapshot) {
    const bool of_qemu = look.of_qemu.contains(metric_name(key));
    const auto known = series_.find(key);
    if (known != series_.end()) {
      grow(value, of_qemu, known->second);
      continue;
    }
    if (series_.size() >= limits_.series) {
      // Names are remembered so that each is counted once, but not more of them than are kept.
      if (left_out_.size() < limits_.series) left_out_.insert(key);
      continue;
    }
    auto& series = series_[key];
    // What is not there yet counts from 0, unless it only could not be asked for.
    const bool from_zero = !first && (!of_qemu || first_was_whole_ || restarts_ > 0);
    begin(value, from_zero, series);
    series.process = restarts_;
    if (!first && !from_zero) series.since = look.seconds;
  }
  add_point(look.seconds);
}

void RunRecord::begin(const SeriesValue& value, bool from_zero, Series& series) {
  series.is_histogram = value.is_histogram;
  if (from_zero) {
    series.growth = value.value;
    series.sum = value.sum;
  }
  series.last = value.value;
  series.last_sum = value.sum;
  series.last_buckets = value.buckets;
  for (const auto& [bound, count] : value.buckets) {
    series.bounds.push_back(bound);
    series.buckets.push_back(from_zero ? count : 0);
  }
}

/// `of_qemu`: it begins anew with another process, even if it has grown beyond the last one's.
void RunRecord::grow(const SeriesValue& value, bool of_qemu, Series& series) const {
  const bool anew = of_qemu && series.process != restarts_;
  series.process = restarts_;
  const bool back = went_back(value, series);
  if (back || anew) {
    if (back || series.last > 0) ++series.resets;
    series.last = 0;
    series.last_sum = 0;
    for (auto& bucket : series.last_buckets) bucket.second = 0;
  }
  series.growth += value.value - series.last;
  series.sum += value.sum - series.last_sum;
  // Other bounds: what is in the buckets until now has no place among them.
  const bool same_bounds =
      std::equal(value.buckets.begin(), value.buckets.end(), series.bounds.begin(),
                 series.bounds.end(), [](const auto& a, double b) { return a.first == b; });
  if (!same_bounds) {
    series.is_histogram = value.is_histogram;
    series.growth = value.value;
    series.sum = value.sum;
    series.bounds.clear();
    series.buckets.clear();
    for (const auto& [bound, count] : value.buckets) {
      series.bounds.push_back(bound);
      series.buckets.push_back(count);
    }
  } else {
    for (std::size_t i = 0; i < value.buckets.size(); ++i)
      series.buckets[i] += value.buckets[i].second - series.last_buckets[i].second;
  }
  series.last = value.value;
  series.last_sum = value.sum;
  series.last_buckets = value.buckets;
}

void RunRecord::add_point(double seconds) {
  if (seconds_.size() >= std::max<std::size_t>(limits_.points, 2)) {
    stretch_ *= 2;
    halve(seconds_);
    for (auto& [key, series] : series_)
      if (!series.curve.empty()) halve(series.curve);
  }
  seconds_.push_back(seconds);
  for (auto& [key, series] : series_) {
    if (series.curve.empty()) {
      if (series.growth == 0 || curves_ >= limits_.curves) continue;
      ++curves_;
      series.curve.resize(seconds_.size() - 1, 0);
    }
    series.curve.push_back(series.growth);
  }
}

std::size_t RunRecord::curves_left_out() const {
  return static_cast<std::size_t>(std::count_if(
      series_.begin(), series_.end(),
      [](const auto& entry) { return entry.second.growth != 0 && entry.second.curve.empty(); }));
}

std::optional<double> RunRecord::growth(std::string_view key) const {
  const auto found = series_.find(key);
  if (found == series_.end()) return std::nullopt;
  return found->second.growth;
}

}  // namespace qemon::daemon
