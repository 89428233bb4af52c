// EventNames: the names of the trace events that one build of QEMU has, kept once for all VMs that
// run it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace qemon::trace {

using EventIndex = std::uint32_t;

/// Some thousand names in a fixed order, each once, and where each is. Immutable, and shared by the
/// event tables of all VMs whose QEMU has just these events: half a megabyte that a host with a
/// thousand VMs has once instead of a thousand times.
class EventNames {
 public:
  explicit EventNames(std::vector<std::string> names);
  EventNames(const EventNames&) = delete;
  EventNames& operator=(const EventNames&) = delete;

  [[nodiscard]] std::size_t size() const { return names_.size(); }
  [[nodiscard]] const std::string& name(EventIndex event) const { return names_[event]; }
  [[nodiscard]] std::span<const std::string> names() const { return names_; }
  [[nodiscard]] std::optional<EventIndex> find(std::string_view name) const;

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string_view, EventIndex> index_;  // Views of names_.
};

/// Finds the EventNames of a list that was seen before. Holds none alive. Owned by whoever looks
/// after several VMs.
class EventNamesPool {
 public:
  /// `names`: each once. The pointer is shared by all who gave the same list.
  [[nodiscard]] std::shared_ptr<const EventNames> share(std::span<const std::string_view> names);

 private:
  std::vector<std::weak_ptr<const EventNames>> known_;
};

}  // namespace qemon::trace
