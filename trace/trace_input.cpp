#include "trace/trace_input.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

#include "trace/simple_format.hpp"

namespace qemon::trace {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t raw_bytes = 1024 * 1024;
constexpr std::size_t head_bytes_max = 4096;

constexpr std::string_view gzip_magic = "\x1f\x8b"sv;
constexpr std::string_view xz_magic =
    "\xfd"sv
    "7zXZ\0"sv;
constexpr std::string_view zstd_magic = "\x28\xb5\x2f\xfd"sv;
constexpr std::string_view bzip2_magic = "BZh"sv;

Error open_error(int number, const std::string& path) {
  std::string cure;
  if (number == ENOENT) cure = "; name a trace file, or - for standard input";
  if (number == EACCES) cure = "; run qemon as a user who may read it";
  Error error = system_error(number, path);
  error.detail += cure;
  return error;
}

/// What to do about a compression that we cannot read; empty if it is none.
std::string other_compression(std::string_view head) {
  const auto use = [](const std::string& name, const std::string& tool) {
    return "is compressed with " + name + ", which qemon does not read; use " + tool +
           " -dc FILE | qemon ... -";
  };
  if (head.starts_with(xz_magic)) return use("xz", "xz");
  if (head.starts_with(zstd_magic)) return use("zstd", "zstd");
  if (head.starts_with(bzip2_magic)) return use("bzip2", "bzip2");
  return {};
}

}  // namespace

/// zlib's state. Knows whether it is within a member, so that an end there is told from one behind.
class TraceInput::Inflater {
 public:
  Inflater() { ok_ = ::inflateInit2(&stream_, window_bits) == Z_OK; }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() {
    if (ok_) ::inflateEnd(&stream_);
  }

  struct Step {
    std::size_t used = 0;
    std::size_t made = 0;
    std::string problem;  ///< May come together with the last bytes.
  };

  /// Does what can be done with these bytes and this room.
  Step step(std::span<const char> from, std::span<char> into) {
    Step done;
    if (!ok_) return {0, 0, "zlib has no memory"};
    if (!in_member_ && !begin_member(from, done)) return done;
    constexpr std::size_t most = std::numeric_limits<uInt>::max();
    const auto input = from.subspan(done.used, std::min(from.size() - done.used, most));
    // zlib does not write to its input.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(into.data());
    const auto room = static_cast<uInt>(std::min(into.size(), most));
    stream_.avail_out = room;
    const int code = ::inflate(&stream_, Z_NO_FLUSH);
    done.used += input.size() - stream_.avail_in;
    done.made = room - stream_.avail_out;
    if (code == Z_STREAM_END) {
      in_member_ = false;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      done.problem = "the gzip data is damaged (" +
                     std::string(stream_.msg != nullptr ? stream_.msg : ::zError(code)) +
                     "); what comes before was read";
    }
    return done;
  }

  [[nodiscard]] bool in_member() const { return in_member_; }

 private:
  /// Passes over zeros between and behind members, which tapes and block devices leave; gzip does
  /// the same. False if there is no member in `from`.
  bool begin_member(std::span<const char> from, Step& done) {
    const auto begin = std::ranges::find_if(from, [](char byte) { return byte != '\0'; });
    if (first_) {
      first_ = false;
    } else {
      done.used = static_cast<std::size_t>(begin - from.begin());
      if (done.used == from.size()) return false;
    }
    ::inflateReset(&stream_);
    in_member_ = true;
    return true;
  }

  static constexpr int window_bits = 15 + 16;  // The largest window, and a gzip header.

  z_stream stream_{};
  bool ok_ = false;
  bool in_member_ = false;
  bool first_ = true;
};

TraceInput::TraceInput(UniqueFd file, std::string name)
    : file_(std::move(file)), name_(std::move(name)), raw_(raw_bytes) {}
TraceInput::TraceInput(TraceInput&&) noexcept = default;
TraceInput& TraceInput::operator=(TraceInput&&) noexcept = default;
TraceInput::~TraceInput() = default;

