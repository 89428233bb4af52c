// WantedArguments: which arguments the records of each event shall have, as the catalog of the
// VM's QEMU declares them.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace qemon::lttng {

struct WantedArgument {
  std::string name;
  bool is_string = false;

  bool operator==(const WantedArgument&) const = default;
};

/// Told by the thread that takes commands, asked by the one that reads the trace.
class WantedArguments {
 public:
  using List = std::vector<WantedArgument>;

  void set(const std::string& event, List arguments);
  /// Empty if none were told.
  [[nodiscard]] List of(const std::string& event) const;
  /// Changes with every set() that changes anything.
  [[nodiscard]] std::uint64_t generation() const { return generation_.load(); }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, List> events_;
  std::atomic<std::uint64_t> generation_ = 0;
};

}  // namespace qemon::lttng
