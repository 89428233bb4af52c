// The part of ControlApi that lists, extends and ends leases, and ends them all.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <charconv>
#include <nlohmann/json.hpp>

#include "daemon/control_answers.hpp"
#include "daemon/control_api.hpp"
#include "daemon/switch_annotation.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_json.hpp"
#include "daemon/vm_request.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

std::shared_ptr<Vm> vm_of_lease(const Fleet& fleet, LeaseId id) {
  for (const auto& vm : fleet.vms())
    if (vm->leases().find(id) != nullptr) return vm;
  return nullptr;
}

std::optional<LeaseId> parse_id(const std::string& text) {
  LeaseId id = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

/// Leases are ended at once; only what QEMU has to be told may have to wait.
void say_what_waits(SwitchReport& report, const Vm& vm) {
  if (report.error.empty()) return;
  if (vm.leases().ours().empty()) {
    report.error.clear();
  } else {
    report.error += ": its events go off when the monitor is reached again";
  }
}

}  // namespace

HttpResponse ControlApi::list_leases(const HttpRequest& request) const {
  const auto* only = request.parameter("vm");
  if (only != nullptr && !fleet_.find(*only)) return no_such_vm(*only);
  std::vector<std::pair<LeaseId, json>> all;
  for (const auto& vm : fleet_.vms()) {
    if (only != nullptr && vm->name() != *only) continue;
    for (const auto& [id, lease] : vm->leases().all()) all.emplace_back(id, to_json(*vm, lease));
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  auto list = json::array();
  for (auto& [id, lease] : all) list.push_back(std::move(lease));
  json body;
  body["leases"] = std::move(list);
  return answer(body);
}

asio::awaitable<HttpResponse> ControlApi::change_lease(HttpRequest request) {
  const auto& text = request.segments[2];
  const auto id = parse_id(text);
  const auto vm = id ? vm_of_lease(fleet_, *id) : nullptr;
  if (!vm) co_return refuse(404, "there is no lease " + text + ": see qemon lease list");
  const auto body = parse_body(request);
  const auto action = body.is_discarded() ? std::string() : body.value("action", json()).dump();
  const auto asker = to_string(asker_of(request));
  if (action == "\"extend\"") {
    auto length = body.contains("seconds") ? parse_length(body.at("seconds"), "seconds")
                                           : Result<LeaseLength>(lease_length_);
    if (!length) co_return refuse(400, length.error().detail);
    auto extended = vm->set_lease_end(*id, *length);
    if (!extended) co_return refuse(404, extended.error().detail);
    const auto& lease = *vm->leases().find(*id);
    spdlog::info("{}: lease={} extended until={} by={}", vm->name(), *id, utc_text(lease.until),
                 asker);
    co_return answer(to_json(*vm, lease));
  }
  if (action != "\"end\"") co_return refuse(400, "\"action\" must be \"extend\" or \"end\"");
  SwitchAnnotation switched(off_text(*vm->leases().find(*id)));
  const auto pack = vm->leases().find(*id)->pack;
  const auto pending = vm->ask_to_end(*id);
  auto report = co_await vm->switched(pending);
  say_what_waits(report, *vm);
  switched.add(vm->name(), what_went_off(pack, report.changed));
  annotate(switched.finish("lease " + text + " ended by " + asker_of(request).user));
  spdlog::info("{}: lease={} ended events_off={} by={}", vm->name(), *id, report.changed.size(),
               asker);
  co_return answer(to_json(vm->name(), report));
}

/// Ends everything that qemon did, on one VM or on all.
asio::awaitable<HttpResponse> ControlApi::restore(HttpRequest request) {
  const auto body = parse_body(request);
  if (body.is_discarded()) co_return refuse(400, "the body is no JSON object");
  auto only = parse_vm(body);
  if (!only) co_return refuse(400, only.error().detail);
  if (!only->empty() && !fleet_.find(*only)) co_return no_such_vm(*only);
  const auto asker = to_string(asker_of(request));
  std::vector<std::pair<std::shared_ptr<Vm>, std::shared_ptr<Vm::SwitchRequest>>> asked;
  for (const auto& vm : fleet_.vms()) {
    if (!only->empty() && vm->name() != *only) continue;
    asked.emplace_back(vm, vm->ask_to_end_all());
  }
  auto list = json::array();
  SwitchAnnotation switched("events off");
  for (auto& [vm, pending] : asked) {
    auto report = co_await vm->switched(pending);
    say_what_waits(report, *vm);
    switched.add(vm->name(), report.changed);
    spdlog::info("{}: restored events_off={} leases_ended={} by={}", vm->name(),
                 report.changed.size(), report.ended.size(), asker);
    list.push_back(to_json(vm->name(), report));
  }
  annotate(switched.finish("restored by " + asker_of(request).user));
  json result;
  result["vms"] = std::move(list);
  co_return answer(result);
}

}  // namespace qemon::daemon
