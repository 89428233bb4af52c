#include "daemon/qemu_process.hpp"

#include <string>
#include <utility>

namespace qemon::daemon {
namespace {

bool looks_like_qemu(const ProcessInfo& process) {
  const auto& program =
      process.exe.empty() && !process.arguments.empty() ? process.arguments.front() : process.exe;
  return program.find("qemu") != std::string::npos;
}

/// The process behind one of QEMU's thread ids. A thread id of a QEMU elsewhere (behind a forwarded
/// port, or in another pid namespace) may be anybody's here, so the program has to look like QEMU.
std::optional<ProcessInfo> process_of_threads(const std::vector<pid_t>& threads) {
  for (const auto tid : threads) {
    const auto pid = process_of_thread(tid);
    if (!pid) continue;
    auto process = inspect_process(*pid);
    if (process && looks_like_qemu(*process)) return std::move(*process);
  }
  return std::nullopt;
}

/// The process that made the socket. The kernel translates its id into our pid namespace, which the
/// monitor cannot do for its thread ids; but the socket may also have been made by QEMU's parent.
std::optional<ProcessInfo> process_of_peer(const qmp::Client& client, bool must_look_like_qemu) {
  const auto peer = client.peer();
  if (!peer) return std::nullopt;
  auto process = inspect_process(peer->pid);
  if (!process || (must_look_like_qemu && !looks_like_qemu(*process))) return std::nullopt;
  return std::move(*process);
}

}  // namespace

std::optional<ProcessInfo> find_qemu_process(const qmp::Client& client,
                                             const std::vector<pid_t>& threads) {
  // A machine without vCPUs or I/O threads tells no thread ids, so there is no second opinion.
  auto process = process_of_peer(client, !threads.empty());
  if (!process) process = process_of_threads(threads);
  return process;
}

}  // namespace qemon::daemon
