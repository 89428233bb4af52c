// TraceBackend: the ways that QEMU can tell what its trace events saw, and which of them is to be
// followed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace qemon::daemon {

/// As `--enable-trace-backends=` of QEMU's configure has them, but for USDT, whose backend is
/// called `dtrace` there, and LTTng, whose is `ust`. A QEMU may have several. In the order in which
/// they are preferred.
enum class TraceBackend : std::uint8_t {
  simple,  ///< A binary file, by QEMU itself.
  log,     ///< Lines in QEMU's log.
  usdt,    ///< Probes in QEMU's code, seen by a BPF program in the kernel.
  ftrace,  ///< Lines in the kernel's trace buffer.
  lttng,   ///< LTTng-UST.
  syslog,  ///< Lines in the system's log.
};

/// "simple", "log", "usdt", "ftrace", "lttng", "syslog".
[[nodiscard]] std::string_view to_string(TraceBackend backend);

/// Whether an event's records come when QEMU is told to switch it on. A tracepoint of LTTng-UST and
/// a USDT probe look at nothing but whether somebody listens, so QEMU's switch is left alone: other
/// backends of the same QEMU would follow it, and fill its log or the system's.
[[nodiscard]] constexpr bool is_switched_by_qemu(TraceBackend backend) {
  return backend != TraceBackend::lttng && backend != TraceBackend::usdt;
}

/// What the configuration says: which backend, and for some of them where.
struct BackendChoice {
  TraceBackend backend = TraceBackend::simple;
  std::string place;  ///< Of `syslog`: the file that the system's log goes to; else empty.

  bool operator==(const BackendChoice&) const = default;
};

/// "ftrace", "syslog:/var/log/syslog"; an Error says how to write it.
[[nodiscard]] Result<BackendChoice> parse_backend(std::string_view text);

}  // namespace qemon::daemon
