// The part of Vm that knows the TCG plugin of its QEMU.
#include "daemon/plugin_level.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

Result<std::string> Vm::plugin_path() const {
  if (!is_up()) return Error{"is " + std::string(to_string(state_)) + ": " + reason_};
  if (!process_) return Error{"its process cannot be seen from here: " + process_problem_};
  auto path = plugin_figures_path(process_->arguments);
  if (!path)
    return Error{
        "was started without qemon's TCG plugin: start QEMU with "
        "-plugin libqemon-plugin.so,path=/run/vms/NAME.tcg"};
  return {boost::system::in_place_value, std::move(*path)};
}

Result<void> Vm::switch_plugin_level(std::uint32_t wanted, LeaseLength length) {
  const auto path = plugin_path();
  if (!path) return path.error();
  std::optional<BootClock::time_point> until;
  if (length) until = BootClock::now() + *length;
  return collectors_.switch_plugin_level(*path, wanted, until);
}

}  // namespace qemon::daemon
