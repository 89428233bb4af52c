// ProbeTracer: the program in the kernel that counts and records what QEMU's probes see.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "usdt/probe_record.h"

namespace qemon::usdt {

struct ProbeTracerOptions {
  pid_t pid = 0;                     ///< The QEMU.
  std::size_t slots = 1;             ///< How many events can be told apart.
  std::size_t sites_max = 1;         ///< How many places in its code may be attached to at once.
  std::size_t ring_bytes = 4 << 20;  ///< Of records that wait to be read; a power of two.
};

/// What the kernel holds of it goes when the process that made it ends, however it ends.
///
/// Of two kinds of work, each of which may be done by another thread: to load, attach, detach and
/// destroy, which wait for the kernel, detaching about a tenth of a second for each place in the
/// code; and the rest, which never waits.
class ProbeTracer {
 public:
  virtual ~ProbeTracer() = default;

  /// Runs the program at every place of `file` (a path) that has the probe `name`, with the slot
  /// that set() tells about. A slot may be attached in several files. False if the arguments cannot
  /// be read there.
  [[nodiscard]] virtual Result<bool> attach(std::uint32_t slot, const std::string& file,
                                            const std::string& name) = 0;
  /// The places have no breakpoint of ours any more when this returns.
  virtual void detach(std::uint32_t slot) = 0;

  virtual void set(std::uint32_t slot, const probe_event& event) = 0;
  /// How often the slot was counted since the beginning.
  [[nodiscard]] virtual std::uint64_t count(std::uint32_t slot) const = 0;
  /// What an event's mode `probe_summed` refers to, below probe_adders_max; not to be changed once
  /// an event does.
  virtual void set_adder(std::uint32_t adder, const probe_adder& sums) = 0;
  [[nodiscard]] virtual probe_totals totals(std::uint32_t adder) const = 0;
  /// How many records had no room in the ring since the beginning.
  [[nodiscard]] virtual std::uint64_t lost() const = 0;
  /// Gives records to `take`, one after another, until there are no more or they had `bytes_max`.
  /// Returns how many bytes they had.
  virtual std::size_t read(std::size_t bytes_max,
                           const std::function<void(std::string_view)>& take) = 0;
  /// Bytes in the ring that were not read yet.
  [[nodiscard]] virtual std::uint64_t waiting_bytes() const = 0;
};

/// Loads the program. It comes from a shared object of its own, qemon-usdt.so, so that qemond
/// itself needs no libbpf. An Error says what is missing and how to get it.
[[nodiscard]] Result<std::unique_ptr<ProbeTracer>> load_probe_tracer(
    const ProbeTracerOptions& options);

}  // namespace qemon::usdt
