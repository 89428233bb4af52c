#include "daemon/control_api.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/version.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_json.hpp"
#include "daemon/vm_request.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr std::size_t names_max = 1000;
constexpr double release_seconds_max = 24 * 3600;
// Who holds the leases that are taken with `qemon event on`. All users of the command line share
// them, so that one can switch off what another one forgot.
constexpr std::string_view command_line_holder = "qemon event on";

HttpResponse answer(const json& body, unsigned status = 200) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  // Texts from QEMU may hold anything; what is not UTF-8 is replaced.
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return response;
}

HttpResponse refuse(unsigned status, const std::string& why) {
  return answer({{"error", why}}, status);
}

HttpResponse wrong_method(const std::string& allowed) {
  auto response = refuse(405, "this address takes " + allowed + " only");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

/// The body as a JSON object; a discarded value if it is none.
json parse_body(const HttpRequest& request) {
  // A body this deep cannot be one of ours, and the parser's recursion is not to be driven by it.
  if (std::count(request.body.begin(), request.body.end(), '[') +
          std::count(request.body.begin(), request.body.end(), '{') >
      64) {
    return json(json::value_t::discarded);
  }
  auto body = json::parse(request.body, nullptr, false);
  return body.is_object() ? body : json(json::value_t::discarded);
}

/// What a request to switch events or packs asks for.
struct SwitchWish {
  bool on = false;
  std::vector<std::string> names;  // Patterns of events, or packs.
  std::string vm;                  // Empty for all.
};

/// `list`: the member that holds the names, and `what` they are.
Result<SwitchWish> parse_wish(const HttpRequest& request, const std::string& list,
                              const std::string& what) {
  const auto body = parse_body(request);
  if (body.is_discarded()) return Error{"the body is no JSON object"};
  const auto action = body.find("action");
  if (action == body.end() || (*action != "on" && *action != "off"))
    return Error{"\"action\" must be \"on\" or \"off\""};
  const auto names = body.find(list);
  if (names == body.end() || !names->is_array() || names->empty() || names->size() > names_max) {
    return Error{"\"" + list + "\" must be an array of 1 to " + std::to_string(names_max) + " " +
                 what};
  }
  SwitchWish wish;
  wish.on = *action == "on";
  for (const auto& name : *names) {
    if (!name.is_string() || name.get_ref<const std::string&>().empty())
      return Error{"\"" + list + "\" holds something else than " + what};
    wish.names.push_back(name.get<std::string>());
  }
  if (const auto vm = body.find("vm"); vm != body.end() && !vm->is_null()) {
    if (!vm->is_string()) return Error{"\"vm\" must be the name of a VM"};
    wish.vm = vm->get<std::string>();
  }
  return wish;
}

}  // namespace

asio::awaitable<HttpResponse> ControlApi::handle(HttpRequest request) {
  const auto& path = request.segments;
  const bool get = request.method == "GET";
  const bool post = request.method == "POST";
  if (post && (!request.peer || !can_control(*request.peer, policy_))) {
    co_return refuse(
        403, "only root, the user of qemond and members of the group qemon may control VMs");
  }
  if (path.size() == 2 && path[0] == "v1") {
    if (path[1] == "status") co_return get ? status() : wrong_method("GET");
    if (path[1] == "vms") co_return get ? vms() : wrong_method("GET");
    if (path[1] == "events" && get) co_return list_events(request);
    if (path[1] == "events" && post) co_return co_await switch_events(std::move(request));
    if (path[1] == "events") co_return wrong_method("GET, POST");
    if (path[1] == "packs" && get) co_return co_await list_packs(std::move(request));
    if (path[1] == "packs" && post) co_return co_await switch_packs(std::move(request));
    if (path[1] == "packs") co_return wrong_method("GET, POST");
    if (path[1] == "reload") co_return post ? reload() : wrong_method("POST");
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
    co_return post ? detach(path[2]) : wrong_method("POST");
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
    if (vm->events().size() == 0)
      error = "is " + std::string(to_string(vm->state())) + ": " + vm->reason();
    list.push_back({{"vm", vm->name()}, {"events", std::move(events)}, {"error", error}});
  }
  return answer({{"vms", std::move(list)}});
}

