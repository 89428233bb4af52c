#include "tests/support/qemu.hpp"

#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <ostream>
#include <sstream>
#include <stdexcept>

#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

std::string test_name(std::string label) {
  for (char& each : label) {
    if (std::isalnum(static_cast<unsigned char>(each)) == 0) each = '_';
  }
  return label;
}

std::string prepare(std::string directory) {
  std::filesystem::create_directories(directory);
  std::filesystem::copy_file(QEMON_TEST_GUEST, directory + "/disk.img",
                             std::filesystem::copy_options::overwrite_existing);
  return directory;
}

void give_to(const User& user, const std::string& directory) {
  if (::chown(directory.c_str(), user.uid, user.gid) != 0) {
    throw std::runtime_error("cannot give " + directory + " away");
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (::chown(entry.path().c_str(), user.uid, user.gid) != 0) {
      throw std::runtime_error("cannot give " + entry.path().string() + " away");
    }
  }
}

std::vector<std::string> command_line(const QemuBuild& build, const std::string& directory,
                                      const QemuOptions& options) {
  std::vector<std::string> command{build.binary};
  for (const std::string& data_dir : build.data_dirs) {
    command.insert(command.end(), {"-L", data_dir});
  }
  const auto listening = [&directory](const char* name) {
    return "unix:" + directory + "/" + name + ",server=on,wait=off";
  };
  command.insert(command.end(), {"-nodefaults", "-display", "none", "-accel", "tcg", "-m", "16"});
  command.insert(command.end(),
                 {"-drive", "file=" + directory + "/disk.img,if=none,id=disk0,format=raw",  //
                  "-device", "virtio-blk-pci,drive=disk0",                                  //
                  "-serial", "unix:" + directory + "/serial,server=off",                    //
                  "-qmp", listening("qmp"), "-qmp", listening("qmp-test")});
  if (options.paused) command.emplace_back("-S");
  if (options.timestamps) command.insert(command.end(), {"-msg", "timestamp=on"});
  command.insert(command.end(), options.arguments.begin(), options.arguments.end());
  return command;
}

}  // namespace

std::vector<QemuBuild> qemu_builds() {
  const char* list = std::getenv("QEMON_TEST_QEMUS");
  if (list == nullptr || *list == '\0') {
    const auto installed = find_program("qemu-system-x86_64");
    if (!installed) return {};
    return {QemuBuild{"installed", *installed, {}, {}}};
  }
  std::vector<QemuBuild> builds;
  for (const std::string& entry : split(list, ';')) {
    if (entry.empty()) continue;
    auto fields = split(entry, '|');
    fields.resize(4);
    if (::access(fields[1].c_str(), X_OK) != 0) {
      throw std::runtime_error("QEMON_TEST_QEMUS: cannot run \"" + fields[1] +
                               "\" of the entry \"" + entry +
                               "\"; an entry is label|binary|data dirs|catalog");
    }
    builds.push_back({test_name(fields[0]), fields[1], split(fields[2], ':'), fields[3]});
  }
  return builds;
}

std::vector<std::string> run_as(const QemuBuild& build, const std::string& user,
                                const std::string& directory) {
  const Finished help = run_program({build.binary, "-help"}, directory);
  if (help.out.find("\n-runas ") != std::string::npos) return {"-runas", user};
  return {"-run-with", "user=" + user};
}

std::ostream& operator<<(std::ostream& out, const QemuBuild& build) {
  return out << build.label;
}

Qemu::Qemu(const QemuBuild& build, std::string directory, const QemuOptions& options)
    : directory_(prepare(std::move(directory))), guest_(directory_ + "/serial") {
  if (options.user) give_to(*options.user, directory_);
  ProcessOptions process;
  process.command = command_line(build, directory_, options);
  process.out = directory_ + "/out";
  process.err_pipe = options.stderr_pipe;
  process.err = options.stderr_file;
  process.user = options.user;
  process_ = std::make_unique<Process>(std::move(process));
  wait_connected();
  if (!options.paused) guest_.wait_ready();
  monitor_ = std::make_unique<Monitor>(directory_ + "/qmp-test");
}

void Qemu::resume() {
  monitor_->execute("cont");
  guest_.wait_ready();
}

double Qemu::block_statistic(std::string_view name) {
  for (const auto& each : monitor_->execute("query-blockstats")) {
    if (each.value("device", "") == "disk0") return each.at("stats").at(std::string(name));
  }
  throw std::runtime_error("QEMU has no statistics of disk0");
}

void Qemu::wait_connected() {
  if (!wait_until([this] { return guest_.connected() || !process_->running(); }) ||
      !guest_.connected()) {
    throw std::runtime_error(
        "QEMU did not start; what it says is in stderr_file, if that is given");
  }
}

bool Qemu::has_simple_backend() {
  return monitor_->human("help trace-file").find("trace-file") == 0;
}

bool Qemu::has_log_backend() {
  return monitor_->human("log help").find("trace:PATTERN") != std::string::npos;
}

}  // namespace qemon::test
