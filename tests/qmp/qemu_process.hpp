// QemuProcess: a real QEMU without a machine, started for one test and killed at its end.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "qmp/endpoint.hpp"
#include "tests/support/temp_dir.hpp"

namespace qemon::qmp::test {

class QemuProcess {
 public:
  /// The binary to test with: what QEMON_TEST_QEMU names, else Debian's; nothing if it cannot be run.
  static std::optional<std::string> binary();

  /// Starts it with a QMP and a human monitor, and waits until both sockets are there.
  explicit QemuProcess(const std::string& binary);
  QemuProcess(const QemuProcess&) = delete;
  QemuProcess& operator=(const QemuProcess&) = delete;
  ~QemuProcess();

  Endpoint qmp() const;
  std::string human_monitor() const { return directory_ / "hmp"; }
  pid_t pid() const { return pid_; }
  /// A path in a directory of its own, which is QEMU's working directory too.
  std::string path(const std::string& name) const { return directory_ / name; }

 private:
  qemon::test::TempDir directory_;
  pid_t pid_ = -1;
};

}  // namespace qemon::qmp::test
