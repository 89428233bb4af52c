// What the command line was parsed into, and the groups of commands, one file each.
#pragma once

#include <functional>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/client.hpp"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace qemon::cli {

/// What a command works with while it runs, and what it has found so far.
class Session {
 public:
  Session(Client client, bool json, std::ostream& out, std::ostream& err)
      : client_(std::move(client)), json_(json), out_(out), err_(err) {}

  [[nodiscard]] const Client& client() const { return client_; }
  [[nodiscard]] bool json() const { return json_; }
  [[nodiscard]] std::ostream& out() { return out_; }

  /// One line on standard error, with "qemon: " in front and nothing in it that a terminal would
  /// act on. note() is for what the person should know; fail() makes the exit status 1 as well.
  void note(std::string_view line);
  void fail(std::string_view line);
  [[nodiscard]] int status() const { return status_; }

  /// The daemon's answer as it is, with indentation. This is the stable interface for programs.
  void print(const nlohmann::ordered_json& answer);

 private:
  Client client_;
  bool json_;
  std::ostream& out_;
  std::ostream& err_;
  int status_ = 0;
};

/// The arguments, and the command that they ask for.
struct Invocation {
  std::string socket;
  std::string output = "table";
  std::vector<std::string> patterns;
  std::string vm;
  bool enabled_only = false;
  std::string duration;
  std::function<void(const Invocation&, Session&)> command;
};

/// Refuses an empty text, as a variable of a script that is not set leaves it: --vm "" must not
/// mean all VMs.
[[nodiscard]] CLI::Validator not_empty();

/// Each adds its commands to the parser; parsing fills in the invocation, which must outlive the
/// parser.
void add_status_command(CLI::App& app, Invocation& invocation);
void add_vm_commands(CLI::App& app, Invocation& invocation);
void add_event_commands(CLI::App& app, Invocation& invocation);

}  // namespace qemon::cli
