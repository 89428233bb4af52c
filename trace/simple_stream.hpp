// SimpleStream: what is known about one `simple` trace, and judges by it what stands at a place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "trace/decoder.hpp"
#include "trace/simple_format.hpp"

namespace qemon::trace {

/// The knowledge half of SimpleDecoder, which owns it: mappings, argument layouts, process id and
/// time of the records so far. Reads only the bytes that it is shown; counts and reports nothing.
class SimpleStream {
 public:
  /// `torn`: what is there may be the beginning of any of them. `nothing`: no bytes. `bad`: none of
  /// them; `bad_name` is a mapping with an impossible name.
  enum class Kind : std::uint8_t {
    event,
    unknown_event,
    drop,
    mapping,
    header,
    torn,
    nothing,
    bad,
    bad_name
  };
  enum class Verdict : std::uint8_t { no, undecided, yes };

  // Special values of an expected length; real ones are 24 or more.
  static constexpr std::uint32_t undescribed = 0;
  static constexpr std::uint32_t with_strings = 1;

  /// What stands at a place.
  struct Item {
    Kind kind = Kind::bad;
    EventIndex event = 0;
    std::uint32_t pid = 0;
    std::uint32_t expected = undescribed;
    std::uint64_t id = 0;
    std::int64_t time_ns = 0;
    std::size_t size = 0;  ///< All bytes of it, the type word included.

    [[nodiscard]] bool is_bad() const { return kind == Kind::bad || kind == Kind::bad_name; }
    /// Whether the size is what the catalog says, as far as it says one.
    [[nodiscard]] bool has_expected_size() const {
      return expected <= with_strings || expected + simple::type_bytes == size;
    }
  };
  /// What an event id of the file means.
  struct Slot {
    EventIndex event;
    std::uint32_t expected;  ///< The stored length according to the catalog, or a special value.
  };
  /// How the catalog describes an event's arguments.
  struct Layout {
    bool described = false;
    std::uint8_t count = 0;
    std::uint16_t strings = 0;  ///< Bit i: argument i is a string.
  };
  /// The test of the hot loop, by value, so that its members can stay in registers.
  struct PlainEvents {
    std::span<const Slot> slots;
    std::uint32_t pid;
    [[nodiscard]] bool is_plain(const char* head, std::int64_t last_ns) const;
  };

  explicit SimpleStream(EventTable& events)
      : events_(events), catalog_generation_(events.catalog_generation()) {}

  /// Another stream: forgets mappings and process id.
  void begin();
  /// Looks whether the event table has another catalog by now.
  void follow_catalog();
  /// False if the event table is full.
  bool apply_mapping(const Item& item, const char* at);
  /// Process id and time of a record that is believed.
  void learn(const Item& item);
  void set_last_time(std::int64_t time_ns) { last_ns_ = time_ns; }
  void forget_records() { has_pid_ = false; }

  [[nodiscard]] bool has_mappings() const { return !slots_.empty(); }
  [[nodiscard]] bool has_records() const { return has_pid_; }
  [[nodiscard]] std::uint32_t pid() const { return pid_; }
  [[nodiscard]] std::int64_t last_time() const { return last_ns_; }
  [[nodiscard]] PlainEvents plain_events() const { return {slots_, pid_}; }
  [[nodiscard]] Layout layout(EventIndex event) const {
    return event < layouts_.size() ? layouts_[event] : Layout{};
  }

  /// What stands at `at`, by itself. `left` bytes are there.
  [[nodiscard]] Item look(const char* at, std::size_t left) const;
  /// The same where a record should begin: bad if it does not agree with the records before.
  [[nodiscard]] Item expect(const char* at, std::size_t left) const;
  /// Whether decoding can go on at `at`, found by searching. Stricter than expect(), because
  /// arguments can look like anything. `sizes_fit`: so far every record had the size that the
  /// catalog says.
  [[nodiscard]] Verdict begins_at(const char* at, std::size_t left, bool sizes_fit);
  /// Whether a record that agrees with the first of a stream comes soon, though not right behind
  /// it.
  [[nodiscard]] bool confirmed_further_on(const Item& item, const char* at, std::size_t left) const;
  /// Whether the length of the event at `at` is damaged: it is more than the arguments take that
  /// the catalog declares, and another record begins within it, right behind them.
  [[nodiscard]] bool is_overlong(const Item& item, const char* at, std::size_t left) const;

  /// The arguments in `payload`; false if they are not described or do not fill it exactly.
  [[nodiscard]] static bool read(Layout layout, std::string_view payload, Arguments& into);
  /// Whether the arguments can be what the layout says.
  [[nodiscard]] static bool fits(Layout layout, std::string_view payload) {
    const auto ignore = [](std::size_t, auto) {};
    return walk(layout, payload, ignore, ignore);
  }

 private:
  /// Gives numbers to `take_number(index, bits)` and strings to `take_text(index, text)`.
  template <typename TakeNumber, typename TakeText>
  static bool walk(Layout layout, std::string_view payload, TakeNumber take_number,
                   TakeText take_text);

  static constexpr EventIndex no_event = ~EventIndex{0};

