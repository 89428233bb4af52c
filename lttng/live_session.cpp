#include "lttng/live_session.hpp"

#include <lttng/lttng.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/text.hpp"

namespace qemon::lttng {

namespace {

constexpr std::string_view prefix = "qemon-";
constexpr const char* channel_name = "qemon";
constexpr std::string_view program = "qemon-lttng";  // As the kernel names its processes.
// How often a CPU's buffer is written to lttng-relayd though it is not full.
constexpr unsigned live_timer_us = 100'000;
constexpr std::uint64_t subbuffers = 4;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};

Error lttng_error(int code, std::string_view what) {
  return Error{std::string(what) + ": " + lttng_strerror(code < 0 ? code : -code)};
}

Error no_session_daemon() {
  const auto user = std::to_string(::geteuid());
  return Error{
      "no lttng-sessiond answers user " + user +
      ": start the service lttng-sessiond, and make the user a member of the group tracing"};
}

Error session_error(int code, std::string_view what, const RelayAddress& relay) {
  const int number = code < 0 ? -code : code;
  if (number != LTTNG_ERR_RELAYD_CONNECT_FAIL) return lttng_error(code, what);
  return Error{"no lttng-relayd answers at " + relay.host + ": start one that listens on ports " +
               std::to_string(relay.control_port) + ", " + std::to_string(relay.data_port) +
               " and " + std::to_string(relay.live_port)};
}

/// "qemon-VM-QEMUPID-OURPID". LTTng takes any name without a slash; what is unusual is replaced.
std::string session_name(const LiveSessionOptions& options) {
  std::string name(prefix);
  for (const char letter : options.vm.substr(0, 128)) {
    const bool plain = (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') ||
                       (letter >= 'A' && letter <= 'Z') || letter == '.' || letter == '_';
    name += plain ? letter : '_';
  }
  return name + "-" + std::to_string(options.pid) + "-" + std::to_string(::getpid());
}

/// Removes a session and, as far as lttng-relayd allows it, what that has on its disk of it.
/// Returns when it is gone, or after a while: without waiting, lttng-sessiond would complain in its
/// log of a client that left.
int remove_session(const std::string& name) {
  constexpr int patience_ms = 5000;
  // Its maker may have been killed right after this.
  const int stopped = lttng_stop_tracing(name.c_str());
  if (stopped == 0 || stopped == -LTTNG_ERR_TRACE_ALREADY_STOPPED) {
    lttng_clear_handle* clearing = nullptr;
    if (lttng_clear_session(name.c_str(), &clearing) == LTTNG_OK)
      lttng_clear_handle_wait_for_completion(clearing, patience_ms);
    lttng_clear_handle_destroy(clearing);
  }
  lttng_destruction_handle* destruction = nullptr;
  const auto code = lttng_destroy_session_ext(name.c_str(), &destruction);
  if (code == LTTNG_OK) lttng_destruction_handle_wait_for_completion(destruction, patience_ms);
  lttng_destruction_handle_destroy(destruction);
  return code == LTTNG_OK ? 0 : code;
}

/// The process that made the session, if the name is one of ours.
std::optional<pid_t> maker(std::string_view name) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const auto dash = name.rfind('-');
  auto digits = name.substr(dash + 1);
  const auto pid = take_number<pid_t>(digits);
  if (!pid || !digits.empty() || std::count(name.begin(), name.end(), '-') != 3)
    return std::nullopt;
  return pid;
}

/// Whether it is one of ours that works; one that is dead and not reaped yet does not.
bool is_alive(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::string name = "(" + std::string(program) + ") ";
  const auto place = line.find(name);
  const char state = place == std::string::npos ? 'X' : line.substr(place + name.size(), 1)[0];
  return state != 'X' && state != 'Z';
}

/// The names of QEMU's tracepoints in this process.
Result<std::set<std::string>> find_tracepoints(pid_t pid) {
  constexpr std::string_view provider = "qemu:";
  lttng_domain domain{};
  domain.type = LTTNG_DOMAIN_UST;
  const std::unique_ptr<lttng_handle, decltype(&lttng_destroy_handle)> handle(
      lttng_create_handle(nullptr, &domain), &lttng_destroy_handle);
  lttng_event* found = nullptr;
  const int count = handle ? lttng_list_tracepoints(handle.get(), &found) : 0;
  const std::unique_ptr<lttng_event, Free> owner(found);
  if (count < 0 && count != -LTTNG_ERR_UST_LIST_FAIL)
    return lttng_error(count, "lttng-sessiond cannot list tracepoints");
  std::set<std::string> names;
  for (int i = 0; i < count; ++i) {
    const std::string_view name = found[i].name;
    if (found[i].pid == pid && name.starts_with(provider))
      names.emplace(name.substr(provider.size()));
  }
  if (!names.empty()) return names;
  return Error{"QEMU's process " + std::to_string(pid) +
               " has not registered with lttng-sessiond: one of another user does with root's "
               "lttng-sessiond only, and one that is started with -daemonize only with "
               "LD_PRELOAD=liblttng-ust-fork.so"};
}

/// Lets only this process write to the session.
Result<void> track(const std::string& session, pid_t pid) {
  lttng_process_attr_tracker_handle* tracker = nullptr;
  const auto code = lttng_session_get_tracker_handle(
      session.c_str(), LTTNG_DOMAIN_UST, LTTNG_PROCESS_ATTR_VIRTUAL_PROCESS_ID, &tracker);
  if (code != LTTNG_OK) return lttng_error(code, "its processes cannot be chosen");
  auto status = lttng_process_attr_tracker_handle_set_tracking_policy(
      tracker, LTTNG_TRACKING_POLICY_INCLUDE_SET);
  if (status == LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_OK)
    status = lttng_process_attr_process_id_tracker_handle_add_pid(tracker, pid);
  lttng_process_attr_tracker_handle_destroy(tracker);
  if (status != LTTNG_PROCESS_ATTR_TRACKER_HANDLE_STATUS_OK)
    return Error{"its processes cannot be chosen"};
  return {};
}

Result<void> make_channel(lttng_handle* handle, const LiveSessionOptions& options) {
  lttng_domain domain{};
  domain.type = LTTNG_DOMAIN_UST;
  domain.buf_type = LTTNG_BUFFER_PER_UID;
  const std::unique_ptr<lttng_channel, decltype(&lttng_channel_destroy)> channel(
      lttng_channel_create(&domain), &lttng_channel_destroy);
  std::strncpy(channel->name, channel_name, sizeof channel->name - 1);
  channel->attr.overwrite = 0;
  channel->attr.subbuf_size = options.subbuffer_bytes;
  channel->attr.num_subbuf = subbuffers;
  // lttng-relayd writes to a ring of files for each CPU.
  constexpr std::uint64_t files = 4;
  const auto cpus = static_cast<std::uint64_t>(std::max(::sysconf(_SC_NPROCESSORS_CONF), 1L));
  channel->attr.tracefile_count = files;
  channel->attr.tracefile_size =
      std::max(options.disk_bytes / cpus / files, 2 * options.subbuffer_bytes);
  const int code = lttng_enable_channel(handle, channel.get());
  if (code < 0) return session_error(code, "its channel cannot be made", options.relay);
  return {};
}

}  // namespace

