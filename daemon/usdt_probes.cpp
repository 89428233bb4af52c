#include "daemon/usdt_probes.hpp"

#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "daemon/proc_text.hpp"
#include "daemon/usdt_source.hpp"

namespace qemon::daemon {

std::string program_of(pid_t pid) {
  return "/proc/" + std::to_string(pid) + "/exe";
}

std::vector<std::string> qemu_modules_in(std::string_view maps) {
  std::vector<std::string> modules;
  while (!maps.empty()) {
    const auto line = take_line(maps);
    const auto slash = line.find('/');
    if (slash == std::string_view::npos) continue;
    const auto path = line.substr(slash);
    // /usr/lib/x86_64-linux-gnu/qemu/block-curl.so, /usr/lib64/qemu-kvm/block-blkio.so
    if (!path.ends_with(".so") || path.find("/qemu") == std::string_view::npos) continue;
    if (std::find(modules.begin(), modules.end(), path) == modules.end())
      modules.emplace_back(path);
  }
  return modules;
}

std::vector<std::string> qemu_modules_of(pid_t pid) {
  return qemu_modules_in(read_text("/proc/" + std::to_string(pid) + "/maps").value_or(""));
}

Result<std::vector<ProbedFile>> find_probed_files(pid_t pid,
                                                  const std::vector<std::string>& modules) {
  std::vector<ProbedFile> files;
  auto program = usdt::read_probes(program_of(pid), usdt_provider);
  if (!program) return program.error();
  files.push_back({program_of(pid), std::move(*program)});
  for (const auto& module : modules) {
    if (!remote_type_for(pid, module).empty()) continue;
    // A container's, if QEMU runs in one.
    const auto path = "/proc/" + std::to_string(pid) + "/root" + module;
    auto sites = usdt::read_probes(path, usdt_provider);
    if (sites && !sites->empty()) files.push_back({path, std::move(*sites)});
  }
  return files;
}

std::vector<std::string> probe_names(pid_t pid) {
  std::set<std::string> names;
  if (const auto files = find_probed_files(pid, qemu_modules_of(pid))) {
    for (const auto& file : *files)
      for (const auto& [name, sites] : file.sites) names.insert(name);
  }
  return {names.begin(), names.end()};
}

bool has_usdt_probes(const ProcessInfo& process) {
  // Whoever reads what a server does not give waits for it, and with us all other VMs.
  if (process.exe.empty() || !remote_type_for(process.pid, process.exe).empty()) return false;
  return usdt::has_probes(program_of(process.pid), usdt_provider);
}

}  // namespace qemon::daemon
