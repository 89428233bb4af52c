#include "daemon/control_api.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/utf8.hpp"
#include "base/version.hpp"
#include "daemon/control_answers.hpp"
#include "daemon/switch_annotation.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_json.hpp"
#include "daemon/vm_request.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr double release_seconds_max = 24 * 3600;
/// For the log: "lease=7 until=2026-11-24T15:04:05Z".
std::string lease_text(const std::optional<GrantedLease>& lease) {
  if (!lease) return "lease=none";
  return "lease=" + std::to_string(lease->id) + " until=" + utc_text(lease->until);
}

/// For the log: nothing, or why it was not done.
std::string why_not(const SwitchReport& report) {
  return report.error.empty() ? std::string() : " failed=\"" + report.error + "\"";
}

}  // namespace

asio::awaitable<HttpResponse> ControlApi::handle(HttpRequest request) {
  const auto& path = request.segments;
  const bool get = request.method == "GET";
  const bool post = request.method == "POST";
  if (!get && (!request.peer || !can_control(*request.peer, policy_)))
    co_return refuse(403, who_may_control(policy_));
  if (!request.peer || !can_read(*request.peer, policy_))
    co_return refuse(403, who_may_read(policy_));
  if (path.size() == 2 && path[0] == "v1") {
    if (path[1] == "status") co_return get ? status() : wrong_method("GET");
    if (path[1] == "vms") co_return get ? vms() : wrong_method("GET");
    if (path[1] == "events" && get) co_return list_events(request);
    if (path[1] == "events" && post) co_return co_await switch_events(std::move(request));
    if (path[1] == "events") co_return wrong_method("GET, POST");
    if (path[1] == "packs" && get) co_return co_await list_packs(std::move(request));
    if (path[1] == "packs" && post) co_return co_await switch_packs(std::move(request));
    if (path[1] == "packs") co_return wrong_method("GET, POST");
    if (path[1] == "leases") co_return get ? list_leases(request) : wrong_method("GET");
    if (path[1] == "experiments" && get) co_return list_experiments();
    if (path[1] == "experiments" && post) co_return co_await start_experiment(std::move(request));
    if (path[1] == "experiments") co_return wrong_method("GET, POST");
    if (path[1] == "restore" && post) co_return co_await restore(std::move(request));
    if (path[1] == "restore") co_return wrong_method("POST");
    if (path[1] == "marks" && get) co_return list_marks(request);
    if (path[1] == "marks") co_return post ? add_mark(request) : wrong_method("GET, POST");
    if (path[1] == "reload") co_return post ? reload(request) : wrong_method("POST");
  }
  if (path.size() == 3 && path[0] == "v1" && path[1] == "leases") {
    if (!post) co_return wrong_method("POST");
    co_return co_await change_lease(std::move(request));
  }
  if (path.size() == 3 && path[0] == "v1" && path[1] == "experiments") {
    if (get) co_return show_experiment(path[2]);
    if (!post) co_return wrong_method("GET, POST");
    co_return co_await change_experiment(std::move(request));
  }
  if (path.size() == 3 && path[0] == "v1" && path[1] == "events" && path[2] == "cost") {
    if (!post) co_return wrong_method("POST");
    co_return co_await measure_events(std::move(request));
  }
  if (path.size() == 3 && path[0] == "v1" && path[1] == "packs")
    co_return get ? show_pack(path[2]) : wrong_method("GET");
  if (path.size() == 4 && path[0] == "v1" && path[1] == "vms" && path[3] == "release") {
    if (!post) co_return wrong_method("POST");
    co_return release(path[2], request);
  }
  if (path.size() == 4 && path[0] == "v1" && path[1] == "vms" && path[3] == "attach")
    co_return post ? attach(path[2], request) : wrong_method("POST");
  if (path.size() == 4 && path[0] == "v1" && path[1] == "vms" && path[3] == "detach")
    co_return post ? detach(path[2], request) : wrong_method("POST");
  if (path.size() == 4 && path[0] == "v1" && path[1] == "vms" && path[3] == "plugin") {
    if (get) co_return show_plugin(path[2], request);
    co_return post ? switch_plugin(path[2], request) : wrong_method("GET, POST");
  }
  if (path.size() == 5 && path[0] == "v1" && path[1] == "vms" && path[3] == "plugin" &&
      path[4] == "blocks")
    co_return get ? list_blocks(path[2], request) : wrong_method("GET");
  if (path.size() == 4 && path[0] == "v1" && path[1] == "vms" && path[3] == "heatmaps")
    co_return get ? show_heat_maps(path[2]) : wrong_method("GET");
  co_return refuse(404, "qemond " + std::string(version) + " knows no " + request.path +
                            ": qemon and qemond are probably of different versions");
}

HttpResponse ControlApi::vms() const {
  auto list = json::array();
  for (const auto& vm : fleet_.vms()) list.push_back(to_json(*vm));
  return answer({{"vms", std::move(list)}});
}

