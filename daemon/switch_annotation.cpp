#include "daemon/switch_annotation.hpp"

#include "base/text.hpp"

namespace qemon::daemon {

namespace {

// Tags are for filters. Grafana's database may have room for 500 bytes of them, and a name has up
// to 64.
constexpr std::size_t vms_tagged_max = 5;

}  // namespace

std::string off_text(const Lease& lease) {
  return lease.pack.empty() ? "events off" : "packs off";
}

std::vector<std::string> what_went_off(const std::string& pack,
                                       const std::vector<std::string>& events) {
  if (pack.empty() || events.empty()) return events;
  return {pack};
}

void SwitchAnnotation::add(const std::string& vm, const std::vector<std::string>& names) {
  if (names.empty()) return;
  vms_.push_back(vm);
  for (const auto& name : names)
    if (seen_.insert(name).second) names_.push_back(name);
}

std::optional<Annotation> SwitchAnnotation::finish(const std::string& how) const {
  if (vms_.empty()) return std::nullopt;
  Annotation annotation;
  annotation.begin = std::chrono::system_clock::now();
  annotation.kind = "events";
  annotation.text = what_ + ": " + shortened(names_);
  if (vms_.size() == 1) annotation.vm = vms_.front();
  if (vms_.size() > 1) {
    annotation.text += ", on " + std::to_string(vms_.size()) + " VMs";
    if (vms_.size() <= vms_tagged_max) annotation.tags = vms_;
  }
  annotation.text += ", " + how;
  return annotation;
}

}  // namespace qemon::daemon
