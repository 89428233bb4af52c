// Any text as a file of the journal, of an experiment, and as the figures that experiments are made
// of.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "daemon/boot_clock.hpp"
#include "daemon/journal_entry.hpp"
#include "daemon/metric_snapshot.hpp"
#include "daemon/run_json.hpp"
#include "daemon/run_record.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_json.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/parked_daemon.hpp"

namespace qemon::fuzz {
namespace {

using nlohmann::json;

constexpr const char* name = "run";

void read_journal(std::string_view text) {
  auto entry = daemon::parse_journal_entry(text);
  if (!entry) return require_one_line(entry.error().detail, "an error is one line");
  require(!entry->process || entry->process->pid > 0, "a process is one process");
  require(!entry->trace.log_away || entry->trace.log_restore == "/dev/null" ||
              entry->trace.log_restore == "/proc/self/fd/2",
          "a log goes back to where no file is emptied");
  const auto again = daemon::parse_journal_entry(daemon::to_text(*entry));
  require(again.has_value() && *again == *entry, "what is written is read back");

  entry->boot = daemon::boot_id();
  ParkedDaemon daemon({std::move(*entry)});
  for (const auto& vm : daemon.fleet().vms()) {
    require(!daemon::to_json(*vm).empty(), "a VM that is taken up can be told");
    for (const auto& [id, lease] : vm->leases().all())
      require(daemon::to_json(*vm, lease).at("id") == id, "a lease that is taken up can be told");
  }
}

/// As a qemond that begins finds it.
void read_experiment(std::string_view text) {
  const auto folder = std::filesystem::path(runtime_directory()) / "experiments";
  std::filesystem::create_directories(folder);
  for (const auto& file : std::filesystem::directory_iterator(folder))
    std::filesystem::remove(file.path());
  std::ofstream(folder / (std::string(name) + ".json"), std::ios::binary) << text;

  ParkedDaemon daemon;
  auto& experiments = daemon.experiments();
  require(experiments.open(runtime_directory()).has_value(), "experiments can be kept");
  const auto list = experiments.list();
  require(list.is_array() && list.size() <= 1, "there is one experiment or none");
  require(experiments.info().metric.empty(), "no experiment runs");
  if (list.empty()) return;
  require(list.front().at("name") == name, "an experiment has the name of its file");
  require(list.front().at("state") != "running", "an experiment that ran is interrupted");
  const auto shown = experiments.show(name);
  require(shown && json::parse(*shown, nullptr, false).is_object(), "an experiment is an object");
  require(!experiments.extend(name, std::nullopt), "only an experiment that runs is extended");
  require(experiments.remove(name).has_value(), "an experiment that has ended is removed");
}

/// Two scrapes, one behind the other.
void read_figures(std::string_view text) {
  daemon::RunLimits limits;
  limits.series = 8;
  limits.curves = 4;
  limits.points = 4;
  daemon::RunRecord record(limits);
  double seconds = 0;
  while (!text.empty()) {
    daemon::MetricSnapshot snapshot;
    daemon::add_to_snapshot(take_until(text, "\n----\n"), snapshot);
    for (const auto& [series, value] : snapshot) {
      require(daemon::metric_name(series).size() <= series.size(), "a series has a name");
      std::ignore = daemon::labels_of(series);
    }
    daemon::RunRecord::Look look;
    look.seconds = seconds++;
    look.snapshot = &snapshot;
    record.add(look);
  }
  require(record.series().size() <= limits.series, "series are bounded");
  require(record.seconds().size() <= limits.points + 1, "points are bounded");
  json summary = json::object();
  daemon::add_figures(record, seconds, summary);
  // Labels of ours are UTF-8; here they may be anything, and whoever answers replaces what is not.
  const auto written = summary.dump(-1, ' ', false, json::error_handler_t::replace);
  require(json::parse(written, nullptr, false).is_object(), "a summary is JSON");
}

void run(std::string_view text) {
  if (text.starts_with('#') || text.starts_with("qemu_")) return read_figures(text);
  read_journal(text);
  read_experiment(text);
}

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qemon::fuzz::run(qemon::fuzz::text_of(data, size));
  return 0;
}
