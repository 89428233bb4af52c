#include "lttng/simple_writer.hpp"

#include <algorithm>
#include <cstring>

#include "trace/simple_format.hpp"

namespace qemon::lttng {

namespace simple = trace::simple;

namespace {

constexpr std::size_t string_bytes_max = 512;  // MAX_TRACE_STRLEN in QEMU's trace/simple.c.
constexpr std::size_t length_at = 24;          // Of an event's length, from its type on.

}  // namespace

void SimpleWriter::header() {
  add(simple::header_id);
  add(simple::magic);
  add(simple::version);
}

void SimpleWriter::mapping(std::uint64_t id, std::string_view name) {
  add(simple::mapping_type);
  add(id);
  add(static_cast<std::uint32_t>(name.size()));
  bytes_.append(name);
}

void SimpleWriter::begin_event(std::uint64_t id, std::int64_t time_ns) {
  event_at_ = bytes_.size();
  add(simple::event_type);
  add(id);
  add(time_ns);
  add(std::uint32_t{0});
  add(pid_);
}

void SimpleWriter::add_integer(std::uint64_t value) {
  add(value);
}

void SimpleWriter::add_string(std::string_view text) {
  text = text.substr(0, string_bytes_max);
  add(static_cast<std::uint32_t>(text.size()));
  bytes_.append(text);
}

void SimpleWriter::end_event() {
  const auto length = static_cast<std::uint32_t>(bytes_.size() - event_at_ - simple::type_bytes);
  std::memcpy(bytes_.data() + event_at_ + length_at, &length, sizeof length);
}

void SimpleWriter::dropped(std::uint64_t count, std::int64_t time_ns) {
  begin_event(simple::dropped_id, time_ns);
  add_integer(count);
  end_event();
}

template <typename Number>
void SimpleWriter::add(Number number) {
  char raw[sizeof number];
  std::memcpy(raw, &number, sizeof number);
  bytes_.append(raw, sizeof raw);
}

}  // namespace qemon::lttng
