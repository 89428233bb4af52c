// The part of Vm that counts and tells what happens to the VM: QMP events and marks.
#include <utility>

#include "daemon/vm.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

using Clock = std::chrono::steady_clock;

void Vm::on_qmp_event(const qmp::Event& event) {
  qmp_events_.count(event);
  auto annotation = qmp_event_annotations_.annotate(event, Clock::now());
  if (annotation) annotation->vm = name();
  annotate(std::move(annotation));
  // The devices forget what was in flight, so its ends will not come.
  if (event.name == "RESET") engine_.discard_pairs();
  // Any of these may change the run state, which the next poll reads.
  if (event.name == "STOP" || event.name == "RESUME" || event.name == "SHUTDOWN" ||
      event.name == "RESET") {
    next_poll_time_ = Clock::now();
    wake();
  }
}

std::shared_ptr<const exporters::FamilyTexts> Vm::own_families() const {
  auto families = run_state_clock_.figures(Clock::now());
  // From the beginning, so that the first mark is a change.
  auto marks = exporters::counter_family("qemu_marks_total",
                                         "Marks about the VM that users made with qemon mark.");
  exporters::add_sample(marks, {}, marks_);
  families.push_back(std::move(marks));
  for (auto& family : qmp_events_.figures()) families.push_back(std::move(family));
  return environment_.texts.make(std::move(families), name());
}

void Vm::annotate(std::optional<Annotation> annotation) const {
  if (annotation && environment_.annotate) environment_.annotate(std::move(*annotation));
}

}  // namespace qemon::daemon
