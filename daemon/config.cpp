#include "daemon/config.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "base/completion.hpp"
#include "base/version.hpp"
#include "daemon/collector.hpp"
#include "daemon/config_check.hpp"
#include "daemon/config_file.hpp"
#include "daemon/event_pattern.hpp"
#include "daemon/option_checker.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::daemon {
namespace {

constexpr std::uint64_t default_trace_space_bytes = 256ULL << 20;
constexpr const char* default_control_group = "qemon";  // A host may well not have it.
constexpr const char* default_listen = "127.0.0.1:9749";

void complete(Config& config, OptionChecker& checker) {
  if (config.runtime_directory.empty()) config.runtime_directory = default_runtime_directory();
  if (config.runtime_directory.empty()) {
    checker.fail("no runtime directory: give --runtime-dir, since XDG_RUNTIME_DIR is not set");
  } else if (config.runtime_directory.front() != '/') {
    checker.fail("--runtime-dir " + config.runtime_directory +
                 ": give an absolute path, since QEMU runs elsewhere");
  }
  while (config.runtime_directory.size() > 1 && config.runtime_directory.back() == '/') {
    config.runtime_directory.pop_back();
  }
  if (config.control_socket.empty())
    config.control_socket = config.runtime_directory + "/control.sock";
  if (config.control_groups.empty() && !config.control_groups_given)
    config.control_groups = {default_control_group};
  if (config.listen.empty()) config.listen = default_listen;
  if (config.log_level.empty()) config.log_level = "info";
  if (!config.trace_space_bytes) config.trace_space_bytes = default_trace_space_bytes;
  if (!config.lease) config.lease = LeaseLength(default_lease_length);
  checker.check_listen(config.listen);
  if (lacks_url(config.grafana))
    checker.fail(
        "grafana: it is not said where: give --grafana-url or its url, for instance "
        "http://127.0.0.1:3000");
}

}  // namespace

std::string default_runtime_directory() {
  // RuntimeDirectory= of a systemd unit; with several of them the first is meant.
  if (const char* given = std::getenv("RUNTIME_DIRECTORY"); given != nullptr && *given == '/') {
    const std::string directories(given);
    return directories.substr(0, directories.find(':'));
  }
  if (::geteuid() == 0) return "/run/qemond";
  const char* directory = std::getenv("XDG_RUNTIME_DIR");
  return directory != nullptr && *directory == '/' ? std::string(directory) + "/qemond"
                                                   : std::string();
}

