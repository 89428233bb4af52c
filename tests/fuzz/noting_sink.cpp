#include "tests/fuzz/noting_sink.hpp"

#include <functional>
#include <vector>

namespace qemon::fuzz {
namespace {

bool lies_within(std::string_view part, std::string_view whole) {
  if (part.empty()) return true;
  const std::less_equal<const char*> not_behind;
  return not_behind(whole.data(), part.data()) &&
         not_behind(part.data() + part.size(), whole.data() + whole.size());
}

}  // namespace

void NotingSink::on_record(const trace::Record& record) {
  require(lies_within(record.payload, bytes_), "a payload lies within the bytes decoded");
  ++records_;
  note('r');
  note(record.event);
  note(record.has_time);
  note(record.time_ns);
  note(record.id);
  note(record.payload);
  trace::Arguments arguments;
  require(record.decoder != nullptr, "a record names its decoder");
  if (record.decoder->arguments(record, arguments)) {
    require(arguments.count <= trace::arguments_max, "no more arguments than there may be");
    for (std::size_t i = 0; i < arguments.count; ++i) {
      require(lies_within(arguments.values[i].text, record.payload),
              "an argument's text lies within the payload");
      note(arguments.values[i].bits);
      note(arguments.values[i].text);
    }
  }
  if (engine_ != nullptr) engine_->on_record(record);
}

void NotingSink::on_loss(std::uint64_t count) {
  note('l');
  note(count);
  ++losses_;
  lost_events_ += count;
  if (engine_ != nullptr) engine_->on_loss(count);
}

void NotingSink::note(std::string_view text) {
  note(text.size());
  notes_ += text;
}

std::size_t decode_at_once(trace::Decoder& decoder, std::string_view bytes, NotingSink& sink) {
  sink.decoding(bytes);
  const std::size_t done = decoder.decode(bytes, sink);
  require(done <= bytes.size(), "no more bytes are done with than were given");
  return bytes.size() - done;
}

std::size_t decode_in_pieces(trace::Decoder& decoder, std::string_view bytes, NotingSink& sink,
                             Choices& choices) {
  std::size_t given = 0;
  std::size_t done = 0;
  while (given < bytes.size()) {
    given += choices.piece(bytes.size() - given);
    // In memory of its very size, so that reading too far is noticed.
    const std::vector<char> window(bytes.begin() + static_cast<std::ptrdiff_t>(done),
                                   bytes.begin() + static_cast<std::ptrdiff_t>(given));
    done = given - decode_at_once(decoder, {window.data(), window.size()}, sink);
  }
  return bytes.size() - done;
}

void require_progress(trace::Decoder& decoder, std::string_view left, NotingSink& sink) {
  std::string full(left);
  full.resize(trace::decode_bytes_max);
  require(decode_at_once(decoder, full, sink) < full.size(),
          "a full buffer is not left over as a whole");
}

std::string to_text(const trace::DecoderStats& stats) {
  std::string text;
  for (const std::uint64_t number :
       {stats.records, stats.stale_records, stats.dropped_events, stats.resyncs, stats.lost_bytes})
    text += std::to_string(number) + ' ';
  for (const std::uint64_t number : stats.errors) text += std::to_string(number) + ' ';
  return text + (stats.span.empty() ? "no times" : "times");
}

}  // namespace qemon::fuzz
