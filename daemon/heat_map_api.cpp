// The part of ControlApi that tells which code of a guest was executed: by the blocks that its TCG
// plugin counts, and by the heat maps of packs.
#include <charconv>
#include <nlohmann/json.hpp>
#include <variant>

#include "daemon/control_answers.hpp"
#include "daemon/control_api.hpp"
#include "daemon/plugin_level.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

constexpr std::uint64_t blocks_max = 8192;  // In one answer, which is half a megabyte then.

/// A parameter that is a number; what it is otherwise if it is not there.
Result<std::uint64_t> number_of(const HttpRequest& request, const char* name,
                                std::uint64_t otherwise) {
  const auto* const text = request.parameter(name);
  if (text == nullptr) return otherwise;
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (code != std::errc() || end != text->data() + text->size())
    return Error{"\"" + std::string(name) + "\" must be a number"};
  return number;
}

/// What the plugin has of blocks; null without one, and with why in `error`.
json plugin_json(const Vm& vm, std::string& error) {
  const auto path = vm.plugin_path();
  if (!path) {
    error = path.error().detail;
    return nullptr;
  }
  const auto reader = open_plugin_figures(*path);
  if (!reader) {
    error = reader.error().detail;
    return nullptr;
  }
  const auto header = reader->read_header();
  if (!header) {
    error = header.error().detail;
    return nullptr;
  }
  return {{"level", plugin::level_name(header->level)}, {"block_count", header->block_count}};
}

json ranges_json(const exporters::HeatMap& heat) {
  auto ranges = json::array();
  for (const auto& range : heat.series())
    ranges.push_back({{"address", range.address}, {"count", range.count}});
  return ranges;
}

json values_json(const exporters::TopValues& top, std::size_t most) {
  auto values = json::array();
  for (const auto& entry : top.top(most))
    values.push_back({{"value", entry.value}, {"count", entry.count}, {"error", entry.error}});
  return values;
}

}  // namespace

HttpResponse ControlApi::list_blocks(const std::string& name, const HttpRequest& request) const {
  const auto vm = fleet_.find(name);
  if (!vm) return no_such_vm(name);
  const auto first = number_of(request, "first", 0);
  if (!first) return refuse(400, first.error().detail);
  const auto count = number_of(request, "count", blocks_max);
  if (!count) return refuse(400, count.error().detail);
  if (*count == 0 || *count > blocks_max)
    return refuse(400, "\"count\" must be from 1 to " + std::to_string(blocks_max));
  const auto path = vm->plugin_path();
  if (!path) return refuse(409, name + ": " + path.error().detail);
  const auto reader = open_plugin_figures(*path);
  if (!reader) return refuse(409, name + ": " + reader.error().detail);
  const auto header = reader->read_header();
  if (!header) return refuse(409, name + ": " + header.error().detail);
  const auto blocks = reader->read_blocks(*first, *count);
  if (!blocks) return refuse(409, name + ": " + blocks.error().detail);
  auto list = json::array();
  for (const auto& block : *blocks)
    list.push_back(json::array({block.address, block.executions, block.instructions, block.bytes}));
  return answer({{"vm", name},
                 {"pid", header->pid},
                 {"block_count", header->block_count},
                 {"beyond_executions", header->beyond_executions},
                 {"blocks", std::move(list)}});
}

HttpResponse ControlApi::show_heat_maps(const std::string& name) const {
  const auto vm = fleet_.find(name);
  if (!vm) return no_such_vm(name);
  std::string plugin_error;
  json shown{{"vm", name}, {"plugin", plugin_json(*vm, plugin_error)}};
  shown["plugin_error"] = plugin_error;
  shown["backend"] = vm->router() != nullptr ? vm->router()->backend() : "unknown";
  auto heat_maps = json::array(), tops = json::array();
  for (const auto& [metric_name, metric] : vm->engine().metrics()) {
    if (!metric->is_offered) continue;
    metric->refresh();
    json one{{"name", metric_name}, {"help", metric->help()}};
    if (const auto* heat = std::get_if<exporters::HeatMap>(&metric->values())) {
      one["range_bytes"] = std::uint64_t{1} << metric->shape().range_shift;
      one["ranges"] = ranges_json(*heat);
      one["other"] = heat->other();
      heat_maps.push_back(std::move(one));
    } else if (const auto* top = std::get_if<exporters::TopValues>(&metric->values())) {
      one["values"] = values_json(*top, metric->shape().top);
      tops.push_back(std::move(one));
    }
  }
  shown["heatmaps"] = std::move(heat_maps);
  shown["top"] = std::move(tops);
  return answer(shown);
}

}  // namespace qemon::daemon
