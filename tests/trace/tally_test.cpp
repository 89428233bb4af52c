// A sink that takes only some events record by record, and lets the decoder count the others, must
// learn the same as one that takes all.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/trace/simple_trace.hpp"
#include "trace/log_decoder.hpp"
#include "trace/simple_decoder.hpp"

namespace qemon::trace {
namespace {

using test::SimpleTrace;
using test::string;
using test::u64s;

constexpr std::string_view catalog_text =
    "none(void) \"\"\n"
    "numbers(int a, uint64_t b) \"a %d b %\"PRIu64\n"
    "text(const char *s, int n) \"s %s n %d\"\n"
    "other(int a) \"a %d\"\n";

/// Counts all events; `chosen` are to come one by one.
class ChoosingSink : public RecordSink {
 public:
  ChoosingSink(const EventTable& events, std::vector<std::string> chosen)
      : events_(events), chosen_(std::move(chosen)) {}

  void on_record(const Record& record) override {
    ++one_by_one[events_.name(record.event)];
    ++records;
    if (record.has_time) last_ns = record.time_ns;
  }
  Tally tally() override {
    counts_.resize(events_.size());
    readers_.assign(events_.size(), 0);
    for (EventIndex event = 0; event < events_.size(); ++event)
      if (std::ranges::find(chosen_, events_.name(event)) != chosen_.end()) readers_[event] = 1;
    return {counts_, readers_};
  }
  void on_tallied(std::uint64_t count, std::optional<std::int64_t> last) override {
    records += count;
    if (last) last_ns = *last;
  }
  void on_loss(std::uint64_t) override { ++losses; }

  /// By name, however they came.
  [[nodiscard]] std::map<std::string, std::uint64_t> counts() const {
    auto all = one_by_one;
    for (EventIndex event = 0; event < counts_.size(); ++event)
      if (counts_[event] > 0) all[events_.name(event)] += counts_[event];
    return all;
  }

  std::map<std::string, std::uint64_t> one_by_one;
  std::uint64_t records = 0;
  std::uint64_t losses = 0;
  std::int64_t last_ns = 0;

 private:
  const EventTable& events_;
  std::vector<std::string> chosen_;
  std::vector<std::uint64_t> counts_;
  std::vector<std::uint16_t> readers_;
};

const std::vector<std::string> all_names{"none", "numbers", "text", "other"};

template <typename MakeDecoder>
void expect_the_same(const std::string& bytes, MakeDecoder make_decoder) {
  const Catalog catalog = Catalog::parse(catalog_text).value();
  for (const auto& chosen : {std::vector<std::string>{}, {"numbers"}, {"text", "none"}}) {
    for (const std::size_t piece : {bytes.size(), std::size_t{100}, std::size_t{7}}) {
      EventTable events_of_all, events;
      for (auto* table : {&events_of_all, &events}) {
        if (bytes.front() != '\xff')
          for (const auto& name : all_names) table->add(name);
        table->use_catalog(&catalog);
      }
      const auto all_decoder = make_decoder(events_of_all);
      ChoosingSink all(events_of_all, all_names);
      test::feed(*all_decoder, all, bytes, piece);
      const auto decoder = make_decoder(events);
      ChoosingSink some(events, chosen);
      test::feed(*decoder, some, bytes, piece);

      const auto counts = some.counts();
      EXPECT_EQ(counts, all.one_by_one);
      for (const auto& name : chosen)
        EXPECT_EQ(some.one_by_one[name], all.one_by_one[name]) << name;
      EXPECT_EQ(some.records, all.records);
      EXPECT_EQ(some.losses, all.losses);
      EXPECT_EQ(some.last_ns, all.last_ns);
      EXPECT_EQ(decoder->stats().records, all_decoder->stats().records);
      EXPECT_EQ(decoder->stats().span.first_ns, all_decoder->stats().span.first_ns);
      EXPECT_EQ(decoder->stats().span.last_ns, all_decoder->stats().span.last_ns);
    }
  }
}

std::string simple_trace() {
  SimpleTrace trace;
  trace.header().mapping(0, "none").mapping(1, "numbers").mapping(2, "text");
  std::mt19937 random(1);
  for (std::uint64_t i = 0; i < 500; ++i) {
    const auto kind = random() % (i < 200 ? 3 : 4);
    if (i == 200) trace.mapping(3, "other");
    if (i % 90 == 50) trace.dropped(1000 + i, 3);
    if (kind == 0) trace.event(0, 1000 + i, "");
    if (kind == 1) trace.event(1, 1000 + i - i % 3, u64s({i, 2}));
    if (kind == 2) trace.event(2, 1000 + i, string("some text") + u64s({i}));
    if (kind == 3) trace.event(3, 1000 + i, u64s({i}));
  }
  return trace.bytes;
}

std::string log_text() {
  std::string text;
  std::mt19937 random(2);
  for (int i = 0; i < 500; ++i) {
    const auto kind = random() % 6;
    if (kind < 4) text += "77@1795377070." + std::to_string(100'000 + i) + ":";
    if (kind == 0) text += "none \n";
    if (kind == 1) text += "numbers a 1 b 2\n";
    if (kind == 2) text += "text s word n 5\n";
    if (kind == 3) text += "other a 1\n";
    if (kind == 4) text += "other a 2\n";
    if (kind == 5) text += "qemu: a warning\n";
  }
  return text;
}

const auto simple_decoder = [](EventTable& events) {
  return std::make_unique<SimpleDecoder>(events);
};
const auto log_decoder = [](EventTable& events) { return std::make_unique<LogDecoder>(events); };

TEST(Tally, OfASimpleTraceIsWhatItsRecordsAre) {
  expect_the_same(simple_trace(), simple_decoder);
}

TEST(Tally, OfADamagedSimpleTraceIsWhatItsRecordsAre) {
  std::mt19937 random(3);
  for (int i = 0; i < 20; ++i) {
    auto bytes = simple_trace();
    for (int byte = 0; byte < 5; ++byte)
      bytes[200 + random() % (bytes.size() - 200)] = static_cast<char>(random());
    expect_the_same(bytes, simple_decoder);
  }
}

TEST(Tally, OfALogIsWhatItsLinesAre) {
  expect_the_same(log_text(), log_decoder);
}

TEST(Tally, SparesTheSinkWhatItDoesNotWant) {
  EventTable events;
  for (const auto& name : all_names) events.add(name);
  LogDecoder decoder(events);
  ChoosingSink sink(events, {"none"});

  decoder.decode(log_text(), sink);

  EXPECT_EQ(sink.one_by_one.size(), 1U);
  EXPECT_EQ(sink.counts().size(), all_names.size());
}

}  // namespace
}  // namespace qemon::trace
