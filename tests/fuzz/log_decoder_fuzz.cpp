// Any text as the log of a QEMU: by the decoder of trace events and by that of -d exec, with packs
// on.
#include <array>
#include <tuple>

#include "tests/fuzz/noting_sink.hpp"
#include "tests/fuzz/packs.hpp"
#include "trace/exec_log_decoder.hpp"
#include "trace/log_decoder.hpp"

namespace qemon::fuzz {
namespace {

constexpr std::array<std::string_view, 3> pack_names{"block", "virtio-blk", "irq"};
constexpr std::array<std::string_view, 1> exec_pack_names{"exec-log"};

struct TraceRun {
  explicit TraceRun(bool mid_line) : decoder(events, {mid_line}) { describe(events); }

  void use_packs() {
    static const auto packs = shipped_packs(pack_names);
    engine.use(packs);
  }

  trace::EventTable events;
  trace::LogDecoder decoder;
  exporters::Engine engine{events};
  NotingSink sink{&engine};
};

struct ExecRun {
  explicit ExecRun(bool /*mid_line*/) {
    static const auto catalog = trace::exec_log_catalog();
    events.use_catalog(&catalog);
  }

  void use_packs() {
    static const auto packs = shipped_packs(exec_pack_names);
    engine.use(packs);
  }

  trace::EventTable events;
  trace::ExecLogDecoder decoder{events};
  exporters::Engine engine{events};
  NotingSink sink{&engine};
};

template <typename Run>
void check(const Run& run) {
  const auto& stats = run.decoder.stats();
  require(stats.records == run.sink.records(), "every record is counted");
  require(run.engine.counters().records() == stats.records, "the engine counts every record");
  require(run.sink.losses() == 0 && stats.resyncs == 0, "nothing is lost of a log");
}

/// Decodes `text` at once and in pieces, which must come to the same.
template <typename Run>
void compare(std::string_view text, bool mid_line, Choices& choices) {
  Run whole(mid_line);
  whole.use_packs();
  const std::size_t left = decode_at_once(whole.decoder, text, whole.sink);
  check(whole);
  require_sound_metrics(whole.engine);

  Run pieces(mid_line);
  const std::size_t left_of_pieces = decode_in_pieces(pieces.decoder, text, pieces.sink, choices);
  check(pieces);
  require(to_text(whole.decoder.stats()) == to_text(pieces.decoder.stats()),
          "pieces give the same figures");
  require(whole.sink.notes() == pieces.sink.notes(), "pieces give the same records");
  require(left == left_of_pieces, "pieces leave as much over");

  if (left > 0 && choices.below(1024) == 0) {
    require_progress(whole.decoder, text.substr(text.size() - left), whole.sink);
    whole.decoder.restart();
    std::ignore = decode_at_once(whole.decoder, text, whole.sink);
    check(whole);
  }
}

void run(std::string_view text) {
  Choices choices(text);
  compare<TraceRun>(text, choices.below(4) == 0, choices);
  compare<ExecRun>(text, false, choices);
}

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qemon::fuzz::run(qemon::fuzz::text_of(data, size));
  return 0;
}
