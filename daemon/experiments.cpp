#include "daemon/experiments.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/utf8.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using nlohmann::json;

namespace {

// From one look at the figures to the next, at first.
constexpr Clock::duration look_interval = 250ms;
// A look may take up at most a fiftieth of our time.
constexpr int share_of_time = 50;
// How often it is looked whether the time of one is over.
constexpr Clock::duration tick = 1s;

/// JSON could be an Error as well, as far as a Result can tell.
Result<json> as_result(json value) {
  return {boost::system::in_place_value, std::move(value)};
}

}  // namespace

Experiments::Experiments(asio::any_io_executor executor, Fleet& fleet,
                         const exporters::PackLibrary& packs, AnnotationSink annotate)
    : executor_(std::move(executor)),
      fleet_(fleet),
      packs_(packs),
      annotate_(std::move(annotate)) {}

Experiments::~Experiments() = default;

Result<void> Experiments::open(const std::string& runtime_directory) {
  auto opened = ExperimentStore::open(runtime_directory);
  if (!opened) return opened.error();
  for (const auto& refused : opened->refused) spdlog::error("not taken up: {}", refused);
  store_.emplace(std::move(opened->store));
  for (auto& about : opened->running) {
    const auto name = about["name"].get<std::string>();
    if (const auto leases = about.find("leases"); leases != about.end() && leases->is_array()) {
      for (const auto& lease : *leases) {
        if (lease.is_object() && lease.value("vm", json()).is_string() &&
            lease.value("id", json()).is_number_unsigned())
          left_leases_.emplace_back(lease["vm"].get<std::string>(), lease["id"].get<LeaseId>());
      }
    }
    about.erase("leases");
    about["state"] = to_string(ExperimentState::interrupted);
    about["ended_by"] = "qemond was killed";
    about["complete"] = false;
    about["remaining_seconds"] = nullptr;
    auto summary = about;
    summary["vms"] = json::array();
    for (const auto& vm : about["vms"]) summary["vms"].push_back({{"vm", vm}});
    spdlog::warn("experiment={} was interrupted", name);
    if (auto written = store_->write(name, std::move(about), summary); !written)
      spdlog::error("experiment={} cannot be kept reason=\"{}\"", name, written.error().detail);
  }
  return Result<void>();
}

void Experiments::end_leases_left() {
  for (const auto& [vm_name, id] : left_leases_) {
    for (const auto& vm : fleet_.vms())
      if (vm->leases().find(id) != nullptr) std::ignore = vm->set_lease_end(id, LeaseLength(1ms));
  }
  left_leases_.clear();
}

asio::awaitable<void> Experiments::watch(Running experiment) {
  auto& run = *experiment;
  auto next_look = Clock::now() + look_interval;
  while (!run.stop && !run.has_ended() && (!run.until || BootClock::now() < *run.until)) {
    auto wake = std::min(next_look, Clock::now() + tick);
    if (run.until)
      wake = std::min(wake, Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                               *run.until - BootClock::now()));
    run.next.expires_at(wake);
    co_await run.next.async_wait(asio::as_tuple(asio::use_awaitable));
    if (run.stop || run.has_ended() || Clock::now() < next_look) continue;
    const auto until_next = co_await look(experiment);
    next_look = Clock::now() + until_next;
  }
  if (!run.has_ended()) co_await finish(experiment);
}

/// Looks at the figures of all its VMs, one a turn; returns after how long the next look is due.
asio::awaitable<Clock::duration> Experiments::look(Running experiment) {
  unsigned stretch = 1;
  Clock::duration cost{0};
  for (const auto& vm : experiment->vms) {
    if (experiment->has_ended()) break;
    const auto begin = Clock::now();
    vm->look(begin, is_watched(*vm));
    cost += Clock::now() - begin;
    stretch = std::max(stretch, vm->stretch());
    co_await asio::post(executor_, asio::use_awaitable);
  }
  co_return std::max(look_interval * stretch, cost * share_of_time);
}

/// Brings every figure up to date, and only then gives the leases back.
asio::awaitable<void> Experiments::finish(Running experiment) {
  auto& run = *experiment;
  const auto reports = co_await refresh(experiment);
  if (run.has_ended()) co_return;  // By stop_all().
  for (std::size_t i = 0; i < reports.size(); ++i) {
    auto& vm = *run.vms[i];
    if (!reports[i].error.empty())
      vm.note("its last figures are not those of the end: " + reports[i].error);
    for (const auto& failed : reports[i].failed)
      vm.note("collector " + failed.name + " told nothing at the end: " + failed.why);
  }
  const auto now = Clock::now();
  for (const auto& vm : run.vms) vm->look_at_the_end(now, is_watched(*vm));
  run.length_seconds = std::chrono::duration<double>(now - run.began).count();
  const bool in_time = run.stop || !run.wish.attended;
  run.state = in_time ? ExperimentState::finished : ExperimentState::abandoned;
  run.ended_by = run.stop  ? *run.stop
                 : in_time ? "its time was over"
                           : "whoever ran its command went away without a word";
  conclude(experiment);
  co_await give_leases_back(experiment);
  run.ended.cancel();
}

