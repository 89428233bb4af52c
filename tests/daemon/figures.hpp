// Figures of a collector as the text that a scrape would show, for tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/collector.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon::test {

inline std::string text_of(const Figures& figures) {
  std::string text;
  for (const auto& family : figures) text += exporters::serialize(family);
  return text;
}

/// The samples only, sorted, one a line.
inline std::string samples_of(const Figures& figures) {
  std::vector<std::string> lines;
  const std::string text = text_of(figures);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    if (text[at] != '#') lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  std::sort(lines.begin(), lines.end());
  std::string sorted;
  for (const auto& line : lines) sorted += line + "\n";
  return sorted;
}

/// What no collector may do, whatever it is given: make a family twice, one without samples, or a
/// series twice.
inline void expect_sound(const Figures& figures) {
  std::set<std::string> names;
  for (const auto& family : figures) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name;
    EXPECT_FALSE(family.metric.empty()) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    EXPECT_TRUE(family.name.starts_with("qemu_")) << family.name;
    EXPECT_EQ(family.type == prometheus::MetricType::Counter, family.name.ends_with("_total"))
        << family.name;
    std::set<std::vector<std::pair<std::string, std::string>>> series;
    for (const auto& metric : family.metric) {
      std::vector<std::pair<std::string, std::string>> labels;
      for (const auto& label : metric.label) labels.emplace_back(label.name, label.value);
      EXPECT_TRUE(series.insert(std::move(labels)).second) << family.name;
    }
  }
}

/// Answers that are not what they should be, each made of `good`: members missing, of other types,
/// too large, and nested ever deeper.
inline std::vector<nlohmann::json> spoilt(const nlohmann::json& good) {
  using nlohmann::json;
  std::vector<json> all{nullptr,
                        true,
                        -1,
                        1e308,
                        "text",
                        json::array(),
                        json::object(),
                        json::array({nullptr, 1, "x", json::array(), json::object()})};
  const json flat = good.flatten();
  const std::initializer_list<json> values{
      nullptr, false, -5, 18446744073709551615U, 1.5, "\xff\n\"", json::array(), json::object()};
  for (const auto& item : flat.items()) {
    for (const json& value : values) {
      json one = good;
      one[json::json_pointer(item.key())] = value;
      all.push_back(std::move(one));
    }
    json without = good;
    const json::json_pointer place(item.key());
    json& parent = without[place.parent_pointer()];
    if (parent.is_object()) parent.erase(place.back());
    all.push_back(std::move(without));
  }
  json deep = good;
  for (int i = 0; i < 500; ++i) deep = json::array({std::move(deep)});
  all.push_back(std::move(deep));
  return all;
}

}  // namespace qemon::daemon::test
