// Recording: what a real QEMU answered, made ready to be answered again by many VMs at once.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qemon::fake {

/// Bytes that several VMs send: a list of 1,000 VMs' events is in memory once.
using SharedText = std::shared_ptr<const std::string>;

/// A reply's text in which counters grow with time: pieces of text, and a counter behind each but
/// the last.
class GrowingText {
 public:
  /// The counters of query-blockstats in `reply`.
  explicit GrowingText(nlohmann::json reply);
  [[nodiscard]] SharedText after(std::chrono::milliseconds time) const;

 private:
  struct Counter {
    std::uint64_t begin;
    std::uint64_t per_second;
  };
  std::vector<std::string> pieces_;
  std::vector<Counter> counters_;
};

/// Trace events are numbered as in the recording.
using EventNumbers = std::set<std::size_t>;

/// Read once; used by all VMs of the process, which outlive nothing of it.
class Recording {
 public:
  /// Throws std::runtime_error. `threads` are named as those of vCPUs and iothreads, in turn.
  Recording(const std::string& path, const std::vector<pid_t>& threads);

  [[nodiscard]] const SharedText& greeting() const { return greeting_; }

  /// What was answered to this command: the text of an object with `return` or `error`, without its
  /// last brace, so that an id can follow. nullptr if it was not asked.
  [[nodiscard]] SharedText reply(std::string_view command, const nlohmann::json& arguments) const;

  /// query-blockstats of a VM that is so old.
  [[nodiscard]] SharedText block_statistics(std::chrono::milliseconds age) const;

  /// What trace-event-get-state of everything and "info trace-events" answer when these are on.
  [[nodiscard]] SharedText event_states(const EventNumbers& on) const;
  [[nodiscard]] SharedText event_lines(const EventNumbers& on) const;
  /// The same of one event; nullptr for one that there is not.
  [[nodiscard]] SharedText event_state(const std::string& name, const EventNumbers& on) const;
  /// Events whose names match, with `*` for anything.
  [[nodiscard]] EventNumbers matching(const std::string& pattern) const;

 private:
  void add(const nlohmann::json& entry);

  SharedText greeting_;
  // By command and arguments.
  std::map<std::pair<std::string, std::string>, SharedText> replies_;
  std::unique_ptr<GrowingText> block_statistics_;
  std::vector<std::string> events_;
  std::map<std::string, std::size_t> event_numbers_;
  SharedText states_without_any_on_;
  SharedText lines_without_any_on_;
  std::vector<pid_t> threads_;
  std::size_t next_thread_ = 0;
};

/// The text of a reply that succeeded, without its last brace.
[[nodiscard]] SharedText returning(const nlohmann::json& value);
[[nodiscard]] SharedText failing(std::string_view error_class, std::string_view description);

}  // namespace qemon::fake
