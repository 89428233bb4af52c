// The part of Vm that follows a file which a QEMU without a monitor writes.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <tuple>

#include "daemon/followed_file.hpp"
#include "daemon/vm.hpp"
#include "daemon/vm_request.hpp"
#include "trace/exec_log_decoder.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

// How often a file that is missing or empty is looked at. What is written meanwhile is read from
// its beginning, but is to be in /metrics soon after.
constexpr auto look_interval = 200ms;
// How often it is looked at whether the process that writes the file still lives.
constexpr auto process_interval = 1s;

bool is_not_yet(const Error& error) {
  return error.code == std::errc::no_such_file_or_directory ||
         error.code == std::errc::no_message_available;
}

}  // namespace

/// From looking at the file until there is no more of it.
asio::awaitable<void> Vm::attend_file() {
  end_leases_that_are_over();
  auto begun = co_await begin_file();
  settled_ = true;
  if (!begun) {
    saw_no_file_ |= is_not_yet(begun.error());
    set_state(VmState::unreachable, begun.error().detail);
    co_await wait(std::min(Clock::now() + look_interval, next_lease_end_here()));
    co_return;
  }
  answering_ = true;
  set_state(VmState::attached, {});
  co_await serve_file();
  answering_ = false;
  collectors_.end_session();
  const auto why = why_file_ended();
  refuse_requests(stopping_ ? "qemond is stopping" : why);
  if (!stopping_) set_state(VmState::unreachable, why);
  // It is not begun anew: its process is over, and the file was read to its end.
  while (!stopping_) {
    end_leases_that_are_over();
    co_await wait(std::min(Clock::now() + 1h, next_lease_end_here()));
  }
}

/// Finds out what the file is and begins to follow it.
asio::awaitable<Result<void>> Vm::begin_file() {
  std::optional<ProcessInfo> process;
  if (config_.file->pid) {
    auto inspected = inspect_process(*config_.file->pid);
    if (!inspected)
      co_return Error{"there is no process " + std::to_string(*config_.file->pid) +
                      ": give the pid of the QEMU that writes the file, or none"};
    process = std::move(*inspected);
  }
  auto found = identify(*config_.file);
  if (!found) co_return found.error();
  is_plugin_file_ = found->is_plugin;
  co_await begin_process(std::move(process));
  if (!is_plugin_file_) {
    begin_file_events(*found->format);
    const bool from_beginning = found->from_beginning || saw_no_file_;
    const bool told = config_.file->format.has_value();
    router_->follow_file(*found->format, found->path,
                         from_beginning ? trace::FileTailOptions::Start::beginning
                                        : trace::FileTailOptions::Start::end,
                         told ? "as its address says" : "as its beginning shows");
  }
  states_known_ = true;
  journaled_.reset();
  use_packs();
  write_journal_or_warn();
  feed_timer_.cancel();
  collectors_.begin_session(nullptr, process_.has_value(), std::hash<std::string>()(name()));
  co_return Result<void>();
}

/// A QEMU with a monitor tells which events it has; here it is the catalog alone that knows.
void Vm::begin_file_events(trace::TraceFormat format) {
  if (format == trace::TraceFormat::exec_log) {
    catalog_ = {};
    catalog_.catalog = std::make_shared<const trace::Catalog>(trace::exec_log_catalog());
  } else {
    catalog_ = environment_.catalogs.find(settings_.catalog, process_, {});
  }
  if (!catalog_.problem.empty()) spdlog::warn("{}: {}", name(), catalog_.problem);
  std::vector<std::string_view> names;
  if (catalog_.catalog)
    for (const auto& event : catalog_.catalog->events()) names.push_back(event.name);
  events_.begin_process(environment_.event_names.share(names));
  events_.use_catalog(catalog_.catalog.get());
  known_events_ = names.size();
}

/// Everything that is done while the file is followed.
asio::awaitable<void> Vm::serve_file() {
  static const qmp::Identity nobody;
  while (!stopping_) {
    co_await answer_file_requests();
    if (end_leases_that_are_over()) use_packs();
    notice_file_events();
    std::ignore = co_await collectors_.poll_one(nullptr, nobody, process_);
    if (process_ && !is_alive(*process_)) {
      if (router_) co_await router_->drain(environment_.read_buffer);
      co_return;
    }
    if (!requests_.empty() || stopping_) continue;
    const auto next = std::min(collectors_.next_due(), next_lease_end_here());
    co_await wait(std::min(next, Clock::now() + process_interval));
  }
}

asio::awaitable<void> Vm::answer_file_requests() {
  static const qmp::Identity nobody;
  using Wish = SwitchRequest::Wish;
  while (!requests_.empty()) {
    const auto request = requests_.front();
    requests_.pop_front();
    // A pack counts what happens while it is on.
    if (router_) co_await router_->drain(environment_.read_buffer);
    if (request->wish == Wish::refresh) {
      auto failed = co_await collectors_.poll_all(nullptr, nobody, process_);
      for (auto& [collector, why] : failed)
        request->report.failed.push_back({std::move(collector), std::move(why)});
    } else {
      std::ignore = settle(*request, request->report);
      // Nothing is switched.
      request->report.changed.clear();
      use_packs();
      write_journal_or_warn();
    }
    request->done = true;
    request->finished.cancel();
  }
}

/// An event is on, for all that can be known, once a record of it has come.
void Vm::notice_file_events() {
  const auto& counters = engine_.counters();
  for (trace::EventIndex event = 0; event < events_.size(); ++event)
    if (counters.count(event) > 0 && !leases_.at(event).on) leases_.found(event, true, false);
}

std::string Vm::why_file_ended() const {
  if (!process_) return "is not followed any more";
  return "process " + std::to_string(process_->pid) +
         " has ended, and what it wrote was read to the end";
}

}  // namespace qemon::daemon
