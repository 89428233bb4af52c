// Decoding: a decoder with all that comes out of it, and traces for tests that change their bytes.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "tests/support/sanitized.hpp"
#include "tests/trace/simple_trace.hpp"
#include "trace/log_decoder.hpp"
#include "trace/simple_decoder.hpp"

namespace qemon::test {

using trace::Catalog;
using trace::DecodeError;
using trace::DecoderStats;
using trace::EventTable;
using trace::LogDecoder;

/// One byte after another takes long under a sanitizer; which ones, makes no difference to it.
inline constexpr std::size_t byte_stride = sanitized ? 7 : 1;

inline std::uint64_t errors(const DecoderStats& stats) {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : stats.errors) sum += count;
  return sum;
}

inline std::uint64_t errors(const DecoderStats& stats, DecodeError kind) {
  return stats.errors[static_cast<std::size_t>(kind)];
}

inline Catalog load_catalog(const std::string& path) {
  auto catalog = Catalog::load(path);
  EXPECT_TRUE(catalog) << catalog.error().detail;
  return std::move(*catalog);
}

/// A decoder of its own, and everything that came out of it.
template <typename D>
struct Decoding {
  explicit Decoding(const Catalog& catalog) : decoder(make(catalog)), sink(events, decoder) {}

  D make(const Catalog& catalog) {
    // The log decoder knows the names that are in the table; `simple` brings its own.
    if constexpr (std::is_same_v<D, LogDecoder>) {
      for (const auto& event : catalog.events()) events.add(event.name);
    }
    events.use_catalog(&catalog);
    return D(events);
  }
  /// As a reader of a growing file gives them: what was left over comes again, in front.
  void feed(std::string_view bytes) {
    rest += bytes;
    rest.erase(0, decoder.decode(rest, sink));
  }

  EventTable events;
  D decoder;
  CollectingSink sink;
  std::string rest;
};

inline Catalog recorded_catalog() {
  return load_catalog(QEMON_TEST_DATA "/simple-7.2.events.txt");
}

/// With everything that a recorded piece happens not to have.
inline SimpleTrace made_trace() {
  SimpleTrace trace;
  trace.header().mapping(0, "none").mapping(1, "numbers").mapping(2, "text");
  trace.dropped(999, 3);
  for (std::uint64_t i = 0; i < 6; ++i) {
    const std::uint64_t time = 1'000'000 + 100 * i;
    trace.event(2, time, string(i == 3 ? "" : "drive-" + std::to_string(i)) + u64s({i}));
    trace.event(0, time + 1, "").event(1, time + 2, u64s({i, 0x7f0012345678 + i}));
    trace.event(2, time + 3, string(std::string(40 * i, 's')) + u64s({0}));
    if (i == 2) trace.mapping(7, "late").dropped(time + 4, 70'000);
    if (i > 2) trace.event(7, time + 5, u64s({1, 2, 3}));
  }
  return trace;
}

inline Catalog made_catalog() {
  return *Catalog::parse(
      "none(void) \"\"\n"
      "numbers(int a, uint64_t b) \"a %d b %\"PRIu64\n"
      "text(const char *s, int n) \"s %s n %d\"\n"
      "late(int a, int b, int c) \"%d %d %d\"\n");
}

}  // namespace qemon::test
