#include "cli/followed_rates.hpp"

#include <algorithm>
#include <ostream>
#include <string>
#include <utility>

#include "cli/metric_tables.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr std::uint64_t lines_below_a_head = 20;
constexpr std::size_t events_shown = 3;

/// A cell that ends at the same place in each line.
std::string cell(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, text.size()), ' ') + text;
}

std::string rate(std::uint64_t more, double seconds) {
  // Of less, a rate would say more of the clock than of the guest.
  constexpr double seconds_min = 0.01;
  return seconds > seconds_min ? human_rate(static_cast<double>(more) / seconds) : "-";
}

}  // namespace

void TraceRates::print(double seconds) {
  const auto counts = replay_.engine().counters().counts();
  before_.resize(counts.size());
  std::vector<std::pair<std::uint64_t, trace::EventIndex>> grown;
  std::uint64_t records = 0, more = 0;
  for (trace::EventIndex event = 0; event < counts.size(); ++event) {
    records += counts[event];
    const auto grew = counts[event] - before_[event];
    if (grew > 0) grown.emplace_back(grew, event);
    more += grew;
    before_[event] = counts[event];
  }
  std::ranges::sort(grown, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  const double passed = seconds - std::exchange(seconds_, seconds);
  if (lines_++ % lines_below_a_head == 0)
    out_ << cell("TIME", 8) << cell("RECORDS", 14) << cell("PER SECOND", 12) << "  MOST FREQUENT\n";
  out_ << cell(human_seconds(seconds), 8) << cell(std::to_string(records), 14)
       << cell(rate(more, passed), 12);
  for (std::size_t i = 0; i < std::min(grown.size(), events_shown); ++i)
    out_ << (i == 0 ? "  " : ", ") << printable(replay_.events().name(grown[i].second)) << ' '
         << rate(grown[i].first, passed) << "/s";
  out_ << std::endl;  // Whoever pipes it wants to see it now.
}

PluginRates::PluginRates(const plugin::Figures& begin, double seconds, std::ostream& out)
    : out_(out), before_(totals_of(begin)), seconds_(seconds) {}

PluginRates::Totals PluginRates::totals_of(const plugin::Figures& figures) {
  Totals now;
  for (const auto& vcpu : figures.vcpus) {
    now.instructions += vcpu.counts.instructions;
    now.blocks += vcpu.counts.blocks;
    for (const auto& target : vcpu.counts.accesses) {
      for (const auto count : target[plugin::operation_load]) now.loads += count;
      for (const auto count : target[plugin::operation_store]) now.stores += count;
    }
  }
  return now;
}

void PluginRates::print(const plugin::Figures& figures, double seconds) {
  const auto now = totals_of(figures);
  const auto before = std::exchange(before_, now);
  const double passed = seconds - std::exchange(seconds_, seconds);
  if (lines_++ % lines_below_a_head == 0)
    out_ << cell("TIME", 8) << cell("INSTRUCTIONS", 18) << cell("PER SECOND", 14)
         << cell("BLOCKS/S", 12) << cell("LOADS/S", 12) << cell("STORES/S", 12) << '\n';
  out_ << cell(human_seconds(seconds), 8) << cell(std::to_string(now.instructions), 18)
       << cell(rate(now.instructions - before.instructions, passed), 14)
       << cell(rate(now.blocks - before.blocks, passed), 12)
       << cell(rate(now.loads - before.loads, passed), 12)
       << cell(rate(now.stores - before.stores, passed), 12) << std::endl;
}

}  // namespace qemon::cli
