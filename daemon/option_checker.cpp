#include "daemon/option_checker.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "daemon/collector.hpp"
#include "daemon/config_file.hpp"
#include "daemon/peer.hpp"
#include "exporters/pack.hpp"

namespace qemon::daemon {
namespace {

/// Splits NAME=VALUE at the first `=`.
std::optional<std::pair<std::string, std::string>> split_assignment(const std::string& text) {
  const auto at = text.find('=');
  if (at == std::string::npos) return std::nullopt;
  return std::pair{text.substr(0, at), text.substr(at + 1)};
}

}  // namespace

void OptionChecker::add_vm(const std::string& option, Config& config) {
  const auto parts = split_assignment(option);
  if (!parts || !is_valid_vm_name(parts->first)) {
    return fail("--vm " + option +
                ": write NAME=ADDRESS, with a name of 1 to 64 letters, digits and _-.:@+, "
                "for instance web1=unix:/run/vms/web1.qmp");
  }
  VmConfig vm;
  vm.name = parts->first;
  const auto address = set_address(parts->second, vm);
  if (!address) return fail("--vm " + option + ": " + address.error().detail);
  const bool taken = std::any_of(config.vms.begin(), config.vms.end(),
                                 [&](const VmConfig& each) { return each.name == vm.name; });
  if (taken) return fail("--vm " + option + ": the name " + parts->first + " is given twice");
  config.vms.push_back(std::move(vm));
}

void OptionChecker::add_catalog(const std::string& option, Config& config) {
  const auto parts = split_assignment(option);
  const bool named = parts && is_valid_vm_name(parts->first);
  const auto path = named ? parts->second : option;
  if (path.empty()) return fail("--trace-events " + option + ": the file's path is missing");
  bool used = !named;
  for (auto& vm : config.vms) {
    if (!named || vm.name != parts->first) continue;
    vm.settings.catalog = path;
    used = true;
  }
  if (!named) config.catalog = path;
  if (!used)
    fail("--trace-events " + option + ": there is no --vm " + parts->first + ": give it as well");
}

void OptionChecker::add_discovery(const std::string& option, Config& config) {
  DiscoveryRule rule;
  rule.sockets = option;
  if (option.starts_with("hmp:")) {
    rule.protocol = qmp::Protocol::hmp;
    rule.sockets = option.substr(4);
  }
  if (rule.sockets.empty() || rule.sockets.front() != '/')
    return fail("--discover " + option +
                ": write an absolute path with * or ?, for instance '/run/vms/*.qmp'");
  config.discovery.push_back(std::move(rule));
}

void OptionChecker::add_pack(const std::string& option, Config& config) {
  const auto parts = split_assignment(option);
  MatchingSettings matching{parts ? parts->first : "*", {}};
  const auto name = parts ? parts->second : option;
  if (!exporters::is_pack_name(name))
    return fail("--pack " + option + ": write the name of a pack, or VM=NAME; see qemon pack list");
  matching.settings.packs.insert(name);
  config.settings.push_back(std::move(matching));
}

void OptionChecker::add_collector(const std::string& option, Config& config) {
  const auto last = option.rfind('=');
  const auto wrong = [&] {
    fail("--collector " + option +
         ": write NAME=on, NAME=off, NAME=30s or NAME=30s/2s, with VM= in front for some VMs");
  };
  if (last == std::string::npos) return wrong();
  const auto parts = split_assignment(option.substr(0, last));
  MatchingSettings matching{parts ? parts->first : "*", {}};
  const auto name = parts ? parts->second : option.substr(0, last);
  const auto settings = parse_collector_settings(option.substr(last + 1));
  if (!settings) return wrong();
  if (auto problem = unknown_collector(name); !problem.empty())
    return fail("--collector " + option + ": " + problem);
  matching.settings.collectors[name] = *settings;
  config.settings.push_back(std::move(matching));
}

void OptionChecker::add_poll_interval(const std::string& option, Config& config) {
  const auto parts = split_assignment(option);
  MatchingSettings matching{parts ? parts->first : "*", {}};
  matching.settings.poll_interval = parse_interval(parts ? parts->second : option);
  if (!matching.settings.poll_interval)
    return fail("--poll-interval " + option +
                ": write how often, from 100ms to 24h, for instance 5s, with VM= in front for "
                "some VMs");
  config.settings.push_back(std::move(matching));
}

void OptionChecker::add_budget(const std::string& option, Config& config) {
  // "VM=records=1,grace=5s", "records=1", "VM=unlimited", "unlimited"
  const auto parts = split_assignment(option);
  const auto rest = parts ? parts->second : std::string();
  const bool named = parts && (rest.substr(0, rest.find(',')).find('=') != std::string::npos ||
                               (rest == "unlimited" && !is_budget_key(parts->first)));
  MatchingSettings matching{named ? parts->first : "*", {}};
  auto settings = parse_budget(named ? rest : option);
  if (!settings)
    return fail("--budget " + option + ": " + settings.error().detail +
                ", with VM= in front for some VMs");
  matching.settings.budget = *settings;
  config.settings.push_back(std::move(matching));
}

void OptionChecker::add_backend(const std::string& option, Config& config) {
  const auto parts = split_assignment(option);
  MatchingSettings matching{parts ? parts->first : "*", {}};
  const auto choice = parse_backend(parts ? parts->second : option);
  if (!choice)
    return fail("--backend " + option + ": " + choice.error().detail +
                ", with VM= in front for some VMs");
  matching.settings.backend = *choice;
  config.settings.push_back(std::move(matching));
}

void OptionChecker::check_groups(const std::string& option,
                                 const std::vector<std::string>& groups) {
  for (const auto& group : groups)
    if (!find_group(group))
      fail(option + " " + group +
           ": there is no such group on this host: make it, or name another");
}

void OptionChecker::check_listen(const std::string& listen) {
  if (!is_listen_address(listen)) fail("--listen " + listen + ": " + how_listen_addresses_look);
}

bool is_listen_address(const std::string& listen) {
  const auto colon = listen.rfind(':');
  const auto port = colon == std::string::npos ? std::string() : listen.substr(colon + 1);
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (colon == 0 || !digits || std::stoi(port) > 65535) return false;
  const auto host = listen.substr(0, colon);
  return host.starts_with('[') == host.ends_with(']');
}

}  // namespace qemon::daemon
