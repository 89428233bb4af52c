// FakeQemu: VMs that there are not, whose monitors answer from a recording or fail as told.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "tests/support/process.hpp"

namespace qemon::test {

/// What a real QEMU said, in tests/data.
enum class Recording { kvm, tcg };

/// One process, and any number of VMs in it; a real QEMU has one each, so a process with some tens
/// of them has about as many files open. Ended by the destructor, which fails the test if it does
/// not end well. Whatever goes wrong is thrown as std::runtime_error.
class FakeQemu {
 public:
  /// Sockets are DIRECTORY/NAME.qmp; the directory is made if missing.
  explicit FakeQemu(std::string directory, Recording recording = Recording::kvm);
  FakeQemu(const FakeQemu&) = delete;
  FakeQemu& operator=(const FakeQemu&) = delete;
  ~FakeQemu();

  /// `failure` is what tests/fake_qemu/failure.hpp says, for instance "hang@query-blockstats".
  void add(const std::string& name, const std::string& failure = {});
  void remove(const std::string& name);
  void fail(const std::string& name, const std::string& failure);
  void heal(const std::string& name);
  /// What it received: {NAME: [{command, count, first, last, longest_gap}]}.
  nlohmann::json counts();
  void reset_counts();

  [[nodiscard]] std::string socket(std::string_view name) const;
  [[nodiscard]] std::string address(std::string_view name) const { return "unix:" + socket(name); }
  [[nodiscard]] Process& process() { return *process_; }

 private:
  nlohmann::json tell(const std::string& line);

  std::string directory_;
  UniqueFd conversation_;
  std::unique_ptr<Process> process_;
  std::string received_;
};

/// Many of them, each in one of several processes.
class FakeFleet {
 public:
  FakeFleet(const std::string& directory, std::size_t processes);
  void add(const std::string& name) { of(name).add(name); }
  void remove(const std::string& name) { of(name).remove(name); }
  nlohmann::json counts();
  void reset_counts();

 private:
  FakeQemu& of(const std::string& name);
  std::vector<std::unique_ptr<FakeQemu>> members_;
};

}  // namespace qemon::test
