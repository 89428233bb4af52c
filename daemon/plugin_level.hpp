// What the TCG plugin of a VM counts: found, switched for a time, and put back.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/boot_clock.hpp"
#include "daemon/journal_entry.hpp"
#include "plugin/figures_reader.hpp"

namespace qemon::daemon {

/// The file that libqemon-plugin.so of a QEMU with these arguments publishes in (`-plugin
/// FILE,path=PATH`); absent if it was started without.
[[nodiscard]] std::optional<std::string> plugin_figures_path(
    const std::vector<std::string>& arguments);

/// Opens that file, unless it is where whoever looks may have to wait: behind a symbolic link, or
/// on a file system whose server may not answer.
[[nodiscard]] Result<plugin::FiguresReader> open_plugin_figures(const std::string& path);

/// Has it count so, and remembers in `level` what was there before: in `write_journal` before
/// QEMU's file is changed. `until`: absent for good.
[[nodiscard]] Result<void> switch_plugin_level(const std::string& path, std::uint32_t wanted,
                                               std::optional<BootClock::time_point> until,
                                               std::optional<JournaledPluginLevel>& level,
                                               const std::function<Result<void>()>& write_journal);

/// Puts back what was there, unless somebody else has changed it meanwhile or the file is gone.
[[nodiscard]] Result<void> put_plugin_level_back(const JournaledPluginLevel& level);

}  // namespace qemon::daemon
