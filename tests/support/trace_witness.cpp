#include "tests/support/trace_witness.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string_view>

#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

/// Reads integers of this host's byte order, which is QEMU's too.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }

  std::string_view take(std::size_t count) {
    if (count > bytes_.size()) throw std::runtime_error("the trace file ends inside a record");
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  template <typename Integer>
  Integer take_integer() {
    Integer value{};
    std::memcpy(&value, take(sizeof(value)).data(), sizeof(value));
    return value;
  }

 private:
  std::string_view bytes_;
};

constexpr std::uint64_t header_id = 0xffffffffffffffff;
constexpr std::uint64_t header_magic = 0xf2b177cb0aa429b4;
constexpr std::uint64_t dropped_id = 0xfffffffffffffffe;
constexpr std::size_t event_head_bytes =
    24;  // Id, time, length and process, which the length counts.

}  // namespace

std::map<std::string, std::uint64_t> count_simple_records(const std::string& path) {
  const std::string content = read_file(path);
  Bytes bytes(content);
  if (bytes.take_integer<std::uint64_t>() != header_id ||
      bytes.take_integer<std::uint64_t>() != header_magic ||
      bytes.take_integer<std::uint64_t>() != 4) {
    throw std::runtime_error(path + " has no header of format 4");
  }

  std::map<std::uint64_t, std::string> names{{dropped_id, "dropped"}};
  std::map<std::string, std::uint64_t> counts;
  while (!bytes.empty()) {
    const auto type = bytes.take_integer<std::uint64_t>();
    if (type > 1) throw std::runtime_error(path + " has something that is no record");
    const auto id = bytes.take_integer<std::uint64_t>();
    if (type == 0) {
      names[id] = bytes.take(bytes.take_integer<std::uint32_t>());
      continue;
    }
    bytes.take(sizeof(std::uint64_t));
    const auto length = bytes.take_integer<std::uint32_t>();
    bytes.take(sizeof(std::uint32_t));
    bytes.take(length - event_head_bytes);
    ++counts[names.at(id)];
  }
  return counts;
}

double count_log_lines(const std::string& log, const std::string& event) {
  double count = 0;
  std::size_t start = 0;
  while (start < log.size()) {
    const std::size_t end = std::min(log.find('\n', start), log.size());
    const std::string_view line = std::string_view(log).substr(start, end - start);
    start = end + 1;
    // "TID@SECONDS.MICROSECONDS:NAME ", "2026-11-22T20:17:07.141597Z NAME ", "SECONDS NAME "
    // (simpletrace.py) or just "NAME ".
    const std::size_t at = line.find(event + " ");
    if (at == std::string_view::npos) continue;
    const std::string_view front = line.substr(0, at);
    if (front.empty() || front.find_first_not_of("0123456789@.:-TZ ") == std::string_view::npos) {
      ++count;
    }
  }
  return count;
}

FileFacts file_facts(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw std::runtime_error("no file " + path);
  return {status.st_ino, static_cast<std::uint64_t>(status.st_size),
          static_cast<std::uint64_t>(status.st_blocks) * 512};
}

FileFacts open_file_facts(pid_t pid, const std::string& path) {
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code ignored;
    const std::string target = std::filesystem::read_symlink(entry, ignored).string();
    // What Linux appends to the name of a file that has none.
    if (target == path || target == path + " (deleted)") return file_facts(entry.path().string());
  }
  throw std::runtime_error("process " + std::to_string(pid) + " has no open file " + path);
}

}  // namespace qemon::test
