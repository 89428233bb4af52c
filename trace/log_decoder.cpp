#include "trace/log_decoder.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "trace/log_prefix.hpp"

namespace qemon::trace {
namespace {

const char* find_byte(const char* at, const char* end, char byte) {
  return static_cast<const char*>(std::memchr(at, byte, static_cast<std::size_t>(end - at)));
}

/// The first byte that is not NUL. 64 at a time, because a hole may have gigabytes.
const char* skip_nuls(const char* at, const char* end) {
  while (end - at >= 64) {
    std::uint64_t words[8];
    std::memcpy(words, at, sizeof words);
    std::uint64_t any = 0;
    for (const std::uint64_t word : words) any |= word;
    if (any != 0) break;
    at += sizeof words;
  }
  while (at < end && *at == '\0') ++at;
  return at;
}

std::uint64_t load(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

/// Eight bytes at a time; the last eight overlap those before. Names come from QEMU, which has no
/// reason to make them collide.
std::uint32_t hash_name(const char* name, std::size_t size) {
  constexpr std::uint64_t factor = 0x9e3779b97f4a7c15;
  std::uint64_t hash = size * factor;
  if (size < 8) {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < size; ++i) word = word << 8 | static_cast<unsigned char>(name[i]);
    hash = (hash ^ word) * factor;
  } else {
    const char* const last = name + size - 8;
    for (; name < last; name += 8) hash = std::rotl((hash ^ load(name)) * factor, 31);
    hash = (hash ^ load(last)) * factor;
  }
  return static_cast<std::uint32_t>(hash >> 32);
}

}  // namespace

LogDecoder::LogDecoder(const EventTable& events, LogDecoderOptions options)
    : events_(events), options_(std::move(options)), skipping_(options_.start_mid_line) {}

std::size_t LogDecoder::decode(std::string_view bytes, RecordSink& sink) {
  refresh();
  tally_ = sink.tally();
  repetitions_left_ = repetitions_max;
  last_owner_ = LineOwner::unknown;
  const char* const begin = bytes.data();
  const char* const end = begin + bytes.size();
  const char* at = begin;
  while (at < end) {
    if (!skipping_ && *at == '\0') {
      at = skip_nuls(at, end);
      continue;
    }
    const char* const newline = find_byte(at, end, '\n');
    const bool overlong =
        (newline != nullptr ? newline : end) - at >= static_cast<std::ptrdiff_t>(decode_bytes_max);
    if (skipping_ || overlong) {
      if (!skipping_) decode_overlong(at, newline != nullptr ? newline : end, sink);
      skipping_ = newline == nullptr;
      at = skipping_ ? end : newline + 1;
      continue;
    }
    if (newline == nullptr) break;
    const char* const next = decode_line(at, newline, end, sink);
    if (next == nullptr) break;
    at = next;
  }
  sink.on_tallied(std::exchange(tallied_, 0), std::exchange(last_ns_, std::nullopt));
  return static_cast<std::size_t>(at - begin);
}

const char* LogDecoder::decode_line(const char* at, const char* newline, const char* end,
                                    RecordSink& sink) {
  Record record;
  if (const Line kind = parse_line(at, newline, record); kind != Line::record) {
    decode_apart(kind, sink);
    return newline + 1;
  }
  if (const unsigned more = more_lines_[record.event]; more != 0) {
    const char* const last = end_of_lines(at, newline, end, more);
    if (last == nullptr) return nullptr;
    parse_line(at, last, record);
    newline = last;
  }
  if (options_.shared) {
    emit_shared(record, sink);
  } else {
    emit(record, sink);
  }
  return newline + 1;
}

const char* LogDecoder::end_of_lines(const char* at, const char* newline, const char* end,
                                     unsigned more) {
  Record other;
  for (; more != 0; --more) {
    const char* const next = newline + 1;
    const char* const next_newline = find_byte(next, end, '\n');
    // A line or a record that is too long is not waited for.
    const char* const reach = next_newline != nullptr ? next_newline : end;
    if (reach - at >= static_cast<std::ptrdiff_t>(decode_bytes_max)) return newline;
    if (next_newline == nullptr) return nullptr;
    if (parse_line(next, next_newline, other) != Line::text) return newline;
    newline = next_newline;
  }
  return newline;
}

void LogDecoder::decode_overlong(const char* at, const char* end, RecordSink& sink) {
  Record record;
  const Line kind = parse_line(at, end, record);
  if (kind == Line::others) return;
  count(DecodeError::overlong_line);
  if (kind != Line::record) return;
  record.payload = {};
  emit(record, sink);
}

/// A line that is no record.
void LogDecoder::decode_apart(Line kind, RecordSink& sink) {
  const bool after_ours = std::exchange(after_ours_, kind == Line::unknown);
  switch (kind) {
    case Line::text:
      // The rest of what somebody wrote in several lines; of a log of QEMU's own, always QEMU.
      after_ours_ = after_ours;
      if (!options_.shared || after_ours) count(DecodeError::unknown_line);
      break;
    case Line::unknown:
      count(DecodeError::unknown_line);
      break;
    case Line::loss:
      lose(shared_line_.count, sink);
      break;
    case Line::repetition:
      if (after_ours) lose(shared_line_.count, sink);
      break;
    case Line::record:
    case Line::others:
      break;
  }
}

void LogDecoder::lose(std::uint64_t count, RecordSink& sink) {
  stats_.dropped_events += count;
  sink.on_loss(count);
}

LogDecoder::Line LogDecoder::parse_line(const char* at, const char* newline, Record& record) {
  if (at < newline && newline[-1] == '\r') --newline;
  LogPrefix prefix;
  const char* name = nullptr;
  if (options_.shared) {
    if (const Line kind = parse_shared(at, newline, prefix); kind != Line::record) return kind;
    name = shared_line_.text.data();
    newline = name + shared_line_.text.size();
  } else {
    name = times_.read(at, newline, prefix);
  }
  const EventIndex* event = nullptr;
  const char* name_end = nullptr;
  const auto look_up = [&] {
    const auto room = static_cast<std::size_t>(newline - name);
    const std::size_t size_max = names_.size_max();
    name_end = find_byte(name, name + std::min(room, size_max + 1), ' ');
    if (name_end == nullptr) name_end = newline;
    event = names_.find(name, static_cast<std::size_t>(name_end - name));
    return event != nullptr;
  };
  if (!look_up()) {
    if (options_.shared) return last_owner_ == LineOwner::us ? Line::unknown : Line::others;
    const char* const behind_program = parse_log_program(name, newline, prefix);
    if (behind_program == name) return Line::text;
    name = behind_program;
    if (!look_up()) return Line::text;
  }
  record.decoder = this;
  record.event = *event;
  record.has_time = prefix.has_time;
  record.time_ns = prefix.time_ns;
  record.id = prefix.id;
  const char* const text = name_end < newline ? name_end + 1 : newline;
  record.payload = {text, static_cast<std::size_t>(newline - text)};
  // What is left of a thread that is gone may be ours.
  if (options_.shared && last_owner_ == LineOwner::unknown) return Line::loss;
  return Line::record;
}

/// Line::record: `shared_line_` has a text that may be ours.
LogDecoder::Line LogDecoder::parse_shared(const char* at, const char* newline, LogPrefix& prefix) {
  const std::string_view line(at, static_cast<std::size_t>(newline - at));
  shared_line_ =
      *options_.shared == SharedLog::ftrace ? parse_ftrace_line(line) : parse_syslog_line(line);
  prefix = shared_line_.prefix;
  switch (shared_line_.kind) {
    case SharedLogLine::Kind::message:
      return owner_of(prefix.id) == LineOwner::others ? Line::others : Line::record;
    case SharedLogLine::Kind::loss:
      if (prefix.id != 0 && owner_of(prefix.id) != LineOwner::us) return Line::others;
      if (!shared_line_.unit.empty() && options_.is_in_unit &&
          !options_.is_in_unit(shared_line_.unit))
        return Line::others;
      return Line::loss;
    case SharedLogLine::Kind::repetition:
      return Line::repetition;
    case SharedLogLine::Kind::text:
      return Line::text;
    case SharedLogLine::Kind::other:
      break;
  }
  return Line::others;
}

/// Whom a line belongs to is remembered until decode() returns.
LineOwner LogDecoder::owner_of(std::uint32_t id) {
  if (id != last_id_ || last_owner_ == LineOwner::unknown) {
    last_id_ = id;
    last_owner_ = options_.owner_of ? options_.owner_of(id) : LineOwner::us;
  }
  return last_owner_;
}

void LogDecoder::emit_shared(Record& record, RecordSink& sink) {
  after_ours_ = true;
  if (shared_line_.cut) {
    count(DecodeError::overlong_line);
    record.payload = {};
  }
  // A line can claim any number, and there may be many such lines.
  const auto times = std::min(shared_line_.count, repetitions_left_ + 1);
  repetitions_left_ -= times - std::min<std::uint64_t>(times, 1);
  for (std::uint64_t i = 0; i < times; ++i) emit(record, sink);
  if (times < shared_line_.count) lose(shared_line_.count - times, sink);
}

void LogDecoder::emit(const Record& record, RecordSink& sink) {
  ++stats_.records;
  if (record.has_time) {
    stats_.span.include(record.time_ns);
    last_ns_ = record.time_ns;
  }
  if (tally_.only_counts(record.event)) {
    ++tally_.counts[record.event];
    ++tallied_;
  } else {
    sink.on_record(record);
  }
}

void LogDecoder::restart() {
  skipping_ = false;
}

bool LogDecoder::arguments(const Record& record, Arguments& into) const {
  if (record.event >= events_.size()) return false;
  if (scanners_generation_ != events_.catalog_generation()) {
    scanners_.clear();
    scanners_generation_ = events_.catalog_generation();
  }
  if (scanners_.size() < events_.size()) scanners_.resize(events_.size());
  auto& scanner = scanners_[record.event];
  if (!scanner) {
    const CatalogEvent* const described = events_.described(record.event);
    if (described == nullptr) return false;
    scanner = std::make_unique<FormatScanner>(*described);
  }
  return scanner->scan(record.payload, into);
}

void LogDecoder::refresh() {
  names_.update(events_);
  if (more_lines_generation_ != events_.catalog_generation()) {
    more_lines_.clear();
    more_lines_generation_ = events_.catalog_generation();
  }
  while (more_lines_.size() < events_.size()) {
    const auto* const described = events_.described(static_cast<EventIndex>(more_lines_.size()));
    const auto newlines =
        described == nullptr ? 0
                             : std::count(described->format.begin(), described->format.end(), '\n');
    more_lines_.push_back(static_cast<std::uint8_t>(std::min<std::ptrdiff_t>(newlines, 255)));
  }
}

void LogDecoder::NameIndex::update(const EventTable& events) {
  if (count_ == events.size()) return;
  count_ = events.size();
  slots_.assign(std::bit_ceil(std::max<std::size_t>(count_ * 2, 64)), Slot{});
  names_.clear();
  size_max_ = 0;
  for (EventIndex event = 0; event < count_; ++event) {
    const std::string& name = events.name(event);
    if (name.empty()) continue;
    const std::uint32_t hash = hash_name(name.data(), name.size());
    std::size_t at = hash & (slots_.size() - 1);
    while (slots_[at].size != 0) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {hash, static_cast<std::uint32_t>(name.size()), names_.size(), event};
    names_ += name;
    size_max_ = std::max(size_max_, name.size());
  }
}

const EventIndex* LogDecoder::NameIndex::find(const char* name, std::size_t size) const {
  if (size == 0 || size > size_max_) return nullptr;
  const std::uint32_t hash = hash_name(name, size);
  for (std::size_t at = hash & (slots_.size() - 1); slots_[at].size != 0;
       at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.hash == hash && slot.size == size &&
        std::memcmp(names_.data() + slot.name_at, name, size) == 0)
      return &slot.event;
  }
  return nullptr;
}

}  // namespace qemon::trace