LiveSession::LiveSession(std::string name, lttng_handle* handle)
    : name_(std::move(name)), handle_(handle), exists_(true) {}

LiveSession::LiveSession(LiveSession&& other) noexcept
    : name_(std::move(other.name_)),
      url_(std::move(other.url_)),
      pid_(other.pid_),
      tracepoints_(std::move(other.tracepoints_)),
      handle_(std::exchange(other.handle_, nullptr)),
      exists_(std::exchange(other.exists_, false)) {}

LiveSession::~LiveSession() {
  if (exists_) remove_session(name_);
  if (handle_ != nullptr) lttng_destroy_handle(handle_);
}

Result<LiveSession> LiveSession::create(const LiveSessionOptions& options) {
  if (lttng_session_daemon_alive() != 1) return no_session_daemon();
  auto tracepoints = find_tracepoints(options.pid);
  if (!tracepoints) return tracepoints.error();
  const auto name = session_name(options);
  const auto& relay = options.relay;
  const auto control = "tcp://" + relay.host + ":" + std::to_string(relay.control_port);
  const auto data = "tcp://" + relay.host + ":" + std::to_string(relay.data_port);
  const std::unique_ptr<lttng_session_descriptor, decltype(&lttng_session_descriptor_destroy)>
      descriptor(lttng_session_descriptor_live_network_create(name.c_str(), control.c_str(),
                                                              data.c_str(), live_timer_us),
                 &lttng_session_descriptor_destroy);
  if (!descriptor) return Error{"not an address of lttng-relayd: " + control};
  if (const auto code = lttng_create_session_ext(descriptor.get()); code != LTTNG_OK)
    return session_error(code, "a session cannot be made", relay);
  lttng_domain domain{};
  domain.type = LTTNG_DOMAIN_UST;
  domain.buf_type = LTTNG_BUFFER_PER_UID;
  LiveSession session(name, lttng_create_handle(name.c_str(), &domain));
  session.pid_ = options.pid;
  session.tracepoints_ = std::move(*tracepoints);
  if (auto ready = session.set_up(options); !ready) return ready.error();
  return session;
}

