#include "cli/replay_report.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/metric_tables.hpp"
#include "cli/table.hpp"
#include "cli/text.hpp"
#include "exporters/engine_metrics.hpp"
#include "exporters/metrics_page.hpp"
#include "exporters/pair_table.hpp"

namespace qemon::cli {
namespace {

using Json = nlohmann::ordered_json;
using prometheus::MetricFamily;

constexpr auto right = Table::Align::right;

std::string date_of(std::int64_t epoch_ns) {
  const std::time_t seconds = epoch_ns / 1'000'000'000;
  std::tm parts{};
  std::array<char, 64> text{};
  if (::gmtime_r(&seconds, &parts) == nullptr) return "unknown";
  const auto size = std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return {text.data(), size};
}

std::string span_text(double seconds) {
  return seconds < 10 ? human_duration(seconds) : human_seconds(seconds);
}

std::uint64_t total_bytes(const TraceReplay& replay) {
  std::uint64_t bytes = 0;
  for (const auto& file : replay.files()) bytes += file.bytes;
  return bytes;
}

void append(std::string& list, const std::string& entry) {
  list += (list.empty() ? "" : ", ") + entry;
}

/// What could not be used; "none" if everything could.
std::string errors_of(const TraceReplay& replay) {
  const auto stats = replay.stats();
  std::string list;
  for (std::size_t i = 0; i < stats.errors.size(); ++i)
    if (stats.errors[i] > 0)
      append(list, std::to_string(stats.errors[i]) + " " +
                       std::string(trace::to_string(static_cast<trace::DecodeError>(i))));
  if (stats.resyncs > 0) append(list, counted(stats.resyncs, "resync"));
  if (stats.lost_bytes > 0) append(list, counted(stats.lost_bytes, "byte") + " passed over");
  if (replay.mismatches() > 0)
    append(list, counted(replay.mismatches(), "record") + " that the catalog does not fit");
  return list.empty() ? "none" : list;
}

}  // namespace

ReplayReport::ReplayReport(TraceReplay& replay, std::string vm, double seconds)
    : replay_(replay), vm_(std::move(vm)), seconds_(seconds) {
  const auto counts = replay.engine().counters().counts();
  for (trace::EventIndex event = 0; event < counts.size(); ++event)
    if (counts[event] > 0) events_.push_back({replay.events().name(event), counts[event]});
  std::ranges::stable_sort(events_, std::greater(), &Event::count);
}

double ReplayReport::span_seconds() const {
  const auto span = replay_.span();
  if (!span) return 0;
  return static_cast<double>(exporters::elapsed_ns(span->first_ns, span->last_ns)) / 1e9;
}

std::vector<std::pair<std::string, std::string>> ReplayReport::summary() const {
  std::vector<std::pair<std::string, std::string>> lines;
  std::vector<std::string> names;
  for (const auto& file : replay_.files())
    names.push_back(file.name + (file.compressed ? " (gzip)" : ""));
  lines.emplace_back("files", name_list(names));
  const auto bytes = total_bytes(replay_);
  std::string read = human_bytes(bytes) + " of trace in " + human_duration(seconds_);
  if (seconds_ > 0) {
    const auto rate = static_cast<double>(bytes) / seconds_;
    read += ", " + human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
  }
  lines.emplace_back("read", read);
  lines.emplace_back("format", replay_.format().empty() ? "unknown" : replay_.format());
  if (!replay_.catalog_path().empty()) lines.emplace_back("catalog", replay_.catalog_path());
  const auto span = replay_.span();
  const bool has_date = replay_.format() != "simple";
  lines.emplace_back("span", !span ? "unknown, since no record has a time"
                                   : span_text(span_seconds()) +
                                         (has_date ? ", from " + date_of(span->first_ns) : ""));
  const auto records = replay_.engine().counters().records();
  std::string text = std::to_string(records) + " of " + counted(events_.size(), "event");
  if (span_seconds() > 0)
    text += ", " + human_rate(static_cast<double>(records) / span_seconds()) + " per second";
  lines.emplace_back("records", text);
  lines.emplace_back("dropped", std::to_string(replay_.stats().dropped_events) + " by QEMU");
  lines.emplace_back("errors", errors_of(replay_));
  return lines;
}

std::vector<MetricFamily> ReplayReport::trace_families() const {
  const auto stats = replay_.stats();
  auto events = exporters::counter_family("qemu_trace_events_total",
                                          "Records of a trace event that QEMU wrote.");
  for (const auto& event : events_)
    exporters::add_sample(events, {{"vm", vm_}, {"event", event.name}}, event.count);
  auto dropped = exporters::counter_family(
      "qemu_trace_dropped_events_total",
      "Events that QEMU itself dropped because its trace buffer was full, as its trace says. "
      "The log backend never drops.");
  exporters::add_sample(dropped, {{"vm", vm_}}, stats.dropped_events);
  auto errors = exporters::counter_family(
      "qemond_trace_decode_errors_total",
      "What stood in the trace and was no record that could be used, by reason.");
  for (std::size_t i = 0; i < stats.errors.size(); ++i) {
    const auto reason = trace::to_string(static_cast<trace::DecodeError>(i));
    exporters::add_sample(errors, {{"vm", vm_}, {"reason", reason}}, stats.errors[i]);
  }
  std::vector<MetricFamily> families;
  families.push_back(std::move(events));
  families.push_back(std::move(dropped));
  families.push_back(std::move(errors));
  return families;
}

std::vector<MetricFamily> ReplayReport::pack_families() const {
  // A trace without records says nothing about times.
  const bool has_times = replay_.span() || replay_.stats().records == 0;
  const exporters::Engines engines = [this, has_times] {
    return std::vector<exporters::EngineOfVm>{{vm_, &replay_.engine(), has_times}};
  };
  std::vector<MetricFamily> families;
  for (const auto& collect : exporters::pack_families(engines)) families.push_back(collect());
  return families;
}

void ReplayReport::print_tables(std::ostream& out) const {
  const auto lines = summary();
  for (const auto& [name, value] : lines)
    out << name << std::string(10 - name.size(), ' ') << printable(value) << '\n';
  print_events(out);
  print_metric_tables(pack_families(), replay_.engine(), span_seconds(), out);
}

void ReplayReport::print_events(std::ostream& out) const {
  if (events_.empty()) return;
  std::vector<Table::Column> columns{{"EVENT"}, {"RECORDS", right}};
  if (span_seconds() > 0) columns.push_back({"PER SECOND", right});
  Table table(std::move(columns));
  for (const auto& event : events_) {
    std::vector<std::string> row{event.name, std::to_string(event.count)};
    if (span_seconds() > 0)
      row.push_back(human_rate(static_cast<double>(event.count) / span_seconds()));
    table.add(std::move(row));
  }
  out << '\n';
  table.print(out);
}

void ReplayReport::print_prometheus(std::ostream& out) const {
  for (const auto& [name, value] : summary())
    out << "# " << name << ": " << printable(value) << '\n';
  for (const auto& family : trace_families()) out << exporters::serialize(family);
  for (const auto& family : pack_families()) out << exporters::serialize(family);
}

Json ReplayReport::summary_json() const {
  const auto stats = replay_.stats();
  Json json;
  json["files"] = Json::array();
  for (const auto& file : replay_.files()) {
    Json one;
    one["name"] = file.name;
    one["compressed"] = file.compressed;
    one["trace_bytes"] = file.bytes;
    one["complete"] = file.complete;
    json["files"].push_back(std::move(one));
  }
  const auto text_or_null = [](const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
  };
  json["vm"] = vm_;
  json["format"] = text_or_null(replay_.format());
  json["catalog"] = text_or_null(replay_.catalog_path());
  json["first_ns"] = replay_.span() ? Json(replay_.span()->first_ns) : Json(nullptr);
  json["last_ns"] = replay_.span() ? Json(replay_.span()->last_ns) : Json(nullptr);
  json["span_seconds"] = replay_.span() ? Json(span_seconds()) : Json(nullptr);
  const auto records = replay_.engine().counters().records();
  json["records"] = records;
  json["records_per_second"] =
      span_seconds() > 0 ? Json(static_cast<double>(records) / span_seconds()) : Json(nullptr);
  json["dropped_events"] = stats.dropped_events;
  for (std::size_t i = 0; i < stats.errors.size(); ++i)
    json["errors"][std::string(trace::to_string(static_cast<trace::DecodeError>(i)))] =
        stats.errors[i];
  json["resyncs"] = stats.resyncs;
  json["lost_bytes"] = stats.lost_bytes;
  json["catalog_mismatches"] = replay_.mismatches();
  json["read_seconds"] = seconds_;
  return json;
}

Json ReplayReport::to_json() const {
  Json json;
  json["summary"] = summary_json();
  json["events"] = Json::array();
  for (const auto& event : events_) {
    Json one;
    one["name"] = event.name;
    one["count"] = event.count;
    one["per_second"] = span_seconds() > 0 ? Json(static_cast<double>(event.count) / span_seconds())
                                           : Json(nullptr);
    json["events"].push_back(std::move(one));
  }
  json["metrics"] = Json::array();
  for (const auto& family : pack_families())
    if (!family.metric.empty()) json["metrics"].push_back(metric_json(family));
  return json;
}

}  // namespace qemon::cli
