// The part of Experiments that begins one, and that talks to its VMs.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/experiments.hpp"
#include "daemon/vm_json.hpp"
#include "daemon/vm_request.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

constexpr std::size_t running_max = 8;
// Over all VMs of one experiment: about 20 MB.
constexpr std::size_t vms_max = 20;
constexpr std::size_t series_max = 20'000;
constexpr std::size_t curves_max = 1000;
// Leases outlast their experiment, so that it can be ended while its packs are still on: as long as
// the VMs may take to answer.
constexpr std::chrono::milliseconds grace = 30s;

/// Not the user alone: a lease of theirs on the same pack is to stay one of its own.
Asker asker_for(const ExperimentWish& wish) {
  return {wish.asker.user + ", experiment " + wish.name, wish.asker.uid};
}

LeaseLength with_grace(LeaseLength length) {
  if (!length) return length;
  return *length + grace;
}

RunLimits limits_for(std::size_t vms) {
  RunLimits limits;
  limits.series = std::min(limits.series, series_max / vms);
  limits.curves = std::min(limits.curves, curves_max / vms);
  return limits;
}

/// JSON could be an Error as well, as far as a Result can tell.
Result<json> as_result(json value) {
  return {boost::system::in_place_value, std::move(value)};
}

/// Requests to several VMs, made at once and waited for one after the other.
using Pending = std::vector<std::pair<std::shared_ptr<Vm>, std::shared_ptr<Vm::SwitchRequest>>>;

}  // namespace

Result<void> Experiments::may_start(const ExperimentWish& wish) const {
  if (auto checked = check(wish); !checked) return checked;
  const auto taken = std::make_error_code(std::errc::file_exists);
  if (running_.contains(wish.name))
    return Error{"experiment " + wish.name + " runs already", taken};
  if (store_->contains(wish.name) && !wish.replace)
    return Error{"there is an experiment " + wish.name +
                     " already: choose another name, or replace it with --replace",
                 taken};
  if (running_.size() >= running_max)
    return Error{std::to_string(running_max) + " experiments run already: stop one first"};
  for (const auto& name : wish.packs) {
    const auto pack = packs_.find(name);
    if (!pack)
      return Error{packs_.no_such_pack(name),
                   std::make_error_code(std::errc::no_such_file_or_directory)};
    if (pack->exec_log) return Error{"pack " + name + " is for qemon replay only"};
  }
  return Result<void>();
}

asio::awaitable<Result<json>> Experiments::start(ExperimentWish wish) {
  if (auto may = may_start(wish); !may) co_return may.error();
  const auto experiment = std::make_shared<Experiment>(executor_, std::move(wish));
  VmList vms;
  for (const auto& vm : fleet_.vms()) {
    const bool wanted = experiment->wish.vm.empty() ? vm->state() == VmState::attached
                                                    : vm->name() == experiment->wish.vm;
    if (!wanted) continue;
    if (vm->state() != VmState::attached)
      co_return Error{vm->name() + ": is " + std::string(to_string(vm->state())) + ": " +
                      vm->reason()};
    vms.push_back(vm);
  }
  if (vms.empty()) co_return Error{"no VM is attached: see qemon status"};
  if (vms.size() > vms_max)
    co_return Error{std::to_string(vms.size()) + " VMs are attached, and an experiment is of " +
                    std::to_string(vms_max) + " at most: choose one with --vm"};
  for (const auto& vm : vms)
    experiment->vms.push_back(std::make_unique<ExperimentVm>(vm, limits_for(vms.size())));
  const auto name = experiment->wish.name;
  running_.emplace(name, experiment);  // The name is taken from now on.
  auto begun = co_await begin(experiment);
  if (!begun) {
    running_.erase(name);
    co_await give_leases_back(experiment);
    experiment->ended.cancel();
    co_return begun.error();
  }
  auto watching = watch(experiment);
  asio::co_spawn(executor_, std::move(watching), [](std::exception_ptr failure) {
    if (failure) std::rethrow_exception(failure);
  });
  co_return begun;
}