Result<void> LiveSession::set_up(const LiveSessionOptions& options) {
  if (auto made = make_channel(handle_, options); !made) return made;
  if (auto tracked = track(name_, options.pid); !tracked) return tracked;
  if (const int code = lttng_start_tracing(name_.c_str()); code < 0)
    return session_error(code, "session " + name_ + " cannot be started", options.relay);
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  url_ = "net://" + options.relay.host + ":" + std::to_string(options.relay.live_port) + "/host/" +
         host.data() + "/" + name_;
  return {};
}

Result<int> LiveSession::remove_left_behind() {
  if (lttng_session_daemon_alive() != 1) return no_session_daemon();
  lttng_session* sessions = nullptr;
  const int count = lttng_list_sessions(&sessions);
  const std::unique_ptr<lttng_session, Free> owner(sessions);
  if (count < 0) return lttng_error(count, "lttng-sessiond cannot list sessions");
  int removed = 0;
  for (int i = 0; i < count; ++i) {
    const auto pid = maker(sessions[i].name);
    // A session of somebody's own may have such a name by chance.
    if (!pid || sessions[i].live_timer_interval != live_timer_us || is_alive(*pid)) continue;
    if (remove_session(sessions[i].name) == 0) ++removed;
  }
  return removed;
}

Result<void> LiveSession::enable(const std::string& event) {
  // LTTng takes any name. A module that QEMU has loaded since may have brought some.
  if (!tracepoints_.contains(event)) {
    auto now = find_tracepoints(pid_);
    if (now) tracepoints_ = std::move(*now);
    if (!tracepoints_.contains(event)) return Error{"this QEMU has no tracepoint " + event};
  }
  const std::unique_ptr<lttng_event, decltype(&lttng_event_destroy)> wanted(lttng_event_create(),
                                                                            &lttng_event_destroy);
  wanted->type = LTTNG_EVENT_TRACEPOINT;
  wanted->loglevel_type = LTTNG_EVENT_LOGLEVEL_ALL;
  wanted->loglevel = -1;
  const auto name = "qemu:" + event;
  std::strncpy(wanted->name, name.c_str(), sizeof wanted->name - 1);
  const int code = lttng_enable_event(handle_, wanted.get(), channel_name);
  if (code < 0 && code != -LTTNG_ERR_UST_EVENT_ENABLED) return lttng_error(code, name);
  return {};
}

Result<void> LiveSession::disable(const std::string& event) {
  const auto name = "qemu:" + event;
  const int code = lttng_disable_event(handle_, name.c_str(), channel_name);
  if (code < 0 && code != -LTTNG_ERR_UST_EVENT_NOT_FOUND) return lttng_error(code, name);
  return {};
}

Result<void> LiveSession::destroy() {
  exists_ = false;
  if (const int code = remove_session(name_); code != 0)
    return lttng_error(code, "session " + name_ + " cannot be destroyed");
  return {};
}

}  // namespace qemon::lttng
