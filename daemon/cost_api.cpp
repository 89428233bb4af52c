// The part of ControlApi that measures what events cost.
#include <spdlog/spdlog.h>

#include <boost/asio/awaitable.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "daemon/control_answers.hpp"
#include "daemon/control_api.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_json.hpp"
#include "daemon/vm_request.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr double window_seconds_default = 0.2;
constexpr double window_seconds_min = 0.01;
constexpr double window_seconds_max = 5;

}  // namespace

asio::awaitable<HttpResponse> ControlApi::measure_events(HttpRequest request) {
  const auto body = parse_body(request);
  if (body.is_discarded()) co_return refuse(400, "the body is no JSON object");
  auto patterns = parse_names(body, "patterns", "event names or patterns");
  if (!patterns) co_return refuse(400, patterns.error().detail);
  const auto only = parse_vm(body);
  if (!only) co_return refuse(400, only.error().detail);
  if (!only->empty() && !fleet_.find(*only)) co_return no_such_vm(*only);
  double seconds = window_seconds_default;
  if (const auto told = body.find("seconds"); told != body.end())
    seconds = told->is_number() ? told->get<double>() : 0;
  if (!(seconds >= window_seconds_min) || seconds > window_seconds_max)
    co_return refuse(400, "\"seconds\" must be a number from 0.01 to 5");
  const std::chrono::milliseconds sample(std::llround(seconds * 1000));

  const auto asker = asker_of(request);
  std::vector<std::pair<std::shared_ptr<Vm>, std::shared_ptr<Vm::CostRequest>>> asked;
  for (const auto& vm : fleet_.vms()) {
    if (!only->empty() && vm->name() != *only) continue;
    asked.emplace_back(vm, vm->ask_for_cost(*patterns, asker, sample));
  }
  auto list = json::array();
  for (auto& [vm, pending] : asked) {
    const auto report = co_await vm->measured(pending);
    spdlog::info("{}: events measured count={} by={}{}", vm->name(), report.events.size(),
                 to_string(asker),
                 report.error.empty() ? std::string() : " failed=\"" + report.error + "\"");
    list.push_back(to_json(vm->name(), report));
  }
  json answered;
  answered["vms"] = std::move(list);
  co_return answer(answered);
}

}  // namespace qemon::daemon
