#include "daemon/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/run_json.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

constexpr std::size_t name_length_max = 64;
constexpr std::size_t labels_max = 10;
constexpr std::size_t label_name_length_max = 64;
constexpr std::size_t label_value_length_max = 256;

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_experiment_name(std::string_view name) {
  // Its file begins with it: no dot in front, and no option of a command line.
  return !name.empty() && name.size() <= name_length_max &&
         (is_letter_or_digit(name.front()) || name.front() == '_') &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-';
         });
}

/// Prometheus's own rule, and not one that is taken.
bool is_label_name(std::string_view name) {
  return !name.empty() && name.size() <= label_name_length_max && !name.starts_with("__") &&
         !(name.front() >= '0' && name.front() <= '9') &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '_'; }) &&
         name != "vm" && name != "experiment";
}

double seconds_between(ExperimentVm::Clock::time_point from, ExperimentVm::Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string seconds_text(double seconds) {
  const auto tenths = std::llround(seconds * 10);
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

}  // namespace

Result<void> check(const ExperimentWish& wish) {
  if (!is_experiment_name(wish.name))
    return Error{
        "\"" + wish.name +
        "\" cannot be an experiment's name: use 1 to 64 letters, digits and _.-, a letter, "
        "a digit or _ first"};
  if (wish.labels.size() > labels_max)
    return Error{"an experiment has at most " + std::to_string(labels_max) + " labels"};
  for (const auto& [name, value] : wish.labels) {
    if (!is_label_name(name))
      return Error{"\"" + name +
                   "\" cannot be a label: use letters, digits and _, no digit first, and not vm, "
                   "experiment or __ in front"};
    if (value.size() > label_value_length_max)
      return Error{"the value of label " + name + " is longer than " +
                   std::to_string(label_value_length_max) + " bytes"};
  }
  return Result<void>();
}

std::string_view to_string(ExperimentState state) {
  switch (state) {
    case ExperimentState::starting:
      return "starting";
    case ExperimentState::running:
      return "running";
    case ExperimentState::finished:
      return "finished";
    case ExperimentState::abandoned:
      return "abandoned";
    case ExperimentState::interrupted:
      return "interrupted";
  }
  return "unknown";
}

ExperimentVm::ExperimentVm(std::shared_ptr<Vm> vm, RunLimits limits)
    : vms_{std::move(vm)},
      name_(vms_.front()->name()),
      page_(std::make_unique<exporters::MetricsPage>()),
      record_(limits) {
  add_vm_metrics(*page_, vms_);
  add_pack_metrics(*page_, vms_);
}

void ExperimentVm::begin(Clock::time_point now, bool is_whole) {
  qemu_version_ = vm().qemu_version();
  if (const auto& identity = vm().identity()) {
    arch_ = identity->arch;
    accelerator_ = identity->accelerator;
  }
  began_ = now;
  last_look_ = now;
  const auto totals = vm().trace_totals();
  dropped_at_start_ = totals.decoder.dropped_events;
  lost_bytes_at_start_ = totals.decoder.lost_bytes;
  losses_ = vm().losses();
  sessions_at_start_ = vm().monitor_totals().sessions;
  trips_at_start_ = vm().trips();
  take(now, is_whole);
}

void ExperimentVm::look(Clock::time_point now, bool watched) {
  look_for_losses(now, watched);
  take(now, true);
}

void ExperimentVm::look_at_the_end(Clock::time_point now, bool watched) {
  look(now, watched);
  length_seconds_ = seconds_between(began_, now);
  if (unreachable_seconds_ > 0) {
    note("its monitor was out of reach for " + seconds_text(unreachable_seconds_));
  } else if (vm().monitor_totals().sessions != sessions_at_start_) {
    note("its monitor was out of reach for an instant");
  }
  if (record_.restarts() > 0) note("its QEMU was started again");
  if (lossy_seconds_ > 0) note("records of its trace were lost");
  if (record_.series_left_out() > 0)
    note(std::to_string(record_.series_left_out()) + " series are left out, since it has too many");
  for (const auto& [event, count] : vm().trips()) {
    const auto before = trips_at_start_.find(event);
    if (before == trips_at_start_.end() || before->second != count)
      note("event " + vm().events().name(event) + " was switched off, since it was too much");
  }
}

void ExperimentVm::note(const std::string& line) {
  if (std::find(notes_.begin(), notes_.end(), line) == notes_.end()) notes_.push_back(line);
}

void ExperimentVm::take(Clock::time_point now, bool is_whole) {
  MetricSnapshot snapshot;
  add_to_snapshot(page_->text(), snapshot);
  RunRecord::Look look;
  look.seconds = seconds_between(began_, now);
  look.snapshot = &snapshot;
  look.is_whole = is_whole;
  vm().collectors().each_found([&](const auto& found) {
    for (const auto& family : *found) look.of_qemu.insert(family.header->name);
  });
  if (const auto& process = vm().process())
    look.process = std::to_string(process->pid) + ":" + std::to_string(process->start_ticks);
  record_.add(look);
}

void ExperimentVm::look_for_losses(Clock::time_point now, bool watched) {
  const double elapsed = seconds_between(last_look_, now);
  last_look_ = now;
  const auto* router = vm().router();
  traced_ |= router != nullptr && router->following();
  const bool is_full = router != nullptr && router->is_full();
  // Fewer than before once a QEMU has gone: whatever changed was a loss.
  if (std::exchange(losses_, vm().losses()) != losses_ || is_full) lossy_seconds_ += elapsed;
  if (!vm().is_up()) unreachable_seconds_ += elapsed;
  if (!watched) note("it was detached");
  const auto at = seconds_text(seconds_between(began_, now));
  std::erase_if(leases, [&](const auto& lease) {
    if (vm().leases().find(lease.first) != nullptr) return false;
    if (watched) note("pack " + lease.second + " was switched off after " + at);
    return true;
  });
}

json ExperimentVm::completeness() const {
  const auto totals = vm().trace_totals();
  const auto growth = [](std::uint64_t now, std::uint64_t before) {
    return now > before ? now - before : 0;
  };
  json ratio = nullptr;
  if (traced_ && length_seconds_ > 0)
    ratio = shown_number(1 - std::min(1.0, lossy_seconds_ / length_seconds_));
  return {{"ratio", std::move(ratio)},
          {"dropped_events", growth(totals.decoder.dropped_events, dropped_at_start_)},
          {"lost_bytes", growth(totals.decoder.lost_bytes, lost_bytes_at_start_)},
          {"unreachable_seconds", shown_number(unreachable_seconds_)},
          {"restarts", record_.restarts()},
          {"series_left_out", record_.series_left_out()},
          {"curves_left_out", record_.curves_left_out()}};
}

json ExperimentVm::summary() const {
  json object;
  object["vm"] = name_;
  object["qemu_version"] = qemu_version_;
  object["arch"] = arch_;
  object["accelerator"] = accelerator_;
  object["length_seconds"] = shown_number(length_seconds_);
  object["complete"] = is_complete();
  object["completeness"] = completeness();
  object["notes"] = notes_;
  add_figures(record_, length_seconds_, object);
  return object;
}

Experiment::Experiment(boost::asio::any_io_executor executor, ExperimentWish its_wish)
    : wish(std::move(its_wish)), next(executor), ended(executor) {
  ended.expires_at(boost::asio::steady_timer::time_point::max());
}

json header_of(const Experiment& experiment) {
  const auto& wish = experiment.wish;
  json object;
  object["name"] = wish.name;
  object["state"] = to_string(experiment.state);
  object["labels"] = wish.labels;
  object["packs"] = wish.packs;
  object["command"] = wish.command;
  object["by"] = to_string(wish.asker);
  const std::chrono::duration<double> since = experiment.started.time_since_epoch();
  object["started"] = std::round(since.count() * 1000) / 1000;
  const double length = experiment.state == ExperimentState::running
                            ? seconds_between(experiment.began, ExperimentVm::Clock::now())
                            : experiment.length_seconds;
  object["length_seconds"] = shown_number(length);
  object["remaining_seconds"] = nullptr;
  if (experiment.until && !experiment.has_ended()) {
    const std::chrono::duration<double> left = *experiment.until - BootClock::now();
    object["remaining_seconds"] = shown_number(std::max(0.0, left.count()));
  }
  object["ended_by"] = experiment.ended_by;
  object["complete"] = std::all_of(experiment.vms.begin(), experiment.vms.end(),
                                   [](const auto& vm) { return vm->is_complete(); }) &&
                       (experiment.state == ExperimentState::running ||
                        experiment.state == ExperimentState::finished);
  auto names = json::array();
  for (const auto& vm : experiment.vms) names.push_back(vm->name());
  object["vms"] = std::move(names);
  return object;
}

json summary_of(const Experiment& experiment) {
  auto object = header_of(experiment);
  auto vms = json::array();
  for (const auto& vm : experiment.vms) vms.push_back(vm->summary());
  object["vms"] = std::move(vms);
  return object;
}

}  // namespace qemon::daemon
