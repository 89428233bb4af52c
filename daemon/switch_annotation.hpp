// What is annotated when somebody switches events or packs.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/annotation.hpp"
#include "daemon/leases.hpp"

namespace qemon::daemon {

/// Of a lease that ends: "events off" or "packs off", and what goes off by that: a pack's name
/// stands for its events.
[[nodiscard]] std::string off_text(const Lease& lease);
[[nodiscard]] std::vector<std::string> what_went_off(const std::string& pack,
                                                     const std::vector<std::string>& events);

/// One action of one user, which may have concerned several VMs: one annotation.
class SwitchAnnotation {
 public:
  /// `what`: for instance "events on".
  explicit SwitchAnnotation(std::string what) : what_(std::move(what)) {}

  /// What was switched on one VM; nothing of it is told if there are no names.
  void add(const std::string& vm, const std::vector<std::string>& names);
  /// `how`: for instance "by alice". Nothing if nothing was switched.
  [[nodiscard]] std::optional<Annotation> finish(const std::string& how) const;

 private:
  std::string what_;
  std::vector<std::string> vms_;
  std::vector<std::string> names_;  // In the order that they were told, each once.
  std::set<std::string> seen_;
};

}  // namespace qemon::daemon