namespace {

/// What the command line says in words, before it is checked.
struct Words {
  std::vector<std::string> vms;
  std::vector<std::string> catalogs;
  std::vector<std::string> discovery;
  std::vector<std::string> packs;
  std::vector<std::string> collectors;
  std::vector<std::string> poll_intervals;
  std::vector<std::string> budgets;
  std::vector<std::string> backends;
  std::string trace_space;
  std::string lease;
  std::vector<std::string> annotate;
};

void add_grafana_options(CLI::App& app, GrafanaSettings& grafana, Words& words) {
  app.add_option("--grafana-url", grafana.url,
                 "Grafana to write annotations to, for instance http://127.0.0.1:3000 [none]")
      ->type_name("URL");
  app.add_option("--grafana-token-file", grafana.token_file,
                 "File with the token of a service account that may write annotations (Editor)")
      ->type_name("FILE");
  app.add_option("--grafana-ca-file", grafana.ca_file,
                 "Certificates to trust for https besides the system's, in PEM form")
      ->type_name("FILE");
  app.add_option("--grafana-dashboard", grafana.dashboard,
                 "The uid of the only dashboard to annotate [all that ask for the tag qemon]")
      ->type_name("UID");
  app.add_option("--grafana-tags", grafana.tags,
                 "Tags of every annotation, besides qemon, what it is and the VM")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("TAG,...");
  app.add_option("--grafana-annotate", words.annotate,
                 "What is annotated: some of " + annotation_topic_words() + " [all]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("TOPIC,...");
}

void add_options(CLI::App& app, Config& config, Words& words) {
  const auto repeated = [&](const char* name, std::vector<std::string>& into, const char* help,
                            const char* type) {
    app.add_option(name, into, help)->type_name(type)->allow_extra_args(false);
  };
  app.set_version_flag("--version", "qemond " + std::string(version));
  app.add_option("--config", config.file,
                 std::string("Configuration file [") + default_config_file +
                     ", if neither --vm nor --discover is given]")
      ->type_name("FILE");
  repeated("--vm", words.vms,
           "A VM: NAME=unix:PATH or NAME=tcp:HOST:PORT of its QMP monitor, NAME=hmp:unix:PATH or "
           "NAME=hmp:tcp:HOST:PORT of its human monitor, or, without a monitor, NAME=file:PATH of "
           "a trace that it writes; may be repeated",
           "NAME=ADDRESS");
  repeated("--discover", words.discovery,
           "Every socket that matches is the QMP monitor of a VM, for instance '/run/vms/*.qmp'; "
           "with hmp: in front the human monitor",
           "[hmp:]GLOB");
  app.add_option(
         "--listen", config.listen,
         std::string("Where /metrics is served, read-only; port 0 lets the system choose [") +
             default_listen + "]")
      ->type_name("ADDRESS:PORT");
  repeated("--trace-events", words.catalogs,
           "trace-events-all of the QEMU of all VMs, or of VM NAME; found by itself otherwise",
           "[NAME=]FILE");
  repeated("--pack", words.packs,
           "A pack that is on from the beginning, on all VMs or those that match", "[VM=]NAME");
  repeated(
      "--collector", words.collectors,
      "Whether and how often a collector asks, for all VMs or those that match: on, off, 30s, or "
      "30s/2s to wait for an answer no longer than 2 s",
      "[VM=]NAME=VALUE");
  repeated("--poll-interval", words.poll_intervals,
           "How often the run state is asked, for all VMs or those that match [1s]",
           "[VM=]DURATION");
  repeated(
      "--budget", words.budgets,
      "What the trace of all VMs, or of those that match, may cost before the events that cost "
      "most are switched off: records=, bytes= and drops= per second, lag= and grace=, or "
      "unlimited [records=50000 for log, 200000 for simple, bytes=64MiB, drops=10000, lag=5s, "
      "grace=5s]",
      "[VM=]KEY=VALUE,...");
  repeated("--backend", words.backends,
           "Which trace backend of QEMU is followed, for all VMs or those that match: simple, log, "
           "usdt, ftrace, lttng, syslog or syslog:FILE [the first of them that QEMU has]",
           "[VM=]BACKEND");
  repeated("--pack-dir", config.pack_folders,
           "Folder of packs of your own (*.yaml, *.yml), besides those that ship; may be repeated",
           "DIR");
  app.add_option("--control-socket", config.control_socket,
                 "Unix socket for qemon [RUNTIME-DIR/control.sock]")
      ->type_name("PATH");
  repeated("--control-group", config.control_groups,
           "Group whose members may control VMs, besides root and the user of qemond; may be "
           "repeated [qemon]",
           "GROUP");
  repeated("--read-group", config.read_groups,
           "Group whose members may read through the control socket; may be repeated [everybody]",
           "GROUP");
  app.add_option("--runtime-dir", config.runtime_directory,
                 "For the control socket and trace files [/run/qemond or $XDG_RUNTIME_DIR/qemond]")
      ->type_name("DIR");
  app.add_option("--trace-space", words.trace_space,
                 "Most bytes that a VM's trace file may take up, and that a log followed in place "
                 "may grow by; events go off before [256MiB]")
      ->type_name("SIZE");
  app.add_option("--lease", words.lease,
                 "How long events and packs stay on that qemon switches on without --for: 30s, "
                 "10m, 2h, 1d or forever [1h]")
      ->type_name("DURATION");
  add_grafana_options(app, config.grafana, words);
  app.add_option("--log-level", config.log_level, "error, warn, info or debug [info]")
      ->check(CLI::IsMember({"error", "warn", "info", "debug"}))
      ->type_name("LEVEL");
  app.add_flag(
      "--check", config.check_only,
      "Check the command line, the configuration and the packs and exit: 0 if all is right, "
      "else 2");
  app.footer(
      "Every option but --config and --check can also be in the configuration file; the command "
      "line comes first.\n"
      "Example:\n  qemond --vm web1=unix:/run/vms/web1.qmp --vm arm=tcp:127.0.0.1:4444\n"
      "QEMU needs a monitor of its own for qemond: -qmp unix:/run/vms/web1.qmp,server=on,wait=off");
}

/// For completion: what is known without a configuration.
void add_known_values(const WantedValue& wanted, Completion& into) {
  if (wanted.name == "--collector")
    for (const auto& collector : make_collectors())
      into.candidates.push_back({collector.name + "=", ""});
  exporters::PackLibrary library;
  if (wanted.name != "--pack" || !library.load(exporters::shipped_pack_folder(), {}).empty())
    return;
  for (const auto& [name, pack] : library.packs()) into.candidates.push_back({name, pack->help});
}

/// Puts what the command line says in words into `config`, behind what the file says.
void add_words(const Words& words, Config& config, OptionChecker& checker) {
  for (const auto& vm : words.vms) checker.add_vm(vm, config);
  for (const auto& catalog : words.catalogs) checker.add_catalog(catalog, config);
  for (const auto& rule : words.discovery) checker.add_discovery(rule, config);
  for (const auto& pack : words.packs) checker.add_pack(pack, config);
  for (const auto& collector : words.collectors) checker.add_collector(collector, config);
  for (const auto& interval : words.poll_intervals) checker.add_poll_interval(interval, config);
  for (const auto& budget : words.budgets) checker.add_budget(budget, config);
  for (const auto& backend : words.backends) checker.add_backend(backend, config);
  if (!words.trace_space.empty()) {
    config.trace_space_bytes = parse_size(words.trace_space);
    if (!config.trace_space_bytes)
      checker.fail("--trace-space " + words.trace_space +
                   ": write a size, for instance 64MiB or 1GiB");
  }
}

void add_lease(const Words& words, Config& config, OptionChecker& checker) {
  if (words.lease.empty()) return;
  config.lease = parse_lease_length(words.lease);
  if (!config.lease)
    checker.fail("--lease " + words.lease +
                 ": write a duration, for instance 10m, 2h or 1d, or forever");
}

/// What the command line tells takes the place of what the file tells.
Config merge(Config file, Config line) {
  const auto choose = [](std::string& into, std::string& from) {
    if (!from.empty()) into = std::move(from);
  };
  choose(file.listen, line.listen);
  choose(file.control_socket, line.control_socket);
  choose(file.runtime_directory, line.runtime_directory);
  choose(file.log_level, line.log_level);
  // Access is never the sum of two lists.
  if (!line.control_groups.empty()) file.control_groups = std::move(line.control_groups);
  if (!line.read_groups.empty()) file.read_groups = std::move(line.read_groups);
  override_with(std::move(line.grafana), file.grafana);
  file.file = line.file;
  file.check_only = line.check_only;
  file.pack_folders.insert(file.pack_folders.end(), line.pack_folders.begin(),
                           line.pack_folders.end());
  return file;
}

/// The status to exit with if there is nothing to run: help, version, or a command line that cannot
/// be parsed. Other mistakes are added to `mistakes`.
std::optional<int> parse(int argc, const char* const* argv, Config& config,
                         std::vector<std::string>& mistakes) {
  CLI::App app(
      "qemond watches running QEMU virtual machines: it switches their trace events on and off, "
      "follows\n"
      "the trace and serves Prometheus metrics. It is controlled with qemon.",
      "qemond");
  Words words;
  Config line;
  add_options(app, line, words);
  if (wants_completion(argc, argv)) {
    print_completion(app, argc, argv, add_known_values, std::cout);
    return 0;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);
  } catch (const CLI::ParseError& error) {
    mistakes.push_back(std::string(error.what()) + ": see qemond --help");
    return std::nullopt;
  }
  const bool configured = !line.file.empty();
  if (!configured && words.vms.empty() && words.discovery.empty() &&
      ::access(default_config_file, F_OK) == 0)
    line.file = default_config_file;
  OptionChecker checker;
  checker.check_groups("--control-group", line.control_groups);
  checker.check_groups("--read-group", line.read_groups);
  if (!words.annotate.empty())
    line.grafana.topics.emplace(words.annotate.begin(), words.annotate.end());
  for (const auto& [key, why] : mistakes_in(line.grafana))
    checker.fail("--grafana-" + key + ": " + why);
  Config file;
  exporters::Mistakes in_file(line.file);
  if (!line.file.empty()) read_config_file(line.file, file, in_file);
  config = merge(std::move(file), std::move(line));
  add_words(words, config, checker);
  add_lease(words, config, checker);
  complete(config, checker);
  const bool checks_packs = config.check_only && !config.pack_folders.empty();
  const bool names_some = !words.vms.empty() || !words.discovery.empty();  // Wrongly, if at all.
  if (config.vms.empty() && config.discovery.empty() && config.file.empty() && !names_some &&
      !checks_packs) {
    checker.fail(
        "no VM to watch: give --vm NAME=ADDRESS, for instance --vm web1=unix:/run/vms/web1.qmp, or "
        "--discover or --config, or write " +
        std::string(default_config_file));
  }
  mistakes.insert(mistakes.end(), in_file.lines().begin(), in_file.lines().end());
  mistakes.insert(mistakes.end(), checker.mistakes().begin(), checker.mistakes().end());
  config.arguments.assign(argv, argv + argc);
  return std::nullopt;
}

}  // namespace

