#include "exporters/pack_check.hpp"

#include <filesystem>
#include <map>
#include <set>

#include "exporters/bound_pack.hpp"
#include "exporters/pack_library.hpp"
#include "trace/catalog_places.hpp"
#include "trace/event_table.hpp"
#include "trace/exec_log_decoder.hpp"

namespace qemon::exporters {
namespace {

class Checker {
 public:
  Checker(const Pack& pack, std::span<const NamedCatalog> catalogs)
      : pack_(pack), catalogs_(catalogs), check_{Mistakes(pack.file), {}} {}

  PackCheck run() {
    for (const auto& each : catalogs_) bind(each);
    for (const auto& rule : pack_.rules) {
      for (const auto& choice : rule.events) find(choice, rule.ends.empty() ? "events" : "begin");
      for (const auto& choice : rule.ends) find(choice, "end");
    }
    return std::move(check_);
  }

 private:
  void bind(const NamedCatalog& named) {
    trace::EventTable events;
    for (const auto& event : named.catalog->events()) events.add(event.name);
    events.use_catalog(named.catalog.get());
    std::map<std::string, Metric> metrics;
    const BoundPack bound(pack_, events, [&](const Rule& rule) -> Metric& {
      return metrics.try_emplace(rule.metric, rule.metric, rule.help, rule.shape).first->second;
    });
    for (const auto& mistake : bound.mistakes().lines()) {
      if (told_.insert(mistake).second)
        check_.mistakes.add_line(mistake + (catalogs_.size() > 1 ? " (" + named.name + ")" : ""));
    }
    for (const auto& each : bound.left_out()) {
      if (!each.lacks_events) continue;
      check_.notes.push_back(pack_.file + ":" + std::to_string(each.rule->line) + ": " +
                             each.rule->metric + ": this rule is left out: " + named.name + " " +
                             each.why);
    }
  }

  /// Whether any catalog has one of the events.
  void find(const EventChoice& choice, const std::string& key) {
    std::vector<std::string_view> names;
    for (const auto& each : catalogs_) {
      for (const auto& name : choice.names)
        if (each.catalog->find(name) != nullptr) return;
      for (const auto& event : each.catalog->events()) names.push_back(event.name);
    }
    std::string wanted;
    for (const auto& name : choice.names) wanted += (wanted.empty() ? "" : " or ") + name;
    std::string all;
    for (const auto& each : catalogs_) all += (all.empty() ? "" : " or ") + each.name;
    const auto guess = did_you_mean(choice.names.front(), names);
    check_.mistakes.add(
        choice.line,
        key + ": there is no event " + wanted + " in " + all +
            (guess.empty() ? "; of another QEMU, give its --trace-events" : ":" + guess));
  }

  const Pack& pack_;
  std::span<const NamedCatalog> catalogs_;
  PackCheck check_;
  std::set<std::string> told_;
};

}  // namespace

PackCheck check_pack(const Pack& pack, std::span<const NamedCatalog> catalogs) {
  if (!pack.exec_log) return Checker(pack, catalogs).run();
  const std::vector<NamedCatalog> own{
      {"logs of -d exec", std::make_shared<const trace::Catalog>(trace::exec_log_catalog())}};
  return Checker(pack, own).run();
}

Result<std::vector<NamedCatalog>> load_catalogs(const std::vector<std::string>& paths) {
  std::vector<NamedCatalog> catalogs;
  auto wanted = paths;
  if (wanted.empty()) {
    for (const auto& place : trace::catalog_places())
      if (wanted.empty() && std::filesystem::exists(place)) wanted.push_back(place);
  }
  if (wanted.empty()) {
    return Error{
        "no trace-events-all is installed, so events cannot be checked: give that of your QEMU "
        "with --trace-events FILE"};
  }
  for (const auto& path : wanted) {
    auto catalog = trace::Catalog::load(path);
    if (!catalog) {
      Error error = catalog.error();
      // What is in it, the catalog says itself.
      if (error.code) error.detail += "; name the trace-events-all file of this QEMU";
      return error;
    }
    catalogs.push_back({path, std::make_shared<const trace::Catalog>(std::move(*catalog))});
  }
  return catalogs;
}

PackCheck check_pack_file(const std::string& path, std::span<const NamedCatalog> catalogs) {
  PackCheck check{Mistakes(path), {}};
  const auto pack = load_pack(path, check.mistakes);
  return pack ? check_pack(*pack, catalogs) : check;
}

}  // namespace qemon::exporters
