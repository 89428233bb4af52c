// Qemond and qemon: the programs under test, run as a user would run them.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/http.hpp"
#include "tests/support/process.hpp"

namespace qemon::test {

/// Runs the command line tool against a control socket: `qemon --socket SOCKET ARGUMENTS...`.
Finished run_qemon(const std::string& directory, const std::string& control_socket,
                   const std::vector<std::string>& arguments);

struct QemondOptions {
  std::vector<std::pair<std::string, std::string>> vms;  ///< Name and address.
  std::vector<std::string> arguments;                    ///< After all others.
  std::vector<std::string> environment;                  ///< NAME=VALUE.
  std::vector<std::string> before;  ///< A program that runs qemond, with its arguments.
};

/// A running qemond, serving when the constructor returns; ended by the destructor, which fails the
/// test when it had ended by itself, does not end well, or a sanitizer reported something. Its
/// control socket, runtime directory and log are in `directory`, which may be used again by the
/// next one.
class Qemond {
 public:
  Qemond(std::string directory, const QemondOptions& options);
  Qemond(const Qemond&) = delete;
  Qemond& operator=(const Qemond&) = delete;
  ~Qemond();

  [[nodiscard]] std::string control_socket() const { return directory_ + "/control"; }
  [[nodiscard]] std::string runtime_dir() const { return directory_ + "/run"; }
  [[nodiscard]] const std::string& tcp_address() const { return tcp_address_; }
  [[nodiscard]] Process& process() { return *process_; }

  /// What it has written to standard error so far.
  [[nodiscard]] std::string log() const;

  [[nodiscard]] nlohmann::json status() const;

  /// The part of the status that is about one VM.
  [[nodiscard]] nlohmann::json vm(std::string_view name) const;
  [[nodiscard]] std::string vm_state(std::string_view name) const;

  /// False if the VM has not come into this state at the deadline.
  [[nodiscard]] bool wait_for_state(std::string_view name, std::string_view state) const;
  [[nodiscard]] bool wait_attached(std::string_view name) const {
    return wait_for_state(name, "attached");
  }

  [[nodiscard]] Metrics scrape() const;

  /// How often the event was counted; 0 when the series does not exist.
  [[nodiscard]] double counted(std::string_view vm, std::string_view event) const;

  /// False if the count is not exactly `expected` at the deadline. Gives up at once when it is
  /// more.
  [[nodiscard]] bool wait_counted(std::string_view vm, std::string_view event,
                                  double expected) const;

  /// The command line tool against this daemon.
  Finished qemon(const std::vector<std::string>& arguments) const;

  /// The same as words to start it with, for a test that does not wait for its end.
  [[nodiscard]] std::vector<std::string> qemon_command(
      const std::vector<std::string>& arguments) const;

  /// `qemon event on|off NAMES...`, which must succeed; otherwise throws with what it said.
  void events_on(const std::vector<std::string>& globs, std::string_view vm = {}) const;
  void events_off(const std::vector<std::string>& globs, std::string_view vm = {}) const;

  /// Ends it with a signal and returns how it ended; throws when it does not end, or when a
  /// sanitizer reported something.
  ExitStatus stop(int signal);
  ExitStatus stop();

  /// Ends it with SIGKILL, so that it can put nothing back.
  void crash();

 private:
  void wait_serving();
  void switch_events(std::string_view on_or_off, const std::vector<std::string>& globs,
                     std::string_view vm) const;

  std::string directory_;
  std::unique_ptr<Process> process_;
  std::string tcp_address_;
  bool stopped_ = false;
};

}  // namespace qemon::test
