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
  /// The binary to test with: what QEMON_TEST_QEMU names, else Debian's; nothing if it cannot be
  /// run.
  static std::optional<std::string> binary();

  /// Starts it with all its monitors, and waits until their sockets are there.
  explicit QemuProcess(const std::string& binary);
  QemuProcess(const QemuProcess&) = delete;
  QemuProcess& operator=(const QemuProcess&) = delete;
  ~QemuProcess();

  Endpoint qmp() const { return monitor("qmp"); }
  /// The human monitor, as if it were a QMP one.
  Endpoint human() const { return monitor("hmp"); }
  /// A QMP monitor with pretty=on.
  Endpoint pretty() const { return monitor("pretty"); }
  pid_t pid() const { return pid_; }
  /// A path in a directory of its own, which is QEMU's working directory too.
  std::string path(const std::string& name) const { return directory_ / name; }

 private:
  Endpoint monitor(const std::string& name) const;

  qemon::test::TempDir directory_;
  pid_t pid_ = -1;
};

}  // namespace qemon::qmp::test