  [[nodiscard]] static bool is_near(std::int64_t time_ns, std::int64_t last_ns);
  [[nodiscard]] bool agrees(const Item& item) const {
    return item.pid == pid_ && is_near(item.time_ns, last_ns_);
  }
  [[nodiscard]] Item look_closely(const char* at, std::size_t left) const;
  [[nodiscard]] static Item look_at_mapping(const char* at, std::size_t left);
  [[nodiscard]] Verdict confirmed(const Item& item, const char* at, std::size_t left) const;
  [[nodiscard]] Verdict mapping_begins_at(const Item& item, const char* at, std::size_t left) const;
  void describe(EventIndex event);
  [[nodiscard]] std::uint32_t expected_length(EventIndex event) const;

  EventTable& events_;
  std::uint32_t catalog_generation_;
  std::vector<Slot> slots_;      ///< By event id of the file.
  std::vector<Layout> layouts_;  ///< By EventIndex.

  // What the records so far have in common.
  bool has_pid_ = false;
  std::uint32_t pid_ = 0;
  std::int64_t last_ns_ = 0;
};

/// Whether a record with this time can follow one with that.
inline bool SimpleStream::is_near(std::int64_t time_ns, std::int64_t last_ns) {
  // It may be older, because threads take the time before they reserve their place, and much
  // younger: a guest may sleep for weeks.
  constexpr std::uint64_t back_ns_max = 60'000'000'000U;
  constexpr std::uint64_t ahead_ns_max = 100ULL * 24 * 3600 * 1'000'000'000U;
  const auto distance = static_cast<std::uint64_t>(time_ns) - static_cast<std::uint64_t>(last_ns);
  return distance + back_ns_max <= back_ns_max + ahead_ns_max;
}

inline SimpleStream::Item SimpleStream::look(const char* at, std::size_t left) const {
  using namespace simple;
  if (left >= event_head_bytes && load<std::uint64_t>(at) == event_type) {
    const auto id = load<std::uint64_t>(at + 8);
    const auto length = load<std::uint32_t>(at + 24);
    if (id < slots_.size() && slots_[id].event != no_event && length >= event_length_min &&
        length <= event_length_max) {
      const Slot slot = slots_[id];
      const auto time_ns = load<std::int64_t>(at + 16);
      const auto pid = load<std::uint32_t>(at + 28);
      return {Kind::event, slot.event, pid, slot.expected, id, time_ns, type_bytes + length};
    }
  }
  return look_closely(at, left);
}

inline SimpleStream::Item SimpleStream::expect(const char* at, std::size_t left) const {
  Item item = look(at, left);
  const bool is_record =
      item.kind == Kind::event || item.kind == Kind::unknown_event || item.kind == Kind::drop;
  if (is_record && has_pid_ && !agrees(item)) item.kind = Kind::bad;
  return item;
}

/// What expect() and has_expected_size() check, for a head that is all there.
inline bool SimpleStream::PlainEvents::is_plain(const char* head, std::int64_t last_ns) const {
  using namespace simple;
  const auto id = load<std::uint64_t>(head + 8);
  if (load<std::uint64_t>(head) != event_type || id >= slots.size()) return false;
  const Slot slot = slots[id];
  const auto length = load<std::uint32_t>(head + 24);
  const bool fits =
      length == slot.expected ||
      (slot.expected <= with_strings && length >= event_length_min && length <= event_length_max);
  return fits && slot.event != no_event && load<std::uint32_t>(head + 28) == pid &&
         is_near(load<std::int64_t>(head + 16), last_ns);
}

inline bool SimpleStream::read(Layout layout, std::string_view payload, Arguments& into) {
  into.count = layout.count;
  if (layout.strings == 0) {
    if (payload.size() != layout.count * sizeof(std::uint64_t)) return false;
    for (std::size_t i = 0; i < layout.count; ++i)
      into.values[i].bits = simple::load<std::uint64_t>(payload.data() + i * sizeof(std::uint64_t));
    return layout.described;
  }
  return walk(
      layout, payload, [&into](std::size_t i, std::uint64_t bits) { into.values[i].bits = bits; },
      [&into](std::size_t i, std::string_view text) { into.values[i].text = text; });
}

template <typename TakeNumber, typename TakeText>
bool SimpleStream::walk(Layout layout, std::string_view payload, TakeNumber take_number,
                        TakeText take_text) {
  const char* at = payload.data();
  std::size_t left = payload.size();
  for (std::size_t i = 0; i < layout.count; ++i) {
    std::size_t size = sizeof(std::uint64_t);
    if ((layout.strings >> i & 1U) == 0) {
      if (left < size) return false;
      take_number(i, simple::load<std::uint64_t>(at));
    } else {
      size = sizeof(std::uint32_t);
      if (left < size) return false;
      const std::size_t length = simple::load<std::uint32_t>(at);
      if (left - size < length) return false;
      take_text(i, std::string_view(at + size, length));
      size += length;
    }
    at += size;
    left -= size;
  }
  return layout.described && left == 0;
}

}  // namespace qemon::trace
