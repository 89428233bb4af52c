// The part of Vm that keeps the journal, and takes up what an earlier qemond left.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "daemon/put_back.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

void Vm::take_up(JournalEntry entry) {
  written_ = entry;
  attached_by_command_ = entry.attached_by_command;
  // Times of another boot mean nothing here, and its QEMUs are gone.
  if (entry.boot != boot_id()) return;
  for (const auto& journaled : entry.leases) {
    // What it measured, nobody waits for any more.
    if (journaled.sampling && journaled.sampling->period.count() == 0) continue;
    Lease lease;
    lease.id = journaled.id;
    lease.sampling = journaled.sampling;
    lease.asker = {journaled.user, journaled.uid};
    lease.patterns = journaled.patterns;
    lease.pack = journaled.pack;
    lease.since = journaled.since;
    lease.until = journaled.until;
    for (const auto& event : journaled.events) lease.events.insert(events_.add(event));
    leases_.grant(std::move(lease));
  }
  for (const auto& trip : entry.tripped) leases_.trip(events_.add(trip.event), trip.why);
  spdlog::info("{}: taken up from the journal leases={} events_on={}", name(), entry.leases.size(),
               entry.on.size());
  journaled_ = std::move(entry);
}

void Vm::attached_by_command() {
  attached_by_command_ = true;
  write_journal_or_warn();
}

/// Whether the QEMU that this session is with is the one that the journal is about.
bool Vm::is_journaled_process() const {
  if (!journaled_ || journaled_->boot != boot_id()) return false;
  // A file without a process is what it was, wherever it is.
  if (config_.file && !journaled_->process) return !process_;
  if (!journaled_->process)
    return !process_ && !thread_ids_.empty() && thread_ids_ == journaled_->threads;
  return process_ && process_->pid == journaled_->process->pid &&
         process_->start_ticks == journaled_->process->start_ticks;
}

/// The switches of this process were just read for the first time: those that an earlier qemond
/// switched on are ours.
void Vm::take_up_states() {
  if (!is_journaled_process() || !router_->switches_in_qemu()) return;
  const auto each = [this](const std::vector<std::string>& names, auto what) {
    for (const auto& event_name : names)
      if (const auto event = events_.find(event_name)) what(*event, leases_.at(*event).on);
  };
  each(journaled_->on, [this](trace::EventIndex event, bool on) {
    on ? leases_.found_ours(event) : leases_.found_off_by_others(event);
  });
  each(journaled_->about_to_be_on, [this](trace::EventIndex event, bool on) {
    if (on) leases_.found_ours(event);
  });
  each(journaled_->off_by_others, [this](trace::EventIndex event, bool on) {
    if (!on) leases_.found_off_by_others(event);
  });
}

/// What is true now, and what the next reconcile() will make true.
JournalEntry Vm::journal_entry() const {
  JournalEntry entry;
  if (journaled_) {
    // Not looked at yet: what it says of QEMU is still all we know.
    entry = *journaled_;
    entry.leases.clear();
    entry.tripped.clear();
  } else {
    if (process_) entry.process = JournaledProcess{process_->pid, process_->start_ticks};
    entry.threads = thread_ids_;
    // A sampled event counts as about to be on for as long as its lease runs, so that the journal
    // is not written anew for each window.
    const auto sampled = leases_.sampled();
    const auto is_sampled = [&](trace::EventIndex event) {
      return std::binary_search(sampled.begin(), sampled.end(), event);
    };
    // What is on elsewhere than in QEMU ends with us.
    const bool in_qemu = !config_.file && (!router_ || router_->switches_in_qemu());
    for (const auto event : leases_.ours())
      if (in_qemu && !is_sampled(event)) entry.on.push_back(events_.name(event));
    for (const auto event : leases_.off_by_others())
      entry.off_by_others.push_back(events_.name(event));
    if (states_known_ && in_qemu) {
      for (const auto& change : leases_.changes())
        if (change.enable && !is_sampled(change.event))
          entry.about_to_be_on.push_back(events_.name(change.event));
      for (const auto event : sampled)
        if (const auto state = leases_.at(event); !state.on || state.ours)
          entry.about_to_be_on.push_back(events_.name(event));
    }
    if (!probe_event_.empty()) entry.about_to_be_on.push_back(probe_event_);
    entry.collecting = collectors_.changed();
    if (router_) entry.trace = router_->to_put_back(states_known_ && leases_.any_wanted());
  }
  for (const auto event : leases_.tripped())
    entry.tripped.push_back({events_.name(event), leases_.at(event).tripped});
  entry.address = address();
  entry.vm = name();
  entry.boot = boot_id();
  entry.attached_by_command = attached_by_command_ && !stopping_;
  for (const auto& [id, lease] : leases_.all()) {
    JournaledLease& journaled = entry.leases.emplace_back();
    journaled.id = id;
    journaled.patterns = lease.patterns;
    journaled.pack = lease.pack;
    journaled.user = lease.asker.user;
    journaled.uid = lease.asker.uid;
    journaled.since = lease.since;
    journaled.until = lease.until;
    journaled.sampling = lease.sampling;
    for (const auto event : lease.events) journaled.events.push_back(events_.name(event));
  }
  return entry;
}

/// Before QEMU is told anything that would have to be put back, and after. Nothing is written if
/// nothing changed.
Result<void> Vm::write_journal() {
  std::optional<JournalEntry> entry = journal_entry();
  if (!entry->needed()) entry.reset();
  if (entry == written_) return Result<void>();
  auto written =
      entry ? environment_.journal->write(*entry) : environment_.journal->remove(address());
  if (!written) return written;
  written_ = std::move(entry);
  if (!journal_problem_.empty()) spdlog::info("{}: its journal is written again", name());
  journal_problem_.clear();
  return written;
}

void Vm::write_journal_or_warn() {
  const auto written = write_journal();
  if (written || written.error().detail == journal_problem_) return;
  journal_problem_ = written.error().detail;
  spdlog::warn("{}: its journal cannot be written: {}", name(), journal_problem_);
}

}  // namespace qemon::daemon
