#include "daemon/config_check.hpp"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "exporters/pack_check.hpp"

namespace qemon::daemon {

std::vector<std::string> check_packs(const Config& config) {
  exporters::PackLibrary library;
  auto mistakes = library.load(exporters::shipped_pack_folder(), config.pack_folders);
  std::set<std::string> paths;
  const auto note = [&](const VmSettings& settings) {
    if (!settings.catalog.empty()) paths.insert(settings.catalog);
  };
  for (const auto& vm : config.vms) note(vm.settings);
  for (const auto& matching : config.settings) note(matching.settings);
  if (!config.catalog.empty()) paths.insert(config.catalog);
  if (mistakes.empty()) mistakes = unusable_packs(config, library);
  const auto catalogs = exporters::load_catalogs({paths.begin(), paths.end()});
  if (!catalogs && (!paths.empty() || !config.pack_folders.empty()))
    mistakes.push_back(catalogs.error().detail);
  if (!catalogs || !mistakes.empty()) return mistakes;
  for (const auto& folder : config.pack_folders) {
    std::error_code error;
    for (const auto& file : exporters::pack_files(folder, error)) {
      const auto check = exporters::check_pack_file(file, *catalogs);
      mistakes.insert(mistakes.end(), check.mistakes.lines().begin(), check.mistakes.lines().end());
    }
  }
  return mistakes;
}

std::vector<std::string> check_files(const Config& config) {
  auto mistakes = check_packs(config);
  for (auto& mistake : unusable_files(config.grafana)) mistakes.push_back(std::move(mistake));
  return mistakes;
}

std::vector<std::string> unusable_packs(const Config& config, const exporters::PackLibrary& packs) {
  std::set<std::string> wanted;
  for (const auto& vm : config.vms)
    wanted.insert(vm.settings.packs.begin(), vm.settings.packs.end());
  for (const auto& matching : config.settings)
    wanted.insert(matching.settings.packs.begin(), matching.settings.packs.end());
  std::vector<std::string> mistakes;
  const bool has_file = std::any_of(config.vms.begin(), config.vms.end(),
                                    [](const VmConfig& vm) { return vm.file.has_value(); });
  for (const auto& name : wanted) {
    const auto pack = packs.find(name);
    if (!pack) mistakes.push_back("packs: " + packs.no_such_pack(name));
    if (pack && pack->exec_log && !has_file)
      mistakes.push_back("packs: " + name +
                         " reads logs of -d exec, and no VM is such a file: use qemon replay, or "
                         "--vm NAME=file:PATH");
  }
  return mistakes;
}

}  // namespace qemon::daemon
