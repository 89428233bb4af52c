// The page at /: which version this is, which VMs it watches, and where everything else is.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace qemon::daemon {

/// One VM as the page shows it.
struct LandingVm {
  std::string name;
  std::string state;   ///< For instance "attached".
  std::string detail;  ///< For instance "QEMU 7.2.22", or why it is not attached; may be empty.
};

/// The page as HTML. Every text is escaped, since names and reasons come from outside. It loads
/// nothing from elsewhere.
[[nodiscard]] std::string landing_page(std::string_view version, std::span<const LandingVm> vms);

inline constexpr std::string_view landing_page_content_type = "text/html; charset=utf-8";

}  // namespace qemon::daemon
