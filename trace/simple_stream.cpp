#include "trace/simple_stream.hpp"

#include <algorithm>

namespace qemon::trace {

using namespace simple;

namespace {

/// An EventTable that is this full gets no more names from a trace: QEMU has about 6,000, and a
/// damaged or hostile file must not fill the memory.
constexpr std::size_t names_max = 100'000;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

void SimpleStream::begin() {
  slots_.clear();
  has_pid_ = false;
}

void SimpleStream::learn(const Item& item) {
  has_pid_ = true;
  pid_ = item.pid;
  last_ns_ = item.time_ns;
}

bool SimpleStream::apply_mapping(const Item& item, const char* at) {
  const std::string_view name(at + mapping_head_bytes, item.size - mapping_head_bytes);
  const auto id = static_cast<std::size_t>(item.id);
  if (slots_.size() <= id) slots_.resize(id + 1, Slot{no_event, undescribed});
  if (events_.size() >= names_max && !events_.find(name)) {
    slots_[id] = Slot{no_event, undescribed};
    return false;
  }
  const EventIndex event = events_.add(name);
  describe(event);
  slots_[id] = Slot{event, expected_length(event)};
  return true;
}

void SimpleStream::describe(EventIndex event) {
  if (layouts_.size() <= event) layouts_.resize(event + std::size_t{1});
  Layout layout;
  const CatalogEvent* described = events_.described(event);
  if (described != nullptr && described->arguments.size() <= arguments_max) {
    layout.described = true;
    for (const Argument& argument : described->arguments) {
      if (argument.kind == ArgumentKind::string)
        layout.strings = static_cast<std::uint16_t>(layout.strings | 1U << layout.count);
      ++layout.count;
    }
  }
  layouts_[event] = layout;
}

std::uint32_t SimpleStream::expected_length(EventIndex event) const {
  const Layout& layout = layouts_[event];
  if (!layout.described) return undescribed;
  if (layout.strings != 0) return with_strings;
  return event_length_min + 8U * layout.count;
}

void SimpleStream::follow_catalog() {
  if (catalog_generation_ == events_.catalog_generation()) return;
  catalog_generation_ = events_.catalog_generation();
  for (EventIndex event = 0; event < layouts_.size(); ++event) describe(event);
  for (Slot& slot : slots_)
    if (slot.event != no_event) slot.expected = expected_length(slot.event);
}

SimpleStream::Item SimpleStream::look_closely(const char* at, std::size_t left) const {
  if (left == 0) return {Kind::nothing};
  if (may_be(mapping_type, at, left)) return look_at_mapping(at, left);
  if (may_be(header_id, at, left)) {
    if (left > 8 && !may_be(magic, at + 8, left - 8)) return {};
    if (left > 16 && !may_be(version, at + 16, left - 16)) return {};
    return {left < header_bytes ? Kind::torn : Kind::header};
  }
  if (!may_be(event_type, at, left)) return {};
  if (left < 16) return {Kind::torn};
  const auto id = load<std::uint64_t>(at + 8);
  const bool drop = id == dropped_id;
  if (!drop && id >= ids_max) return {};
  if (left < 28) return {Kind::torn};
  const auto length = load<std::uint32_t>(at + 24);
  if (length < event_length_min || length > event_length_max) return {};
  if (drop && length != drop_length) return {};
  if (left < event_head_bytes) return {Kind::torn};
  // QEMU counts drops in an int.
  if (drop && left >= event_head_bytes + 8 &&
      load<std::uint64_t>(at + event_head_bytes) > 0x7fffffffU)
    return {};
  const auto time_ns = load<std::int64_t>(at + 16);
  const auto pid = load<std::uint32_t>(at + 28);
  return {drop ? Kind::drop : Kind::unknown_event,
          0,
          pid,
          undescribed,
          id,
          time_ns,
          type_bytes + length};
}

SimpleStream::Item SimpleStream::look_at_mapping(const char* at, std::size_t left) {
  if (left < 16) return {Kind::torn};
  const auto id = load<std::uint64_t>(at + 8);
  if (id >= ids_max) return {};
  if (left < mapping_head_bytes) return {Kind::torn};
  const auto length = load<std::uint32_t>(at + 16);
  if (length == 0 || length > name_length_max) return {};
  const std::string_view name(at + mapping_head_bytes,
                              std::min<std::size_t>(length, left - mapping_head_bytes));
  if (!std::all_of(name.begin(), name.end(), is_name_character)) return {Kind::bad_name};
  return {name.size() < length ? Kind::torn : Kind::mapping,
          0,
          0,
          undescribed,
          id,
          0,
          mapping_head_bytes + length};
}

SimpleStream::Verdict SimpleStream::begins_at(const char* at, std::size_t left, bool sizes_fit) {
  const Item item = look(at, left);
  switch (item.kind) {
    case Kind::event:
    case Kind::drop:
      break;
    case Kind::mapping:
      return mapping_begins_at(item, at, left);
    case Kind::header:
      return Verdict::yes;
    case Kind::torn:
      return Verdict::undecided;
    default:
      return Verdict::no;
  }
  if (sizes_fit && !item.has_expected_size()) return Verdict::no;
  if (has_pid_ && agrees(item)) return Verdict::yes;
  if (item.kind == Kind::drop) return Verdict::no;
  const Verdict verdict = confirmed(item, at, left);
  if (verdict == Verdict::yes) learn(item);
  return verdict;
}

/// Whether a record that does not agree with those before it (or is the first) is confirmed by what
/// follows it. Without this, one wrong process id or time, once believed, would make every later
/// record look like damage.
SimpleStream::Verdict SimpleStream::confirmed(const Item& item, const char* at,
                                              std::size_t left) const {
  if (left < item.size) return Verdict::undecided;
  const Item next = look(at + item.size, left - item.size);
  switch (next.kind) {
    case Kind::event:
    case Kind::unknown_event:
    case Kind::drop:
      return next.pid == item.pid && is_near(next.time_ns, item.time_ns) ? Verdict::yes
                                                                         : Verdict::no;
    case Kind::mapping:
    case Kind::header:
      return has_pid_ ? Verdict::no : Verdict::yes;
    case Kind::torn:
    case Kind::nothing:
      return !has_pid_ && item.has_expected_size() ? Verdict::yes : Verdict::undecided;
    default:
      return Verdict::no;
  }
}

bool SimpleStream::confirmed_further_on(const Item& item, const char* at, std::size_t left) const {
  const std::size_t end = std::min<std::size_t>(left, 2 * event_length_max);
  for (std::size_t i = event_head_bytes; i < end; ++i) {
    const Item other = look(at + i, left - i);
    if (other.kind == Kind::event && other.pid == item.pid && is_near(other.time_ns, item.time_ns))
      return true;
  }
  return false;
}

/// Arguments 0, N, "word" look exactly like a mapping. So a mapping is believed here only if it
/// says what is known already, or comes where it would come in the block that QEMU writes.
SimpleStream::Verdict SimpleStream::mapping_begins_at(const Item& item, const char* at,
                                                      std::size_t left) const {
  const std::string_view name(at + mapping_head_bytes, item.size - mapping_head_bytes);
  if (item.id < slots_.size() && slots_[item.id].event != no_event)
    return events_.name(slots_[item.id].event) == name ? Verdict::yes : Verdict::no;
  const Item next = look(at + item.size, left - item.size);
  if (next.kind == Kind::mapping || (!next.is_bad() && item.id <= slots_.size() + 1))
    return Verdict::yes;
  return next.kind == Kind::torn || next.kind == Kind::nothing ? Verdict::undecided : Verdict::no;
}

bool SimpleStream::is_overlong(const Item& item, const char* at, std::size_t left) const {
  std::size_t expected = type_bytes + item.expected;
  if (item.expected == with_strings) {
    expected = event_head_bytes;
    std::size_t taken = 0;
    const Layout declared = layout(item.event);
    const auto add_number = [&](std::size_t, std::uint64_t) {
      ++taken;
      expected += sizeof(std::uint64_t);
    };
    const auto add_text = [&](std::size_t, std::string_view text) {
      ++taken;
      expected += sizeof(std::uint32_t) + text.size();
    };
    walk(declared, {at + event_head_bytes, std::min(left, item.size) - event_head_bytes},
         add_number, add_text);
    if (taken < declared.count) return false;
  } else if (item.has_expected_size()) {
    return false;
  }
  if (item.size <= expected || left <= expected) return false;
  const Item inner = look(at + expected, left - expected);
  if (inner.kind != Kind::event) return false;
  return has_pid_ ? agrees(inner) : inner.pid == item.pid && is_near(inner.time_ns, item.time_ns);
}

}  // namespace qemon::trace
