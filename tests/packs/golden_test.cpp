// Each pack on traces of real QEMUs: its metrics are what a witness that shares nothing with qemon
// (tests/tools/pack_witness.py, which describes the form of its answers) finds in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "cli/app.hpp"
#include "tests/packs/catalogs.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const fs::path recordings = fs::path(QEMON_TEST_DATA) / "packs";
constexpr const char* suffix = ".expected.json";

/// "pair.log.virtio-blk": a recording and a pack.
std::vector<std::string> golden_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(recordings)) {
    const auto name = entry.path().filename().string();
    if (name.ends_with(suffix))
      names.push_back(name.substr(0, name.size() - std::string(suffix).size()));
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// What `qemon replay` says, as JSON.
json replay(const std::string& recording, const std::string& pack, const std::string& catalog) {
  std::vector<std::string> arguments{"qemon",
                                     "replay",
                                     recording,
                                     "--pack",
                                     std::string(QEMON_SHIPPED_PACKS) + "/" + pack + ".yaml",
                                     "--output",
                                     "json"};
  if (!catalog.empty()) arguments.insert(arguments.end(), {"--trace-events", catalog});
  std::vector<const char*> argv;
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  const int status =
      cli::run(static_cast<int>(argv.size()), argv.data(), cli::process_environment(), out, err);
  EXPECT_EQ(status, 0) << err.str();
  return json::parse(out.str());
}

/// A family's samples by their labels, without `vm` and without those that are 0.
using Samples = std::map<std::string, json>;

std::string label_text(json labels) {
  labels.erase("vm");
  return labels.dump();
}

std::map<std::string, Samples> samples_of(const json& answer) {
  std::map<std::string, Samples> families;
  for (const auto& family : answer.at("metrics")) {
    const auto name = family.at("name").get<std::string>();
    const bool accounts = name.starts_with("qemond_") && !name.starts_with("qemond_pack_pairs");
    if (accounts || name.ends_with("_error") || name.starts_with("qemu_trace_")) continue;
    for (const auto& sample : family.at("samples")) {
      const auto figure = sample.contains("count") ? sample.at("count") : sample.at("value");
      if (figure.get<double>() != 0) families[name][label_text(sample.at("labels"))] = sample;
    }
  }
  return families;
}

std::int64_t nanoseconds(const json& seconds) {
  return std::llround(seconds.get<double>() * 1e9);
}

void expect_same(const json& expected, const json& actual, const std::string& where) {
  if (expected.contains("value")) {
    EXPECT_EQ(actual.at("value").get<double>(), expected.at("value").get<double>()) << where;
    return;
  }
  if (expected.contains("value_ns")) {
    EXPECT_EQ(nanoseconds(actual.at("value")), expected.at("value_ns").get<std::int64_t>())
        << where;
    return;
  }
  EXPECT_EQ(actual.at("count").get<double>(), expected.at("count").get<double>()) << where;
  if (expected.contains("sum_ns")) {
    EXPECT_EQ(nanoseconds(actual.at("sum")), expected.at("sum_ns").get<std::int64_t>()) << where;
  } else {
    EXPECT_EQ(actual.at("sum").get<double>(), expected.at("sum").get<double>()) << where;
  }
  std::map<double, double> buckets;
  for (const auto& bucket : actual.at("buckets")) {
    const auto& bound = bucket.at("le");
    buckets[bound.is_string() ? std::stod(bound.get<std::string>()) : bound.get<double>()] =
        bucket.at("count").get<double>();
  }
  for (const auto& [bound, count] : expected.at("buckets").items())
    EXPECT_EQ(buckets[std::stod(bound)], count.get<double>()) << where << " le=" << bound;
}

/// The most frequent values: those whose place is certain, and for the places after them any value
/// that occurred `next` times.
void expect_top(const json& expected, const Samples& actual, const std::string& name) {
  const auto next = expected.at(0).at("next").get<double>();
  std::set<std::string> certain;
  for (std::size_t i = 1; i < expected.size(); ++i) {
    const auto labels = label_text(expected[i].at("labels"));
    certain.insert(labels);
    ASSERT_TRUE(actual.contains(labels)) << name << labels;
    expect_same(expected[i], actual.at(labels), name + labels);
  }
  double sum = 0;
  for (const auto& [labels, sample] : actual) {
    sum += sample.at("value").get<double>();
    const bool other = labels.find("__other__") != std::string::npos;
    if (!other && !certain.contains(labels)) {
      EXPECT_EQ(sample.at("value").get<double>(), next) << name << labels;
    }
  }
  // A heat map leaves nothing out.
  if (name.ends_with("_total")) {
    EXPECT_EQ(sum, expected.at(0).at("total").get<double>()) << name;
  }
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, MetricsEqualTheWitness) {
  const auto& name = GetParam();
  const auto dot = name.rfind('.');
  const auto recording = name.substr(0, dot);
  const auto pack = name.substr(dot + 1);
  std::string catalog;
  if (pack != "exec-log") {
    const std::string version = recording.find("-10.0") != std::string::npos ? "10.0" : "7.2";
    const auto found = catalog_of(version);
    if (!found) GTEST_SKIP() << "there is no QEMU " << version << " among those under test";
    catalog = *found;
  }
  const auto expected = json::parse(read_file(recordings / (name + suffix)));

  const auto actual = samples_of(replay(recordings / (recording + ".gz"), pack, catalog));

  for (const auto& [family, samples] : expected.items()) {
    ASSERT_TRUE(actual.contains(family)) << family;
    if (samples.at(0).contains("distinct")) {
      expect_top(samples, actual.at(family), family);
      continue;
    }
    EXPECT_EQ(actual.at(family).size(), samples.size()) << family;
    for (const auto& sample : samples) {
      const auto labels = label_text(sample.at("labels"));
      ASSERT_TRUE(actual.at(family).contains(labels)) << family << labels;
      expect_same(sample, actual.at(family).at(labels), family + labels);
    }
  }
  for (const auto& [family, samples] : actual) EXPECT_TRUE(expected.contains(family)) << family;
}

INSTANTIATE_TEST_SUITE_P(Recordings, Golden, testing::ValuesIn(golden_names()),
                         [](const auto& about) {
                           auto name = about.param;
                           for (char& each : name)
                             if (std::isalnum(static_cast<unsigned char>(each)) == 0) each = '_';
                           return name;
                         });

/// What the two backends wrote of one run gives the same counters.
TEST(BothBackends, GiveTheSameCounters) {
  const auto catalog = catalog_of("7.2");
  if (!catalog) GTEST_SKIP() << "there is no QEMU 7.2 among those under test";

  for (const char* pack : {"block", "virtio-blk", "irq", "virtio"}) {
    auto simple = samples_of(replay(recordings / "pair.simple.gz", pack, *catalog));
    auto log = samples_of(replay(recordings / "pair.log.gz", pack, *catalog));

    for (auto& [family, samples] : simple) {
      ASSERT_EQ(samples.size(), log[family].size()) << family;
      for (const auto& [labels, sample] : samples) {
        const auto& other = log[family].at(labels);
        const char* const figure = sample.contains("count") ? "count" : "value";
        EXPECT_EQ(sample.at(figure), other.at(figure)) << family << labels;
        if (family.ends_with("_seconds")) {
          // Each time of the log is cut to a microsecond.
          const double difference = sample.at("sum").get<double>() - other.at("sum").get<double>();
          EXPECT_LE(std::abs(difference), sample.at("count").get<double>() * 100e-6)
              << family << labels;
        }
      }
    }
  }
}

TEST(GoldenFiles, ThereIsOneForEveryPackThatShips) {
  std::set<std::string> covered;
  for (const auto& name : golden_names()) covered.insert(name.substr(name.rfind('.') + 1));

  for (const auto& entry : fs::directory_iterator(QEMON_SHIPPED_PACKS)) {
    if (entry.path().extension() == ".yaml") {
      EXPECT_TRUE(covered.contains(entry.path().stem().string())) << entry.path();
    }
  }
}

}  // namespace
}  // namespace qemon::test
