// Guest: drives the test guest (tests/guest/workload.S) over its serial port, so that its work is
// known exactly.
#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.hpp"

namespace qemon::test {

/// Listens first, then QEMU connects (`-serial unix:PATH,server=off`), so that no answer is lost.
/// Failures are thrown as std::runtime_error.
class Guest {
 public:
  explicit Guest(std::string path);
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  ~Guest();

  /// Whether QEMU has opened its end of the serial port, which it does when it starts.
  [[nodiscard]] bool connected() const;

  /// Returns when the guest has booted and waits for commands; the BIOS reads nothing from the disk
  /// after that.
  void wait_ready();

  /// Each does exactly `count` requests (at most 65,535) and returns when they are completed.
  void read(unsigned count) { work('R', count); }
  void write(unsigned count) { work('W', count); }
  void read_eight_sectors(unsigned count) { work('M', count); }

  /// Reads one sector after another, or polls the serial port as fast as it can, until stop().
  void start_reading() { send("L"); }
  void start_polling() { send("S"); }
  void stop();

 private:
  void work(char letter, unsigned count);
  void send(std::string_view bytes);
  void expect(char answer);

  std::string path_;
  UniqueFd listener_;
  UniqueFd connection_;
};

}  // namespace qemon::test