HttpResponse ControlApi::status() const {
  const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - started_;
  auto list = json::array();
  for (const auto& vm : fleet_.vms()) list.push_back(to_json(*vm));
  return answer({{"version", version},
                 {"pid", ::getpid()},
                 {"uptime_seconds", std::round(uptime.count() * 1000) / 1000},
                 {"listen", about_.listen},
                 {"control_socket", about_.control_socket},
                 {"vms", std::move(list)}});
}

HttpResponse ControlApi::list_events(const HttpRequest& request) const {
  const auto* pattern = request.parameter("pattern");
  const auto* only = request.parameter("vm");
  const auto* enabled = request.parameter("enabled");
  if (only != nullptr && !fleet_.find(*only)) return no_such_vm(*only);
  auto list = json::array();
  for (const auto& vm : fleet_.vms()) {
    if (only != nullptr && vm->name() != *only) continue;
    auto events = json::array();
    for (const auto& row : vm->list_events(pattern != nullptr ? *pattern : "",
                                           enabled != nullptr && *enabled == "1")) {
      events.push_back(to_json(row));
    }
    std::string error;
    if (vm->known_events() == 0) error = vm->why_not_attached();
    list.push_back({{"vm", vm->name()}, {"events", std::move(events)}, {"error", error}});
  }
  return answer({{"vms", std::move(list)}});
}

asio::awaitable<HttpResponse> ControlApi::switch_events(HttpRequest request) {
  auto wish = parse_wish(request, "patterns", "event names or patterns", lease_length_);
  if (!wish) co_return refuse(400, wish.error().detail);
  if (!wish->vm.empty() && !fleet_.find(wish->vm)) co_return no_such_vm(wish->vm);
  const auto asker = asker_of(request);
  // Shared, because a VM may be detached while its answer is waited for.
  std::vector<std::pair<std::shared_ptr<Vm>, std::shared_ptr<Vm::SwitchRequest>>> asked;
  for (const auto& vm : fleet_.vms()) {
    if (!wish->vm.empty() && vm->name() != wish->vm) continue;
    asked.emplace_back(vm, wish->on
                               ? vm->ask_for_events(wish->names, asker, wish->length, wish->sample)
                               : vm->ask_events_off(wish->names));
  }
  auto list = json::array();
  SwitchAnnotation switched(wish->on ? "events on" : "events off");
  for (auto& [vm, pending] : asked) {
    const auto report = co_await vm->switched(pending);
    if (report.error.empty()) switched.add(vm->name(), report.changed);
    if (!wish->on) {
      spdlog::info("{}: events switched off count={} by={}{}", vm->name(), report.changed.size(),
                   to_string(asker), why_not(report));
    } else {
      spdlog::info("{}: events switched on count={} {} by={}{}", vm->name(), report.changed.size(),
                   lease_text(report.lease), to_string(asker), why_not(report));
    }
    list.push_back(to_json(vm->name(), report));
  }
  annotate(switched.finish("by " + asker.user));
  json body;
  body["vms"] = std::move(list);
  co_return answer(body);
}

asio::awaitable<HttpResponse> ControlApi::switch_packs(HttpRequest request) {
  auto wish = parse_wish(request, "packs", "names of packs", lease_length_);
  if (!wish) co_return refuse(400, wish.error().detail);
  if (!wish->vm.empty() && !fleet_.find(wish->vm)) co_return no_such_vm(wish->vm);
  const bool has_file =
      std::any_of(fleet_.vms().begin(), fleet_.vms().end(), [&](const std::shared_ptr<Vm>& vm) {
        return vm->config().file && (wish->vm.empty() || vm->name() == wish->vm);
      });
  for (const auto& name : wish->names) {
    const auto pack = packs_.find(name);
    if (!pack) co_return refuse(404, packs_.no_such_pack(name));
    if (pack->exec_log && !has_file)
      co_return refuse(400, "pack " + name +
                                " reads logs of -d exec, and no VM is such a file: use qemon "
                                "replay, or attach one as file:PATH");
  }
  const auto asker = asker_of(request);
  std::vector<std::pair<std::shared_ptr<Vm>, std::shared_ptr<Vm::SwitchRequest>>> asked;
  for (const auto& vm : fleet_.vms()) {
    if (!wish->vm.empty() && vm->name() != wish->vm) continue;
    asked.emplace_back(vm, wish->on
                               ? vm->ask_for_packs(wish->names, asker, wish->length, wish->sample)
                               : vm->ask_packs_off(wish->names));
  }
  auto list = json::array();
  SwitchAnnotation switched(wish->on ? "packs on" : "packs off");
  for (auto& [vm, pending] : asked) {
    const auto report = co_await vm->switched(pending);
    std::vector<std::string> changed;
    for (const auto& pack : report.packs) {
      if (pack.changed && report.error.empty()) changed.push_back(pack.name);
      spdlog::info("{}: pack={} switched {} {} by={}{}", vm->name(), pack.name,
                   wish->on ? "on" : "off", lease_text(pack.lease), to_string(asker),
                   why_not(report));
    }
    switched.add(vm->name(), changed);
    list.push_back(to_json(vm->name(), report));
  }
  annotate(switched.finish("by " + asker.user));
  json body;
  body["vms"] = std::move(list);
  co_return answer(body);
}

