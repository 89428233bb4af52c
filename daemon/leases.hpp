// Leases: which trace event of one VM is on for whom and until when, and what has to be switched to
// make it so.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/sampling.hpp"
#include "daemon/boot_clock.hpp"
#include "trace/event_table.hpp"

namespace qemon::daemon {

/// Unique in a qemond, over all VMs.
using LeaseId = std::uint64_t;

/// Who asked for something.
struct Asker {
  std::string user;          ///< A user's name, or "configuration".
  std::optional<uid_t> uid;  ///< Absent for the configuration.

  bool operator==(const Asker&) const = default;
};

/// "alice(1000)", "configuration".
[[nodiscard]] std::string to_string(const Asker& asker);

/// How the events of a lease are to be sampled.
struct SampleWish {
  bool told = false;                 ///< False: as the pack says, and events not at all.
  std::optional<Sampling> sampling;  ///< Absent: not at all.
};

/// Events that somebody wants on for a while.
struct Lease {
  LeaseId id = 0;
  Asker asker;
  std::vector<std::string> patterns;  ///< As they were asked for.
  std::string pack;                   ///< Or the pack that needs them.
  BootClock::time_point since;
  std::optional<BootClock::time_point> until;  ///< Absent: until somebody ends it.
  /// Its events are on for windows only. A period of 0: only while qemond measures what they cost,
  /// which is nothing to go on with after a crash.
  std::optional<Sampling> sampling;
  std::set<trace::EventIndex> events;  ///< A pack may have none that the VM knows.
};

/// What it is for: "virtio_blk_* apic_*", "pack irq".
[[nodiscard]] std::string subject_of(const Lease& lease);

/// Everything known about one event's switch. QEMU keeps one flag per event and no count of who
/// wants it, so we keep it.
struct EventSwitch {
  bool unavailable = false;  ///< Compiled out of this QEMU.
  bool on = false;           ///< As last seen or set.
  bool ours =
      false;  ///< On because we switched it on; only such an event is ever switched off by us.
  bool found_on = false;  ///< On before qemond attached, or switched on by somebody else since.
  bool switched_off_by_others =
      false;  ///< Held, but somebody else switched it off: respected until asked for again.
  std::string tripped;           ///< Held, but too much: why it is off until it is asked for again.
  bool ever_on = false;          ///< Was on at some time since qemond knows the VM.
  bool in_window = false;        ///< Sampled, and this is a time when it is to be on.
  std::vector<LeaseId> holders;  ///< The leases that want it on, each once.
};

struct SwitchChange {
  trace::EventIndex event;
  bool enable;
};

/// The lease table of one VM. Pure bookkeeping: the caller asks QEMU, tells what it saw (`observe`)
/// and did (`applied`), and carries out `changes()`. Leases outlive the QEMU process: a VM that
/// restarts gets its leased events again.
///
/// A QEMU has thousands of events of which a handful is ever on, and there may be a thousand VMs:
/// only switches that differ from "off, and nobody wants it on" take room.
class Leases {
 public:
  [[nodiscard]] EventSwitch at(trace::EventIndex event) const;

  /// A new lease, without events yet. Its id must be new.
  void grant(Lease lease);
  /// nullptr if there is none.
  [[nodiscard]] const Lease* find(LeaseId id) const;
  [[nodiscard]] const std::map<LeaseId, Lease>& all() const { return leases_; }
  void set_until(LeaseId id, std::optional<BootClock::time_point> until);
  /// Takes an event into a lease; doing so again is no error. Lifts `switched_off_by_others` and
  /// `tripped`.
  void take(trace::EventIndex event, LeaseId id);
  /// True if the lease had it. A lease without events stays, see end_empty().
  bool give_back(trace::EventIndex event, LeaseId id);
  /// Ends a lease; its events remain on until `changes()` are carried out.
  void end(LeaseId id);
  void end_all();
  /// Ends leases of patterns that have no event left. Those of packs stay: a pack may get events
  /// with another catalog.
  void end_empty();
  /// Those whose time is over.
  [[nodiscard]] std::vector<LeaseId> over(BootClock::time_point now) const;
  /// When the next one's time is over.
  [[nodiscard]] std::optional<BootClock::time_point> next_end() const;
  /// The packs that at least one lease is for.
  [[nodiscard]] std::set<std::string> packs() const;

