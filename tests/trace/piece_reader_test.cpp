#include "trace/piece_reader.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "tests/support/temp_dir.hpp"

namespace qemon::trace {
namespace {

using Mode = PieceReader::Mode;

class PieceReaders : public testing::TestWithParam<Mode> {
 protected:
  [[nodiscard]] std::string make_file(const std::string& content) const {
    const std::string path = directory_ / "trace";
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

 private:
  test::TempDir directory_;
};

std::string test_name(const testing::TestParamInfo<Mode>& info) {
  return info.param == Mode::ahead ? "ahead" : "in_turn";
}
INSTANTIATE_TEST_SUITE_P(Modes, PieceReaders, testing::Values(Mode::ahead, Mode::in_turn),
                         test_name);

/// Seven million bytes that are the same nowhere near.
std::string much() {
  std::string all;
  for (int i = 0; i < 1'000'000; ++i) all += std::to_string(1'000'000 + i);
  return all;
}

TEST_P(PieceReaders, GiveTheWholeFileInItsOrderWithRoomInFront) {
  const std::string content = much();
  auto input = TraceInput::open(make_file(content)).value();
  constexpr std::size_t room = 10'000;
  PieceReader pieces(input, GetParam(), room);

  std::string got;
  std::uint64_t read_before = 0;
  for (auto piece = pieces.next(); piece && !piece->empty(); piece = pieces.next()) {
    got.append(piece->data(), piece->size());
    std::fill_n(piece->data() - room, room, 'x');  // The room is ours.
    EXPECT_GE(pieces.file_bytes_read(), read_before);
    read_before = pieces.file_bytes_read();
  }

  EXPECT_TRUE(got == content) << got.size();
  EXPECT_EQ(read_before, content.size());
  EXPECT_TRUE(pieces.next().value().empty()) << "the end goes on";
  EXPECT_TRUE(pieces.next().value().empty());
}

TEST_P(PieceReaders, OfAnEmptyFileGiveNothing) {
  auto input = TraceInput::open(make_file("")).value();
  PieceReader pieces(input, GetParam(), 0);

  EXPECT_TRUE(pieces.next().value().empty());
}

TEST_P(PieceReaders, MayBeLeftBeforeTheEnd) {
  auto input = TraceInput::open(make_file(much())).value();
  PieceReader pieces(input, GetParam(), 0);

  EXPECT_FALSE(pieces.next().value().empty());
}

TEST_P(PieceReaders, TellOfDamageBehindWhatCouldBeRead) {
  // A gzip member that ends early.
  const std::string path = make_file("");
  const std::string command = "seq 300000 | gzip | head -c 300000 > " + path;
  ASSERT_EQ(::system(command.c_str()), 0);  // NOLINT(cert-env33-c,concurrency-mt-unsafe)
  auto input = TraceInput::open(path).value();
  PieceReader pieces(input, GetParam(), 0);

  std::string got;
  auto piece = pieces.next();
  for (; piece && !piece->empty(); piece = pieces.next()) got.append(piece->data(), piece->size());

  EXPECT_TRUE(got.starts_with("1\n2\n3\n"));
  ASSERT_FALSE(piece);
  EXPECT_EQ(piece.error().detail,
            path + ": the gzip data ends early; what there is of it was read");
  EXPECT_FALSE(pieces.next());
}

}  // namespace
}  // namespace qemon::trace
