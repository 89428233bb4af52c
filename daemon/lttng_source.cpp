#include "daemon/lttng_source.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

#include "base/text.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;

LttngSource::LttngSource(TraceSourceOptions options)
    : options_(std::move(options)), helper_(options_.executor), decoder_(options_.events) {}

asio::awaitable<Result<void>> LttngSource::start() {
  std::string vm = options_.vm;
  auto started = co_await helper_.start(std::move(vm), options_.process.pid);
  if (!started) co_await helper_.end();
  co_return started;
}

asio::awaitable<void> LttngSource::stop() {
  co_await helper_.end();
}

asio::awaitable<Result<void>> LttngSource::switch_event(trace::EventIndex event, bool on) {
  std::string command = (on ? "on " : "off ") + options_.events.name(event);
  const auto* const described = options_.events.described(event);
  if (on && described != nullptr) {
    for (const auto& argument : described->arguments) {
      const bool is_string = argument.kind == trace::ArgumentKind::string;
      command += (is_string ? " s:" : " i:") + argument.name;
    }
  }
  co_return co_await helper_.ask(std::move(command));
}

asio::awaitable<Result<void>> LttngSource::flush() {
  std::string command = "read";
  co_return co_await helper_.ask(std::move(command));
}

bool LttngSource::pump(std::span<char> buffer, trace::RecordSink& sink) {
  helper_.listen();
  std::size_t turn = 0;
  while (!ended_ && turn < trace::decode_bytes_max) {
    std::memcpy(buffer.data(), rest_.data(), rest_.size());
    const auto room = std::min(trace::decode_bytes_max, buffer.size() - rest_.size());
    const auto size = ::read(helper_.records(), buffer.data() + rest_.size(), room);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return false;
    if (size == 0) {
      // What comes between this and the next session is lost.
      ended_ = true;
      sink.on_restart();
      return false;
    }
    const auto got = static_cast<std::size_t>(size);
    bytes_read_ += got;
    turn += got;
    const std::string_view bytes(buffer.data(), rest_.size() + got);
    const auto used = decoder_.decode(bytes, sink);
    rest_ = bytes.substr(used);
  }
  return !ended_;
}

trace::FeedTotals LttngSource::totals() const {
  trace::FeedTotals totals;
  totals.bytes_read = bytes_read_;
  totals.decoder = decoder_.stats();
  // Records of another size than the catalog says are those that the helper knows to lack an
  // argument: that their QEMU is another one than the catalog's does not follow.
  return totals;
}

std::uint64_t LttngSource::lag_bytes() const {
  int waiting = 0;
  if (helper_.records() < 0 || ::ioctl(helper_.records(), FIONREAD, &waiting) != 0) waiting = 0;
  return rest_.size() + static_cast<std::uint64_t>(std::max(waiting, 0));
}

std::string LttngSource::place() const {
  return "live session of LTTng, qemon-lttng pid " + std::to_string(helper_.pid());
}

std::vector<std::string> LttngSource::problems() const {
  std::vector<std::string> lines;
  if (!helper_.ended().empty())
    lines.push_back("LTTng: " + helper_.ended() + "; a new session is tried");
  if (helper_.overwritten() > 0) {
    lines.push_back(std::to_string(helper_.overwritten()) +
                    " buffers of records were overwritten at lttng-relayd before they could be "
                    "read: switch on fewer events");
  }
  if (!helper_.incomplete().empty()) {
    lines.push_back(
        "counted by name only, since QEMU's tracepoints lack an argument: " +
        shortened(std::vector(helper_.incomplete().begin(), helper_.incomplete().end())));
  }
  return lines;
}

std::vector<std::string> LttngSource::unknown() const {
  return {"whether other sessions of LTTng record the same events"};
}

bool has_lttng(const ProcessInfo& process) {
  std::ifstream maps("/proc/" + std::to_string(process.pid) + "/maps");
  for (std::string line; std::getline(maps, line);)
    if (line.find("/liblttng-ust.so") != std::string::npos) return true;
  return false;
}

}  // namespace qemon::daemon
