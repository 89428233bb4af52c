#include "tests/fuzz/packs.hpp"

#include <set>
#include <string>

#include "exporters/engine_metrics.hpp"
#include "exporters/pack_library.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace qemon::fuzz {

const trace::Catalog& excerpt() {
  static const trace::Catalog catalog =
      trace::Catalog::load(QEMON_TEST_DATA "/catalog-7.2-excerpt.txt").value();
  return catalog;
}

void describe(trace::EventTable& events) {
  static const auto names = [] {
    std::vector<std::string> list;
    for (const auto& event : excerpt().events()) list.push_back(event.name);
    return std::make_shared<const trace::EventNames>(std::move(list));
  }();
  events.begin_process(names);
  events.use_catalog(&excerpt());
}

std::vector<std::shared_ptr<const exporters::Pack>> shipped_packs(
    std::span<const std::string_view> names) {
  static const auto library = [] {
    exporters::PackLibrary loaded;
    require(loaded.load(QEMON_PACKS, {}).empty(), "the packs that ship have no mistakes");
    return loaded;
  }();
  std::vector<std::shared_ptr<const exporters::Pack>> packs;
  for (const auto name : names) packs.push_back(library.find(name));
  return packs;
}

void require_sound_metrics(exporters::Engine& engine) {
  const exporters::Engines engines = [&engine] {
    return std::vector<exporters::EngineOfVm>{{"vm", &engine, true}};
  };
  for (const auto& collect : exporters::pack_families(engines)) {
    const auto family = collect();
    std::set<std::string> series;
    for (const auto& metric : family.metric) {
      std::string labels;
      for (const auto& label : metric.label) labels += label.name + "=" + label.value + '\0';
      require(series.insert(std::move(labels)).second, "a series is shown once");
    }
    require(!exporters::serialize(family).empty() || family.metric.empty(),
            "a family with samples has a text");
  }
}

}  // namespace qemon::fuzz
