// Records of QEMU 7.2 that both backends wrote: the log decoder must find what `simple` stored.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/trace/decoding.hpp"
#include "tests/trace/recorded.hpp"
#include "tests/trace/test_catalogs.hpp"
#include "trace/log_decoder.hpp"

namespace qemon::trace {
namespace {

/// Compares each record with what is expected of the line given last.
class Comparer : public RecordSink {
 public:
  Comparer(const EventTable& events, const Decoder& decoder) : events_(events), decoder_(decoder) {}

  void expect(const nlohmann::json* pair) { pair_ = pair; }

  void on_record(const Record& record) override {
    ++records;
    const auto& line = (*pair_)["line"].get_ref<const std::string&>();
    EXPECT_EQ(events_.name(record.event), (*pair_)["event"].get_ref<const std::string&>());
    EXPECT_EQ(std::to_string(record.id), line.substr(0, line.find('@')));
    Arguments got;
    ASSERT_TRUE(decoder_.arguments(record, got)) << line;
    const auto& wanted = (*pair_)["args"];
    ASSERT_EQ(got.count, wanted.size()) << line;
    for (std::size_t i = 0; i < got.count; ++i) {
      const auto& argument = wanted[i];
      ++arguments;
      if (argument["value"].is_string()) {
        // `simple` cuts strings to 512 bytes; the log does not.
        EXPECT_EQ(got.values[i].text.substr(0, 512), argument["value"].get<std::string>()) << line;
      } else {
        EXPECT_EQ(got.values[i].bits, argument["value"].get<std::uint64_t>())
            << line << ": " << argument["name"];
      }
    }
  }
  void on_loss(std::uint64_t) override {}

  std::size_t records = 0;
  std::size_t arguments = 0;

 private:
  const EventTable& events_;
  const Decoder& decoder_;
  const nlohmann::json* pair_ = nullptr;
};

// Nothing in these 132 events is ambiguous: there is no list of exceptions.
TEST(LogDecoder, RecoversWhatTheSimpleBackendStoredOfTheSameRecords) {
  const auto catalog = Catalog::load(test::catalog_excerpt());
  ASSERT_TRUE(catalog) << catalog.error().detail;
  EventTable events;
  for (const auto& event : catalog->events()) events.add(event.name);
  events.use_catalog(&*catalog);
  LogDecoder decoder(events);
  Comparer comparer(events, decoder);
  std::set<std::string> seen;

  std::istringstream pairs(test::recording("paired-7.2.jsonl.gz"));
  for (std::string text; std::getline(pairs, text);) {
    const auto pair = nlohmann::json::parse(text);
    const auto line = pair["line"].get<std::string>() + "\n";
    comparer.expect(&pair);
    EXPECT_EQ(decoder.decode(line, comparer), line.size()) << line;
    seen.insert(pair["event"]);
  }

  EXPECT_EQ(comparer.records, 2724u);
  EXPECT_EQ(seen.size(), 132u);
  EXPECT_GT(comparer.arguments, 5000u);
  EXPECT_EQ(test::errors(decoder.stats(), DecodeError::unknown_line), 0u);
}

}  // namespace
}  // namespace qemon::trace
