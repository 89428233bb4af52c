// What the command line was parsed into, and the groups of commands, one file each.
#pragma once

#include <functional>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/app.hpp"
#include "cli/control_client.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library calls itself so.
class App;
class Validator;
}  // namespace CLI

namespace qemon::cli {

/// What a command works with while it runs, and what it has found so far.
class CommandContext {
 public:
  CommandContext(ControlClient client, bool json, std::ostream& out, std::ostream& err,
                 const Environment& environment)
      : client_(std::move(client)), json_(json), out_(out), err_(err), environment_(environment) {}

  [[nodiscard]] const ControlClient& client() const { return client_; }
  [[nodiscard]] bool json() const { return json_; }
  [[nodiscard]] std::ostream& out() { return out_; }
  /// Standard error if it is a terminal, for showing progress; otherwise nullptr.
  [[nodiscard]] std::ostream* terminal() { return environment_.err_is_terminal ? &err_ : nullptr; }
  [[nodiscard]] const Environment& environment() const { return environment_; }

  /// One line on standard error, with "qemon: " in front and nothing in it that a terminal would
  /// act on. note() is for what the person should know; fail() makes the exit status 1 as well, and
  /// refuse(), for arguments that make no sense, 2.
  void note(std::string_view line);
  void fail(std::string_view line);
  void refuse(std::string_view line);
  /// A mistake that begins with FILE:LINE, where editors look for it: without "qemon: " in front.
  void fail_in_file(std::string_view line);
  /// For a program that was run on behalf of the user: its exit status is ours.
  void exit_with(int status) { status_ = status; }
  [[nodiscard]] int status() const { return status_; }

  /// The daemon's answer as it is, with indentation. This is the stable interface for programs.
  void print(const nlohmann::ordered_json& answer);

 private:
  ControlClient client_;
  bool json_;
  std::ostream& out_;
  std::ostream& err_;
  const Environment& environment_;
  int status_ = 0;
};

/// The arguments, and the command that they ask for.
struct Invocation {
  std::string socket;
  std::string output = "table";
  std::vector<std::string> patterns;
  std::vector<std::string> packs;
  std::vector<std::string> files;
  std::vector<std::string> catalogs;
  std::string vm;
  std::string address;
  bool enabled_only = false;
  std::string duration;
  std::string sample;
  std::string lease;                 ///< Its id.
  std::string runtime_directory;     ///< Of qemond.
  std::vector<std::string> names;    ///< Of experiments.
  std::vector<std::string> labels;   ///< NAME=VALUE.
  std::vector<std::string> words;    ///< A command to run.
  std::vector<std::string> metrics;  ///< Names or patterns.
  std::string plot;                  ///< A file to draw into.
  std::string axis;                  ///< What to draw over.
  std::string level;                 ///< Of a TCG plugin.
  std::string text;                  ///< Of a mark.
  std::vector<std::string> tags;
  bool list = false;
  bool replace = false;
  std::function<void(const Invocation&, CommandContext&)> command;
};

/// Refuses an empty text, as a variable of a script that is not set leaves it: --vm "" must not
/// mean all VMs.
[[nodiscard]] CLI::Validator not_empty();

/// Each adds its commands to the parser; parsing fills in the invocation, which must outlive the
/// parser.
void add_status_command(CLI::App& app, Invocation& invocation);
void add_vm_commands(CLI::App& app, Invocation& invocation);
void add_event_commands(CLI::App& app, Invocation& invocation);
/// Below `event`.
void add_event_cost_command(CLI::App& event, Invocation& invocation);
void add_replay_command(CLI::App& app, Invocation& invocation);
void add_follow_command(CLI::App& app, Invocation& invocation);
void add_heatmap_command(CLI::App& app, Invocation& invocation);
void add_pack_commands(CLI::App& app, Invocation& invocation);
void add_lease_commands(CLI::App& app, Invocation& invocation);
void add_experiment_commands(CLI::App& app, Invocation& invocation);
/// Below `experiment`.
void add_experiment_start_command(CLI::App& experiment, Invocation& invocation);
void add_experiment_compare_command(CLI::App& experiment, Invocation& invocation);
void add_mark_command(CLI::App& app, Invocation& invocation);
void add_restore_command(CLI::App& app, Invocation& invocation);
void add_plugin_commands(CLI::App& app, Invocation& invocation);
void add_reload_command(CLI::App& app, Invocation& invocation);

/// What `qemon pack check` does; needs no daemon.
void check_packs(const Invocation& invocation, CommandContext& context);

}  // namespace qemon::cli
