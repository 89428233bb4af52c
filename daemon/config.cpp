#include "daemon/config.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>

#include "base/version.hpp"
#include "exporters/pack_check.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::daemon {
namespace {

constexpr std::size_t name_length_max = 64;

/// Splits NAME=VALUE at the first `=`.
std::optional<std::pair<std::string, std::string>> split_assignment(const std::string& text) {
  const auto at = text.find('=');
  if (at == std::string::npos) return std::nullopt;
  return std::pair{text.substr(0, at), text.substr(at + 1)};
}

/// Names are label values, words on the command line and parts of file names, so they stay plain.
bool is_valid_name(const std::string& name) {
  return !name.empty() && name.size() <= name_length_max && name.front() != '-' &&
         name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-' || c == '.' || c == ':' || c == '@' || c == '+';
         });
}

class Checker {
 public:
  void add_vm(const std::string& option, Config& config) {
    const auto parts = split_assignment(option);
    if (!parts || !is_valid_name(parts->first)) {
      return fail("--vm " + option +
                  ": write NAME=ADDRESS, with a name of 1 to 64 letters, digits and _-.:@+, "
                  "for instance web1=unix:/run/vms/web1.qmp");
    }
    auto endpoint = qmp::parse_endpoint(parts->second);
    if (!endpoint) return fail("--vm " + option + ": " + endpoint.error().detail);
    if (endpoint->protocol == qmp::Protocol::hmp) {
      return fail("--vm " + option +
                  ": a human monitor cannot be used yet: give QEMU a QMP monitor with -qmp");
    }
    const bool taken = std::any_of(config.vms.begin(), config.vms.end(),
                                   [&](const VmConfig& vm) { return vm.name == parts->first; });
    if (taken) return fail("--vm " + option + ": the name " + parts->first + " is given twice");
    config.vms.push_back({parts->first, std::move(*endpoint), {}});
  }

  void add_catalog(const std::string& option, Config& config) {
    const auto parts = split_assignment(option);
    const bool named = parts && is_valid_name(parts->first);
    const auto path = named ? parts->second : option;
    if (path.empty()) return fail("--trace-events " + option + ": the file's path is missing");
    bool used = !named;
    for (auto& vm : config.vms) {
      if (named && vm.name != parts->first) continue;
      if (named || vm.catalog.empty()) vm.catalog = path;
      used = true;
    }
    if (!used) fail("--trace-events " + option + ": there is no --vm " + parts->first);
  }

  void fail(const std::string& text) { mistakes_.push_back(text); }
  [[nodiscard]] const std::vector<std::string>& mistakes() const { return mistakes_; }

 private:
  std::vector<std::string> mistakes_;
};

/// Named catalogs first, so that the one without a name is for the rest only.
void order_catalogs(std::vector<std::string>& options) {
  std::stable_partition(options.begin(), options.end(), [](const std::string& option) {
    const auto parts = split_assignment(option);
    return parts && is_valid_name(parts->first);
  });
}

void check_listen(const std::string& listen, Checker& checker) {
  const auto colon = listen.rfind(':');
  const auto port = colon == std::string::npos ? std::string() : listen.substr(colon + 1);
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (colon == 0 || !digits || std::stoi(port) > 65535) {
    checker.fail("--listen " + listen +
                 ": write ADDRESS:PORT, for instance 127.0.0.1:9749 or [::1]:9749");
  }
}

void complete(Config& config, Checker& checker) {
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
  check_listen(config.listen, checker);
}

/// Checks the packs of --pack-dir, against the catalogs of --trace-events or the installed one.
/// True if all is right; mistakes were printed.
bool check_packs(const Config& config) {
  exporters::PackLibrary library;
  auto mistakes = library.load(exporters::shipped_pack_folder(), config.pack_folders);
  std::vector<std::string> paths;
  for (const auto& vm : config.vms)
    if (!vm.catalog.empty() && std::find(paths.begin(), paths.end(), vm.catalog) == paths.end())
      paths.push_back(vm.catalog);
  const auto catalogs = exporters::load_catalogs(paths);
  if (!catalogs && (!paths.empty() || !config.pack_folders.empty()))
    mistakes.push_back(catalogs.error().detail);
  if (catalogs && mistakes.empty()) {
    for (const auto& folder : config.pack_folders) {
      std::error_code error;
      for (const auto& file : exporters::pack_files(folder, error)) {
        const auto check = exporters::check_pack_file(file, *catalogs);
        mistakes.insert(mistakes.end(), check.mistakes.lines().begin(),
                        check.mistakes.lines().end());
      }
    }
  }
  for (const auto& mistake : mistakes) std::cerr << "qemond: " << mistake << '\n';
  return mistakes.empty();
}

}  // namespace

