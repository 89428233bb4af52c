#include "cli/complete.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/fields.hpp"
#include "cli/lease_text.hpp"
#include "cli/text.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::cli {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds answer_max{500};
/// VMs of the same QEMU have the same events, and a host has few QEMUs.
constexpr std::size_t kinds_of_qemu_max = 8;

/// Asks as long as there is time; an empty object afterwards, and for whatever goes wrong.
class Names {
 public:
  Names(const ControlClient& client, const WantedValue& wanted, Completion& into)
      : client_(client), wanted_(wanted), into_(into) {}

  void add_vms() {
    const Json answer = get("/v1/vms");
    for (const Json& vm : array_at(answer, "vms")) add(text_at(vm, "name"), text_at(vm, "state"));
  }

  void add_events() {
    if (wanted_.typed.find_first_of("*?") != std::string::npos) return;
    const bool off = wanted_.commands.back() == "off";
    std::set<std::string> names;
    for (const std::string& vm : vms_to_ask()) {
      const Json answer = get("/v1/events?pattern=" + percent_encode(wanted_.typed + "*") +
                              "&vm=" + percent_encode(vm) + (off ? "&enabled=1" : ""));
      for (const Json& each : array_at(answer, "vms"))
        for (const Json& event : array_at(each, "events"))
          if (off ? flag_at(event, "held") : text_at(event, "state") != "unavailable")
            names.insert(text_at(event, "name"));
    }
    for (const std::string& name : names) add(name, "");
  }

  void add_packs() {
    const bool off = wanted_.commands.back() == "off";
    const Json answer = get("/v1/packs" + (vm().empty() ? "" : "?vm=" + percent_encode(vm())));
    for (const Json& pack : array_at(answer, "packs")) {
      const Json& vms = array_at(pack, "vms");
      const auto is_on = [](const Json& fit) { return flag_at(fit, "on"); };
      if (off && std::none_of(vms.begin(), vms.end(), is_on)) continue;
      add(text_at(pack, "name"), text_at(pack, "help"));
    }
  }

  void add_leases() {
    const Json answer = get("/v1/leases");
    for (const Json& lease : array_at(answer, "leases"))
      add(std::to_string(count_at(lease, "id")),
          text_at(lease, "vm") + ": " + text_at(lease, "what") + ", until " + until_text(lease));
  }

  void add_experiments() {
    const bool running = wanted_.commands.back() == "stop";
    const Json answer = get("/v1/experiments");
    for (const Json& experiment : array_at(answer, "experiments")) {
      const std::string state = text_at(experiment, "state");
      if (!running || state == "running") add(text_at(experiment, "name"), state);
    }
  }

  void add_installed_packs() {
    exporters::PackLibrary library;
    if (!library.load(exporters::shipped_pack_folder(), {}).empty()) return;
    for (const auto& [name, pack] : library.packs()) add(name, pack->help);
  }

 private:
  [[nodiscard]] std::string vm() const {
    const auto found = wanted_.options.find("--vm");
    return found == wanted_.options.end() ? std::string() : found->second;
  }

  /// That of --vm, else one of each kind of QEMU.
  [[nodiscard]] std::set<std::string> vms_to_ask() const {
    if (!vm().empty()) return {vm()};
    std::set<std::string> kinds;
    std::set<std::string> names;
    const Json answer = get("/v1/vms");
    for (const Json& each : array_at(answer, "vms")) {
      const std::string kind = text_at(each, "qemu_version") + '\n' + text_at(each, "package") +
                               '\n' + text_at(each, "arch");
      // Those that are held are another VM's, though it be of the same kind.
      const bool held = wanted_.commands.back() == "off";
      if (held || kinds.insert(kind).second) names.insert(text_at(each, "name"));
      if (!held && names.size() == kinds_of_qemu_max) break;
    }
    return names;
  }

  [[nodiscard]] Json get(const std::string& target) const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - Clock::now());
    if (left.count() <= 0) return Json::object();
    Result<Json> answer = client_.patient(left).get(target);
    return answer ? std::move(*answer) : Json::object();
  }

  void add(const std::string& word, const std::string& help) {
    into_.candidates.push_back({word, help});
  }

  const ControlClient& client_;
  const WantedValue& wanted_;
  Completion& into_;
  const Clock::time_point end_ = Clock::now() + answer_max;
};

}  // namespace

void add_known_values(const ControlClient& client, const WantedValue& wanted, Completion& into) {
  const std::string group = wanted.commands.empty() ? "" : wanted.commands.front();
  const std::string command = wanted.commands.empty() ? "" : wanted.commands.back();
  Names names(client, wanted, into);
  if (group == "replay" || group == "follow") {
    if (wanted.name == "--pack") names.add_installed_packs();
  } else if (wanted.name == "--vm" || (group == "vm" && wanted.name == "NAME")) {
    if (command != "attach") names.add_vms();
  } else if (wanted.name == "FILE|VM" || wanted.name == "VM") {
    names.add_vms();
  } else if (group == "event" && wanted.name == "GLOB") {
    names.add_events();
  } else if (group == "pack" && wanted.name == "NAME") {
    names.add_packs();
  } else if (group == "experiment" && wanted.name == "--pack") {
    names.add_packs();
  } else if (group == "experiment" && wanted.name == "NAME") {
    if (command != "start") names.add_experiments();
  } else if (group == "lease" && wanted.name == "ID") {
    names.add_leases();
  }
}

}  // namespace qemon::cli
