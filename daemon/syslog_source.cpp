#include "daemon/syslog_source.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "daemon/elf_names.hpp"
#include "daemon/proc_text.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::array usual_files{"/var/log/syslog", "/var/log/messages"};
constexpr auto journal_socket = "/run/systemd/journal/socket";

// Longer than qemond leaves a source alone while events are on, twice.
constexpr auto quiet_for = 150ms;
constexpr auto flush_max = 600ms;
constexpr auto restart_interval = 1s;

bool exists(const char* path) {
  struct stat about {};
  return ::stat(path, &about) == 0;
}

std::string usual_file() {
  const auto* const found = std::find_if(usual_files.begin(), usual_files.end(), exists);
  return found == usual_files.end() ? std::string() : std::string(*found);
}

bool is_in_unit(pid_t process, std::string_view unit) {
  const auto text = read_text("/proc/" + std::to_string(process) + "/cgroup").value_or("");
  const auto name = "/" + std::string(unit.substr(unit.rfind('/') + 1));
  for (auto at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const auto end = at + name.size();
    if (end == text.size() || text[end] == '/' || text[end] == '\n') return true;
  }
  return false;
}

/// Takes what comes before anything is wanted.
class Nobody final : public trace::RecordSink {
 public:
  void on_record(const trace::Record&) override {}
  void on_loss(std::uint64_t) override {}
};

std::uint64_t progress_of(const TraceSource& source) {
  const auto stats = source.totals().decoder;
  return stats.records + stats.dropped_events;
}

}  // namespace

bool has_syslog_backend(const ProcessInfo& process) {
  const auto link = "/proc/" + std::to_string(process.pid) + "/exe";
  if (process.exe.empty() || !remote_type_for(process.pid, process.exe).empty()) return false;
  return has_dynamic_name(link, "openlog");
}

std::unique_ptr<TraceSource> make_syslog_source(TraceSourceOptions options) {
  auto file = options.choice.place;
  if (file.empty() && exists(journal_socket))
    return std::make_unique<JournalSource>(std::move(options));
  if (file.empty()) file = usual_file();
  return std::make_unique<SyslogFileSource>(std::move(options), std::move(file));
}

SyslogSource::SyslogSource(TraceSourceOptions options) : options_(std::move(options)) {}

asio::awaitable<Result<void>> SyslogSource::switch_event(trace::EventIndex, bool) {
  co_return Result<void>();
}

asio::awaitable<Result<void>> SyslogSource::flush() {
  asio::steady_timer timer(options_.executor);
  const auto until = Clock::now() + flush_max;
  auto last = progress_of(*this);
  for (bool moved = true; moved && Clock::now() < until;) {
    timer.expires_after(quiet_for);
    std::ignore = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    const auto now = progress_of(*this);
    moved = std::exchange(last, now) != now;
  }
  co_return Result<void>();
}

trace::LogDecoderOptions SyslogSource::decoder_options() const {
  trace::LogDecoderOptions options;
  options.shared = trace::SharedLog::syslog;
  const auto process = options_.process.pid;
  const auto own_id = options_.process.own_id;
  options.owner_of = [process, own_id](std::uint32_t id) {
    const auto pid = static_cast<pid_t>(id);
    return pid == process || pid == own_id ? trace::LineOwner::us : trace::LineOwner::others;
  };
  options.is_in_unit = [process](std::string_view unit) { return is_in_unit(process, unit); };
  return options;
}

SyslogFileSource::SyslogFileSource(TraceSourceOptions options, std::string path)
    : SyslogSource(std::move(options)), feed_(this->options().events, path, decoder_options()) {}

asio::awaitable<Result<void>> SyslogFileSource::start() {
  const auto& path = feed_.tail().path();
  const std::string cure =
      ": name the file that the system's log goes to, --backend " + options().vm + "=syslog:FILE";
  if (path.empty()) {
    co_return Error{"neither journald nor " + std::string(usual_files[0]) + " nor " +
                    usual_files[1] + " is here" + cure};
  }
  const auto mounts = read_text("/proc/self/mountinfo").value_or("");
  if (const auto type = remote_type_of(path, mounts); !type.empty()) {
    co_return Error{path + " is on a file system of type " + type +
                    ", whose server may stop answering" + cure};
  }
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0)
    co_return wrap(system_error(errno, path), "the system's log" + cure);
  if (!S_ISREG(about.st_mode)) co_return Error{path + " is no regular file" + cure};
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) != 0) {
    co_return Error{system_error(errno, path).detail +
                    ": add the user of qemond to the group of that file, often adm"};
  }
  // Its end is where it is now, not where it is when something was written.
  std::vector<char> buffer(2 * trace::decode_bytes_max);
  Nobody nobody;
  feed_.pump(buffer, nobody);
  co_return Result<void>();
}

asio::awaitable<void> SyslogFileSource::stop() {
  co_return;
}