asio::awaitable<Result<json>> Experiments::begin(Running experiment) {
  auto& run = *experiment;
  auto switched = co_await switch_packs_on(experiment);
  if (!switched) co_return switched.error();
  const auto reports = co_await refresh(experiment);
  if (closing_) co_return Error{"qemond is stopping"};
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (!reports[i].error.empty()) co_return Error{run.vms[i]->name() + ": " + reports[i].error};
    for (const auto& failed : reports[i].failed)
      run.vms[i]->note("collector " + failed.name + " told nothing at the start: " + failed.why);
  }
  run.began = ExperimentVm::Clock::now();
  run.started = std::chrono::system_clock::now();
  for (std::size_t i = 0; i < reports.size(); ++i)
    run.vms[i]->begin(run.began, reports[i].failed.empty());
  if (run.wish.length) run.until = BootClock::now() + *run.wish.length;
  extend_leases(run);
  run.state = ExperimentState::running;
  auto about = header_of(run);
  auto leases = json::array();
  for (const auto& vm : run.vms)
    for (const auto& [id, pack] : vm->leases) leases.push_back({{"vm", vm->name()}, {"id", id}});
  about["leases"] = std::move(leases);
  if (auto written = store_->write_running(run.wish.name, about); !written) {
    run.state = ExperimentState::starting;
    co_return wrap(written.error(), "it cannot be kept");
  }
  spdlog::info("experiment={} running vms={} by={}", run.wish.name, run.vms.size(),
               to_string(run.wish.asker));
  tell(run, false);
  auto answer = header_of(run);
  answer["switched"] = std::move(*switched);
  co_return as_result(std::move(answer));
}

/// Returns what became of them on each VM.
asio::awaitable<Result<json>> Experiments::switch_packs_on(Running experiment) const {
  const auto& wish = experiment->wish;
  auto list = json::array();
  if (wish.packs.empty()) co_return as_result(std::move(list));
  Pending asked;
  for (const auto& of : experiment->vms) {
    auto vm = of->shared();
    auto request = vm->ask_for_packs(wish.packs, asker_for(wish), with_grace(wish.length), {});
    asked.emplace_back(std::move(vm), std::move(request));
  }
  std::string problem;
  std::map<std::string, bool> offered;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    auto& of = *experiment->vms[i];
    const auto report = co_await asked[i].first->switched(asked[i].second);
    for (const auto& pack : report.packs) {
      offered[pack.name] |= pack.lease.has_value();
      if (pack.lease) of.leases.emplace(pack.lease->id, pack.name);
      if (!pack.lease && report.error.empty())
        of.note("pack " + pack.name + " has no metric for this QEMU");
    }
    for (const auto& failed : report.failed)
      of.note("event " + failed.name + " could not be switched on: " + failed.why);
    if (!report.error.empty() && problem.empty()) problem = of.name() + ": " + report.error;
    list.push_back(to_json(of.name(), report));
  }
  // All leases that were granted are known now, and can be given back.
  if (!problem.empty()) co_return Error{problem};
  for (const auto& [name, any] : offered)
    if (!any) co_return Error{"pack " + name + " has no metric for this QEMU: see qemon pack list"};
  if (closing_) co_return Error{"qemond is stopping"};
  co_return as_result(std::move(list));
}

asio::awaitable<std::vector<SwitchReport>> Experiments::refresh(Running experiment) {
  Pending asked;
  std::vector<SwitchReport> reports;
  for (const auto& of : experiment->vms) {
    auto vm = of->shared();
    auto request = vm->ask_to_refresh();
    asked.emplace_back(std::move(vm), std::move(request));
  }
  for (const auto& [vm, request] : asked) {
    auto report = co_await vm->switched(request);
    reports.push_back(std::move(report));
  }
  co_return reports;
}

/// Switches back what it switched on, but for what others want.
asio::awaitable<void> Experiments::give_leases_back(Running experiment) {
  Pending asked;
  for (const auto& of : experiment->vms) {
    for (const auto& [id, pack] : std::exchange(of->leases, {})) {
      auto vm = of->shared();
      auto request = vm->ask_to_end(id);
      asked.emplace_back(std::move(vm), std::move(request));
    }
  }
  for (const auto& [vm, request] : asked) std::ignore = co_await vm->switched(request);
}

void Experiments::extend_leases(const Experiment& experiment) const {
  for (const auto& of : experiment.vms)
    for (const auto& [id, pack] : of->leases)
      std::ignore = of->vm().set_lease_end(id, with_grace(experiment.wish.length));
}

}  // namespace qemon::daemon
