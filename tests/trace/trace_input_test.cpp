#include "trace/trace_input.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <thread>

#include "tests/support/files.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/trace/simple_trace.hpp"

namespace qemon::trace {
namespace {

using test::TempDir;
using test::write_file;
using testing::HasSubstr;
using testing::StartsWith;

/// One gzip member.
std::string gzip(std::string_view text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string made(deflateBound(&stream, text.size()) + 64, '\0');
  std::string input(text);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(made.data());
  stream.avail_out = static_cast<uInt>(made.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  made.resize(made.size() - stream.avail_out);
  deflateEnd(&stream);
  return made;
}

/// Text that does not compress to nothing.
std::string numbers(std::size_t bytes) {
  std::string text;
  for (std::uint64_t i = 1; text.size() < bytes; ++i)
    text += std::to_string(i * 0x9e3779b97f4a7c15U) + (i % 5 == 0 ? '\n' : ' ');
  text.resize(bytes);
  return text;
}

struct Read {
  std::string bytes;
  std::string error;  ///< What ended it; empty if it was the end of the file.
};

Read read_all(TraceInput& input, std::size_t piece = 1024 * 1024) {
  Read all;
  std::vector<char> buffer(piece);
  while (true) {
    const auto got = input.read(buffer);
    if (!got) {
      all.error = got.error().detail;
      return all;
    }
    if (*got == 0) return all;
    all.bytes.append(buffer.data(), *got);
  }
}

Read read_all(const std::string& path, std::size_t piece = 1024 * 1024) {
  auto input = TraceInput::open(path);
  if (!input) return {"", input.error().detail};
  return read_all(*input, piece);
}

std::string open_error(const std::string& path) {
  const auto input = TraceInput::open(path);
  return input ? "opened" : input.error().detail;
}

/// Puts something in place of standard input.
class StandardInput {
 public:
  explicit StandardInput(int fd) : saved_(::fcntl(0, F_DUPFD_CLOEXEC, 3)) { ::dup2(fd, 0); }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;
  ~StandardInput() { ::dup2(saved_.get(), 0); }

 private:
  UniqueFd saved_;
};

TEST(TraceInput, ReadsAPlainFileAndTellsHowFar) {
  const TempDir dir;
  const std::string text = numbers(5'000'000);
  write_file(dir / "log", text);

  auto input = TraceInput::open(dir / "log");

  ASSERT_TRUE(input);
  EXPECT_EQ(input->format(), TraceInput::Format::log);
  EXPECT_FALSE(input->compressed());
  EXPECT_EQ(input->name(), dir / "log");
  EXPECT_EQ(input->file_bytes(), text.size());
  const auto all = read_all(*input);
  EXPECT_EQ(all.bytes, text);
  EXPECT_EQ(all.error, "");
  EXPECT_EQ(input->file_bytes_read(), text.size());
}

TEST(TraceInput, ReadsGzipAndTellsHowFarInTheFile) {
  const TempDir dir;
  const std::string text = numbers(5'000'000);
  const std::string packed = gzip(text);
  write_file(dir / "log.gz", packed);

  auto input = TraceInput::open(dir / "log.gz");

  ASSERT_TRUE(input);
  EXPECT_TRUE(input->compressed());
  EXPECT_EQ(input->format(), TraceInput::Format::log);
  EXPECT_EQ(input->file_bytes(), packed.size());
  EXPECT_EQ(read_all(*input).bytes, text);
  EXPECT_EQ(input->file_bytes_read(), packed.size());
}

TEST(TraceInput, RecognizesSimpleTracesByTheirFirstBytes) {
  const TempDir dir;
  const std::string trace = test::SimpleTrace().header().mapping(1, "a").bytes;
  write_file(dir / "trace", trace);
  write_file(dir / "trace.gz", gzip(trace));
  write_file(dir / "old", test::SimpleTrace().header(3).bytes);
  write_file(dir / "short", trace.substr(0, 7));

  const auto format = [&](const char* name) { return TraceInput::open(dir / name)->format(); };

  EXPECT_EQ(format("trace"), TraceInput::Format::simple);
  EXPECT_EQ(format("trace.gz"), TraceInput::Format::simple);
  EXPECT_EQ(format("old"), TraceInput::Format::simple) << "the decoder says what is wrong";
  EXPECT_EQ(format("short"), TraceInput::Format::log);
  EXPECT_EQ(read_all(dir / "trace").bytes, trace);
  EXPECT_EQ(read_all(dir / "trace.gz", 1).bytes, trace);
}

TEST(TraceInput, ReadsMembersOneAfterTheOther) {
  const TempDir dir;
  const std::string zeros(1000, '\0');
  write_file(dir / "log.gz", gzip("one\n") + gzip("") + gzip("two\n") + zeros + gzip("three\n"));
  write_file(dir / "padded.gz", gzip("one\n") + zeros);

  for (const std::size_t piece : {1, 3, 4096}) {
    const auto all = read_all(dir / "log.gz", piece);
    EXPECT_EQ(all.bytes, "one\ntwo\nthree\n");
    EXPECT_EQ(all.error, "");
  }
  EXPECT_EQ(read_all(dir / "padded.gz").bytes, "one\n");
  EXPECT_EQ(read_all(dir / "padded.gz").error, "");
}

TEST(TraceInput, ReadsEmptyFiles) {
  const TempDir dir;
  write_file(dir / "log", "");
  write_file(dir / "log.gz", gzip(""));

  for (const char* const name : {"log", "log.gz"}) {
    auto input = TraceInput::open(dir / name);
    ASSERT_TRUE(input);
    EXPECT_FALSE(input->format());
    const auto all = read_all(*input);
    EXPECT_EQ(all.bytes, "");
    EXPECT_EQ(all.error, "");
  }
}

TEST(TraceInput, GivesWhatIsThereOfATruncatedGzipAndThenAnError) {
  const TempDir dir;
  const std::string text = numbers(3'000'000);
  const std::string packed = gzip(text);
  write_file(dir / "cut.gz", packed.substr(0, packed.size() / 2));

  auto input = TraceInput::open(dir / "cut.gz");
  const auto all = read_all(*input);

  EXPECT_GT(all.bytes.size(), text.size() / 3);
  EXPECT_TRUE(text.starts_with(all.bytes));
  const std::string error =
      dir / "cut.gz" + ": the gzip data ends early; what there is of it was read";
  EXPECT_EQ(all.error, error);
  EXPECT_EQ(read_all(*input).error, error) << "once more";
}

TEST(TraceInput, SurvivesEveryTruncation) {
  const TempDir dir;
  const std::string packed = gzip("a line\n") + gzip("another\n");
  for (std::size_t size = 2; size < packed.size(); ++size) {
    write_file(dir / "cut.gz", packed.substr(0, size));
    const auto all = read_all(dir / "cut.gz");
    EXPECT_TRUE(std::string_view("a line\nanother\n").starts_with(all.bytes)) << size;
    EXPECT_EQ(all.error.empty(), size == gzip("a line\n").size()) << size;
  }
}

TEST(TraceInput, GivesWhatComesBeforeDamage) {
  const TempDir dir;
  const std::string text = numbers(3'000'000);
  std::string packed = gzip(text);
  packed.replace(packed.size() / 2, 1000, 1000, '\xff');
  write_file(dir / "bad.gz", packed);
  std::string wrong_sum = gzip("a line\n");
  wrong_sum[wrong_sum.size() - 8] ^= 1;
  write_file(dir / "sum.gz", wrong_sum);
  write_file(dir / "garbage.gz", gzip("a line\n") + "garbage");

  const auto bad = read_all(dir / "bad.gz");
  const auto sum = read_all(dir / "sum.gz");
  const auto garbage = read_all(dir / "garbage.gz");

  EXPECT_GT(bad.bytes.size(), text.size() / 3);
  EXPECT_THAT(bad.error, StartsWith(dir / "bad.gz" + ": the gzip data is damaged ("));
  EXPECT_EQ(sum.bytes, "a line\n");
  EXPECT_EQ(sum.error,
            dir / "sum.gz" +
                ": the gzip data is damaged (incorrect data check); what comes before was read");
  EXPECT_EQ(garbage.bytes, "a line\n");
  EXPECT_THAT(garbage.error, HasSubstr("incorrect header check"));
}

TEST(TraceInput, ExplainsWhatCannotBeOpened) {
  const TempDir dir;
  const std::string directory = dir.path().string();
  write_file(dir / "secret", "");
  ::chmod((dir / "secret").c_str(), 0);

  EXPECT_EQ(
      open_error(dir / "none"),
      dir / "none" + ": No such file or directory; name a trace file, or - for standard input");
  EXPECT_EQ(open_error(directory), directory + ": is a directory; name the trace file in it");
  if (::geteuid() != 0) {
    EXPECT_EQ(open_error(dir / "secret"),
              dir / "secret" + ": Permission denied; run qemon as a user who may read it");
  }
}

TEST(TraceInput, NamesTheToolForOtherCompressions) {
  const TempDir dir;
  write_file(dir / "t.xz", std::string_view("\xfd\x37zXZ\0\0\0", 8));
  write_file(dir / "t.zst", "\x28\xb5\x2f\xfd rest");
  write_file(dir / "t.bz2", "BZh91AY&SY");

  EXPECT_EQ(open_error(dir / "t.xz"), dir / "t.xz" +
                                          ": is compressed with xz, which qemon does not read; "
                                          "use xz -dc FILE | qemon ... -");
  EXPECT_THAT(open_error(dir / "t.zst"), HasSubstr("use zstd -dc FILE"));
  EXPECT_THAT(open_error(dir / "t.bz2"), HasSubstr("use bzip2 -dc FILE"));
}

TEST(TraceInput, ReadsAPipeInWhateverPiecesItComes) {
  const std::string packed = gzip(numbers(100'000));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd out(ends[0]);
  std::thread writer([&, in = UniqueFd(ends[1])] {
    // One byte at a time where the magic numbers are.
    for (std::size_t at = 0; at < packed.size();) {
      const auto put = ::write(in.get(), packed.data() + at, at < 100 ? 1 : packed.size() - at);
      ASSERT_GT(put, 0);
      at += static_cast<std::size_t>(put);
    }
  });
  const StandardInput standard(out.get());

  auto input = TraceInput::open("-");

  ASSERT_TRUE(input);
  EXPECT_EQ(input->name(), "standard input");
  EXPECT_FALSE(input->file_bytes());
  EXPECT_EQ(read_all(*input).bytes, numbers(100'000));
  EXPECT_EQ(input->file_bytes_read(), packed.size());
  writer.join();
}

TEST(TraceInput, ReadsAFileOnStandardInputFromWhereItIs) {
  const TempDir dir;
  write_file(dir / "log", "skipped\nread\n");
  const UniqueFd file(::open((dir / "log").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::lseek(file.get(), 8, SEEK_SET), 8);
  const StandardInput standard(file.get());

  auto input = TraceInput::open("-");

  ASSERT_TRUE(input);
  EXPECT_EQ(input->file_bytes(), 5u);
  EXPECT_EQ(read_all(*input).bytes, "read\n");
  EXPECT_EQ(input->file_bytes_read(), 5u);
}

}  // namespace
}  // namespace qemon::trace
