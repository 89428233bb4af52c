#include "usdt/probe_decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/trace/decoding.hpp"
#include "usdt/probe_record.h"

namespace qemon::usdt {
namespace {

using test::Found;
using testing::ElementsAre;
using testing::IsEmpty;

using Strings = std::vector<std::string>;

/// Bytes of a record as the ring gives them: as much as is in use.
std::string bytes_of(probe_record record, std::string_view text = {}) {
  record.text_bytes = static_cast<std::uint32_t>(text.size());
  std::copy(text.begin(), text.end(), record.text);
  const auto size = text.empty() ? offsetof(probe_record, values) +
                                       record.argument_count * sizeof record.values[0]
                                 : offsetof(probe_record, text) + text.size();
  return {reinterpret_cast<const char*>(&record), size};
}

class ProbeDecoderTest : public testing::Test {
 protected:
  ProbeDecoderTest() {
    for (const auto* const name : {"none", "numbers", "text"}) events.add(name);
  }

  static probe_record record(std::uint32_t slot, std::uint64_t time_ns) {
    probe_record made{};
    made.slot = slot;
    made.time_ns = time_ns;
    made.thread = 99;
    made.described = 1;
    return made;
  }
  static probe_record numbers(std::uint64_t time_ns) {
    auto made = record(1, time_ns);
    made.argument_count = 2;
    made.values[0] = 5;
    made.values[1] = ~std::uint64_t{0};
    return made;
  }

  trace::EventTable events;
  ProbeDecoder decoder{events};
  test::CollectingSink sink{events, decoder};
};

TEST_F(ProbeDecoderTest, GivesEachRecordWithItsTimeThreadAndArguments) {
  auto text = record(2, 1002);
  text.argument_count = 4;
  text.strings = 0b1011;
  text.values[0] = 3;
  text.values[2] = 7;
  text.values[3] = 2;

  for (const auto& bytes :
       {bytes_of(numbers(1000)), bytes_of(record(0, 1001)), bytes_of(text, "abcde")})
    EXPECT_EQ(decoder.decode(bytes, sink), bytes.size());

  EXPECT_THAT(sink.records,
              ElementsAre(Found{"numbers", 1000, 99, Strings{"5", "18446744073709551615"}},
                          Found{"none", 1001, 99, Strings{}},
                          Found{"text", 1002, 99, Strings{"abc", "", "7", "de"}}));
  EXPECT_EQ(decoder.stats().records, 3U);
  EXPECT_EQ(decoder.stats().span.first_ns, 1000);
  EXPECT_EQ(decoder.stats().span.last_ns, 1002);
}

TEST_F(ProbeDecoderTest, GivesNoArgumentsThatCouldNotBeReadOrThatNoCatalogDescribes) {
  auto unreadable = numbers(1000);
  unreadable.unreadable = 1;
  auto undescribed = record(1, 1001);
  undescribed.described = 0;
  auto overlong = record(2, 1002);
  overlong.argument_count = 1;
  overlong.strings = 1;
  overlong.values[0] = 6;

  decoder.decode(bytes_of(unreadable), sink);
  decoder.decode(bytes_of(undescribed), sink);
  decoder.decode(bytes_of(overlong, "short"), sink);
  decoder.decode(bytes_of(numbers(1003)).substr(0, offsetof(probe_record, values) + 8), sink);

  ASSERT_EQ(sink.records.size(), 4U);
  for (const auto& found : sink.records) EXPECT_EQ(found.arguments, std::nullopt);
  EXPECT_EQ(decoder.unreadable(), 1U);
}

TEST_F(ProbeDecoderTest, TellsOfLossesBeforeTheRecordThatCameAfterThem) {
  auto second = numbers(1001);
  second.lost = 3;
  auto begun_earlier = numbers(1002);
  begun_earlier.lost = 1;

  decoder.decode(bytes_of(numbers(1000)), sink);
  EXPECT_THAT(sink.losses, IsEmpty());
  decoder.decode(bytes_of(second), sink);
  decoder.decode(bytes_of(begun_earlier), sink);
  decoder.lost(3, sink);
  decoder.lost(5, sink);

  EXPECT_THAT(sink.losses, ElementsAre(3U, 2U));
  EXPECT_EQ(decoder.stats().dropped_events, 5U);
}

TEST_F(ProbeDecoderTest, CountsBytesThatAreNoRecord) {
  decoder.decode("short", sink);
  decoder.decode(bytes_of(record(3, 1000)), sink);

  EXPECT_THAT(sink.records, IsEmpty());
  EXPECT_EQ(test::errors(decoder.stats(), trace::DecodeError::bad_record), 2U);
}

}  // namespace
}  // namespace qemon::usdt
