// The part of TraceRouter that has records come from this host instead of a file that QEMU writes.
#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <tuple>
#include <utility>

#include "daemon/put_back.hpp"
#include "daemon/trace_router.hpp"
#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

/// Which of the backends that this QEMU has is followed. One that is asked for is, whatever else
/// there is.
void TraceRouter::choose_backend() {
  const auto& wanted = options_.backend;
  const bool file_wanted =
      wanted && (wanted->backend == TraceBackend::simple || wanted->backend == TraceBackend::log);
  const bool source_wanted = wanted && !file_wanted;
  const bool has_file_backend = backends_.simple || backends_.log;
  choice_.reset();
  if (!options_.same_host) {
    blocked_ = "its monitor is on another host, whose trace files cannot be read: run qemond there";
    return;
  }
  std::vector<TraceBackend> others;
  if (process_ && (source_wanted || !has_file_backend)) others = find_source_backends(*process_);
  if (!others.empty()) {
    backends_.how += ", its process shows";
    for (const auto other : others) backends_.how += " " + std::string(to_string(other));
  }
  if (source_wanted) {
    const bool has = std::find(others.begin(), others.end(), wanted->backend) != others.end();
    if (has) {
      choice_ = *wanted;
      backends_.simple = backends_.log = false;
    } else {
      blocked_ = "it has not the trace backend " + std::string(to_string(wanted->backend)) +
                 " that --backend asks for" +
                 (process_ ? "" : ", or its process is not visible from here") +
                 ": leave --backend out to have another one followed";
    }
  } else if (file_wanted) {
    const bool simple = wanted->backend == TraceBackend::simple;
    if (!(simple ? backends_.simple : backends_.log)) {
      blocked_ = "it has not the trace backend " + std::string(to_string(wanted->backend)) +
                 " that --backend asks for: leave --backend out to have another one followed";
    }
    (simple ? backends_.log : backends_.simple) = false;
  } else if (!has_file_backend && !others.empty()) {
    choice_ = BackendChoice{others.front(), {}};
  } else if (!has_file_backend) {
    blocked_ =
        "this QEMU was built without a trace backend that can be followed: it needs "
        "--enable-trace-backends=log or simple";
  }
}

/// What a qemond that was killed had led elsewhere is put back here if the backend that is followed
/// now does not do it.
asio::awaitable<Result<void>> TraceRouter::put_back_of_other_backend(qmp::Client& client) {
  if (!left_behind_) co_return Result<void>();
  const bool nothing_followed = uses_source() || !blocked_.empty();
  if (left_behind_->trace_file_ours && (nothing_followed || !backends_.simple)) {
    std::string trace_file = left_behind_->trace_file;
    auto back = co_await put_trace_file_back(client, std::move(trace_file));
    if (!back && !qmp::is_refusal(back.error())) co_return back.error();
    left_behind_->trace_file_ours = false;
  }
  if (left_behind_->log_away && nothing_followed) {
    std::string log = left_behind_->log_restore;
    auto back = co_await put_log_back(client, std::move(log));
    if (!back) co_return back.error();
    left_behind_->log_away = false;
  }
  if (!left_behind_->any()) left_behind_.reset();
  co_return Result<void>();
}

asio::awaitable<Result<void>> TraceRouter::start_source(bool is_asked) {
  // What is missing will hardly be there the next moment, and trying is not for nothing.
  constexpr std::chrono::seconds patience{5};
  if (!is_asked && Clock::now() < next_source_) co_return Error{source_problem_};
  const auto executor = co_await asio::this_coro::executor;
  TraceSourceOptions options{executor, options_.vm, *choice_, *process_, events_};
  auto source = make_trace_source(std::move(options));
  if (!source) {
    co_return Error{"this qemond was built without what the trace backend " +
                    std::string(to_string(choice_->backend)) +
                    " needs: build it with that, or have another backend followed with --backend"};
  }
  auto started = co_await source->start();
  // Nobody may be waiting for the answer.
  note_ = source_problem_ = started ? std::string() : started.error().detail;
  next_source_ = started ? Clock::time_point() : Clock::now() + patience;
  if (!started) co_return started.error();
  source_ = std::move(source);
  destination_ = Destination::source;
  co_return Result<void>();
}

asio::awaitable<void> TraceRouter::stop_source(std::span<char> buffer) {
  std::ignore = co_await source_->flush();
  co_await drain(buffer);
  co_await drop_source();
}

asio::awaitable<void> TraceRouter::drop_source() {
  // Nobody is to pump it while it ends.
  const auto source = std::move(source_);
  destination_ = Destination::none;
  followed_.clear();
  not_followed_.clear();
  closed_ += source->totals();
  co_await source->stop();
}

asio::awaitable<Result<void>> TraceRouter::switch_event(trace::EventIndex event, bool on) {
  if (!source_ || followed_.contains(event) == on) co_return Result<void>();
  auto switched = co_await source_->switch_event(event, on);
  // As if QEMU had refused it: another event may well work.
  if (!switched) co_return qmp::make_error(qmp::errc::command_failed, switched.error().detail);
  if (on) {
    followed_.insert(event);
  } else {
    followed_.erase(event);
  }
  co_return Result<void>();
}

asio::awaitable<void> TraceRouter::follow_only(std::vector<trace::EventIndex> on) {
  if (!source_) co_return;
  const std::set<trace::EventIndex> wanted(on.begin(), on.end());
  const auto before = followed_;
  for (const auto event : before)
    if (!wanted.contains(event)) std::ignore = co_await switch_event(event, false);
  not_followed_.clear();
  for (const auto event : wanted) {
    auto followed = co_await switch_event(event, true);
    if (!followed) not_followed_.emplace(event, std::move(followed.error().detail));
  }
}

std::vector<std::string> TraceRouter::unknown() const {
  if (source_) return source_->unknown();
  if (!following()) return {};
  if (backend() == "exec-log") return {"when a block was entered: the log has no times"};
  return {};
}

asio::awaitable<void> TraceRouter::end(std::span<char> buffer) {
  if (source_) {
    co_await stop_source(buffer);
  } else {
    co_await drain(buffer);
  }
}

}  // namespace qemon::daemon
