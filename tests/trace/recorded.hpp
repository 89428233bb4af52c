// Pieces of the traces in tests/data that were recorded on real QEMU.
#pragma once

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>

#include "tests/support/files.hpp"
#include "tests/support/gunzip.hpp"
#include "tests/trace/simple_trace.hpp"

namespace qemon::test {

/// The whole content of a recording in tests/data, which is compressed there.
inline std::string recording(const std::string& name) {
  return gunzip(read_file(QEMON_TEST_DATA "/" + name));
}

/// A `simple` trace with a header, the mappings that it needs, and so many records of
/// simple-7.2.bin.gz, from the middle of it. Its catalog is simple-7.2.events.txt.
inline SimpleTrace recorded_simple(std::size_t count) {
  static const std::string all = recording("simple-7.2.bin.gz");
  const auto u64_at = [](std::size_t at) {
    std::uint64_t value = 0;
    std::memcpy(&value, all.data() + at, sizeof value);
    return value;
  };
  const auto u32_at = [&u64_at](std::size_t at) { return static_cast<std::uint32_t>(u64_at(at)); };
  std::map<std::uint64_t, std::string> names;
  std::map<std::uint64_t, std::string> used;
  std::vector<std::size_t> records;
  std::size_t seen = 0;
  for (std::size_t at = 24; at < all.size() && records.size() < count;) {
    const std::uint64_t id = u64_at(at + 8);
    if (u64_at(at) == 0) {
      names[id] = all.substr(at + 20, u32_at(at + 16));
      at += 20 + names[id].size();
    } else {
      if (++seen > 100'000) {
        records.push_back(at);
        used[id] = names.at(id);
      }
      at += 8 + u32_at(at + 24);
    }
  }
  SimpleTrace trace;
  trace.header();
  for (const auto& [id, name] : used) trace.mapping(id, name);
  for (const std::size_t at : records)
    trace.event(u64_at(at + 8), u64_at(at + 16), all.substr(at + 32, u32_at(at + 24) - 24),
                u32_at(at + 28));
  return trace;
}

/// Every `stride`th line of paired-7.2.jsonl.gz: many events, one or a few lines each, with the
/// thread and the time in front. Its catalog is catalog_excerpt().
inline std::string recorded_log(std::size_t stride) {
  std::istringstream pairs(recording("paired-7.2.jsonl.gz"));
  std::string log;
  std::size_t number = 0;
  for (std::string text; std::getline(pairs, text);) {
    if (number++ % stride == 0)
      log += nlohmann::json::parse(text)["line"].get<std::string>() + "\n";
  }
  return log;
}

}  // namespace qemon::test
