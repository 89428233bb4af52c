// Leases: which trace event of one VM is on for whom, and what has to be switched to make it so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trace/event_table.hpp"

namespace qemon::daemon {

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
  bool ever_on = false;              ///< Was on at some time since qemond knows the VM.
  std::vector<std::string> holders;  ///< Who holds a lease, each once.
};

struct SwitchChange {
  trace::EventIndex event;
  bool enable;
};

/// The lease table of one VM. Pure bookkeeping: the caller asks QEMU, tells what it saw (`observe`)
/// and did (`applied`), and carries out `changes()`. Holders outlive the QEMU process: a VM that
/// restarts gets its leased events again.
class Leases {
 public:
  [[nodiscard]] const EventSwitch& at(trace::EventIndex event) const;
  [[nodiscard]] std::size_t size() const { return switches_.size(); }

  /// A lease on `event` for `holder`; taking it again is no error. Lifts `switched_off_by_others`.
  void take(trace::EventIndex event, std::string_view holder);
  /// True if `holder` had one.
  bool give_back(trace::EventIndex event, std::string_view holder);
  /// Ends every lease of everybody.
  void give_back_all();

  /// A QEMU process that we have not seen before: nothing is known of its switches.
  void forget_process();
  /// The first sight of an event in this process: if it is on, it was so before us.
  void found(trace::EventIndex event, bool on, bool unavailable);
  /// A later sight. A difference to what we believed is somebody else's doing, and becomes what is
  /// true; returns whether there was one.
  bool observe(trace::EventIndex event, bool on);
  /// We switched it.
  void applied(trace::EventIndex event, bool on);
  /// QEMU refused to switch it: it is not asked again, and nobody holds it any more.
  void refused(trace::EventIndex event);

  /// What to switch so that every held event is on and every event that only we wanted is off
  /// again.
  [[nodiscard]] std::vector<SwitchChange> changes() const;

  [[nodiscard]] std::size_t count_on() const;
  /// Events that are on because of us.
  [[nodiscard]] std::size_t count_ours() const;
  /// Events with at least one holder.
  [[nodiscard]] std::size_t count_held() const;
  /// Events that want a trace to be followed: held and not switched off by others.
  [[nodiscard]] bool any_wanted() const;
  /// Events that are on because of us.
  [[nodiscard]] std::vector<trace::EventIndex> ours() const;

 private:
  EventSwitch& slot(trace::EventIndex event);

  std::vector<EventSwitch> switches_;  // By event index.
};

}  // namespace qemon::daemon