/// One pack a turn: it is made ready for each VM, and everybody may ask.
asio::awaitable<HttpResponse> ControlApi::list_packs(HttpRequest request) {
  const auto executor = co_await asio::this_coro::executor;
  const auto* only = request.parameter("vm");
  if (only != nullptr && !fleet_.find(*only)) co_return no_such_vm(*only);
  auto list = json::array();
  // A copy, since they may be loaded anew meanwhile.
  const auto packs = packs_.packs();
  for (const auto& [name, pack] : packs) {
    auto entry = to_json(*pack);
    auto vms = json::array();
    for (const auto& vm : fleet_.vms()) {
      if (pack->exec_log && !vm->config().file) continue;
      if (only != nullptr && vm->name() != *only) continue;
      auto fit = to_json(vm->name(), vm->fit(*pack));
      const bool unknown = vm->router() == nullptr;  // Not attached yet, or gone.
      fit["error"] = unknown ? vm->why_not_attached() : "";
      vms.push_back(std::move(fit));
    }
    entry["vms"] = std::move(vms);
    list.push_back(std::move(entry));
    co_await asio::post(executor, asio::use_awaitable);
  }
  json body;
  body["packs"] = std::move(list);
  co_return answer(body);
}

HttpResponse ControlApi::show_pack(const std::string& name) const {
  const auto pack = packs_.find(name);
  if (!pack) return refuse(404, packs_.no_such_pack(name));
  auto entry = to_json(*pack);
  entry["text"] = pack->text;
  return answer(entry);
}

HttpResponse ControlApi::reload(const HttpRequest& request) {
  spdlog::info("reload asked for by={}", to_string(asker_of(request)));
  const auto mistakes = reload_();
  auto warnings = json::array();
  for (const auto& vm : fleet_.vms())
    for (const auto& mistake : vm->pack_mistakes())
      warnings.push_back({{"vm", vm->name()}, {"why", mistake}});
  return answer({{"reloaded", mistakes.empty()},
                 {"packs", packs_.packs().size()},
                 {"mistakes", mistakes},
                 {"warnings", std::move(warnings)}});
}

HttpResponse ControlApi::release(const std::string& name, const HttpRequest& request) const {
  const auto vm = fleet_.find(name);
  if (!vm) return no_such_vm(name);
  const auto body = parse_body(request);
  const auto seconds = body.is_discarded() ? json::const_iterator() : body.find("seconds");
  if (body.is_discarded() || seconds == body.end() || !seconds->is_number() ||
      !(seconds->get<double>() > 0) || seconds->get<double>() > release_seconds_max) {
    return refuse(400, "a monitor is lent for more than 0 s and at most 24 h: give another time");
  }
  if (vm->config().file) return refuse(409, name + " has no monitor that could be lent");
  const auto duration = std::chrono::milliseconds(std::llround(seconds->get<double>() * 1000));
  spdlog::info("{}: release seconds={} by={}", name, seconds->get<double>(),
               to_string(asker_of(request)));
  vm->release(duration);
  return answer({{"vm", name}, {"released_for_seconds", seconds->get<double>()}});
}

HttpResponse ControlApi::attach(const std::string& name, const HttpRequest& request) {
  const auto body = parse_body(request);
  const auto address = body.is_discarded() ? json::const_iterator() : body.find("address");
  if (body.is_discarded() || address == body.end() || !address->is_string())
    return refuse(400,
                  "\"address\" must be that of a monitor or a file, for instance "
                  "unix:/run/vms/web1.qmp or file:/tmp/trace.log");
  spdlog::info("attach vm={} address={} by={}", one_line(name),
               one_line(address->get_ref<const std::string&>()), to_string(asker_of(request)));
  const auto attached = fleet_.attach(name, address->get<std::string>());
  if (!attached) return refuse(400, attached.error().detail);
  return answer({{"vm", name}, {"address", *address}});
}

HttpResponse ControlApi::detach(const std::string& name, const HttpRequest& request) {
  if (!fleet_.find(name)) return no_such_vm(name);
  spdlog::info("{}: detach by={}", name, to_string(asker_of(request)));
  const auto detached = fleet_.detach(name);
  if (!detached) return refuse(400, detached.error().detail);
  return answer({{"vm", name}});
}

void ControlApi::annotate(std::optional<Annotation> annotation) const {
  if (annotation && annotation_sink_) annotation_sink_(std::move(*annotation));
}

HttpResponse ControlApi::no_such_vm(const std::string& name) const {
  std::string names;
  for (const auto& vm : fleet_.vms()) names += (names.empty() ? "" : ", ") + vm->name();
  return refuse(404,
                "there is no VM " + name + ": qemond watches " + (names.empty() ? "none" : names));
}

}  // namespace qemon::daemon
