// What a process must be allowed to do to attach to the probes of another one.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace qemon::usdt {

/// The capabilities that are needed and that this process has not: "CAP_BPF and CAP_PERFMON", or
/// CAP_SYS_ADMIN. Empty if it has them.
[[nodiscard]] std::string missing_rights();

/// Whether this process may have the kernel set breakpoints in others (uprobes), by trying to at a
/// place that there is not.
[[nodiscard]] Result<void> try_breakpoint();

/// Why the kernel refused `what` with the errno value `number`, and the cure; `said` is what
/// libbpf had to say, if anything.
[[nodiscard]] Error explain_refusal(int number, std::string_view said, const std::string& what);

}  // namespace qemon::usdt
