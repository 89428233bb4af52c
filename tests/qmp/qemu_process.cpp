#include "tests/qmp/qemu_process.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "tests/support/wait.hpp"

namespace qemon::qmp::test {

std::optional<std::string> QemuProcess::binary() {
  const char* named = std::getenv("QEMON_TEST_QEMU");
  const std::string path =
      named != nullptr && *named != '\0' ? named : "/usr/bin/qemu-system-x86_64";
  if (::access(path.c_str(), X_OK) != 0) return std::nullopt;
  return path;
}

QemuProcess::QemuProcess(const std::string& binary) {
  const std::string qmp_option = "unix:" + path("qmp") + ",server=on,wait=off";
  const std::string hmp_option = "unix:" + path("hmp") + ",server=on,wait=off";
  const std::string pretty_chardev =
      "socket,id=pretty,path=" + path("pretty") + ",server=on,wait=off";
  const std::string directory = directory_.path().string();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    // It must not outlive a test that crashes.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::chdir(directory.c_str()) != 0) ::_exit(126);
    ::execl(binary.c_str(), binary.c_str(), "-machine", "none", "-accel", "tcg", "-nodefaults",
            "-display", "none", "-name", "web1", "-qmp", qmp_option.c_str(), "-monitor",
            hmp_option.c_str(), "-chardev", pretty_chardev.c_str(), "-mon",
            "chardev=pretty,mode=control,pretty=on", nullptr);
    ::_exit(127);
  }
  const bool there = qemon::test::wait_until([this] {
    return std::filesystem::exists(path("qmp")) && std::filesystem::exists(path("hmp")) &&
           std::filesystem::exists(path("pretty"));
  });
  if (!there) throw std::runtime_error("QEMU did not open its monitors: " + binary);
}

QemuProcess::~QemuProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Endpoint QemuProcess::monitor(const std::string& name) const {
  Endpoint endpoint;
  endpoint.path = path(name);
  return endpoint;
}

}  // namespace qemon::qmp::test
