#include "base/sampling.hpp"

#include <gtest/gtest.h>

namespace qemon {
namespace {

using namespace std::chrono_literals;

TEST(Sampling, IsATimeInATime) {
  EXPECT_EQ(*parse_sampling("20ms/1s"), (Sampling{20ms, 1s}));
  EXPECT_EQ(*parse_sampling("0.5s/1.5m"), (Sampling{500ms, 90s}));
  EXPECT_EQ(*parse_sampling("1ms/50ms"), (Sampling{1ms, 50ms}));
}

TEST(Sampling, IsWrittenAsItIsRead) {
  for (const char* text : {"20ms/1s", "1500ms/60s", "5s/10m"})
    EXPECT_EQ(*parse_sampling(to_string(*parse_sampling(text))), *parse_sampling(text)) << text;
  EXPECT_EQ(to_string(Sampling{20ms, 1s}), "20ms/1s");
  EXPECT_EQ(to_string(Sampling{1500ms, 60s}), "1500ms/1m");
}

TEST(Sampling, IsNothingElse) {
  for (const char* text :
       {"", "/", "20ms", "20ms/", "/1s", "20/1s", "20ms/1", "1s/1s", "2s/1s", "0ms/1s", "-1ms/1s",
        "10ms/20ms", "1s/2h", "20ms/1s/1s", "20 ms/1s", "nanms/1s", "1s/infs", "off"})
    EXPECT_FALSE(parse_sampling(text)) << text;
}

TEST(Sampling, SaysWhatIsWrongWithIt) {
  EXPECT_EQ(parse_sampling("20ms").error().detail,
            "is no sample: write how long in which time, for instance 20ms/1s");
  EXPECT_EQ(parse_sampling("2s/1s").error().detail,
            "must be at least 1ms and less than its period");
  EXPECT_EQ(parse_sampling("1ms/2ms").error().detail, "must have a period of 50ms to 60m");
}

}  // namespace
}  // namespace qemon
