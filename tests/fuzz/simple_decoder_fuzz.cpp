// Any bytes as a trace file of the `simple` backend: decoded at once, in pieces and from the
// middle, with packs on.
#include <array>
#include <numeric>
#include <tuple>

#include "tests/fuzz/noting_sink.hpp"
#include "tests/fuzz/packs.hpp"
#include "trace/simple_decoder.hpp"
#include "trace/simple_format.hpp"

namespace qemon::fuzz {
namespace {

constexpr std::array<std::string_view, 3> pack_names{"block", "virtio-blk", "irq"};

/// One decoder and what is behind it.
struct Run {
  explicit Run(trace::SimpleDecoderOptions options) : decoder(events, options) { describe(events); }

  void use_packs() {
    static const auto packs = shipped_packs(pack_names);
    engine.use(packs);
  }

  /// What must hold after `bytes` bytes were given.
  void check(std::size_t bytes) {
    const auto& stats = decoder.stats();
    require(stats.records == sink.records(), "every record is counted");
    require(engine.counters().records() == stats.records, "the engine counts every record");
    require(stats.records * trace::simple::event_head_bytes <= bytes,
            "no more records than there is room for");
    require(stats.lost_bytes <= bytes, "no more bytes are lost than were given");
    require(stats.resyncs <= sink.losses(), "the sink is told of every resync");
    require(stats.dropped_events == sink.lost_events(), "the sink is told of every drop");
    require(decoder.mismatches() <= stats.records, "mismatches are records");
    require(decoder.problem().find('\n') == std::string::npos, "a problem is told in one line");
    require_sound_metrics(engine);
  }

  [[nodiscard]] bool undamaged() const {
    const auto& errors = decoder.stats().errors;
    return std::accumulate(errors.begin(), errors.end(), std::uint64_t{0}) == 0;
  }

  trace::EventTable events;
  trace::SimpleDecoder decoder;
  exporters::Engine engine{events};
  NotingSink sink{&engine};
};

void run(std::string_view bytes) {
  Choices choices(bytes);
  trace::SimpleDecoderOptions options;
  // The times of the corpus are of that size, so that some records are stale.
  if (choices.below(4) == 0)
    options.not_before_ns = static_cast<std::int64_t>(choices.below(1ULL << 46));

  Run whole(options);
  whole.use_packs();
  const std::size_t left = decode_at_once(whole.decoder, bytes, whole.sink);
  whole.check(bytes.size());

  Run pieces(options);
  const std::size_t left_of_pieces = decode_in_pieces(pieces.decoder, bytes, pieces.sink, choices);
  pieces.check(bytes.size());
  // Where bytes are damaged, what can be seen of those that follow makes a difference.
  if (whole.undamaged()) {
    require(to_text(whole.decoder.stats()) == to_text(pieces.decoder.stats()),
            "pieces give the same figures");
    require(whole.sink.notes() == pieces.sink.notes(), "pieces give the same records");
    require(left == left_of_pieces, "pieces leave as much over");
  }
  if (left > 0 && choices.below(1024) == 0)
    require_progress(whole.decoder, bytes.substr(bytes.size() - left), whole.sink);

  // As somebody's own file is followed: its head first, then from somewhere on.
  Run joined(options);
  if (joined.decoder.read_head(bytes.substr(0, choices.below(bytes.size() + 1)))) {
    const auto rest = bytes.substr(choices.below(bytes.size() + 1));
    std::ignore = decode_in_pieces(joined.decoder, rest, joined.sink, choices);
    joined.check(rest.size());
    joined.decoder.restart();
    std::ignore = decode_at_once(joined.decoder, bytes, joined.sink);
    joined.check(rest.size() + bytes.size());
  }
}

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qemon::fuzz::run(qemon::fuzz::text_of(data, size));
  return 0;
}
