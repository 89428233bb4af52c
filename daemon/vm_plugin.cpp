// The part of Vm that knows the TCG plugin of its QEMU.
#include <spdlog/spdlog.h>

#include "daemon/plugin_level.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

namespace {

/// What QEMU does when its plugin asks it to translate anew was mended in these: before, it kept a
/// lock for ever (plugins/loader.c, plugin_reset_destroy).
bool can_switch_level(const qmp::Version& version) {
  return version >= qmp::Version{10, 0, 0} ||
         (version >= qmp::Version{7, 2, 18} && version < qmp::Version{7, 3, 0});
}

/// The same of a QEMU without a monitor to ask: 10.0 has the first plugin API that says so.
bool is_mended(const std::string& path) {
  constexpr std::uint32_t api_of_10_0 = 4;
  const auto reader = open_plugin_figures(path);
  if (!reader) return false;
  const auto header = reader->read_header();
  return header && header->api >= api_of_10_0;
}

}  // namespace

Result<std::string> Vm::plugin_path() const {
  // What a file has does not go with the process that wrote it.
  if (!is_up() && !(config_.file && !collectors_.plugin_path().empty()))
    return Error{why_not_attached()};
  if (config_.file && !collectors_.plugin_path().empty())
    return {boost::system::in_place_value, collectors_.plugin_path()};
  if (config_.file)
    return Error{"has no TCG plugin that is known of: give its file with file:PATH, or its pid"};
  if (!process_) return Error{"its process cannot be seen from here: " + process_problem_};
  if (collectors_.plugin_path().empty())
    return Error{
        "was started without qemon's TCG plugin: start QEMU with "
        "-plugin libqemon-plugin.so,path=/run/vms/NAME.tcg"};
  return {boost::system::in_place_value, collectors_.plugin_path()};
}

Result<void> Vm::switch_plugin_level(std::uint32_t wanted, LeaseLength length) {
  const auto path = plugin_path();
  if (!path) return path.error();
  const bool can =
      config_.file ? is_mended(*path) : identity_ && can_switch_level(identity_->version);
  if (!can)
    return Error{
        (config_.file ? "a QEMU before 10.0" : "QEMU " + qemu_version()) +
        " may hang when its plugin's level is switched while it runs: start it with level=" +
        std::string(plugin::level_name(wanted)) + ", or take QEMU 10.0 or newer"};
  std::optional<BootClock::time_point> until;
  if (length) until = BootClock::now() + *length;
  auto switched = collectors_.switch_plugin_level(*path, wanted, until);
  wake();
  return switched;
}

void Vm::end_plugin_level(const char* why) {
  const auto level = collectors_.changed().plugin_level;
  if (!level) return;
  if (const auto ended = collectors_.end_plugin_level(); !ended)
    spdlog::warn("{}: the plugin's level is not put back: {}", name(), ended.error().detail);
  else
    spdlog::info("{}: plugin level={} {}", name(), plugin::level_name(level->found), why);
}

void Vm::end_plugin_level_if_over() {
  const auto& level = collectors_.changed().plugin_level;
  if (level && level->until && *level->until <= BootClock::now()) end_plugin_level("is over");
}

}  // namespace qemon::daemon
