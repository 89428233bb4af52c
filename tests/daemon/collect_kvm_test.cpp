#include "daemon/collect_kvm.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/figures.hpp"

namespace qemon::daemon {
namespace {

using nlohmann::json;
using test::expect_sound;
using test::samples_of;
using test::text_of;
using testing::HasSubstr;
using testing::Not;

// Excerpts of QEMU 10.0 on a KVM host.
const char* const schemas_text = R"([
  {"provider": "kvm", "target": "vcpu", "stats": [
    {"name": "guest_mode", "unit": "boolean", "exponent": 0, "type": "instant"},
    {"name": "blocking", "unit": "boolean", "exponent": 0, "type": "instant"},
    {"name": "insn_emulation", "exponent": 0, "type": "cumulative"},
    {"name": "halt_wait_hist", "unit": "seconds", "base": 10, "exponent": -9,
     "type": "log2-histogram"},
    {"name": "halt_wait_ns", "unit": "seconds", "base": 10, "exponent": -9,
     "type": "cumulative"}]},
  {"provider": "kvm", "target": "vm", "stats": [
    {"name": "max_mmu_rmap_size", "exponent": 0, "type": "peak"},
    {"name": "pages_2m", "exponent": 0, "type": "instant"},
    {"name": "mmu_cache_miss", "exponent": 0, "type": "cumulative"}]},
  {"provider": "cryptodev", "target": "cryptodev", "stats": [
    {"name": "sym-decrypt-ops", "exponent": 0, "type": "cumulative"}]}])";
const char* const vm_text = R"([{"provider": "kvm", "stats": [
  {"name": "max_mmu_rmap_size", "value": 3}, {"name": "pages_2m", "value": 1},
  {"name": "mmu_cache_miss", "value": 20}, {"name": "not_in_the_schema", "value": 5}]}])";
const char* const vcpu_text = R"([{"provider": "kvm", "qom-path": "/machine/unattached/device[0]",
  "stats": [
    {"name": "guest_mode", "value": false}, {"name": "blocking", "value": true},
    {"name": "insn_emulation", "value": 930}, {"name": "halt_wait_ns", "value": 4400000000},
    {"name": "halt_wait_hist", "value": [2, 1, 4, 8, 0]}]},
  {"provider": "kvm", "qom-path": "/machine/unattached/device[2]", "stats": [
    {"name": "insn_emulation", "value": 7}]}])";
const char* const cpus_text = R"([
  {"cpu-index": 0, "qom-path": "/machine/unattached/device[0]", "thread-id": 1},
  {"cpu-index": 1, "qom-path": "/machine/unattached/device[2]", "thread-id": 2}])";

Figures figures_of(const json& schemas, const json& vm, const json& vcpus, const json& cpus) {
  return kvm_figures(parse_kvm_schemas(schemas), vm, vcpus, cpus);
}

TEST(CollectKvm, ShowsWhatTheKernelCounts) {
  const Figures figures = figures_of(json::parse(schemas_text), json::parse(vm_text),
                                     json::parse(vcpu_text), json::parse(cpus_text));

  expect_sound(figures);
  EXPECT_EQ(samples_of(figures),
            "qemu_kvm_blocking{vcpu=\"0\"} 1\n"
            "qemu_kvm_guest_mode{vcpu=\"0\"} 0\n"
            "qemu_kvm_halt_wait_hist_seconds_bucket{vcpu=\"0\",le=\"+Inf\"} 15\n"
            "qemu_kvm_halt_wait_hist_seconds_bucket{vcpu=\"0\",le=\"0\"} 2\n"
            "qemu_kvm_halt_wait_hist_seconds_bucket{vcpu=\"0\",le=\"1e-09\"} 3\n"
            "qemu_kvm_halt_wait_hist_seconds_bucket{vcpu=\"0\",le=\"3e-09\"} 7\n"
            "qemu_kvm_halt_wait_hist_seconds_bucket{vcpu=\"0\",le=\"7e-09\"} 15\n"
            "qemu_kvm_halt_wait_hist_seconds_count{vcpu=\"0\"} 15\n"
            "qemu_kvm_halt_wait_hist_seconds_sum{vcpu=\"0\"} NaN\n"
            "qemu_kvm_halt_wait_seconds_total{vcpu=\"0\"} 4.4\n"
            "qemu_kvm_insn_emulation_total{vcpu=\"0\"} 930\n"
            "qemu_kvm_insn_emulation_total{vcpu=\"1\"} 7\n"
            "qemu_kvm_max_mmu_rmap_size 3\n"
            "qemu_kvm_mmu_cache_miss_total 20\n"
            "qemu_kvm_pages_2m 1\n");
}

