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

/// What the configuration says: which backend, and for some of them where.
struct BackendChoice {
  TraceBackend backend = TraceBackend::simple;
  std::string place;  ///< Of `syslog`: the file that the system's log goes to; else empty.

  bool operator==(const BackendChoice&) const = default;
};

/// "ftrace", "syslog:/var/log/syslog"; an Error says how to write it.
[[nodiscard]] Result<BackendChoice> parse_backend(std::string_view text);

}  // namespace qemon::daemon
