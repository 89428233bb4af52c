#include "daemon/config_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "base/duration.hpp"
#include "base/file.hpp"
#include "daemon/collector.hpp"
#include "daemon/option_checker.hpp"
#include "daemon/peer.hpp"
#include "exporters/pack.hpp"
#include "exporters/pack_library.hpp"
#include "exporters/yaml_document.hpp"
#include "exporters/yaml_reader.hpp"

namespace qemon::daemon {
namespace {

constexpr std::size_t file_bytes_max = 1024 * 1024;

using exporters::Mistakes;
using exporters::YamlNode;

class FileReader {
 public:
  FileReader(Config& config, Mistakes& mistakes) : config_(config), mistakes_(mistakes) {}

  void read(const YamlNode& file) {
    if (!exporters::refuse_other_keys(
            file,
            {"listen", "control_socket", "runtime_dir", "pack_dirs", "trace_space", "trace_events",
             "lease", "log_level", "control_groups", "read_groups", "grafana", "vms", "discover",
             "settings"},
            mistakes_)) {
      return;
    }
    text(file, "listen", config_.listen);
    if (!config_.listen.empty() && !is_listen_address(config_.listen)) {
      fail(*file.find("listen"), "listen: " + std::string(how_listen_addresses_look));
      config_.listen.clear();
    }
    text(file, "control_socket", config_.control_socket);
    text(file, "runtime_dir", config_.runtime_directory);
    text(file, "trace_events", config_.catalog);
    words(file, "pack_dirs",
          [&](const YamlNode& node) { config_.pack_folders.push_back(node.scalar); });
    config_.control_groups_given = file.find("control_groups") != nullptr;
    read_groups(file, "control_groups", config_.control_groups);
    read_groups(file, "read_groups", config_.read_groups);
    read_log_level(file);
    if (const auto* space = file.find("trace_space")) {
      config_.trace_space_bytes = parse_size(space->scalar);
      if (!config_.trace_space_bytes)
        fail(*space, "trace_space: write a size, for instance 64MiB or 1GiB");
    }
    if (const auto* lease = file.find("lease")) {
      config_.lease = parse_lease_length(lease->scalar);
      if (!config_.lease)
        fail(*lease, "lease: write a duration, for instance 10m, 2h or 1d, or forever");
    }
    if (const auto* grafana = file.find("grafana")) read_grafana(*grafana);
    each(file, "vms", [&](const YamlNode& node) { read_vm(node); });
    each(file, "discover", [&](const YamlNode& node) { read_discovery(node); });
    each(file, "settings", [&](const YamlNode& node) { read_matching(node); });
  }

 private:
  void read_groups(const YamlNode& file, std::string_view key, std::vector<std::string>& into) {
    words(file, key, [&](const YamlNode& node) {
      if (!find_group(node.scalar))
        fail(node, std::string(key) + ": there is no group \"" + node.scalar +
                       "\" on this host: make it, or name another");
      into.push_back(node.scalar);
    });
  }

  void read_log_level(const YamlNode& file) {
    const auto* level = file.find("log_level");
    if (level == nullptr) return;
    static constexpr std::array levels{"error", "warn", "info", "debug"};
    if (std::find(levels.begin(), levels.end(), level->scalar) == levels.end())
      fail(*level, "log_level: write error, warn, info or debug");
    config_.log_level = level->scalar;
  }

  void read_grafana(const YamlNode& node) {
    if (!exporters::refuse_other_keys(
            node, {"url", "token_file", "ca_file", "dashboard", "tags", "annotate"}, mistakes_))
      return;
    auto& grafana = config_.grafana;
    text(node, "url", grafana.url);
    text(node, "token_file", grafana.token_file);
    text(node, "ca_file", grafana.ca_file);
    text(node, "dashboard", grafana.dashboard);
    words(node, "tags", [&](const YamlNode& tag) { grafana.tags.push_back(tag.scalar); });
    if (const auto* annotate = node.find("annotate")) {
      grafana.topics.emplace();
      words(node, "annotate", [&](const YamlNode& word) { grafana.topics->insert(word.scalar); });
      if (grafana.topics->empty())
        fail(*annotate, "annotate: write some of " + annotation_topic_words());
    }
    for (const auto& [key, why] : mistakes_in(grafana)) {
      const auto* found = node.find(key);
      fail(found != nullptr ? *found : node, key + ": " + why);
    }
  }

