#include "trace/simple_decoder.hpp"

#include <utility>

#include "trace/simple_format.hpp"

namespace qemon::trace {

using namespace simple;

SimpleDecoder::SimpleDecoder(EventTable& events, SimpleDecoderOptions options) : stream_(events) {
  set_not_before(options.not_before_ns);
}

std::size_t SimpleDecoder::decode(std::string_view bytes, RecordSink& sink) {
  stream_.follow_catalog();
  if (std::exchange(gap_, false)) sink.on_loss(0);
  std::size_t at = 0;
  if (state_ == State::start) at = decode_start(bytes);
  while (state_ == State::in_sync || (state_ == State::seeking && seek(bytes, at))) {
    at = decode_in_sync(bytes, at, sink);
    if (state_ == State::in_sync) break;
  }
  if (state_ == State::refused) at = bytes.size();
  left_over_ = bytes.size() - at;
  return at;
}

void SimpleDecoder::restart() {
  if (left_over_ > 0 && counted_ && (state_ == State::in_sync || state_ == State::seeking)) {
    stats_.lost_bytes += left_over_;
    gap_ = true;
    // A search was counted when it began.
    if (state_ == State::in_sync) count(DecodeError::bad_record);
  }
  left_over_ = 0;
  state_ = State::start;
  problem_.clear();
}

void SimpleDecoder::resume() {
  restart();
  if (!stream_.has_mappings()) {
    refuse(
        "the trace file does not begin with a header, so the names of its events are not known: "
        "switch it off and on (trace-file off, trace-file on)");
    return;
  }
  state_ = State::seeking;
  counted_ = false;
  gap_ = gap_ || stats_.records > 0;
}

Result<void> SimpleDecoder::read_head(std::string_view head) {
  // A file that was truncated under its writer begins with a hole. It is still the same QEMU's.
  constexpr std::uint64_t hole = 0;
  if (stream_.has_mappings() && head.size() >= sizeof hole &&
      may_be(hole, head.data(), head.size())) {
    resume();
    return {};
  }
  restart();
  stream_.follow_catalog();
  std::size_t at = decode_start(head);
  if (state_ == State::refused) return Error{problem_};
  if (state_ == State::start) return Error{"the trace file has no header yet"};
  for (;;) {
    const Item item = stream_.look(head.data() + at, head.size() - at);
    if (item.kind == Kind::event) stream_.learn(item);
    if (item.kind != Kind::mapping || !stream_.apply_mapping(item, head.data() + at)) break;
    at += item.size;
  }
  resume();
  if (state_ == State::refused) return Error{"the trace file has no names of events yet"};
  return {};
}

void SimpleDecoder::set_not_before(std::int64_t time_ns) {
  not_before_ns_ = time_ns;
  settled_ = time_ns == std::numeric_limits<std::int64_t>::min();
}

bool SimpleDecoder::arguments(const Record& record, Arguments& into) const {
  if (!sound_) return false;
  return SimpleStream::read(stream_.layout(record.event), record.payload, into);
}

/// The header. Returns what is done with; the state stays `start` while more bytes are needed.
std::size_t SimpleDecoder::decode_start(std::string_view bytes) {
  const char* at = bytes.data();
  const std::size_t left = bytes.size();
  if (left == 0) return 0;
  const bool swapped = left > 8 && may_be(__builtin_bswap64(magic), at + 8, left - 8);
  if (!may_be(header_id, at, left) || (left > 8 && !swapped && !may_be(magic, at + 8, left - 8)) ||
      (left >= 16 && swapped)) {
    refuse(swapped ? "the trace file is from a host of other byte order: decode it on such a host"
                   : "not a trace file of QEMU's simple backend");
    return left;
  }
  if (left < header_bytes) return 0;
  if (const auto found = load<std::uint64_t>(at + 16); found != version) {
    refuse("trace file format version " + std::to_string(found) +
           " is not supported, only 4 (QEMU 2.8 and later)");
    return left;
  }
  begin_stream();
  return header_bytes;
}

/// Records from `at` on, as long as one follows another. Each is given out when its successor has
/// been looked at, see the class comment. Returns where it stopped; the state is `seeking` if that
/// was because of damage.
std::size_t SimpleDecoder::decode_in_sync(std::string_view bytes, std::size_t at,
                                          RecordSink& sink) {
  for (;;) {
    at += decode_plain_events(bytes.substr(at), sink);
    const char* const here = bytes.data() + at;
    const std::size_t left = bytes.size() - at;
    const Item item = stream_.expect(here, left);
    switch (item.kind) {
      case Kind::event:
      case Kind::unknown_event:
      case Kind::drop: {
        const std::size_t used = decode_record(item, here, left, sink);
        at += used;
        if (used == 0 || state_ != State::in_sync) return at;
        break;
      }
      case Kind::mapping:
        if (!stream_.apply_mapping(item, here)) count(DecodeError::bad_mapping);
        at += item.size;
        break;
      case Kind::header:
        begin_stream();
        at += header_bytes;
        break;
      case Kind::torn:
      case Kind::nothing:
        return at;
      case Kind::bad:
      case Kind::bad_name:
        lose(item.kind, sink);
        return at;
    }
  }
}

/// The part of decode_in_sync that must be fast: events of which all is well, up to the last one
/// whose successor can be seen. Returns how many bytes it has done with.
std::size_t SimpleDecoder::decode_plain_events(std::string_view bytes, RecordSink& sink) {
  if (!stream_.has_records() || !settled_) return 0;
  const auto events = stream_.plain_events();
  const Tally tally = sink.tally();
  std::uint64_t records = 0, seen = 0;
  std::int64_t last_ns = 0;
  const std::int64_t not_before_ns = not_before_ns_;
  TimeSpan span;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  if (left < event_head_bytes || !events.is_plain(at, stream_.last_time())) return 0;
  for (;;) {
    const std::size_t size = type_bytes + load<std::uint32_t>(at + 24);
    const auto time_ns = load<std::int64_t>(at + 16);
    if (left < size + event_head_bytes || time_ns < not_before_ns) break;
    const auto slot = events.slots[load<std::uint64_t>(at + 8)];
    const std::string_view payload(at + event_head_bytes, size - event_head_bytes);
    if (slot.expected == SimpleStream::with_strings &&
        !SimpleStream::fits(stream_.layout(slot.event), payload))
      break;
    if (!events.is_plain(at + size, time_ns)) break;
    span.include(time_ns);
    last_ns = time_ns;
    ++records;
    if (tally.only_counts(slot.event)) {
      ++tally.counts[slot.event];
    } else {
      ++seen;
      sink.on_record(Record{slot.event, true, time_ns, events.pid, payload, this});
    }
    at += size;
    left -= size;
  }
  if (records > 0) {
    stats_.records += records;
    stats_.span.include(span);
    stream_.set_last_time(last_ns);
    sink.on_tallied(records - seen, last_ns);
  }
  return bytes.size() - left;
}

/// The record at `at`, whatever it is of. Returns how many bytes are done with, 0 if it is not all
/// there; the state is `seeking` if there is damage in it or right behind it.
std::size_t SimpleDecoder::decode_record(const Item& item, const char* at, std::size_t left,
                                         RecordSink& sink) {
  const bool overlong = stream_.is_overlong(item, at, left);
  if (left < item.size && !overlong) return 0;
  const bool first = !stream_.has_records();
  if (item.kind != Kind::drop) stream_.learn(item);  // A drop record stands before older events.
  const Item next = overlong ? Item{} : stream_.expect(at + item.size, left - item.size);
  if (next.is_bad()) {
    const bool believed =
        item.kind == Kind::event && (!first || stream_.confirmed_further_on(item, at, left));
    if (believed) emit(item, {}, false, sink);
    if (!believed && first) stream_.forget_records();
    lose(next.kind, sink);
    // The damage may lie within this record, so it is searched as well.
    if (believed) return event_head_bytes;
    ++stats_.lost_bytes;
    return 1;
  }
  if (item.kind == Kind::event)
    emit(item, {at + event_head_bytes, item.size - event_head_bytes}, true, sink);
  else if (item.kind == Kind::drop)
    count_drop(load<std::uint64_t>(at + event_head_bytes), sink);
  else
    count(DecodeError::unknown_event);
  return item.size;
}

void SimpleDecoder::emit(const Item& item, std::string_view payload, bool sound, RecordSink& sink) {
  if (item.time_ns < not_before_ns_) {
    ++stats_.stale_records;
    held_drops_ = 0;
    return;
  }
  if (!settled_) {
    settled_ = true;
    if (const auto drops = std::exchange(held_drops_, 0); drops > 0) count_drop(drops, sink);
  }
  const Record record{item.event, true, item.time_ns, item.pid, payload, this};
  sound_ = sound;
  if (sound && item.expected != SimpleStream::undescribed &&
      !SimpleStream::fits(stream_.layout(item.event), payload))
    ++mismatches_;
  ++stats_.records;
  stats_.span.include(item.time_ns);
  sink.on_record(record);
  sound_ = true;
}

void SimpleDecoder::count_drop(std::uint64_t count, RecordSink& sink) {
  if (!settled_) {
    held_drops_ += count;
    return;
  }
  stats_.dropped_events += count;
  sink.on_loss(count);
}

/// Damage begins: what follows is searched for the next record.
void SimpleDecoder::lose(Kind kind, RecordSink& sink) {
  const auto reason = kind == Kind::bad_name ? DecodeError::bad_mapping : DecodeError::bad_record;
  count(reason);
  ++stats_.resyncs;
  state_ = State::seeking;
  counted_ = true;
  sink.on_loss(0);
}

void SimpleDecoder::begin_stream() {
  state_ = State::in_sync;
  counted_ = true;
  stream_.begin();
  if (not_before_ns_ != std::numeric_limits<std::int64_t>::min()) settled_ = false;
}

void SimpleDecoder::count(DecodeError error) {
  ++stats_.errors[static_cast<std::size_t>(error)];
}

void SimpleDecoder::refuse(std::string problem) {
  problem_ = std::move(problem);
  state_ = State::refused;
  count(DecodeError::bad_header);
}

/// Moves `at` to the next place where decoding can go on; false if more bytes are needed to tell.
bool SimpleDecoder::seek(std::string_view bytes, std::size_t& at) {
  const std::size_t from = at;
  std::size_t undecided = bytes.size();
  const bool sizes_fit = stats_.records > 0 && mismatches_ == 0;
  Verdict verdict = Verdict::no;
  for (; at < bytes.size(); ++at) {
    // All three types begin with one of these bytes, in either byte order.
    const auto first = static_cast<unsigned char>(bytes[at]);
    if (first > 1 && first != 0xff) continue;
    verdict = stream_.begins_at(bytes.data() + at, bytes.size() - at, sizes_fit);
    if (verdict == Verdict::yes) break;
    if (verdict == Verdict::undecided && undecided == bytes.size()) undecided = at;
    // Before the first record nothing is known, so nothing further on can be more certain than
    // this.
    if (verdict == Verdict::undecided && !stream_.has_records()) break;
  }
  if (verdict != Verdict::yes) at = undecided;
  if (counted_) stats_.lost_bytes += at - from;
  if (verdict != Verdict::yes) return false;
  state_ = State::in_sync;
  counted_ = true;
  return true;
}

}  // namespace qemon::trace
