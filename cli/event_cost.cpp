// qemon event cost: what events cost when they are on.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/fields.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr auto right = Table::Align::right;
// qemond measures at most 50 events of each VM, with ten windows of at most 5 s for each.
constexpr std::chrono::hours answer_max{1};

std::string rate_text(const std::optional<double>& rate) {
  if (!rate) return "-";
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), *rate > 0 && *rate < 100 ? "%.1f" : "%.0f", *rate);
  return text.data();
}

std::string cpu_text(const std::optional<double>& cores) {
  if (!cores) return "-";
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "+%.1f %% of a core", *cores * 100);
  return text.data();
}

std::string per_record_text(const std::optional<double>& seconds) {
  if (!seconds) return "-";
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), *seconds < 1e-6 ? "%.2f us" : "%.1f us", *seconds * 1e6);
  return text.data();
}

/// For the parser: empty if it is the length of a window.
std::string check_window(const std::string& text) {
  const Result<double> seconds = parse_seconds(text);
  if (!seconds) return seconds.error().detail;
  return *seconds >= 0.01 && *seconds <= 5 ? std::string() : "'" + text + "' is not 10ms to 5s";
}

void show_cost(const Invocation& invocation, CommandContext& context) {
  Json body;
  body["patterns"] = invocation.patterns;
  if (!invocation.sample.empty()) body["seconds"] = parse_seconds(invocation.sample).value();
  if (!invocation.vm.empty()) body["vm"] = invocation.vm;
  const Result<Json> answer = context.client().patient(answer_max).post("/v1/events/cost", body);
  if (!answer) return context.fail(answer.error().detail);

  const Json& vms = array_at(*answer, "vms");
  if (vms.empty()) return context.fail("qemond watches no VM: start it with --vm NAME=ADDRESS");
  Table table({{"VM"},
               {"EVENT"},
               {"BACKEND"},
               {"RECORDS/S", right},
               {"BYTES/S", right},
               {"DROPS", right},
               {"CPU", right},
               {"PER RECORD", right},
               {"NOTE"}});
  // An event's rows together, so that VMs with different backends are compared.
  std::vector<std::pair<std::size_t, std::vector<std::string>>> rows;
  std::map<std::string, std::size_t> places;
  for (const Json& vm : vms) {
    const std::string name = text_at(vm, "vm");
    for (const Json& event : array_at(vm, "events")) {
      const auto place = places.emplace(text_at(event, "name"), places.size()).first->second;
      std::vector<std::string> row{name,
                                   text_at(event, "name"),
                                   text_at(vm, "backend"),
                                   rate_text(number_at(event, "records_per_second")),
                                   rate_text(number_at(event, "bytes_per_second")),
                                   std::to_string(count_at(event, "dropped")),
                                   cpu_text(number_at(event, "cpu_cores")),
                                   per_record_text(number_at(event, "cpu_seconds_per_record")),
                                   text_at(event, "note")};
      rows.emplace_back(place, std::move(row));
    }
    for (const std::string& pattern : texts_at(vm, "unknown"))
      context.fail(name + ": no event matches '" + pattern + "': see 'qemon event list'");
    if (const std::string error = text_at(vm, "error"); !error.empty())
      context.fail(name + ": " + error);
  }
  std::ranges::stable_sort(rows, {}, [](const auto& row) { return row.first; });
  for (auto& [place, row] : rows) table.add(std::move(row));
  if (context.json()) {
    context.print(*answer);
  } else if (!rows.empty()) {
    table.print(context.out());
  }
}

}  // namespace

void add_event_cost_command(CLI::App& event, Invocation& invocation) {
  CLI::App* const cost = event.add_subcommand(
      "cost", "Switch events on for a moment and tell how often they occur and what they cost");
  cost->add_option("GLOB", invocation.patterns,
                   "Names, or patterns with * and ? as in QEMU, of at most 50 events; quote them")
      ->required()
      ->type_name("")
      ->check(CLI::Validator(not_empty()));
  cost->add_option("--vm", invocation.vm, "Only on this VM (otherwise on all)")
      ->type_name("NAME")
      ->check(not_empty());
  cost->add_option("--sample", invocation.sample,
                   "For how long at a time, five times on and five times off (default: 200ms)")
      ->type_name("DURATION")
      ->check(CLI::Validator(check_window, ""));
  cost->footer("Example:\n  qemon event cost exec_tb 'memory_region_ops_*' --vm web1");
  cost->callback([&invocation] { invocation.command = show_cost; });
}

}  // namespace qemon::cli