  void read_vm(const YamlNode& node) {
    if (!exporters::refuse_other_keys(node,
                                      {"name", "address", "trace_events", "packs", "collectors",
                                       "poll_interval", "budget", "backend"},
                                      mistakes_)) {
      return;
    }
    VmConfig vm;
    text(node, "name", vm.name);
    if (!vm.name.empty() && !is_valid_vm_name(vm.name)) {
      fail(*node.find("name"),
           "name: \"" + vm.name +
               "\": use 1 to 64 letters, digits and _-.:@+, and no - or . in front");
    }
    const auto* address = node.find("address");
    if (address == nullptr)
      return fail(node, "vms: the address is missing, for instance unix:/run/vms/web1.qmp");
    const auto set = set_address(address->scalar, vm);
    if (!set) return fail(*address, "address: " + set.error().detail);
    for (const auto& other : config_.vms) {
      if (!vm.name.empty() && other.name == vm.name)
        fail(node, "name: " + vm.name + " is the name of another VM as well: choose another");
      if (other.address() == vm.address())
        fail(*address, "address: is that of another VM as well: each has a monitor of its own");
    }
    read_settings(node, vm.settings);
    config_.vms.push_back(std::move(vm));
  }

  void read_discovery(const YamlNode& node) {
    if (!exporters::refuse_other_keys(node, {"sockets", "protocol"}, mistakes_)) return;
    DiscoveryRule rule;
    text(node, "sockets", rule.sockets);
    if (rule.sockets.empty() || rule.sockets.front() != '/')
      fail(node, "sockets: write an absolute path with * or ?, for instance /run/vms/*.qmp");
    if (const auto* protocol = node.find("protocol")) {
      if (protocol->scalar == "hmp") rule.protocol = qmp::Protocol::hmp;
      if (protocol->scalar != "hmp" && protocol->scalar != "qmp")
        fail(*protocol, "protocol: write qmp, or hmp for human monitors");
    }
    config_.discovery.push_back(std::move(rule));
  }

  void read_matching(const YamlNode& node) {
    if (!exporters::refuse_other_keys(
            node,
            {"match", "trace_events", "packs", "collectors", "poll_interval", "budget", "backend"},
            mistakes_)) {
      return;
    }
    MatchingSettings matching;
    text(node, "match", matching.pattern);
    if (matching.pattern.empty())
      fail(node, "match: is missing: write a pattern of VM names, for instance \"web*\"");
    read_settings(node, matching.settings);
    config_.settings.push_back(std::move(matching));
  }

  void read_settings(const YamlNode& node, VmSettings& settings) {
    text(node, "trace_events", settings.catalog);
    words(node, "packs", [&](const YamlNode& pack) {
      if (!exporters::is_pack_name(pack.scalar))
        fail(pack, "packs: \"" + pack.scalar + "\" is no pack's name: see qemon pack list");
      settings.packs.insert(pack.scalar);
    });
    if (const auto* interval = node.find("poll_interval")) {
      settings.poll_interval = parse_interval(interval->scalar);
      if (!settings.poll_interval)
        fail(*interval, "poll_interval: write how often, from 100ms to 24h, for instance 5s");
    }
    if (const auto* backend = node.find("backend")) {
      const auto choice = parse_backend(backend->scalar);
      if (!choice) fail(*backend, "backend: " + choice.error().detail);
      if (choice) settings.backend = *choice;
    }
    read_budget(node, settings.budget);
    const auto* collectors = node.find("collectors");
    if (collectors == nullptr) return;
    if (!collectors->is_map())
      return fail(*collectors, "collectors: write {NAME: on, NAME: off, NAME: 30s}");
    for (const auto& entry : collectors->entries) read_collector(entry, settings);
  }

  /// `budget: unlimited` or `budget: {records: 100000, grace: 5s}`.
  void read_budget(const YamlNode& node, BudgetSettings& settings) {
    const auto* budget = node.find("budget");
    if (budget == nullptr) return;
    if (budget->is_scalar()) {
      const auto parsed = parse_budget(budget->scalar);
      if (!parsed) return fail(*budget, "budget: " + parsed.error().detail);
      settings = *parsed;
      return;
    }
    if (!budget->is_map())
      return fail(*budget, "budget: write unlimited, or {records: 100000, grace: 5s}");
    for (const auto& entry : budget->entries) {
      const auto set = set_budget_value(
          entry.key, entry.value.is_scalar() ? entry.value.scalar : std::string(), settings);
      if (!set) mistakes_.add(entry.line, "budget: " + set.error().detail);
    }
  }

