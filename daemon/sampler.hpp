// Sampler: when the windows of sampled events of one VM begin and end, and what their counts say
// about all of the time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/sampling.hpp"
#include "trace/event_table.hpp"

namespace qemon::daemon {

/// How many records were read, so far.
struct RecordsRead {
  std::uint64_t of_event = 0;
  std::uint64_t of_all = 0;   ///< Of all events.
  std::uint64_t dropped = 0;  ///< By QEMU, of all events.
};

/// Pure bookkeeping: the caller switches the events, tells when it did, and brings the counts.
/// Owned by a Vm, one thread.
///
/// Time is cut into periods. Each has one window, which begins at any moment of the period with the
/// same probability, so that windows do not keep step with what the guest does regularly. What is
/// counted in a window stands for its whole period: every instant is as likely to be in a window as
/// every other one, so the estimate is right on average whatever the guest does. (To let a window
/// stand for the time since the window before would not be: the one that begins early in its period
/// would always weigh less.)
class Sampler {
 public:
  using Clock = std::chrono::steady_clock;
  using Time = Clock::time_point;

  /// How an event that is or was sampled is observed.
  enum class Mode : std::uint8_t {
    off,
    sampled,
    continuous  ///< On all the time, for somebody else: the estimate is the true count.
  };

  /// `random` gives numbers from 0 to less than 1.
  explicit Sampler(std::function<double()> random) : random_(std::move(random)) {}

  /// How an event is observed from now on. `sampling` is for Mode::sampled, `on` how it is switched
  /// now, `read` what was read so far. An event that never was sampled is followed only from its
  /// first sampling on.
  void follow(trace::EventIndex event, Mode mode, Sampling sampling, bool on,
              const RecordsRead& read, Time now);
  /// It was switched on or off at `now`.
  void switched(trace::EventIndex event, bool on, Time now);

  struct Closing {
    trace::EventIndex event;
    std::chrono::nanoseconds stands_for;  ///< See settle().
  };
  struct Turn {
    std::vector<trace::EventIndex> open;
    std::vector<Closing> close;
  };
  /// The windows that are to begin and to end now.
  [[nodiscard]] Turn turn(Time now);
  /// Ends all windows early.
  [[nodiscard]] std::vector<Closing> close_all();
  /// All records of the event's window were read: what it saw stands for that much time. Where QEMU
  /// dropped records, it is taken to have dropped those of all events alike.
  void settle(trace::EventIndex event, const RecordsRead& read,
              std::chrono::nanoseconds stands_for);
  /// A session begins: nothing is said of the time without one, but for windows that are open.
  void resume(Time now);

  /// When turn() has something to do next.
  [[nodiscard]] Time next() const;
  /// Whether a window is open that ends before `time`.
  [[nodiscard]] bool closes_before(Time time) const;
  [[nodiscard]] bool any_open() const;

  /// One that is or was sampled.
  struct Estimate {
    trace::EventIndex event;
    double total;             ///< Never less than before.
    double observed_seconds;  ///< That it was switched on since it was sampled first.
  };
  /// `count` gives how many records of an event were read so far.
  [[nodiscard]] std::vector<Estimate> estimates(
      const std::function<std::uint64_t(trace::EventIndex)>& count, Time now) const;
  [[nodiscard]] std::vector<trace::EventIndex> followed() const;

 private:
  struct Group {
    Time period_begin;
    Time window_begin;
    Time window_end;
    bool open = false;
    std::int64_t periods = 0;  // That the next window to end stands for.
    std::set<trace::EventIndex> events;
  };
  struct Followed {
    Mode mode = Mode::off;
    Sampling sampling;
    bool in_window = false;
    bool on = false;
    Time on_since;
    std::chrono::nanoseconds seen{0};  // Since it was settled.
    std::chrono::nanoseconds observed{0};
    double estimated = 0;
    RecordsRead settled;
  };

  void leave(trace::EventIndex event, Followed& followed, const RecordsRead& read);
  void next_period(Group& group, std::chrono::milliseconds period);
  void begin(Group& group, std::chrono::milliseconds period, Time now);
  std::vector<Closing> close(const Sampling& sampling, Group& group);
  static void settle(Followed& followed, const RecordsRead& read,
                     std::chrono::nanoseconds stands_for);

  std::function<double()> random_;
  std::map<Sampling, Group> groups_;
  std::map<trace::EventIndex, Followed> followed_;
};

}  // namespace qemon::daemon
