// The part of ControlApi that shows what a VM's TCG plugin counts, and switches its level.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/control_answers.hpp"
#include "daemon/control_api.hpp"
#include "daemon/plugin_level.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_json.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

constexpr std::size_t default_hottest = 10, hottest_max = 1000;

json to_json(const plugin::Figures::OfVcpu& vcpu) {
  json accesses = json::array();
  for (std::size_t target = 0; target < plugin::access_targets; ++target) {
    for (std::size_t operation = 0; operation < plugin::access_operations; ++operation) {
      for (std::size_t size = 0; size < plugin::access_sizes; ++size) {
        const auto count = vcpu.counts.accesses[target][operation][size];
        if (count == 0) continue;
        accesses.push_back({{"target", target == plugin::target_device ? "device" : "ram"},
                            {"operation", operation == plugin::operation_store ? "store" : "load"},
                            {"size", 1U << size},
                            {"count", count}});
      }
    }
  }
  return {{"vcpu", vcpu.index},
          {"instructions", vcpu.counts.instructions},
          {"blocks", vcpu.counts.blocks},
          {"idles", vcpu.counts.idles},
          {"interrupts", vcpu.counts.interrupts},
          {"exceptions", vcpu.counts.exceptions},
          {"host_calls", vcpu.counts.host_calls},
          {"accesses", std::move(accesses)}};
}

/// The blocks in which most instructions were executed.
json hottest_json(std::vector<plugin::Block>& blocks, std::size_t count) {
  const auto executed = [](const plugin::Block& block) {
    return block.executions * block.instructions;
  };
  count = std::min(count, blocks.size());
  std::partial_sort(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(count),
                    blocks.end(), [&](const plugin::Block& a, const plugin::Block& b) {
                      return executed(a) != executed(b) ? executed(a) > executed(b)
                                                        : a.address < b.address;
                    });
  auto hottest = json::array();
  for (std::size_t at = 0; at < count && blocks[at].executions > 0; ++at) {
    const plugin::Block& block = blocks[at];
    hottest.push_back({{"address", block.address},
                       {"bytes", block.bytes},
                       {"instructions", block.instructions},
                       {"executions", block.executions},
                       {"executed_instructions", executed(block)}});
  }
  return hottest;
}

void add_blocks(json& shown, std::vector<plugin::Block> blocks, std::uint64_t beyond,
                std::size_t hottest) {
  std::array<std::uint64_t, plugin::instruction_classes> classes{};
  std::uint64_t executed = beyond;
  for (const auto& block : blocks) {
    executed += block.executions * block.instructions;
    for (std::size_t which = 0; which < classes.size(); ++which)
      classes[which] += block.executions * block.classes[which];
  }
  auto& by_class = shown["classes"] = json::object();
  for (std::size_t which = 0; which < classes.size(); ++which)
    by_class[std::string(plugin::class_name(which))] = classes[which];
  shown["executed_instructions"] = executed;
  shown["beyond_instructions"] = beyond;
  shown["hottest"] = hottest_json(blocks, hottest);
}

json to_json(const plugin::Figures& figures, const std::string& path,
             const std::optional<JournaledPluginLevel>& switched) {
  const auto& header = figures.header;
  json shown;
  shown["path"] = path;
  shown["target"] = std::string(header.target.begin(),
                                std::find(header.target.begin(), header.target.end(), '\0'));
  shown["system"] = header.system != 0;
  shown["api"] = header.api;
  shown["level"] = plugin::level_name(header.level);
  shown["wanted_level"] = plugin::level_name(header.wanted_level);
  shown["found_level"] = plugin::level_name(switched ? switched->found : header.wanted_level);
  add_end(shown, switched ? switched->until : std::nullopt);
  shown["discontinuities"] = header.has_discontinuities != 0;
  shown["translations"] = header.translations;
  shown["translated_instructions"] = header.translated_instructions;
  shown["flushes"] = header.flushes;
  auto vcpus = json::array();
  for (const auto& vcpu : figures.vcpus) vcpus.push_back(to_json(vcpu));
  shown["vcpus"] = std::move(vcpus);
  return shown;
}

}  // namespace

HttpResponse ControlApi::show_plugin(const std::string& name, const HttpRequest& request) const {
  const auto vm = fleet_.find(name);
  if (!vm) return no_such_vm(name);
  std::size_t hottest = default_hottest;
  if (const auto* text = request.parameter("hottest"); text != nullptr) {
    const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), hottest);
    if (code != std::errc() || end != text->data() + text->size() || hottest > hottest_max)
      return refuse(400, "\"hottest\" must be a number up to " + std::to_string(hottest_max));
  }
  const auto path = vm->plugin_path();
  if (!path) return refuse(409, name + ": " + path.error().detail);
  auto reader = open_plugin_figures(*path);
  if (!reader) return refuse(409, name + ": " + reader.error().detail);
  const auto figures = reader->read();
  if (!figures) return refuse(409, name + ": " + figures.error().detail);
  auto shown = to_json(*figures, *path, vm->collectors().changed().plugin_level);
  shown["vm"] = name;
  if (figures->header.block_count > 0) {
    auto blocks = reader->read_blocks();
    if (!blocks) return refuse(409, name + ": " + blocks.error().detail);
    add_blocks(shown, std::move(*blocks), figures->header.beyond_instructions, hottest);
  }
  return answer(shown);
}

HttpResponse ControlApi::switch_plugin(const std::string& name, const HttpRequest& request) {
  const auto vm = fleet_.find(name);
  if (!vm) return no_such_vm(name);
  const auto body = parse_body(request);
  const auto level = body.is_discarded() ? json::const_iterator() : body.find("level");
  if (body.is_discarded() || level == body.end() || !level->is_string())
    return refuse(400, "\"level\" must be count, memory, blocks or all");
  const auto wanted = plugin::level_named(level->get_ref<const std::string&>());
  if (!wanted) return refuse(400, wanted.error().detail);
  auto length = body.contains("seconds") ? parse_length(body.at("seconds"), "seconds")
                                         : Result<LeaseLength>(lease_length_);
  if (!length) return refuse(400, length.error().detail);
  const auto asker = to_string(asker_of(request));
  const auto switched = vm->switch_plugin_level(*wanted, *length);
  if (!switched) return refuse(409, name + ": " + switched.error().detail);
  const auto& kept = vm->collectors().changed().plugin_level;
  spdlog::info("{}: plugin level={} until={} by={}", name, plugin::level_name(*wanted),
               kept ? utc_text(kept->until) : "forever", asker);
  json done{{"vm", name}, {"level", plugin::level_name(*wanted)}};
  done["found_level"] = plugin::level_name(kept ? kept->found : *wanted);
  add_end(done, kept ? kept->until : std::nullopt);
  return answer(done);
}

}  // namespace qemon::daemon