  /// `NAME: on`, `NAME: off` or `NAME: 30s`, which also means on.
  void read_collector(const exporters::YamlEntry& entry, VmSettings& settings) {
    if (auto problem = unknown_collector(entry.key); !problem.empty())
      return mistakes_.add(entry.line, "collectors: " + problem);
    const auto collector =
        entry.value.is_scalar() ? parse_collector_settings(entry.value.scalar) : std::nullopt;
    if (!collector) {
      return mistakes_.add(entry.line,
                           "collectors: " + entry.key +
                               ": write on, off or how often, for instance 30s, or 30s/2s with a "
                               "deadline; from 100ms to 24h");
    }
    settings.collectors[entry.key] = *collector;
  }

  void text(const YamlNode& node, std::string_view key, std::string& into) {
    const auto* found = node.find(key);
    if (found == nullptr) return;
    if (!found->is_scalar() || found->scalar.empty())
      return fail(*found, std::string(key) + ": should be a text");
    into = found->scalar;
  }

  template <typename Read>
  void words(const YamlNode& node, std::string_view key, Read read) {
    const auto* list = node.find(key);
    if (list == nullptr) return;
    if (!list->is_sequence()) return fail(*list, std::string(key) + ": write a list, [A, B]");
    for (const auto& item : list->items) {
      if (!item.is_scalar() || item.scalar.empty()) {
        fail(item, std::string(key) + ": should be words");
      } else {
        read(item);
      }
    }
  }

  template <typename Read>
  void each(const YamlNode& node, std::string_view key, Read read) {
    const auto* list = node.find(key);
    if (list == nullptr || list->kind == YamlNode::Kind::null) return;
    if (!list->is_sequence()) return fail(*list, std::string(key) + ": write a list");
    for (const auto& item : list->items) read(item);
  }

  void fail(const YamlNode& node, const std::string& why) { mistakes_.add(node.line, why); }

  Config& config_;
  Mistakes& mistakes_;
};

/// Blank lines and comments only: a configuration that changes nothing.
bool says_nothing(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find_first_not_of(" \t\r");
    if (first != std::string::npos && line[first] != '#') return false;
  }
  return true;
}

}  // namespace

void read_config_file(const std::string& path, Config& config, Mistakes& mistakes) {
  const auto text = read_file(path, file_bytes_max);
  if (!text)
    return mistakes.add(
        0, "cannot be read: " + text.error().detail + ": name a configuration file with --config");
  if (says_nothing(*text)) return;
  const auto document = exporters::parse_yaml(*text, mistakes);
  if (!document) return;
  FileReader(config, mistakes).read(*document);
}

std::optional<std::chrono::milliseconds> parse_interval(std::string_view text) {
  constexpr std::chrono::milliseconds shortest{100};
  constexpr std::chrono::milliseconds longest = std::chrono::hours(24);
  const auto interval = parse_duration(text);
  if (!interval || *interval < shortest || *interval > longest) return std::nullopt;
  return interval;
}

std::optional<CollectorSettings> parse_collector_settings(std::string_view text) {
  CollectorSettings settings;
  const auto slash = text.find('/');
  const auto how = text.substr(0, slash);
  if (slash != std::string_view::npos) {
    settings.deadline = parse_interval(text.substr(slash + 1));
    if (!settings.deadline) return std::nullopt;
  }
  settings.on = how != "off" && how != "false";
  if (how == "on" || how == "true" || !*settings.on) return settings;
  settings.interval = parse_interval(how);
  if (!settings.interval) return std::nullopt;
  return settings;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code != std::errc() || number == 0) return std::nullopt;
  std::string unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  static const std::array<std::pair<std::string_view, unsigned>, 14> units{{{"", 0},
                                                                            {"b", 0},
                                                                            {"k", 10},
                                                                            {"kb", 10},
                                                                            {"kib", 10},
                                                                            {"m", 20},
                                                                            {"mb", 20},
                                                                            {"mib", 20},
                                                                            {"g", 30},
                                                                            {"gb", 30},
                                                                            {"gib", 30},
                                                                            {"t", 40},
                                                                            {"tb", 40},
                                                                            {"tib", 40}}};
  for (const auto& [name, shift] : units) {
    if (name == unit && number <= std::uint64_t{1} << (62 - shift)) return number << shift;
  }
  return std::nullopt;
}

}  // namespace qemon::daemon
