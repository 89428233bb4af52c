#include "usdt/probe_rights.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

namespace qemon::usdt {
namespace {

bool has(const std::array<__user_cap_data_struct, 2>& sets, unsigned capability) {
  return (sets[capability / 32].effective >> capability % 32 & 1U) != 0;
}

}  // namespace

std::string missing_rights() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) != 0) return {};
  if (has(sets, CAP_SYS_ADMIN)) return {};  // All of it, as before Linux 5.8.
  std::string missing;
  if (!has(sets, CAP_BPF)) missing = "CAP_BPF";
  if (!has(sets, CAP_PERFMON)) missing += missing.empty() ? "CAP_PERFMON" : " and CAP_PERFMON";
  return missing;
}

Error explain_refusal(int number, std::string_view said, const std::string& what) {
  auto error = system_error(number, what);
  if (number == EPERM || number == EACCES) {
    const auto missing = missing_rights();
    if (!missing.empty()) {
      error.detail += ": qemond has not " + missing +
                      ": run it as root, or give it those with systemctl edit qemond "
                      "(usdt.conf in docs/sources.md)";
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
