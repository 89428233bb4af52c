#include "cli/app.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/complete.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr const char* system_socket = "/run/qemond/control.sock";

constexpr const char* examples =
    "Examples:\n"
    "  qemon status                            what qemond watches, and how well\n"
    "  qemon event on 'virtio_blk_*' --vm web1 count these events on web1 for an hour\n"
    "  qemon event on exec_tb --sample 20ms/1s estimate the rate of a very frequent event\n"
    "  qemon pack on virtio-blk irq --for 10m  their metrics appear in /metrics\n"
    "  qemon lease list                        what is on for whom and until when\n"
    "  qemon experiment start cold --pack virtio-blk -- ./build.sh\n"
    "                                          what the VMs do while a command runs\n"
    "  qemon experiment compare cold hot       two such runs side by side\n"
    "  qemon event list --enabled              what is on, and how often it occurred\n"
    "  qemon event off '*'                     what qemon event on switched on goes off\n"
    "  qemon restore                           everything back as it was found\n"
    "  qemon mark \"cache dropped\" --vm web1    note this moment, for graphs\n"
    "  qemon vm release web1 --for 60s         let another program use the monitor\n"
    "  qemon replay trace.log --pack block     what a finished trace tells, without qemond\n"
    "  qemon follow /tmp/prog.log              the same while it is written\n"
    "  qemon heatmap exec.log --elf vmlinux    which guest code ran, page by page\n"
    "  qemon vm list --output json             for programs; table output may change\n"
    "\n"
    "--socket and --output may also be given after the command.\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage.";

/// The chosen command so far, for instance "qemon event on".
std::string command_name(const CLI::App& app) {
  std::string name = app.get_name();
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    name += " " + at->get_name();
  }
  return name;
}

/// Whether the last command so far is to be followed by one of its own.
bool takes_command(const CLI::App& app) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return !at->get_subcommands([](const CLI::App*) { return true; }).empty();
}

/// A parse error as one line.
std::string usage_problem(const CLI::ParseError& error, const CLI::App& app) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
    const std::vector<std::string> extras = app.remaining(true);
    const char* const what =
        takes_command(app) && !extras.empty() && !extras.front().starts_with('-')
            ? "unknown command"
            : "unexpected argument";
    if (!extras.empty()) return what + (" '" + extras.front() + "'");
  }
  return error.what();
}

/// $COLUMNS, as shells and users set it, else what the terminal says.
std::size_t columns_of_output(const Environment& environment) {
  constexpr std::size_t usual = 80;
  if (const auto given = environment.variable("COLUMNS")) {
    std::string_view text = *given;
    const auto number = take_count(text);
    if (number && *number > 0 && text.empty()) return static_cast<std::size_t>(*number);
  }
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return usual;
}

}  // namespace

CLI::Validator not_empty() {
  const auto check = [](const std::string& text) {
    return text.empty() ? std::string("is empty") : std::string();
  };
  return {check, ""};
}

Environment process_environment() {
  Environment environment;
  environment.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* const value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return value;
  };
  environment.exists = [](const std::string& path) { return ::access(path.c_str(), F_OK) == 0; };
  environment.uid = ::geteuid();
  environment.err_is_terminal = ::isatty(STDERR_FILENO) == 1;
  environment.out_is_terminal = ::isatty(STDOUT_FILENO) == 1;
  environment.columns = columns_of_output(environment);
  return environment;
}

std::string default_socket(const Environment& environment) {
  if (const auto given = environment.variable("QEMON_SOCKET")) return *given;
  if (environment.uid == 0 || environment.exists(system_socket)) return system_socket;
  if (const auto directory = environment.variable("XDG_RUNTIME_DIR"))
    return *directory + "/qemond/control.sock";
  return system_socket;
}

std::string default_runtime_directory(const Environment& environment) {
  if (environment.uid == 0) return "/run/qemond";
  const auto directory = environment.variable("XDG_RUNTIME_DIR");
  return directory ? *directory + "/qemond" : std::string();
}

void CommandContext::note(std::string_view line) {
  err_ << "qemon: " << printable(line) << '\n';
}

void CommandContext::fail(std::string_view line) {
  note(line);
  status_ = exit_failed;
}

void CommandContext::fail_in_file(std::string_view line) {
  err_ << printable(line) << '\n';
  status_ = exit_failed;
}

void CommandContext::refuse(std::string_view line) {
  note(line);
  status_ = exit_usage;
}

void CommandContext::print(const nlohmann::ordered_json& answer) {
  // Everything beyond ASCII as \uXXXX: the same JSON, and nothing in it that a terminal would act
  // on.
  out_ << answer.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) << '\n';
}

int run(int argc, const char* const* argv, const Environment& environment, std::ostream& out,
        std::ostream& err) {
  Invocation invocation;
  CLI::App app(
      "Watch QEMU virtual machines and switch their trace events, through the daemon qemond.",
      "qemon");
  app.set_version_flag("--version", "qemon " QEMON_VERSION);
  app.set_help_flag("-h,--help", "Print this help message and exit");
  app.add_option("--socket", invocation.socket,
                 "qemond's control socket (default: $QEMON_SOCKET, /run/qemond/control.sock or "
                 "$XDG_RUNTIME_DIR/qemond/control.sock)")
      ->type_name("PATH")
      ->check(not_empty());
  app.add_option("-o,--output", invocation.output, "table for people, json for programs")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"table", "json"}));
  app.fallthrough();
  app.require_subcommand(
      0, 1);  // That there is one is checked afterwards, so that "foo" is called unknown.
  app.footer(examples);
  add_status_command(app, invocation);
  add_vm_commands(app, invocation);
  add_event_commands(app, invocation);
  add_replay_command(app, invocation);
  add_follow_command(app, invocation);
  add_heatmap_command(app, invocation);
  add_pack_commands(app, invocation);
  add_lease_commands(app, invocation);
  add_experiment_commands(app, invocation);
  add_mark_command(app, invocation);
  add_restore_command(app, invocation);
  add_plugin_commands(app, invocation);
  add_reload_command(app, invocation);

  if (wants_completion(argc, argv)) {
    const auto known = [&](const WantedValue& wanted, Completion& into) {
      const auto socket = wanted.options.find("--socket");
      const bool given = socket != wanted.options.end() && !socket->second.empty();
      add_known_values(ControlClient(given ? socket->second : default_socket(environment)), wanted,
                       into);
    };
    print_completion(app, argc, argv, known, out);
    return 0;
  }

  const auto usage = [&](const std::string& problem) {
    err << "qemon: " << printable(problem + ": see '" + command_name(app) + " --help'") << '\n';
    return exit_usage;
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version arrive this way as well.
    if (error.get_exit_code() == 0) return app.exit(error, out, err);
    return usage(usage_problem(error, app));
  }
  if (!invocation.command) return usage("a command is missing");

  if (invocation.runtime_directory.empty())
    invocation.runtime_directory = default_runtime_directory(environment);
  const std::string path =
      invocation.socket.empty() ? default_socket(environment) : invocation.socket;
  CommandContext context(ControlClient(path), invocation.output == "json", out, err, environment);
  invocation.command(invocation, context);
  out.flush();
  // A full disk or a closed pipe must not look like success.
  if (!out) context.fail("cannot write the answer to standard output");
  return context.status();
}

}  // namespace qemon::cli
