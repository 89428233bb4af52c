#include "usdt/probe_decoder.hpp"

#include <algorithm>
#include <cstring>

#include "usdt/probe_record.h"

namespace qemon::usdt {
namespace {

constexpr std::size_t head_bytes = offsetof(probe_record, values);
constexpr std::size_t text_at = offsetof(probe_record, text);

template <typename T>
T load(std::string_view bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

std::size_t ProbeDecoder::decode(std::string_view bytes, trace::RecordSink& sink) {
  const auto slot = bytes.size() < head_bytes
                        ? events_.size()
                        : load<std::uint32_t>(bytes, offsetof(probe_record, slot));
  if (slot >= events_.size()) {
    ++stats_.errors[static_cast<std::size_t>(trace::DecodeError::bad_record)];
    return bytes.size();
  }
  lost(load<std::uint64_t>(bytes, offsetof(probe_record, lost)), sink);
  trace::Record record;
  record.event = static_cast<trace::EventIndex>(slot);
  record.has_time = true;
  record.time_ns = load<std::int64_t>(bytes, offsetof(probe_record, time_ns));
  record.id = load<std::uint32_t>(bytes, offsetof(probe_record, thread));
  record.payload = bytes;
  record.decoder = this;
  ++stats_.records;
  stats_.span.include(record.time_ns);
  if (load<std::uint8_t>(bytes, offsetof(probe_record, unreadable)) != 0) ++unreadable_;
  sink.on_record(record);
  return bytes.size();
}

void ProbeDecoder::lost(std::uint64_t total, trace::RecordSink& sink) {
  // A record that was begun before a loss may come after one that was begun later.
  if (total <= stats_.dropped_events) return;
  const auto added = total - stats_.dropped_events;
  stats_.dropped_events = total;
  sink.on_loss(added);
}

bool ProbeDecoder::arguments(const trace::Record& record, trace::Arguments& into) const {
  const auto bytes = record.payload;
  const std::size_t count = load<std::uint8_t>(bytes, offsetof(probe_record, argument_count));
  const auto strings = load<std::uint32_t>(bytes, offsetof(probe_record, strings));
  if (load<std::uint8_t>(bytes, offsetof(probe_record, described)) == 0 ||
      load<std::uint8_t>(bytes, offsetof(probe_record, unreadable)) != 0 ||
      count > into.values.size() || bytes.size() < head_bytes + count * sizeof(std::uint64_t))
    return false;
  auto text = bytes.substr(std::min(text_at, bytes.size()));
  for (std::size_t i = 0; i < count; ++i) {
    auto& value = into.values[i];
    value.bits = load<std::uint64_t>(bytes, head_bytes + i * sizeof(std::uint64_t));
    if ((strings >> i & 1U) == 0) continue;
    if (value.bits > text.size()) return false;
    value.text = text.substr(0, value.bits);
    text.remove_prefix(value.bits);
  }
  into.count = count;
  return true;
}

}  // namespace qemon::usdt