Result<TraceInput> TraceInput::open(const std::string& path) {
  const bool standard = path == "-";
  UniqueFd fd(standard ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                       : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  const std::string name = standard ? "standard input" : path;
  if (!fd) return open_error(errno, name);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) return system_error(errno, name);
  if (S_ISDIR(about.st_mode)) return Error{name + ": is a directory; name the trace file in it"};
  if (::isatty(fd.get()) == 1)
    return Error{name + ": is a terminal; name a trace file, or lead a trace here"};
  TraceInput input(std::move(fd), name);
  if (S_ISREG(about.st_mode)) {
    // Standard input may be a file that somebody has read from already.
    const auto at = std::max<off_t>(::lseek(input.file_.get(), 0, SEEK_CUR), 0);
    input.file_bytes_ = static_cast<std::uint64_t>(std::max<off_t>(about.st_size - at, 0));
    // Only advice: a larger read-ahead.
    ::posix_fadvise(input.file_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  if (auto looked = input.look_at_head(); !looked) return looked.error();
  return input;
}

Result<void> TraceInput::look_at_head() {
  if (auto got = refill(); !got) return got.error();
  // A pipe may give less than a magic number at once.
  while (rest_.size() < simple::header_bytes) {
    std::array<char, simple::header_bytes> more{};
    auto got = read_file(std::span(more).first(more.size() - rest_.size()));
    if (!got) return got.error();
    if (*got == 0) break;
    std::memcpy(raw_.data() + rest_.size(), more.data(), *got);
    rest_ = std::span(raw_).first(rest_.size() + *got);
  }
  const std::string_view raw(rest_.data(), rest_.size());
  if (const auto problem = other_compression(raw); !problem.empty())
    return Error{name_ + ": " + problem};
  if (raw.starts_with(gzip_magic)) inflater_ = std::make_unique<Inflater>();
  std::array<char, head_bytes_max> buffer{};
  while (head_.size() < simple::header_bytes) {
    const auto got = compressed() ? read_compressed(buffer) : read_plain(buffer);
    if (!got) failure_ = got.error();
    if (!got || *got == 0) break;
    head_.append(buffer.data(), *got);
  }
  if (!head_.empty()) format_ = simple::is_simple(head_) ? Format::simple : Format::log;
  return {};
}

Result<std::size_t> TraceInput::read(std::span<char> into) {
  if (!head_.empty()) {
    const auto size = std::min(head_.size(), into.size());
    std::memcpy(into.data(), head_.data(), size);
    head_.erase(0, size);
    return size;
  }
  if (failure_) return *failure_;
  const auto got = compressed() ? read_compressed(into) : read_plain(into);
  if (!got) failure_ = got.error();
  return got;
}

Result<std::size_t> TraceInput::read_plain(std::span<char> into) {
  if (rest_.empty()) return read_file(into);
  const auto size = std::min(rest_.size(), into.size());
  std::memcpy(into.data(), rest_.data(), size);
  rest_ = rest_.subspan(size);
  return size;
}

Result<std::size_t> TraceInput::read_compressed(std::span<char> into) {
  std::size_t made = 0;
  while (made < into.size() && !failure_) {
    if (rest_.empty()) {
      const auto more = refill();
      if (!more) failure_ = more.error();
      if (more && !*more) {
        if (inflater_->in_member())
          failure_ = Error{name_ + ": the gzip data ends early; what there is of it was read"};
        break;
      }
      if (!more) break;
    }
    const auto step = inflater_->step(rest_, into.subspan(made));
    rest_ = rest_.subspan(step.used);
    made += step.made;
    if (!step.problem.empty()) failure_ = Error{name_ + ": " + step.problem};
  }
  if (made == 0 && failure_) return *failure_;
  return made;
}

/// Reads the next piece into raw_; false at the end of the file.
Result<bool> TraceInput::refill() {
  const auto got = read_file(raw_);
  if (!got) return got.error();
  rest_ = std::span<const char>(raw_).first(*got);
  return *got > 0;
}

Result<std::size_t> TraceInput::read_file(std::span<char> into) {
  while (true) {
    const auto got = ::read(file_.get(), into.data(), into.size());
    if (got >= 0) {
      file_bytes_read_ += static_cast<std::uint64_t>(got);
      return static_cast<std::size_t>(got);
    }
    if (errno == EAGAIN) {  // Standard input that another program has made non-blocking.
      pollfd readable{file_.get(), POLLIN, 0};
      ::poll(&readable, 1, -1);
    } else if (errno != EINTR) {
      return system_error(errno, name_);
    }
  }
}

}  // namespace qemon::trace
