// The version of qemon, as CMakeLists.txt gives it.
#pragma once

#include <string_view>

namespace qemon {

inline constexpr std::string_view version = QEMON_VERSION;

}  // namespace qemon
