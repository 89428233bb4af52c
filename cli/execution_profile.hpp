// ExecutionProfile: which guest code was executed how often, as far as samples tell.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "exporters/heat_map.hpp"
#include "exporters/top_values.hpp"

namespace qemon::cli {

/// A finished profile: what is shown of it, in any form.
struct ExecutionProfile {
  struct Page {
    std::uint64_t address = 0;
    std::uint64_t count = 0;
  };

  std::string source;  ///< A file, or "VM web1".
  std::string kind;    ///< For programs: "exec-log", "cpu-log", "exec_tb", "tcg-plugin" or "pack".
  std::uint64_t samples = 0;
  /// Behind their number: "line" and " of -d exec".
  std::string sample, sample_of;
  std::uint64_t page_bytes = 0;
  std::vector<Page> pages;   ///< Those with samples, by address.
  std::uint64_t lowest = 0;  ///< The lowest and the highest program counter.
  std::uint64_t highest = 0;
  /// Samples of further pages, which there was no room for, or which are not told apart.
  std::uint64_t beyond_pages = 0;
  /// The most frequent program counters, busiest first.
  std::vector<exporters::TopValues::Entry> counters;

  [[nodiscard]] bool empty() const { return samples == 0; }
};

/// Collects samples, in memory that has a limit: 65,536 pages and as many program counters. Of more
/// counters than that the frequencies are estimates, whose errors are known.
class ProfileBuilder {
 public:
  /// `page_bytes`: a power of two.
  explicit ProfileBuilder(std::uint64_t page_bytes)
      : page_bytes_(page_bytes),
        pages_(static_cast<unsigned>(std::countr_zero(page_bytes)), pages_max, pages_max),
        counters_(counters_max) {}

  void hit(std::uint64_t counter, std::uint64_t count = 1) {
    samples_ += count;
    lowest_ = std::min(lowest_, counter);
    highest_ = std::max(highest_, counter);
    pages_.hit(counter, count);
    counters_.hit(counter, count);
  }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }
  /// Fills in what the samples tell.
  void finish(ExecutionProfile& profile);

 private:
  static constexpr std::size_t pages_max = 65'536, counters_max = 65'536;

  std::uint64_t page_bytes_;
  exporters::HeatMap pages_;
  exporters::TopValues counters_;
  std::uint64_t samples_ = 0;
  std::uint64_t lowest_ = ~std::uint64_t{0};
  std::uint64_t highest_ = 0;
};

}  // namespace qemon::cli
