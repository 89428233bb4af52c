#include "cli/profile_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <span>

#include "base/text.hpp"
#include "cli/heat_text.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

namespace qemon::cli {
namespace {

using Counter = exporters::TopValues::Entry;

constexpr auto right = Table::Align::right;

void print_line(std::string title, std::string_view text, std::ostream& out) {
  title.resize(10, ' ');
  out << title << printable(text) << '\n';
}

std::span<const Counter> busiest(const ExecutionProfile& profile, std::size_t top) {
  return std::span(profile.counters).first(std::min(top, profile.counters.size()));
}

std::string busiest_text(const Counter& counter, const ExecutionProfile& profile,
                         const Symbols& symbols) {
  std::string text = hexadecimal(counter.value);
  if (const auto symbol = symbols.find(counter.value)) text += " (" + *symbol + ")";
  text += ", " + counted(counter.count, "time") + ", " + share_text(counter.count, profile.samples);
  if (counter.error > 0) text += " (at most too high by " + std::to_string(counter.error) + ")";
  return text;
}

void print_counters(std::span<const Counter> counters, const ExecutionProfile& profile,
                    const Symbols& symbols, std::ostream& out) {
  const bool estimated =
      std::ranges::any_of(counters, [](const Counter& c) { return c.error > 0; });
  std::vector<Table::Column> columns{{"PROGRAM COUNTER"}};
  if (!symbols.empty()) columns.push_back({"SYMBOL"});
  columns.push_back({"COUNT", right});
  columns.push_back({"SHARE", right});
  if (estimated) columns.push_back({"AT MOST TOO HIGH BY", right});
  Table table(std::move(columns));
  for (const auto& counter : counters) {
    std::vector<std::string> row{hexadecimal(counter.value)};
    if (!symbols.empty()) row.push_back(symbols.find(counter.value).value_or("-"));
    row.push_back(std::to_string(counter.count));
    row.push_back(share_text(counter.count, profile.samples));
    if (estimated) row.push_back(std::to_string(counter.error));
    table.add(std::move(row));
  }
  out << '\n';
  table.print(out);
}

nlohmann::ordered_json symbol_json(const Symbols& symbols, std::uint64_t address) {
  const auto symbol = symbols.find(address);
  return symbol ? nlohmann::ordered_json(*symbol) : nlohmann::ordered_json(nullptr);
}

}  // namespace

std::string samples_text(const ExecutionProfile& profile) {
  return counted(profile.samples, profile.sample) + profile.sample_of;
}

std::string region_text(const ExecutionProfile& profile) {
  if (profile.pages.empty()) return "no page is known";
  return counted(profile.pages.size(), "page") + " from " + hexadecimal(profile.lowest) + " to " +
         hexadecimal(profile.highest);
}

void print_profile(const ExecutionProfile& profile, const Symbols& symbols, std::size_t top,
                   std::ostream& out) {
  print_line("source", profile.source, out);
  print_line("samples", samples_text(profile), out);
  std::string region = region_text(profile);
  if (!profile.pages.empty()) region += ", of " + binary_bytes(profile.page_bytes) + " each";
  if (profile.beyond_pages > 0)
    region += "; " + counted(profile.beyond_pages, "sample") + " in further pages";
  print_line("active", region, out);
  const auto counters = busiest(profile, top);
  if (!counters.empty())
    print_line("hottest", busiest_text(counters.front(), profile, symbols), out);
  if (counters.size() > 1) print_counters(counters, profile, symbols, out);
  out << '\n';
}

nlohmann::ordered_json profile_json(const ExecutionProfile& profile, const Symbols& symbols,
                                    std::size_t top) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["source"] = profile.source;
  json["kind"] = profile.kind;
  json["samples"] = profile.samples;
  json["samples_of"] = profile.sample + "s" + profile.sample_of;
  json["page_bytes"] = profile.page_bytes;
  json["active_pages"] = profile.pages.size();
  json["lowest"] = profile.empty() ? Json(nullptr) : Json(hexadecimal(profile.lowest));
  json["highest"] = profile.empty() ? Json(nullptr) : Json(hexadecimal(profile.highest));
  json["beyond_pages"] = profile.beyond_pages;
  json["top"] = Json::array();
  for (const auto& counter : busiest(profile, top)) {
    Json one;
    one["address"] = hexadecimal(counter.value);
    one["count"] = counter.count;
    one["error"] = counter.error;
    if (!symbols.empty()) one["symbol"] = symbol_json(symbols, counter.value);
    json["top"].push_back(std::move(one));
  }
  json["pages"] = Json::array();
  for (const auto& page : profile.pages) {
    Json one;
    one["address"] = hexadecimal(page.address);
    one["count"] = page.count;
    json["pages"].push_back(std::move(one));
  }
  return json;
}

}  // namespace qemon::cli