std::string default_runtime_directory() {
  if (::geteuid() == 0) return "/run/qemond";
  const char* directory = std::getenv("XDG_RUNTIME_DIR");
  return directory != nullptr && *directory == '/' ? std::string(directory) + "/qemond"
                                                   : std::string();
}

ParsedCommandLine parse_command_line(int argc, const char* const* argv) {
  ParsedCommandLine parsed;
  auto& config = parsed.config;
  std::vector<std::string> vms;
  std::vector<std::string> catalogs;
  CLI::App app(
      "qemond watches running QEMU virtual machines: it switches their trace events on and off, "
      "follows\n"
      "the trace and serves Prometheus metrics. It is controlled with qemon.",
      "qemond");
  app.set_version_flag("--version", "qemond " + std::string(version));
  app.add_option("--vm", vms,
                 "A VM: NAME=unix:PATH or NAME=tcp:HOST:PORT of its QMP monitor; may be repeated")
      ->type_name("NAME=ADDRESS")
      ->allow_extra_args(false);
  app.add_option("--listen", config.listen,
                 "Where /metrics is served, read-only; port 0 lets the system choose")
      ->type_name("ADDRESS:PORT")
      ->capture_default_str();
  app.add_option(
         "--trace-events", catalogs,
         "trace-events-all of the QEMU of all VMs, or of VM NAME; found by itself otherwise")
      ->type_name("[NAME=]FILE")
      ->allow_extra_args(false);
  app.add_option("--control-socket", config.control_socket,
                 "Unix socket for qemon [RUNTIME-DIR/control.sock]")
      ->type_name("PATH");
  app.add_option("--runtime-dir", config.runtime_directory,
                 "For the control socket and trace files [/run/qemond or $XDG_RUNTIME_DIR/qemond]")
      ->type_name("DIR");
  app.add_option("--pack-dir", config.pack_folders,
                 "Folder of packs of your own (*.yaml), besides those that ship; may be repeated")
      ->type_name("DIR")
      ->allow_extra_args(false);
  app.add_option("--trace-space", config.trace_space_bytes,
                 "Most bytes of unread trace, and of growth of a log followed in place, per VM; "
                 "events go off beyond")
      ->type_name("BYTES")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  app.add_option("--log-level", config.log_level, "error, warn, info or debug")
      ->check(CLI::IsMember({"error", "warn", "info", "debug"}))
      ->capture_default_str();
  app.add_flag(
      "--check", config.check_only,
      "Check the command line and the packs of --pack-dir and exit: 0 if all is right, else 2");
  app.footer(
      "Example:\n  qemond --vm web1=unix:/run/vms/web1.qmp --vm arm=tcp:127.0.0.1:4444\n"
      "QEMU needs a monitor of its own for qemond: -qmp unix:/run/vms/web1.qmp,server=on,wait=off");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    parsed.exit_status = app.exit(done);
    return parsed;
  } catch (const CLI::ParseError& error) {
    std::cerr << "qemond: " << error.what() << ": see qemond --help\n";
    parsed.exit_status = 2;
    return parsed;
  }
  Checker checker;
  for (const auto& vm : vms) checker.add_vm(vm, config);
  order_catalogs(catalogs);
  for (const auto& catalog : catalogs) checker.add_catalog(catalog, config);
  complete(config, checker);
  if (vms.empty())
    checker.fail(
        "no VM to watch: give --vm NAME=ADDRESS, for instance --vm web1=unix:/run/vms/web1.qmp");
  for (const auto& mistake : checker.mistakes()) std::cerr << "qemond: " << mistake << '\n';
  if (!checker.mistakes().empty())
    parsed.exit_status = 2;
  else if (config.check_only)
    parsed.exit_status = check_packs(config) ? 0 : 2;
  return parsed;
}

}  // namespace qemon::daemon
