// What the tests of the decoders of logs share: reading as a source gives the bytes, and rubbish.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/trace/decoding.hpp"

namespace qemon::test {

/// A decoder that is given a log piece by piece. Those derived from it keep the records.
template <typename D>
class LogReading : public trace::RecordSink {
 public:
  template <typename... Options>
  explicit LogReading(Options... options) : decoder(events, options...) {}

  /// Gives `bytes` to the decoder as a source would: what it leaves comes again, in front.
  void feed(std::string_view bytes) {
    pending += bytes;
    const std::size_t done = decoder.decode(pending, *this);
    ASSERT_LE(done, pending.size());
    pending.erase(0, done);
  }

  [[nodiscard]] std::uint64_t unknown() const {
    return errors(decoder.stats(), DecodeError::unknown_line);
  }
  [[nodiscard]] std::uint64_t overlong() const {
    return errors(decoder.stats(), DecodeError::overlong_line);
  }

  EventTable events;
  D decoder;
  std::string pending;
};

template <typename Reading>
void expect_to_be_unknown(const std::string& line) {
  Reading log;

  log.feed(line + "\n");

  EXPECT_TRUE(log.records.empty()) << line;
  EXPECT_EQ(log.unknown(), 1u) << line;
  EXPECT_EQ(log.pending, "") << line;
}

/// Whatever comes in whatever order: no more records and unknown lines than there are lines.
template <typename Reading>
void expect_to_survive_rubbish(std::string_view alphabet) {
  std::uint32_t state = 1;
  for (int round = 0; round < 200; ++round) {
    Reading log;
    std::size_t newlines = 0;
    for (int piece = 0; piece < 20; ++piece) {
      std::string bytes;
      for (int i = 0; i < 50; ++i) {
        state = state * 1664525 + 1013904223;
        bytes += alphabet[(state >> 16) % alphabet.size()];
        newlines += bytes.back() == '\n';
      }
      log.feed(bytes);
    }
    EXPECT_LE(log.decoder.stats().records + log.unknown(), newlines);
  }
}

}  // namespace qemon::test
