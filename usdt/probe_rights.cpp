#include "usdt/probe_rights.hpp"

#include <linux/capability.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <fstream>

#include "base/unique_fd.hpp"

namespace qemon::usdt {
namespace {

const std::string uprobe_type_file = "/sys/bus/event_source/devices/uprobe/type";

bool has(const std::array<__user_cap_data_struct, 2>& sets, unsigned capability) {
  return (sets[capability / 32].effective >> capability % 32 & 1U) != 0;
}

}  // namespace

std::string missing_rights() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return {};
  if (has(sets, CAP_SYS_ADMIN)) return {};  // Stands for the others.
  std::string missing;
  if (!has(sets, CAP_BPF)) missing = "CAP_BPF";
  if (!has(sets, CAP_PERFMON)) missing += missing.empty() ? "CAP_PERFMON" : " and CAP_PERFMON";
  // Kernels of July 2025 and later want it for uprobes (CVE-2025-38466), older ones do not.
  const auto may = try_breakpoint();
  if (missing.empty() && !may && may.error().code.value() == EACCES) missing = "CAP_SYS_ADMIN";
  return missing;
}

Result<void> try_breakpoint() {
  std::uint32_t type = 0;
  if (!(std::ifstream(uprobe_type_file) >> type))
    return Error{"this kernel has no uprobes (CONFIG_UPROBE_EVENTS): " + uprobe_type_file +
                 " cannot be read"};
  constexpr const char* nowhere = "/proc/self/nowhere";
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = type;
  attributes.uprobe_path = reinterpret_cast<std::uintptr_t>(nowhere);
  const UniqueFd opened(static_cast<int>(
      ::syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC)));
  const int number = errno;
  if (!opened && (number == EACCES || number == EPERM || number == ENOSYS))
    return system_error(number, "uprobes");
  return {};
}

Error explain_refusal(int number, std::string_view said, const std::string& what) {
  auto error = system_error(number, what);
  if (number == EPERM || number == EACCES) {
    const auto missing = missing_rights();
    if (!missing.empty()) {
      error.detail += ": qemond lacks " + missing +
                      ": run it as root, or allow it that with systemctl edit qemond (usdt.conf "
                      "in docs/sources.md)";
    } else {
      error.detail +=
          ": the system calls bpf and perf_event_open are refused to qemond (a container, "
          "SystemCallFilter= or the kernel's lockdown)";
    }
  } else if (number == EMFILE) {
    error.detail += ": each place of a probe takes two descriptors: raise LimitNOFILE= of qemond";
  } else if (number == ENOSYS || number == EOPNOTSUPP) {
    error.detail += ": it needs Linux 5.15 or newer, with uprobes (CONFIG_UPROBE_EVENTS) and BPF";
  } else if (!said.empty()) {
    error.detail += " (" + std::string(said) + ")";
  }
  return error;
}

}  // namespace qemon::usdt