ParsedCommandLine parse_command_line(int argc, const char* const* argv) {
  ParsedCommandLine parsed;
  std::vector<std::string> mistakes;
  parsed.exit_status = parse(argc, argv, parsed.config, mistakes);
  if (parsed.exit_status) return parsed;
  if (mistakes.empty() && parsed.config.check_only) mistakes = check_files(parsed.config);
  for (const auto& mistake : mistakes) std::cerr << "qemond: " << mistake << '\n';
  if (!mistakes.empty()) {
    parsed.exit_status = 2;
  } else if (parsed.config.check_only) {
    parsed.exit_status = 0;
  }
  return parsed;
}

std::vector<std::string> parse_again(const Config& before, Config& config) {
  std::vector<const char*> argv;
  for (const auto& argument : before.arguments) argv.push_back(argument.c_str());
  std::vector<std::string> mistakes;
  parse(static_cast<int>(argv.size()), argv.data(), config, mistakes);
  return mistakes;
}

VmSettings Config::settings_of(const std::string& name, const VmSettings& own) const {
  VmSettings all;
  all.catalog = catalog;
  const auto add = [&](const VmSettings& some) {
    if (!some.catalog.empty()) all.catalog = some.catalog;
    all.packs.insert(some.packs.begin(), some.packs.end());
    all.budget.add(some.budget);
    for (const auto& [collector, told] : some.collectors) {
      auto& into = all.collectors[collector];
      if (told.on) into.on = told.on;
      if (told.interval) into.interval = told.interval;
      if (told.deadline) into.deadline = told.deadline;
    }
    if (some.backend) all.backend = some.backend;
    if (some.poll_interval) all.poll_interval = some.poll_interval;
  };
  for (const auto& matching : settings)
    if (matches_glob(matching.pattern, name)) add(matching.settings);
  add(own);
  return all;
}

}  // namespace qemon::daemon