/// Its summary is written, and it does not run any more.
void Experiments::conclude(const Running& experiment) {
  auto& run = *experiment;
  const auto& name = run.wish.name;
  spdlog::info("experiment={} {} length={:.3f}s ended_by=\"{}\"", name, to_string(run.state),
               run.length_seconds, run.ended_by);
  if (auto written = store_->write(name, header_of(run), summary_of(run)); !written)
    spdlog::error("experiment={} cannot be kept reason=\"{}\"", name, written.error().detail);
  running_.erase(name);
  tell(run, true);
}

void Experiments::stop_all() {
  closing_ = true;
  const auto all = running_;
  for (const auto& [name, experiment] : all) {
    auto& run = *experiment;
    if (run.state == ExperimentState::running) {
      const auto now = Clock::now();
      for (const auto& vm : run.vms) {
        vm->note("qemond ended, and the last figures may be some seconds old");
        vm->look_at_the_end(now, is_watched(*vm));
      }
      run.length_seconds = std::chrono::duration<double>(now - run.began).count();
      run.state = ExperimentState::interrupted;
      run.ended_by = "qemond ended";
      conclude(experiment);
    }
    run.next.cancel();
    run.ended.cancel();
  }
}

asio::awaitable<Result<json>> Experiments::stop(std::string name, std::string by) {
  const auto found = running_.find(name);
  if (found == running_.end()) {
    if (store_->contains(name)) co_return Error{"experiment " + name + " has ended already"};
    co_return no_such_experiment(name);
  }
  const auto experiment = found->second;
  if (experiment->state == ExperimentState::starting)
    co_return Error{"experiment " + name + " is only starting"};
  if (!experiment->stop) experiment->stop = std::move(by);
  experiment->next.cancel();
  // Bounded, since each of its VMs answers or is given up within some seconds.
  co_await experiment->ended.async_wait(asio::as_tuple(asio::use_awaitable));
  co_return as_result(header_of(*experiment));
}

Result<json> Experiments::extend(const std::string& name, LeaseLength from_now) {
  const auto found = running_.find(name);
  if (found == running_.end() || found->second->stop) {
    if (found != running_.end() || store_->contains(name))
      return Error{"experiment " + name + " has ended already"};
    return no_such_experiment(name);
  }
  auto& run = *found->second;
  run.wish.length = from_now;
  run.until.reset();
  if (from_now) run.until = BootClock::now() + *from_now;
  extend_leases(run);
  return as_result(header_of(run));
}

Result<void> Experiments::remove(const std::string& name) {
  if (running_.contains(name))
    return Error{"experiment " + name + " runs: stop it first",
                 std::make_error_code(std::errc::file_exists)};
  if (!store_->contains(name)) return no_such_experiment(name);
  return store_->remove(name);
}

json Experiments::list() const {
  std::vector<json> all;
  for (const auto& [name, experiment] : running_)
    if (experiment->state == ExperimentState::running) all.push_back(header_of(*experiment));
  for (const auto& [name, header] : store_->headers()) all.push_back(header);
  std::sort(all.begin(), all.end(), [](const json& a, const json& b) {
    return a["started"].get<double>() < b["started"].get<double>();
  });
  return all;
}

Result<std::string> Experiments::show(const std::string& name) const {
  const auto found = running_.find(name);
  if (found != running_.end() && found->second->state == ExperimentState::running)
    return {boost::system::in_place_value,
            summary_of(*found->second).dump(-1, ' ', false, json::error_handler_t::replace)};
  if (!store_->contains(name)) return no_such_experiment(name);
  return store_->read(name);
}

prometheus::MetricFamily Experiments::info() const {
  auto family = exporters::gauge_family("qemu_experiment_info",
                                        "An experiment that runs, with its labels. Always 1.");
  for (const auto& [name, experiment] : running_) {
    if (experiment->state != ExperimentState::running) continue;
    for (const auto& of : experiment->vms) {
      exporters::add_sample(family, {{"vm", of->vm().name()}, {"experiment", name}}, 1);
      for (const auto& [label, value] : experiment->wish.labels)
        family.metric.back().label.push_back({label, to_valid_utf8(value)});
    }
  }
  return family;
}

void Experiments::tell(const Experiment& experiment, bool at_the_end) const {
  if (!annotate_) return;
  const auto& name = experiment.wish.name;
  for (const auto& of : experiment.vms) {
    Annotation annotation;
    annotation.begin = experiment.started;
    if (at_the_end) annotation.end = std::chrono::system_clock::now();
    annotation.vm = of->vm().name();
    annotation.kind = "experiment";
    annotation.text = "experiment " + name;
    if (!at_the_end) {
      annotation.text += " begins";
    } else if (experiment.state != ExperimentState::finished) {
      annotation.text += ", " + std::string(to_string(experiment.state));
    }
    annotation.tags.push_back(name);
    for (const auto& [label, value] : experiment.wish.labels)
      annotation.tags.push_back(label + "=" + value);
    annotate_(std::move(annotation));
  }
}

bool Experiments::is_watched(const ExperimentVm& of) const {
  const auto& vms = fleet_.vms();
  return std::any_of(vms.begin(), vms.end(), [&](const auto& vm) { return vm.get() == &of.vm(); });
}

Error Experiments::no_such_experiment(const std::string& name) const {
  return Error{"there is no experiment " + name + ": see qemon experiment list",
               std::make_error_code(std::errc::no_such_file_or_directory)};
}

}  // namespace qemon::daemon
