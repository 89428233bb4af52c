#include "daemon/experiment_store.hpp"

#include <algorithm>
#include <utility>

#include "base/json_nesting.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

constexpr std::string_view suffix = ".json";
// 10,000 series with long labels and 500 curves of 600 points are about 8 MiB.
constexpr std::size_t file_bytes_max = std::size_t{32} << 20;

std::string file_of(const std::string& name) {
  return name + std::string(suffix);
}

/// Names instead of summaries.
json header_in(const json& summary) {
  auto header = summary;
  auto names = json::array();
  for (const auto& vm : summary.at("vms"))
    names.push_back(vm.is_object() ? vm.value("vm", json("")) : vm);
  header["vms"] = std::move(names);
  return header;
}

/// Whether a file holds what we write: it may be anything by now.
bool is_sound(const json& summary, const std::string& file) {
  return summary.is_object() && summary.contains("vms") && summary["vms"].is_array() &&
         summary.contains("name") && summary["name"].is_string() &&
         file_of(summary["name"].get<std::string>()) == file && summary.contains("started") &&
         summary["started"].is_number() && summary.contains("state") &&
         summary["state"].is_string();
}

}  // namespace

Result<ExperimentStore::Opened> ExperimentStore::open(const std::string& runtime_directory) {
  auto folder = PrivateFolder::open(runtime_directory + "/experiments", PrivateFolder::Open::make);
  if (!folder) return folder.error();
  const auto files = folder->names(suffix);
  if (!files) return files.error();
  Opened opened{ExperimentStore(std::move(*folder)), {}, {}};
  auto& store = opened.store;
  for (const auto& file : *files) {
    const auto refuse = [&](const std::string& why) {
      opened.refused.push_back(store.folder_.path() + "/" + file + ": " + why);
    };
    const auto text = store.folder_.read(file, file_bytes_max);
    if (!text) {
      refuse(text.error().detail);
      continue;
    }
    auto summary =
        nests_deeper_than(*text, json_depth_max) ? json() : json::parse(*text, nullptr, false);
    if (!is_sound(summary, file)) {
      refuse("is no experiment of qemond");
      continue;
    }
    if (summary["state"] == "running") {
      opened.running.push_back(std::move(summary));
    } else {
      const auto name = summary["name"].get<std::string>();
      store.headers_[name] = header_in(summary);
      store.sizes_[name] = text->size();
    }
  }
  store.make_room({});
  return opened;
}

Result<std::string> ExperimentStore::read(const std::string& name) const {
  auto text = folder_.read(file_of(name), file_bytes_max);
  if (!text) return wrap(text.error(), folder_.path() + "/" + file_of(name));
  return text;
}

Result<void> ExperimentStore::write_running(const std::string& name, const json& about) {
  auto written =
      folder_.write(file_of(name), about.dump(-1, ' ', false, json::error_handler_t::replace));
  if (!written) return written;
  headers_.erase(name);
  sizes_.erase(name);
  return written;
}

Result<void> ExperimentStore::write(const std::string& name, json header, const json& summary) {
  const auto text = summary.dump(-1, ' ', false, json::error_handler_t::replace);
  auto written = folder_.write(file_of(name), text);
  if (!written) return written;
  headers_[name] = std::move(header);
  sizes_[name] = text.size();
  make_room(name);
  return Result<void>();
}

Result<void> ExperimentStore::remove(const std::string& name) {
  headers_.erase(name);
  sizes_.erase(name);
  return folder_.remove(file_of(name));
}

void ExperimentStore::make_room(const std::string& except) {
  const auto bytes = [&] {
    std::size_t sum = 0;
    for (const auto& [name, size] : sizes_) sum += size;
    return sum;
  };
  while (headers_.size() > kept_max || bytes() > bytes_max) {
    auto oldest = headers_.end();
    for (auto each = headers_.begin(); each != headers_.end(); ++each) {
      if (each->first == except) continue;
      if (oldest == headers_.end() ||
          each->second["started"].get<double>() < oldest->second["started"].get<double>())
        oldest = each;
    }
    if (oldest == headers_.end()) return;
    const auto name = oldest->first;
    std::ignore = remove(name);
  }
}

}  // namespace qemon::daemon
