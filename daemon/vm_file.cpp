// The part of Vm that follows a file which a QEMU without a monitor writes.
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "daemon/followed_file.hpp"
#include "daemon/plugin_level.hpp"
#include "daemon/process_info.hpp"
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

/// False if it is certain that the process has not that file open.
bool may_have_open(const ProcessInfo& process, const std::string& path) {
  struct stat about {};
  const auto files = open_files(process.pid);
  if (!files || ::stat(path.c_str(), &about) != 0) return true;
  return !is_alive(process) || std::any_of(files->begin(), files->end(), [&](const OpenFile& file) {
    return file.inode == about.st_ino && file.device == about.st_dev;
  });
}

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
  const bool is_over = co_await serve_file();
  answering_ = false;
  if (!is_over && !stopping_) {
    collectors_.end_session();
    co_return;
  }
  // The counters that it had in the end are true for ever.
  collectors_.doubt();
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
  auto found = identify(*config_.file);
  if (!found) co_return found.error();
  std::optional<ProcessInfo> process;
  if (config_.file->pid) {
    // It may have ended before we looked; what it wrote is read all the same.
    auto inspected = inspect_process(*config_.file->pid);
    if (inspected) process = std::move(*inspected);
    if (process && !found->is_plugin && !may_have_open(*process, found->path))
      co_return Error{"process " + std::to_string(process->pid) + " does not write " + found->path +
                      ": give the pid of the QEMU that does, or none"};
  }
  is_plugin_file_ = found->is_plugin;
  co_await begin_process(std::move(process));
  if (!is_plugin_file_) {
    begin_file_events(*found->format);
    const bool from_beginning = found->from_beginning || saw_no_file_ || reads_on_from_start_;
    reads_on_from_start_ = from_beginning;
    file_restarts_ = 0;
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

/// Everything that is done while the file is followed. False if it is to be begun anew.
asio::awaitable<bool> Vm::serve_file() {
  static const qmp::Identity nobody;
  while (!stopping_) {
    co_await answer_file_requests();
    if (end_leases_that_are_over()) use_packs();
    notice_file_events();
    std::ignore = co_await collectors_.poll_one(nullptr, nobody, process_);
    const bool is_over = config_.file->pid && (!process_ || !is_alive(*process_));
    if (is_over) {
      // A turn reads what was there at its beginning, as far as that was known.
      std::uint64_t read = 0;
      do {
        read = router_->totals().bytes_read;
        co_await router_->drain(environment_.read_buffer);
      } while (!stopping_ && router_->totals().bytes_read != read);
      std::ignore = co_await collectors_.poll_all(nullptr, nobody, process_);
      notice_file_events();
      co_return true;
    }
    if (is_file_another_now()) co_return false;
    if (!requests_.empty() || stopping_) continue;
    const auto next = std::min(collectors_.next_due(), next_lease_end_here());
    co_await wait(std::min(next, Clock::now() + process_interval));
  }
  co_return true;
}

/// What the file is was concluded from too little of it, or it was replaced by another one.
bool Vm::is_file_another_now() {
  if (config_.file->format || config_.file->is_plugin || !router_->following()) return false;
  const auto totals = router_->totals();
  const auto& errors = totals.decoder.errors;
  const bool fits =
      totals.decoder.records > 0 || totals.bytes_read == 0 ||
      std::all_of(errors.begin(), errors.end(), [](auto count) { return count == 0; });
  if (totals.restarts == file_restarts_ && fits) return false;
  const bool was_replaced = std::exchange(file_restarts_, totals.restarts) != totals.restarts;
  const auto now = identify(*config_.file);
  if (!now || (!now->is_plugin && trace::to_string(*now->format) == router_->backend()))
    return false;
  reads_on_from_start_ |= was_replaced;
  spdlog::info("{}: its file is a {} now", name(),
               now->is_plugin ? "TCG plugin's" : trace::to_string(*now->format));
  return true;
}

/// An earlier qemond left it so, and nobody wants it any more.
void Vm::put_file_back() {
  const auto& level = journaled_->collecting.plugin_level;
  const auto back = level ? put_plugin_level_back(*level) : Result<void>();
  if (!back)
    spdlog::warn("{}: the plugin's level is not put back: {}", name(), back.error().detail);
  journaled_.reset();
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
      // Whoever asked was told that it had failed.
      if (request->abandoned) give_up(request->report);
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
  return "process " + std::to_string(config_.file->pid.value_or(0)) +
         " has ended, and what it wrote was read to the end";
}

}  // namespace qemon::daemon
