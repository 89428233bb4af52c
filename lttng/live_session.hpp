// LiveSession: an LTTng session that exists for one QEMU process and only while it is watched.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string>

#include "base/result.hpp"

struct lttng_handle;

namespace qemon::lttng {

/// Where lttng-relayd listens.
struct RelayAddress {
  std::string host = "127.0.0.1";
  std::uint16_t control_port = 5342;
  std::uint16_t data_port = 5343;
  std::uint16_t live_port = 5344;
};

struct LiveSessionOptions {
  std::string vm;
  pid_t pid = 0;  ///< Of QEMU.
  RelayAddress relay;
  /// Most that lttng-relayd keeps of it. A flood fills this in seconds; until then it costs its
  /// event the budget.
  std::uint64_t disk_bytes = 256ULL << 20;
  std::uint64_t subbuffer_bytes = 1 << 18;  ///< Of each of a CPU's buffers; a power of two.
};

/// Made and destroyed through LTTng's control library. Every call waits for lttng-sessiond. QEMU
/// never waits: what does not fit its buffers is discarded and counted.
class LiveSession {
 public:
  /// Makes a session that only this QEMU writes to, with no event on.
  [[nodiscard]] static Result<LiveSession> create(const LiveSessionOptions& options);
  /// Destroys the sessions of qemon whose makers are no more; returns how many.
  [[nodiscard]] static Result<int> remove_left_behind();
  LiveSession(LiveSession&& other) noexcept;
  LiveSession& operator=(LiveSession&&) = delete;
  /// Destroys it, if destroy() did not.
  ~LiveSession();

  [[nodiscard]] const std::string& name() const { return name_; }
  /// What a reader is to connect to.
  [[nodiscard]] const std::string& url() const { return url_; }

  /// An Error too if QEMU has no such tracepoint.
  [[nodiscard]] Result<void> enable(const std::string& event);
  [[nodiscard]] Result<void> disable(const std::string& event);
  /// What lttng-relayd wrote to its disk goes too, unless it was told not to allow that.
  [[nodiscard]] Result<void> destroy();

 private:
  LiveSession(std::string name, lttng_handle* handle);
  [[nodiscard]] Result<void> set_up(const LiveSessionOptions& options);

  std::string name_;
  std::string url_;
  pid_t pid_ = 0;
  std::set<std::string> tracepoints_;
  lttng_handle* handle_ = nullptr;
  bool exists_ = false;
};

}  // namespace qemon::lttng
