#include "daemon/content_coding.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/support/gunzip.hpp"

namespace qemon::daemon {
namespace {

TEST(ContentCoding, IsGzipIfTheClientTakesItAndDoesNotPreferIdentity) {
  for (const char* accepted :
       {"gzip", "GZip", "x-gzip", "deflate, gzip", " gzip ; q=0.001 ", "gzip;q=1.000", "*",
        "br, *;q=0.5", "gzip;q=0.5, identity;q=0.5", "identity;q=0, gzip;q=0.1"})
    EXPECT_EQ(choose_coding(accepted), ContentCoding::gzip) << accepted;
}

TEST(ContentCoding, IsIdentityIfGzipIsNotTaken) {
  for (const char* accepted : {"", "identity", "br", "gzip;q=0", "gzip;q=0.000", "gzip;Q=0",
                               "gzip;q=0, *", "gzip;q=0.5, identity", "gzip;q=-1", "gzip;q=2",
                               "gzip;q=x", "gzip;q=", "gzipp", ",,", ";", "\xff"})
    EXPECT_EQ(choose_coding(accepted), ContentCoding::identity) << accepted;
}

TEST(ContentCoding, IsNoneIfNeitherIsTaken) {
  for (const char* accepted :
       {"identity;q=0", "*;q=0", "br, *;q=0", "gzip;q=0, identity;q=0", "gzip;q=0, *;q=0"})
    EXPECT_EQ(choose_coding(accepted), std::nullopt) << accepted;
}

TEST(GzipWriter, MakesOneMemberOfAllPieces) {
  std::string text;
  for (int i = 0; i < 20'000; ++i)
    text += "qemu_vm{vm=\"web" + std::to_string(i) + "\"} " + std::to_string(i * i) + "\n";
  for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, text.size()}) {
    std::string compressed;
    GzipWriter writer;
    for (std::size_t at = 0; at < text.size(); at += size)
      writer.add(std::string_view(text).substr(at, size), compressed);
    writer.finish(compressed);

    EXPECT_EQ(test::gunzip(compressed), text) << size;
    EXPECT_LT(compressed.size(), text.size() / 3) << size;
  }
}

TEST(GzipWriter, MakesAMemberOfNothing) {
  EXPECT_EQ(test::gunzip(gzip("")), "");
}

}  // namespace
}  // namespace qemon::daemon
