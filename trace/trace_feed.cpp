#include "trace/trace_feed.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "trace/simple_decoder.hpp"

namespace qemon::trace {
namespace {

// One turn of the loop: about a millisecond of decoding.
constexpr std::size_t turn_bytes = decode_bytes_max;

FileTailOptions tail_options(TraceFormat format, FileTailOptions::Start start) {
  FileTailOptions options;
  options.start = start;
  options.text = format != TraceFormat::simple;
  return options;
}

}  // namespace

FeedTotals& FeedTotals::operator+=(const FeedTotals& other) {
  bytes_read += other.bytes_read;
  restarts += other.restarts;
  read_errors += other.read_errors;
  mismatches += other.mismatches;
  decoder.records += other.decoder.records;
  decoder.stale_records += other.decoder.stale_records;
  decoder.dropped_events += other.decoder.dropped_events;
  decoder.resyncs += other.decoder.resyncs;
  decoder.lost_bytes += other.decoder.lost_bytes;
  for (std::size_t i = 0; i < decoder.errors.size(); ++i)
    decoder.errors[i] += other.decoder.errors[i];
  decoder.span.include(other.decoder.span);
  return *this;
}

TraceFeed::TraceFeed(TraceFormat format, EventTable& events, TraceFile file,
                     std::int64_t not_before_ns)
    : format_(format),
      events_(events),
      file_(std::move(file)),
      tail_(UniqueFd(::fcntl(file_->fd(), F_DUPFD_CLOEXEC, 0)), file_->path(),
            tail_options(format, FileTailOptions::Start::beginning)) {
  if (format != TraceFormat::simple) {
    decoder_ = make_decoder(format, events);
    return;
  }
  SimpleDecoderOptions options;
  options.not_before_ns = not_before_ns;
  auto decoder = std::make_unique<SimpleDecoder>(events, options);
  simple_ = decoder.get();
  decoder_ = std::move(decoder);
}

TraceFeed::TraceFeed(TraceFormat format, EventTable& events, const std::string& path,
                     FileTailOptions::Start start)
    : format_(format),
      events_(events),
      tail_(path, tail_options(format, start)),
      decoder_(make_decoder(format, events)) {
  if (format == TraceFormat::simple) simple_ = static_cast<SimpleDecoder*>(decoder_.get());
}

TraceFeed::TraceFeed(const EventTable& events, const std::string& path, LogDecoderOptions options)
    : format_(TraceFormat::log),
      events_(events),
      log_options_(std::move(options)),
      tail_(path, tail_options(TraceFormat::log, FileTailOptions::Start::end)),
      decoder_(std::make_unique<LogDecoder>(events, log_options_)) {}

TraceFeed::~TraceFeed() = default;

bool TraceFeed::pump(std::span<char> buffer, RecordSink& sink) {
  std::size_t turn = 0;
  while (turn < turn_bytes) {
    std::memcpy(buffer.data(), rest_.data(), rest_.size());
    const auto room =
        buffer.subspan(rest_.size()).first(std::min(turn_bytes, buffer.size() - rest_.size()));
    const auto chunk = tail_.read(room);
    if (!chunk) {
      if (problem_.empty()) ++totals_.read_errors;
      problem_ = chunk.error().detail;
      return false;
    }
    problem_.clear();
    if (chunk->begins) {
      if (began_) sink.on_restart();
      begin_stream();
      continue;
    }
    if (chunk->size == 0) return false;
    totals_.bytes_read += chunk->size;
    turn += chunk->size;
    std::string_view bytes(buffer.data(), rest_.size() + chunk->size);
    if (skipping_line_) {
      const auto newline = bytes.find('\n');
      skipping_line_ = newline == std::string_view::npos;
      bytes.remove_prefix(skipping_line_ ? bytes.size() : newline + 1);
    }
    const auto used = decoder_->decode(bytes, sink);
    rest_ = bytes.substr(used);
    give_back();
  }
  return tail_.lag() > 0;
}

/// The next bytes are the first of a stream: a file just opened, truncated or replaced.
void TraceFeed::begin_stream() {
  if (std::exchange(began_, true)) ++totals_.restarts;
  if (file_) file_->restart();
  rest_.clear();
  const auto start = tail_.stream_start();
  if (start == 0) return decoder_->restart();
  if (simple_ != nullptr) {
    std::string head(std::min<std::uint64_t>(start, decode_bytes_max), '\0');
    const auto size = ::pread(tail_.fd(), head.data(), head.size(), 0);
    head.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    if (auto read = simple_->read_head(head); !read)
      problem_ = tail_.path() + ": " + read.error().detail;
    return;
  }
  char before = '\n';
  const bool known = ::pread(tail_.fd(), &before, 1, static_cast<off_t>(start) - 1) == 1;
  // A NUL is the end of a hole, behind which a line begins.
  const bool mid_line = known && before != '\n' && before != '\0';
  skipping_line_ = mid_line && format_ == TraceFormat::exec_log;
  if (mid_line && format_ == TraceFormat::log && decoder_->stats().records == 0) {
    auto options = log_options_;
    options.start_mid_line = true;
    decoder_ = std::make_unique<LogDecoder>(events_, std::move(options));
  } else {
    decoder_->restart();
  }
}

void TraceFeed::give_back() {
  if (!file_) return;
  const auto given_back = file_->release_consumed(tail_.offset() - rest_.size());
  if (!given_back && problem_.empty()) problem_ = given_back.error().detail;
}

FeedTotals TraceFeed::totals() const {
  auto totals = totals_;
  totals.decoder = decoder_->stats();
  totals.mismatches = simple_ != nullptr ? simple_->mismatches() : 0;
  return totals;
}

const std::string& TraceFeed::problem() const {
  return problem_.empty() && simple_ != nullptr ? simple_->problem() : problem_;
}

}  // namespace qemon::trace