json schema(json stat) {
  return json::array(
      {{{"provider", "kvm"}, {"target", "vm"}, {"stats", json::array({std::move(stat)})}}});
}
json value(json number) {
  return json::array({{{"provider", "kvm"},
                       {"stats", json::array({{{"name", "x"}, {"value", std::move(number)}}})}}});
}

TEST(CollectKvm, BinsOfALinearHistogramHaveExactBounds) {
  const json stat{
      {"name", "x"}, {"type", "linear-histogram"}, {"exponent", 0}, {"bucket-size", 10}};

  EXPECT_EQ(samples_of(figures_of(schema(stat), value(json::array({1, 2, 3})), nullptr, nullptr)),
            "qemu_kvm_x_bucket{le=\"+Inf\"} 6\nqemu_kvm_x_bucket{le=\"19\"} 3\n"
            "qemu_kvm_x_bucket{le=\"9\"} 1\nqemu_kvm_x_count 6\nqemu_kvm_x_sum NaN\n");
}

TEST(CollectKvm, TurnsUnitsIntoBaseUnits) {
  const json kilobytes{
      {"name", "x"}, {"type", "cumulative"}, {"unit", "bytes"}, {"base", 2}, {"exponent", 10}};
  const json cycles{
      {"name", "x"}, {"type", "instant"}, {"unit", "cycles"}, {"base", 10}, {"exponent", 0}};

  EXPECT_EQ(samples_of(figures_of(schema(kilobytes), value(3), nullptr, nullptr)),
            "qemu_kvm_x_bytes_total 3072\n");
  EXPECT_EQ(samples_of(figures_of(schema(cycles), value(3), nullptr, nullptr)),
            "qemu_kvm_x_cycles 3\n");
}

TEST(CollectKvm, MakesNamesFitForPrometheus) {
  const auto schemas = parse_kvm_schemas(
      schema(json{{"name", "Odd-Name \xff.ns"}, {"type", "cumulative"}, {"exponent", 0}}));

  ASSERT_EQ(schemas.vm.size(), 1U);
  EXPECT_EQ(schemas.vm.begin()->second.metric, "qemu_kvm_odd_name___ns_total");
}

TEST(CollectKvm, WhatItDoesNotUnderstandIsLeftOut) {
  const json good{{"name", "x"}, {"type", "cumulative"}, {"exponent", 0}};
  const auto with = [&](const char* key, json one) {
    json stat = good;
    stat[key] = std::move(one);
    return parse_kvm_schemas(schema(stat)).vm.size();
  };

  EXPECT_EQ(with("type", "cumulative"), 1U);
  EXPECT_EQ(with("type", "quantum"), 0U);
  EXPECT_EQ(with("type", "linear-histogram"), 0U);
  EXPECT_EQ(with("exponent", 5), 0U);
  EXPECT_EQ(with("exponent", "9"), 0U);
  EXPECT_EQ(with("exponent", 18446744073709551615U), 0U);
  EXPECT_EQ(with("name", ""), 0U);
  EXPECT_TRUE(parse_kvm_schemas(json::array()).vm.empty());
}

TEST(CollectKvm, ANameThatIsTakenIsNotGivenTwice) {
  json schemas = json::parse(schemas_text);
  schemas[0]["stats"].push_back(
      {{"name", "mmu-cache-miss"}, {"type", "cumulative"}, {"exponent", 0}});
  json vcpus = json::parse(vcpu_text);
  vcpus[0]["stats"].push_back({{"name", "mmu-cache-miss"}, {"value", 1}});
  vcpus.push_back(vcpus[0]);

  const Figures figures = figures_of(schemas, json::parse(vm_text), vcpus, json::parse(cpus_text));

  expect_sound(figures);
  EXPECT_THAT(samples_of(figures), Not(HasSubstr("mmu_cache_miss_total{")));
}

TEST(CollectKvm, SurvivesWhateverAnswerComes) {
  const json schemas = json::parse(schemas_text);
  const json vm = json::parse(vm_text);
  const json vcpus = json::parse(vcpu_text);
  const json cpus = json::parse(cpus_text);
  for (const json& one : test::spoilt(schemas)) expect_sound(figures_of(one, vm, vcpus, cpus));
  for (const json& one : test::spoilt(vm)) expect_sound(figures_of(schemas, one, vcpus, cpus));
  for (const json& one : test::spoilt(vcpus)) expect_sound(figures_of(schemas, vm, one, cpus));
  for (const json& one : test::spoilt(cpus)) expect_sound(figures_of(schemas, vm, vcpus, one));
}

}  // namespace
}  // namespace qemon::daemon