  /// A QEMU process that we have not seen before: nothing is known of its switches.
  void forget_process();
  /// The first sight of an event in this process: if it is on, it was so before us.
  void found(trace::EventIndex event, bool on, bool unavailable);
  /// What was just found on is so because of us, in an earlier life.
  void found_ours(trace::EventIndex event);
  /// What was just found off is so because of somebody else, if a lease wants it on.
  void found_off_by_others(trace::EventIndex event);
  /// A later sight. A difference to what we believed is somebody else's doing, and becomes what is
  /// true; returns whether there was one.
  bool observe(trace::EventIndex event, bool on);
  /// We switched it.
  void applied(trace::EventIndex event, bool on);
  /// It is too much: off, whoever holds it, until somebody takes it again. Leases keep it, and
  /// another QEMU process changes nothing. Without a holder there is nothing to do.
  void trip(trace::EventIndex event, const std::string& why);
  /// QEMU refused to switch it: it is not asked again, and nobody holds it any more.
  void refused(trace::EventIndex event);

  /// What to switch so that every held event is on and every event that only we wanted is off
  /// again.
  [[nodiscard]] std::vector<SwitchChange> changes() const;

  /// Calls `take` with each event that is or was on at some time, and whether it is.
  template <typename Take>
  void each_ever_on(Take take) const {
    for (const auto& [event, state] : switches_)
      if (state.ever_on) take(event, state.on);
  }
  /// A window of a sampled event begins or ends.
  void set_window(trace::EventIndex event, bool open);
  /// How it is sampled: as the lease wants that wants most of it. Nothing if nobody wants it, or
  /// somebody wants all of it.
  [[nodiscard]] std::optional<Sampling> sampling_of(trace::EventIndex event) const;
  /// Events that are sampled, whether they are on now or not.
  [[nodiscard]] std::vector<trace::EventIndex> sampled() const;

  [[nodiscard]] std::size_t count_on() const;
  /// Events that are on because of us.
  [[nodiscard]] std::size_t count_ours() const;
  /// Events with at least one holder.
  [[nodiscard]] std::size_t count_held() const;
  /// Events that want a trace to be followed: held, not switched off by others, not tripped.
  [[nodiscard]] bool any_wanted() const;
  /// Events that are on because of us.
  [[nodiscard]] std::vector<trace::EventIndex> ours() const;
  /// Held events that somebody else switched off.
  [[nodiscard]] std::vector<trace::EventIndex> off_by_others() const;
  /// Held events that are too much.
  [[nodiscard]] std::vector<trace::EventIndex> tripped() const;
  /// Events that are on, by index.
  [[nodiscard]] std::vector<trace::EventIndex> on() const;

 private:
  template <typename Change>
  void change(trace::EventIndex event, Change how);
  [[nodiscard]] bool is_unavailable(trace::EventIndex event) const {
    return event < unavailable_.size() && unavailable_[event];
  }
  [[nodiscard]] bool held(trace::EventIndex event, const EventSwitch& state) const;
  [[nodiscard]] bool wanted(trace::EventIndex event, const EventSwitch& state) const;
  [[nodiscard]] std::optional<Sampling> sampling_of(const EventSwitch& state) const;
  template <typename Predicate>
  [[nodiscard]] std::vector<trace::EventIndex> events_that(Predicate predicate) const;

  std::map<LeaseId, Lease> leases_;
  std::map<trace::EventIndex, EventSwitch> switches_;  // Those that are not as a new one is.
  std::vector<bool> unavailable_;  // By event; as short as it can be. Not in switches_.
};

}  // namespace qemon::daemon
