#include "daemon/ftrace_source.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

namespace qemon::daemon {

namespace asio = boost::asio;

namespace {

// One turn of the loop.
constexpr std::size_t turn_bytes = trace::decode_bytes_max;
// The kernel gives some kilobytes at a time.
constexpr std::size_t gathered_bytes = 128 * 1024;
// A line of trace_pipe is longer than what the ring has of it.
constexpr std::uint64_t text_bytes_per_byte = 3;

bool is_marker(const OpenFile& file) {
  return file.target.ends_with("/trace_marker");
}

std::optional<OpenFile> marker_of(const ProcessInfo& process) {
  const auto files = open_files(process.pid);
  if (!files) return std::nullopt;
  const auto found = std::find_if(files->begin(), files->end(), is_marker);
  return found == files->end() ? std::nullopt : std::optional(*found);
}

trace::LogDecoderOptions decoder_options(ProcessThreads& threads) {
  trace::LogDecoderOptions options;
  options.shared = trace::SharedLog::ftrace;
  options.owner_of = [&threads](std::uint32_t thread) { return threads.owner_of(thread); };
  return options;
}

struct Request {
  std::string tracefs;
  std::string marker;
  std::string instance;
};

Result<TraceBuffer> open_buffer(const Request& request) {
  auto tracefs = request.tracefs;
  if (tracefs.empty()) {
    auto found = find_tracefs(request.marker);
    if (!found) return found.error();
    tracefs = std::move(*found);
  }
  auto instance = make_trace_instance(tracefs, request.instance);
  if (!instance) return instance.error();
  if (*instance) return std::move(**instance);
  return open_system_buffer(tracefs);
}

/// The kernel takes its time to make an instance and to remove one, so a thread of its own waits
/// for it.
asio::awaitable<Result<TraceBuffer>> open_in_thread(Request request) {
  co_return open_buffer(request);
}

asio::awaitable<Result<void>> close_in_thread(TraceBuffer buffer) {
  co_return close_trace_buffer(std::move(buffer));
}

/// nullptr if the system has no room for one more.
std::unique_ptr<asio::thread_pool> make_thread() {
  try {
    return std::make_unique<asio::thread_pool>(1);
  } catch (const std::exception&) {
    return nullptr;
  }
}

}  // namespace

bool has_ftrace_backend(const ProcessInfo& process) {
  return marker_of(process).has_value();
}

FtraceSource::FtraceSource(TraceSourceOptions options, std::string tracefs)
    : options_(std::move(options)),
      tracefs_(std::move(tracefs)),
      threads_(options_.process.pid),
      decoder_(options_.events, decoder_options(threads_)) {}

FtraceSource::~FtraceSource() {
  if (buffer_.pipe) std::ignore = close_trace_buffer(std::move(buffer_));
}

asio::awaitable<Result<void>> FtraceSource::start() {
  if (tracefs_.empty() && !sees_hosts_thread_ids()) {
    co_return Error{
        "the kernel's trace names threads by numbers that cannot be seen from within a container: "
        "run qemond on the host"};
  }
  Request request;
  request.tracefs = tracefs_;
  if (const auto marker = marker_of(options_.process)) request.marker = marker->target;
  request.instance =
      trace_instance_name(options_.vm, static_cast<std::uint64_t>(options_.process.pid));
  const auto thread = make_thread();
  if (!thread) co_return Error{"no thread could be made: raise TasksMax= of qemond's service"};
  auto work = open_in_thread(std::move(request));
  auto opened = co_await asio::co_spawn(*thread, std::move(work), asio::use_awaitable);
  if (!opened) co_return opened.error();
  buffer_ = std::move(*opened);
  threads_.refresh();
  co_return Result<void>();
}

asio::awaitable<void> FtraceSource::stop() {
  auto buffer = std::exchange(buffer_, TraceBuffer());
  const auto thread = make_thread();
  if (!thread) {
    std::ignore = close_trace_buffer(std::move(buffer));
    co_return;
  }
  auto work = close_in_thread(std::move(buffer));
  std::ignore = co_await asio::co_spawn(*thread, std::move(work), asio::use_awaitable);
}

asio::awaitable<Result<void>> FtraceSource::switch_event(trace::EventIndex, bool) {
  co_return Result<void>();
}

asio::awaitable<Result<void>> FtraceSource::flush() {
  drained_ = false;
  co_return Result<void>();
}

bool FtraceSource::pump(std::span<char> buffer, trace::RecordSink& sink) {
  threads_.refresh();
  std::size_t turn = 0;
  drained_ = false;
  while (turn < turn_bytes && !drained_) {
    std::memcpy(buffer.data(), rest_.data(), rest_.size());
    const auto size = read_some(buffer.subspan(rest_.size()).first(gathered_bytes));
    turn += size;
    const auto used = decoder_.decode({buffer.data(), rest_.size() + size}, sink);
    rest_.assign(buffer.data() + used, rest_.size() + size - used);
  }
  totals_.bytes_read += turn;
  return !drained_;
}

std::size_t FtraceSource::read_some(std::span<char> room) {
  std::size_t size = 0;
  while (size < room.size()) {
    const auto got = ::read(buffer_.pipe.get(), room.data() + size, room.size() - size);
    if (got > 0) {
      size += static_cast<std::size_t>(got);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != EAGAIN) {
      if (problem_.empty()) ++totals_.read_errors;
      problem_ = system_error(errno, buffer_.directory + "/trace_pipe").detail;
    } else {
      problem_.clear();
    }
    drained_ = true;
    break;
  }
  return size;
}

trace::FeedTotals FtraceSource::totals() const {
  auto totals = totals_;
  totals.decoder = decoder_.stats();
  return totals;
}

std::uint64_t FtraceSource::lag_bytes() const {
  const auto waiting = drained_ ? 0 : bytes_held(buffer_) * text_bytes_per_byte;
  return rest_.size() + waiting;
}

std::optional<clockid_t> FtraceSource::clock() const {
  if (buffer_.clock == "mono") return CLOCK_MONOTONIC;
  if (buffer_.clock == "mono_raw") return CLOCK_MONOTONIC_RAW;
  if (buffer_.clock == "boot") return CLOCK_BOOTTIME;
  if (buffer_.clock == "tai") return CLOCK_TAI;
  return std::nullopt;
}

std::string FtraceSource::place() const {
  return buffer_.directory + "/trace_pipe";
}

std::vector<std::string> FtraceSource::problems() const {
  std::vector<std::string> lines;
  if (!problem_.empty()) lines.push_back(problem_);
  if (!is_recording(buffer_)) {
    lines.push_back("somebody switched the kernel's trace off: echo 1 >" + buffer_.directory +
                    "/tracing_on");
  }
  if (!buffer_.is_ours) {
    lines.push_back(
        "this kernel has one trace buffer for everybody: what is read here is gone "
        "for others who read " +
        place());
    if (!clock())
      lines.push_back("its trace_clock \"" + buffer_.clock +
                      "\" may differ between processors, and latencies with it: echo mono >" +
                      buffer_.directory + "/trace_clock");
  }
  return lines;
}

std::vector<std::string> FtraceSource::unknown() const {
  return {
      "whose lines were dropped, if any were: other programs' markers are in the same trace "
      "buffer"};
}

}  // namespace qemon::daemon
