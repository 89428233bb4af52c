#include "exporters/pack_library.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.hpp"

namespace qemon::exporters {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t pack_bytes_max = 1024 * 1024;

std::set<std::string> events_of(const Rule& rule) {
  std::set<std::string> names;
  for (const auto* choices : {&rule.events, &rule.ends})
    for (const auto& choice : *choices) names.insert(choice.names.begin(), choice.names.end());
  return names;
}

/// One metric may come from several packs, if they agree on it and count no record twice.
void check_metrics(const PackLibrary::Packs& packs, std::vector<std::string>& mistakes) {
  struct Made {
    const Pack* pack;
    const Rule* rule;
  };
  std::map<std::string, std::vector<Made>> made;
  for (const auto& [name, pack] : packs) {
    for (const auto& rule : pack->rules) {
      for (const auto& other : made[rule.metric]) {
        if (other.pack == pack.get()) continue;
        const auto both = events_of(rule);
        const auto others = events_of(*other.rule);
        const auto same = std::find_if(both.begin(), both.end(),
                                       [&](const auto& event) { return others.contains(event); });
        std::string why;
        if (rule.shape != other.rule->shape) {
          why = "in another form: give this one a name of its own";
        } else if (same != both.end()) {
          why = "of the same event " + *same + ", which would be counted twice";
        } else {
          continue;
        }
        mistakes.push_back(pack->file + ":" + std::to_string(rule.line) + ": " + rule.metric +
                           ": pack " + other.pack->name + " (" + other.pack->file + ":" +
                           std::to_string(other.rule->line) + ") makes it as well, " + why);
        break;
      }
      made[rule.metric].push_back({pack.get(), &rule});
    }
  }
}

}  // namespace

std::vector<std::string> pack_files(const std::string& folder, std::error_code& error) {
  std::vector<std::string> files;
  for (fs::directory_iterator each(folder, error), end; !error && each != end;
       each.increment(error)) {
    const auto name = each->path().filename().string();
    const auto extension = each->path().extension();
    if ((extension == ".yaml" || extension == ".yml") && !name.starts_with('.'))
      files.push_back(each->path().string());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::shared_ptr<const Pack> load_pack(const std::string& path, Mistakes& mistakes) {
  const auto text = read_file(path, pack_bytes_max);
  if (!text) {
    mistakes.add(0, "cannot be read: " + text.error().detail);
    return nullptr;
  }
  auto pack = parse_pack(*text, mistakes);
  if (!pack) return nullptr;
  return std::make_shared<const Pack>(std::move(*pack));
}

std::vector<std::string> PackLibrary::load(const std::string& shipped,
                                           const std::vector<std::string>& folders) {
  std::vector<std::string> mistakes;
  Packs loaded;
  const auto load_folder = [&](const std::string& folder, bool required) {
    std::error_code error;
    std::set<std::string> of_this_folder;
    for (const auto& file : pack_files(folder, error)) {
      Mistakes found(file);
      auto pack = load_pack(file, found);
      mistakes.insert(mistakes.end(), found.lines().begin(), found.lines().end());
      if (!pack) continue;
      if (!of_this_folder.insert(pack->name).second) {
        mistakes.push_back(file + ": pack: " + pack->name +
                           " is the name of another pack in this folder as well");
        continue;
      }
      const auto before = packs_.find(pack->name);
      const bool same = before != packs_.end() && before->second->text == pack->text &&
                        before->second->file == pack->file;
      loaded[pack->name] = same ? before->second : pack;
    }
    if (error && required)
      mistakes.push_back("--pack-dir " + folder + ": " + error.message() +
                         ": make it, or name another folder");
  };
  load_folder(shipped, false);
  for (const auto& folder : folders) load_folder(folder, true);
  if (mistakes.empty()) check_metrics(loaded, mistakes);
  if (mistakes.empty()) packs_ = std::move(loaded);
  return mistakes;
}

Result<std::string> PackLibrary::add_file(const std::string& path) {
  Mistakes found(path);
  const auto pack = load_pack(path, found);
  if (!pack) return Error{found.lines().front()};
  auto packs = packs_;
  packs[pack->name] = pack;
  std::vector<std::string> mistakes;
  check_metrics(packs, mistakes);
  if (!mistakes.empty()) return Error{mistakes.front()};
  packs_ = std::move(packs);
  return {boost::system::in_place_value, pack->name};
}

std::shared_ptr<const Pack> PackLibrary::find(std::string_view name) const {
  const auto found = packs_.find(name);
  return found == packs_.end() ? nullptr : found->second;
}

std::string PackLibrary::no_such_pack(std::string_view name) const {
  std::vector<std::string_view> names;
  std::string all;
  for (const auto& [each, pack] : packs_) {
    names.push_back(each);
    all += (all.empty() ? "" : ", ") + each;
  }
  const auto guess = did_you_mean(name, names);
  return "there is no pack " + std::string(name) + ":" +
         (guess.empty() ? " there is " + (all.empty() ? "none" : all) : guess);
}

std::string shipped_pack_folder() {
  std::error_code error;
  const auto program = fs::read_symlink("/proc/self/exe", error);
  if (error) return {};
  return (program.parent_path().parent_path() / "share/qemon/packs").string();
}

}  // namespace qemon::exporters