asio::awaitable<HttpResponse> ControlApi::switch_events(HttpRequest request) {
  auto wish = parse_wish(request, "patterns", "event names or patterns");
  if (!wish) co_return refuse(400, wish.error().detail);
  if (!wish->vm.empty() && !fleet_.find(wish->vm)) co_return no_such_vm(wish->vm);
  // Shared, because a VM may be detached while its answer is waited for.
  std::vector<std::pair<std::shared_ptr<Vm>, std::shared_ptr<Vm::SwitchRequest>>> asked;
  for (const auto& vm : fleet_.vms()) {
    if (!wish->vm.empty() && vm->name() != wish->vm) continue;
    asked.emplace_back(vm,
                       vm->ask_to_switch(wish->on, wish->names, std::string(command_line_holder)));
  }
  auto list = json::array();
  for (auto& [vm, pending] : asked) {
    const auto report = co_await vm->switched(pending);
    if (!report.changed.empty()) {
      spdlog::info("{}: events switched {} count={} by_uid={}", vm->name(), wish->on ? "on" : "off",
                   report.changed.size(), request.peer ? static_cast<int>(request.peer->uid) : -1);
    }
    list.push_back(to_json(vm->name(), report));
  }
  json body;
  body["vms"] = std::move(list);
  co_return answer(body);
}

asio::awaitable<HttpResponse> ControlApi::switch_packs(HttpRequest request) {
  auto wish = parse_wish(request, "packs", "names of packs");
  if (!wish) co_return refuse(400, wish.error().detail);
  if (!wish->vm.empty() && !fleet_.find(wish->vm)) co_return no_such_vm(wish->vm);
  for (const auto& name : wish->names) {
    const auto pack = packs_.find(name);
    if (!pack) co_return refuse(404, packs_.no_such_pack(name));
    if (pack->exec_log)
      co_return refuse(
          400, "pack " + name +
                   " reads logs of -d exec, which qemond does not follow: use qemon replay");
  }
  std::vector<std::pair<std::shared_ptr<Vm>, std::shared_ptr<Vm::SwitchRequest>>> asked;
  for (const auto& vm : fleet_.vms()) {
    if (!wish->vm.empty() && vm->name() != wish->vm) continue;
    asked.emplace_back(vm, vm->ask_to_switch_packs(wish->on, wish->names));
  }
  auto list = json::array();
  for (auto& [vm, pending] : asked) {
    const auto report = co_await vm->switched(pending);
    for (const auto& pack : report.packs) {
      if (!pack.changed || !report.error.empty()) continue;
      spdlog::info("{}: pack={} switched {} by_uid={}", vm->name(), pack.name,
                   wish->on ? "on" : "off",
                   request.peer ? static_cast<int>(request.peer->uid) : -1);
    }
    list.push_back(to_json(vm->name(), report));
  }
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
      if (pack->exec_log || (only != nullptr && vm->name() != *only)) continue;
      auto fit = to_json(vm->name(), vm->fit(*pack));
      const bool unknown = vm->router() == nullptr;  // Not attached yet, or gone.
      fit["error"] =
          unknown ? "is " + std::string(to_string(vm->state())) + ": " + vm->reason() : "";
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

HttpResponse ControlApi::reload() {
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
    return refuse(400, "\"seconds\" must be more than 0 and at most 86400");
  }
  const auto duration = std::chrono::milliseconds(std::llround(seconds->get<double>() * 1000));
  vm->release(duration);
  return answer({{"vm", name}, {"released_for_seconds", seconds->get<double>()}});
}

HttpResponse ControlApi::attach(const std::string& name, const HttpRequest& request) {
  const auto body = parse_body(request);
  const auto address = body.is_discarded() ? json::const_iterator() : body.find("address");
  if (body.is_discarded() || address == body.end() || !address->is_string())
    return refuse(400,
                  "\"address\" must be that of a monitor, for instance unix:/run/vms/web1.qmp");
  const auto attached = fleet_.attach(name, address->get<std::string>());
  if (!attached) return refuse(400, attached.error().detail);
  return answer({{"vm", name}, {"address", *address}});
}

HttpResponse ControlApi::detach(const std::string& name) {
  if (!fleet_.find(name)) return no_such_vm(name);
  const auto detached = fleet_.detach(name);
  if (!detached) return refuse(400, detached.error().detail);
  return answer({{"vm", name}});
}

HttpResponse ControlApi::no_such_vm(const std::string& name) const {
  std::string names;
  for (const auto& vm : fleet_.vms()) names += (names.empty() ? "" : ", ") + vm->name();
  return refuse(404,
                "there is no VM " + name + ": qemond watches " + (names.empty() ? "none" : names));
}

}  // namespace qemon::daemon
