// PackRun: a VM's engine with packs, fed with lines of a trace, and the page that comes of it.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "exporters/engine.hpp"
#include "exporters/engine_metrics.hpp"
#include "exporters/metrics_page.hpp"
#include "exporters/pack.hpp"
#include "trace/catalog.hpp"
#include "trace/event_table.hpp"
#include "trace/log_decoder.hpp"

namespace qemon::test {

/// The head of a pack's file; its rules begin in line 5.
inline std::string pack_text(std::string_view rules, std::string_view name = "test") {
  return "version: 1\npack: " + std::string(name) + "\nhelp: A test.\nmetrics:\n" +
         std::string(rules);
}

/// The mistakes of a pack called x.yaml, a line each.
inline std::string mistakes_in(std::string_view text) {
  exporters::Mistakes mistakes("x.yaml");
  const auto pack = exporters::parse_pack(text, mistakes);
  std::string all = pack || !mistakes.empty() ? "" : "no pack and no mistake";
  for (const auto& line : mistakes.lines()) all += line + "\n";
  return all;
}

/// nullptr if it has mistakes.
inline std::shared_ptr<const exporters::Pack> parse(std::string_view text) {
  exporters::Mistakes mistakes("x.yaml");
  auto pack = exporters::parse_pack(text, mistakes);
  if (!pack) return nullptr;
  return std::make_shared<const exporters::Pack>(std::move(*pack));
}

inline constexpr std::string_view test_catalog =
    "disk_read(void *dev, uint64_t sector, uint32_t n) \"dev %p sector %\"PRIu64\" n %u\"\n"
    "disk_write(void *dev, uint64_t sector, uint32_t n) \"dev %p sector %\"PRIu64\" n %u\"\n"
    "disk_done(void *dev, int status) \"dev %p status %d\"\n"
    "line(int irq, int level) \"irq %d level %d\"\n"
    "region(const char *name, uint64_t addr, unsigned size) \"name '%s' addr 0x%\"PRIx64\" size "
    "%u\"\n"
    "bare(void) \"\"\n"
    "disable off(int a) \"a %d\"\n";

/// All VMs' families, as one text.
inline std::string page_of(const exporters::Engines& engines) {
  std::string text;
  for (const auto& collect : exporters::pack_families(engines))
    text += exporters::serialize(collect());
  return text;
}

class PackRun {
 public:
  /// An empty catalog stands for none: then the events are known by name only.
  explicit PackRun(std::string_view catalog_text = test_catalog, bool with_catalog = true)
      : catalog(trace::Catalog::parse(catalog_text).value()), decoder(events), engine(events) {
    for (const auto& event : catalog.events()) events.add(event.name);
    if (with_catalog) events.use_catalog(&catalog);
  }

  /// Runs one pack of these rules. Its mistakes, and what it leaves out, are in complaints().
  void use(std::string_view rules) { use_text(pack_text(rules)); }
  void use_text(std::string_view text) {
    exporters::Mistakes mistakes("x.yaml");
    auto parsed = exporters::parse_pack(text, mistakes);
    for (const auto& line : mistakes.lines()) complaints_ += line + "\n";
    if (!parsed) return;
    packs = {std::make_shared<const exporters::Pack>(std::move(*parsed))};
    engine.use(packs);
    complain(*engine.bound(packs.front()->name));
  }

  void feed(std::string_view lines) { decoder.decode(lines, engine); }

  [[nodiscard]] std::string page(bool has_times = true) {
    return page_of([&] {
      return std::vector<exporters::EngineOfVm>{{"web1", &engine, has_times}};
    });
  }
  /// The lines of the page that begin with `prefix`, without the label vm.
  [[nodiscard]] std::string samples(std::string_view prefix, bool has_times = true) {
    const std::string all = page(has_times);
    std::string found;
    for (std::size_t at = 0; at < all.size();) {
      const auto end = all.find('\n', at);
      auto line = all.substr(at, end - at);
      at = end + 1;
      if (!line.starts_with(prefix)) continue;
      for (const std::string_view vm : {"{vm=\"web1\"}", "vm=\"web1\","})
        if (const auto where = line.find(vm); where != std::string::npos)
          line.erase(where, vm.size());
      found += line + "\n";
    }
    return found;
  }

  [[nodiscard]] const std::string& complaints() const { return complaints_; }

  trace::Catalog catalog;
  trace::EventTable events;
  trace::LogDecoder decoder;
  exporters::Engine engine;
  std::vector<std::shared_ptr<const exporters::Pack>> packs;

 private:
  void complain(const exporters::BoundPack& bound) {
    for (const auto& line : bound.mistakes().lines()) complaints_ += line + "\n";
    for (const auto& [metric, why] : bound.not_offered())
      complaints_ += metric + " not offered: " + why + "\n";
  }

  std::string complaints_;
};

}  // namespace qemon::test
