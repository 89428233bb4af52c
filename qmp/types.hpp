// What a QMP server tells about itself and by itself: versions, the greeting, QMP events.
#pragma once

#include <chrono>
#include <compare>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace qemon::qmp {

struct Version {
  int major = 0;
  int minor = 0;
  int micro = 0;

  auto operator<=>(const Version&) const = default;
};

/// The first message of a QMP server.
struct Greeting {
  Version version;
  std::string package;  ///< What the distribution calls its build, such as "Debian
                        ///< 1:7.2+dfsg-7+deb12u18"; may be empty.
  bool oob = false;     ///< The server offers out-of-band execution. We do not use it.
};

/// A QMP event (an asynchronous monitor message, not a trace event). A view: valid only while the
/// callback runs.
struct Event {
  std::string_view name;
  const nlohmann::json& data;  ///< An object; empty when the event carries none.
  std::chrono::system_clock::time_point time;
};

}  // namespace qemon::qmp