bool SyslogFileSource::pump(std::span<char> buffer, trace::RecordSink& sink) {
  return feed_.pump(buffer, sink);
}

std::optional<clockid_t> SyslogFileSource::clock() const {
  const auto stats = feed_.totals().decoder;
  return stats.span.empty() ? std::nullopt : std::optional<clockid_t>(CLOCK_REALTIME);
}

std::vector<std::string> SyslogFileSource::problems() const {
  std::vector<std::string> lines;
  if (!feed_.problem().empty()) lines.push_back(feed_.problem());
  const auto stats = feed_.totals().decoder;
  if (stats.records > 0 && stats.span.empty()) {
    lines.push_back("no times in " + place() +
                    " that are exact enough for latencies: have rsyslog write it with "
                    "template=\"RSYSLOG_FileFormat\"");
  }
  const auto& process = options().process;
  if (process.own_id != process.pid) {
    lines.push_back("in its container it has the process id " + std::to_string(process.own_id) +
                    ": what other containers' processes of that id write would count as well");
  }
  return lines;
}

std::vector<std::string> SyslogFileSource::unknown() const {
  return {"whether a line is QEMU's own: whoever may write to the log can use its process id",
          "what the log's daemon lost without a word"};
}

JournalSource::JournalSource(TraceSourceOptions options, std::string program)
    : SyslogSource(std::move(options)),
      program_(std::move(program)),
      decoder_(this->options().events, decoder_options()) {}

asio::awaitable<Result<void>> JournalSource::start() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const auto fraction = std::to_string(now.tv_nsec / 1000);
  since_ = "--since=@" + std::to_string(now.tv_sec) + "." + std::string(6 - fraction.size(), '0') +
           fraction;
  auto started = run();
  if (!started) co_return wrap(started.error(), "the journal cannot be followed");
  co_return Result<void>();
}

Result<void> JournalSource::run() {
  const auto dropped = "MESSAGE_ID=" + std::string(trace::journal_dropped_id);
  const auto fields = "--output-fields=" + std::string(trace::journal_fields);
  const auto from = reader_.cursor().empty() ? since_ : "--after-cursor=" + reader_.cursor();
  auto child = ChildOutput::start({program_, "--follow", "--no-tail", "--quiet", "--output=export",
                                   fields, from, "_PID=" + std::to_string(options().process.pid),
                                   "+", "_TRANSPORT=driver", dropped});
  if (!child) return child.error();
  child_ = std::move(*child);
  return {};
}

asio::awaitable<void> JournalSource::stop() {
  co_await child_.stop();
}

bool JournalSource::pump(std::span<char> buffer, trace::RecordSink& sink) {
  if (!child_.is_running()) {
    if (Clock::now() < next_start_) return false;
    next_start_ = Clock::now() + restart_interval;
    if (auto started = run(); !started) problem_ = started.error().detail;
    return false;
  }
  std::size_t turn = 0;
  while (turn < trace::decode_bytes_max) {
    std::memcpy(buffer.data(), rest_.data(), rest_.size());
    const auto read = child_.read(buffer.subspan(rest_.size(), trace::decode_bytes_max));
    if (read.ended) {
      ended(sink);
      return false;
    }
    if (read.size == 0) return false;
    problem_.clear();
    turn += read.size;
    totals_.bytes_read += read.size;
    const std::string_view bytes(buffer.data(), rest_.size() + read.size);
    const auto used = reader_.convert(bytes, lines_);
    rest_ = bytes.substr(used);
    lines_.erase(0, decoder_.decode(lines_, sink));
  }
  return child_.waiting() > 0;
}

/// It does not end by itself, unless it cannot go on.
void JournalSource::ended(trace::RecordSink& sink) {
  const auto why = child_.last_error();
  problem_ = program_ + " ended" + (why.empty() ? "" : " (" + why + ")") +
             ": the user of qemond must be allowed to read the journal, for instance by the group "
             "systemd-journal; it is started again every second";
  child_ = ChildOutput();
  reader_.restart();
  rest_.clear();
  ++totals_.restarts;
  next_start_ = Clock::now() + restart_interval;
  sink.on_loss(0);
}

trace::FeedTotals JournalSource::totals() const {
  auto totals = totals_;
  totals.decoder = decoder_.stats();
  totals.decoder.errors[static_cast<std::size_t>(trace::DecodeError::overlong_line)] +=
      reader_.overlong();
  return totals;
}

std::uint64_t JournalSource::lag_bytes() const {
  return rest_.size() + lines_.size() + child_.waiting();
}

std::string JournalSource::place() const {
  return "the journal, by journalctl";
}

std::vector<std::string> JournalSource::problems() const {
  if (problem_.empty()) return {};
  return {problem_};
}

std::vector<std::string> JournalSource::unknown() const {
  return {"what journald lost without a word"};
}

}  // namespace qemon::daemon
