#include "daemon/collector.hpp"

#include <string_view>

#include "exporters/mistakes.hpp"

namespace qemon::daemon {

std::string unknown_collector(const std::string& name) {
  std::string all;
  const auto collectors = make_collectors();
  std::vector<std::string_view> names;
  for (const auto& collector : collectors) {
    if (collector.name == name) return {};
    names.push_back(collector.name);
    all += (all.empty() ? "" : ", ") + collector.name;
  }
  const auto guess = exporters::did_you_mean(name, names);
  return "there is no collector " + name + ":" + (guess.empty() ? " there are " + all : guess);
}

}  // namespace qemon::daemon
