#include "exporters/buckets.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string>

#include "exporters/yaml_document.hpp"
#include "exporters/yaml_reader.hpp"

namespace qemon::exporters {
namespace {

/// "0.00005" as a whole number of units: exactly, so not by way of a double.
std::optional<std::int64_t> parse_decimal(std::string_view text, std::int64_t scale) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const auto point = text.find('.');
  const auto whole_text = text.substr(0, point);
  auto fraction = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
  while (fraction.ends_with('0')) fraction.remove_suffix(1);
  std::uint64_t whole = 0;
  const auto [end, code] =
      std::from_chars(whole_text.data(), whole_text.data() + whole_text.size(), whole);
  if (code != std::errc() || end != whole_text.data() + whole_text.size()) return std::nullopt;
  const auto most =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / scale) - 1;
  if (whole > most) return std::nullopt;
  auto value = static_cast<std::int64_t>(whole) * scale;
  auto place = scale;
  for (const char digit : fraction) {
    if (digit < '0' || digit > '9' || place % 10 != 0) return std::nullopt;
    place /= 10;
    value += (digit - '0') * place;
  }
  return negative ? -value : value;
}

class BucketParser {
 public:
  BucketParser(Unit unit, Mistakes& mistakes) : scale_(per_shown(unit)), mistakes_(mistakes) {}

  Buckets parse(const YamlNode& node) {
    if (node.is_sequence()) {
      for (const auto& item : node.items) add(number(item));
    } else if (const auto* exp2 = node.find("exp2")) {
      only(node, {"exp2"});
      powers(*exp2);
    } else if (const auto* linear = node.find("linear")) {
      only(node, {"linear"});
      steps(*linear);
    } else {
      fail(node,
           "write a list of bounds, {exp2: {from: 512, to: 1048576}} or {linear: {from: 0, step: "
           "10, count: 5}}");
    }
    if (!failed_ && buckets_.bounds.empty()) fail(node, "there must be at least one bound");
    if (!failed_ && buckets_.bounds.size() > bounds_max)
      fail(node, "at most 100 bounds, since each is a series of its own");
    for (std::size_t i = 1; !failed_ && i < buckets_.bounds.size(); ++i)
      if (buckets_.bounds[i - 1] >= buckets_.bounds[i]) fail(node, "bounds must ascend");
    return failed_ ? Buckets{} : buckets_;
  }

 private:
  void powers(const YamlNode& node) {
    only(node, {"from", "to"});
    const auto from = member(node, "from");
    const auto to = member(node, "to");
    if (failed_) return;
    if (from <= 0 || to < from) return fail(node, "from must be above 0, and to not below it");
    for (auto bound = from; bound <= to && buckets_.bounds.size() <= bounds_max; bound *= 2) {
      add(bound);
      if (bound > to / 2) break;
    }
  }

  void steps(const YamlNode& node) {
    only(node, {"from", "step", "count"});
    const auto from = member(node, "from");
    const auto step = member(node, "step");
    const auto* count_node = node.find("count");
    const auto count = count_node == nullptr ? std::nullopt : whole_number(*count_node);
    if (failed_) return;
    if (!count || *count < 1 || *count > static_cast<std::int64_t>(bounds_max) || step <= 0)
      return fail(node, "step must be above 0, and count from 1 to 100");
    std::int64_t bound = from;
    for (std::int64_t i = 0; i < *count; ++i) {
      add(bound);
      if (i + 1 < *count && __builtin_add_overflow(bound, step, &bound))
        return fail(node, "the bounds are too large");
    }
  }

  std::int64_t member(const YamlNode& node, std::string_view key) {
    const auto* found = node.find(key);
    if (found == nullptr) {
      fail(node, std::string(key) + " is missing");
      return 0;
    }
    return number(*found);
  }

  std::int64_t number(const YamlNode& node) {
    const auto value = node.is_scalar() ? parse_decimal(node.scalar, scale_) : std::nullopt;
    if (!value) {
      fail(node, "\"" + node.scalar + "\" is no bound: give a decimal number " +
                     (scale_ == 1 ? "without a fraction" : "of seconds, no finer than the unit"));
    }
    return value.value_or(0);
  }

  void only(const YamlNode& node, std::initializer_list<std::string_view> keys) {
    if (!refuse_other_keys(node, keys, mistakes_)) failed_ = true;
  }
  void add(std::int64_t bound) { buckets_.bounds.push_back(bound); }
  void fail(const YamlNode& node, std::string_view why) {
    mistakes_.add(node.line, "buckets: " + std::string(why));
    failed_ = true;
  }

  std::int64_t scale_;
  Mistakes& mistakes_;
  Buckets buckets_;
  bool failed_ = false;
};

}  // namespace

std::int64_t per_shown(Unit unit) {
  switch (unit) {
    case Unit::none:
      return 1;
    case Unit::nanoseconds:
      return 1'000'000'000;
    case Unit::microseconds:
      return 1'000'000;
    case Unit::milliseconds:
      return 1'000;
  }
  return 1;
}

BucketFinder::BucketFinder(const Buckets& buckets) : bounds_(buckets.bounds) {
  static_assert(bounds_max <= std::numeric_limits<std::uint8_t>::max());
  for (std::size_t width = 1; width < first_.size(); ++width) {
    const auto smallest = std::uint64_t{1} << (width - 1);
    const auto found = std::ranges::find_if(bounds_, [smallest](std::int64_t bound) {
      return bound > 0 && static_cast<std::uint64_t>(bound) >= smallest;
    });
    first_[width] = static_cast<std::uint8_t>(found - bounds_.begin());
  }
}

Buckets default_latency_buckets() {
  Buckets buckets;
  for (std::int64_t decade = 10'000; decade <= 1'000'000'000; decade *= 10)
    for (const std::int64_t step : {1, 2, 5}) buckets.bounds.push_back(decade * step);
  return buckets;
}

Buckets parse_buckets(const YamlNode& node, Unit unit, Mistakes& mistakes) {
  return BucketParser(unit, mistakes).parse(node);
}

}  // namespace qemon::exporters
