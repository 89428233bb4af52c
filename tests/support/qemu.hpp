// Qemu: a running virtual machine with the test guest, under one of the QEMU builds that the suite
// is given.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/guest.hpp"
#include "tests/support/monitor.hpp"
#include "tests/support/process.hpp"

namespace qemon::test {

/// One QEMU to test with.
struct QemuBuild {
  std::string label;  ///< Letters, digits and underscores: it becomes part of test names.
  std::string binary;
  std::vector<std::string> data_dirs;  ///< Directories of BIOS images, for -L.
  std::string catalog;  ///< Its trace-events-all; empty: where qemond looks by itself.
};

/// The list in the environment variable QEMON_TEST_QEMUS: entries `label|binary|data dirs,
/// separated by colons|catalog`, separated by semicolons. Without the variable: the QEMU that is
/// installed as qemu-system-x86_64, if any.
std::vector<QemuBuild> qemu_builds();

/// The options that make this build run as `user` once it has opened its files: -runas, or what
/// took its place in QEMU 10.
std::vector<std::string> run_as(const QemuBuild& build, const std::string& user,
                                const std::string& directory);

/// What GoogleTest prints for a parameter, and what it appends to a test's name.
std::ostream& operator<<(std::ostream& out, const QemuBuild& build);

struct QemuOptions {
  std::vector<std::string> arguments;  ///< After all others.
  bool timestamps = true;              ///< -msg timestamp=on
  bool stderr_pipe = false;            ///< Standard error is a pipe, as under a service manager.
  std::string stderr_file;   ///< Standard error is this file; without pipe and file: /dev/null.
  bool paused = false;       ///< Waits for resume() before the guest's first instruction.
  std::optional<User> user;  ///< Started as this user; its directory is given to it.
};

/// Started by the constructor and booted when it returns (unless it is to be paused); killed by the
/// destructor. Everything it needs is in `directory`, which is made if missing: another Qemu in the
/// same directory is the same VM, started again.
class Qemu {
 public:
  Qemu(const QemuBuild& build, std::string directory, const QemuOptions& options = {});

  /// Where qemond attaches: this socket is for qemond alone.
  [[nodiscard]] std::string socket() const { return directory_ + "/qmp"; }
  [[nodiscard]] std::string address() const { return "unix:" + socket(); }

  [[nodiscard]] std::string disk() const { return directory_ + "/disk.img"; }
  [[nodiscard]] Process& process() { return *process_; }
  [[nodiscard]] Guest& guest() { return guest_; }

  /// The test's own monitor, on another socket than qemond's.
  [[nodiscard]] Monitor& monitor() { return *monitor_; }

  /// Starts a paused guest and returns when it has booted.
  void resume();

  /// A field of `stats` of query-blockstats for the guest's disk.
  [[nodiscard]] double block_statistic(std::string_view name);

  /// Asked of QEMU, not of qemon.
  [[nodiscard]] bool has_simple_backend();
  [[nodiscard]] bool has_log_backend();

 private:
  void wait_connected();

  std::string directory_;
  Guest guest_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<Monitor> monitor_;
};

}  // namespace qemon::test
