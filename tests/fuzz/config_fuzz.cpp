// Any text as qemond's configuration file, and any words as its command line.
//
// An input is the file, and behind a line "----" the words, one a line.
#include <sys/mman.h>
#include <unistd.h>

#include <iostream>
#include <set>
#include <sstream>

#include "base/unique_fd.hpp"
#include "daemon/config.hpp"
#include "daemon/config_file.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace qemon::fuzz {
namespace {

using daemon::Config;
using daemon::VmSettings;
using exporters::Mistakes;

/// A file without a name.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view text) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    require(::write(fd_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()),
            "memory can be written to");
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  UniqueFd fd_;
};

void check(const VmSettings& settings) {
  using namespace std::chrono_literals;
  const auto in_range = [](const auto& interval) {
    return !interval || (*interval >= 100ms && *interval <= 24h);
  };
  require(in_range(settings.poll_interval), "intervals are from 100ms to 24h");
  for (const auto& [name, collector] : settings.collectors)
    require(in_range(collector.interval) && in_range(collector.deadline),
            "intervals are from 100ms to 24h");
}

/// What must hold of a configuration without mistakes.
void check(const Config& config) {
  std::set<std::string> names;
  for (const auto& vm : config.vms) {
    require(vm.name.empty() || daemon::is_valid_vm_name(vm.name), "a VM has a valid name");
    require(vm.name.empty() || names.insert(vm.name).second, "names of VMs differ");
    require(daemon::is_valid_vm_name(daemon::name_by_address(vm)), "an address makes a valid name");
    daemon::VmConfig again;
    require(daemon::set_address(vm.address(), again).has_value() && again.endpoint == vm.endpoint &&
                again.file == vm.file,
            "an address is read back");
    check(config.settings_of(vm.name, vm.settings));
  }
  for (const auto& matching : config.settings) check(matching.settings);
  for (const auto& rule : config.discovery)
    require(rule.sockets.starts_with('/'), "sockets are looked for in a folder");
}

void read_file(std::string_view text) {
  const MemoryFile file(text);
  Config config;
  Mistakes mistakes(file.path());
  daemon::read_config_file(file.path(), config, mistakes);
  for (const auto& line : mistakes.lines()) {
    require_one_line(line, "a mistake is told in one line");
    require(line.starts_with(file.path()), "a mistake names the file");
  }
  if (mistakes.empty()) check(config);
}

void read_words(std::string_view lines) {
  Config before;
  before.arguments.emplace_back("qemond");
  before.arguments.emplace_back("--runtime-dir=/run/qemond");
  while (!lines.empty()) {
    const std::string word(take_until(lines, "\n"));
    // Nothing but files that are named by an input would be read.
    if (word.find("config") != std::string::npos || word == "complete") return;
    before.arguments.push_back(word.substr(0, word.find('\0')));
  }
  // What --help prints is of no interest.
  std::ostringstream nowhere;
  auto* const out = std::cout.rdbuf(nowhere.rdbuf());
  auto* const err = std::cerr.rdbuf(nowhere.rdbuf());
  Config config;
  const auto mistakes = daemon::parse_again(before, config);
  std::cout.rdbuf(out);
  std::cerr.rdbuf(err);
  for (const auto& mistake : mistakes) require(!mistake.empty(), "a mistake is told");
  if (mistakes.empty()) check(config);
}

void run(std::string_view input) {
  const bool has_words = input.find("\n----\n") != std::string_view::npos;
  read_file(take_until(input, "\n----\n"));
  if (has_words) read_words(input);
}

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qemon::fuzz::run(qemon::fuzz::text_of(data, size));
  return 0;
}
