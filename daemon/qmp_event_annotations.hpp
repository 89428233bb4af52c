// QmpEventAnnotations: which QMP events users want to see on their graphs, and how they are told.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "daemon/annotation.hpp"
#include "qmp/types.hpp"

namespace qemon::daemon {

/// For one VM. The same one is annotated once in ten seconds, and the next one says how many there
/// were meanwhile: a disk that fails makes thousands of events a second (QEMU limits those of I/O
/// errors from 9.2 on only).
class QmpEventAnnotations {
 public:
  /// RESET, SHUTDOWN, GUEST_PANICKED, BLOCK_IO_ERROR and WATCHDOG. Nothing for all others, and for
  /// what was annotated just before. The VM is left to the caller.
  [[nodiscard]] std::optional<Annotation> annotate(const qmp::Event& event,
                                                   std::chrono::steady_clock::time_point now);

 private:
  struct Told {
    std::chrono::steady_clock::time_point time;
    std::uint64_t not_told = 0;
  };
  std::map<std::string, Told> told_;  // By text.
};

}  // namespace qemon::daemon
