// Witnesses: what is in a trace, counted by code that qemon does not use.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

namespace qemon::test {

/// How often each event is in a `simple` trace file, by name; drop records are under "dropped".
/// Throws std::runtime_error when the file is not whole, from its header to its last byte.
std::map<std::string, std::uint64_t> count_simple_records(const std::string& path);

/// How many lines of a log are records of `event`, whatever time stands in front of its name.
double count_log_lines(const std::string& log, const std::string& event);

struct FileFacts {
  ino_t inode = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t allocated_bytes = 0;
};

/// Throws std::runtime_error when there is no such file.
FileFacts file_facts(const std::string& path);

/// The same for a file that the process has open and that need not have a name any more.
FileFacts open_file_facts(pid_t pid, const std::string& path);

}  // namespace qemon::test
