// What the handlers of the control API share: answers, refusals, and reading what is asked for.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/http_message.hpp"
#include "daemon/lease_length.hpp"
#include "daemon/leases.hpp"

namespace qemon::daemon {

[[nodiscard]] HttpResponse answer(const nlohmann::json& body, unsigned status = 200);
/// {"error": why}
[[nodiscard]] HttpResponse refuse(unsigned status, const std::string& why);
[[nodiscard]] HttpResponse wrong_method(const std::string& allowed);

/// The body as a JSON object; a discarded value if it is none.
[[nodiscard]] nlohmann::json parse_body(const HttpRequest& request);

/// What a request to switch events or packs asks for.
struct SwitchWish {
  bool on = false;
  std::vector<std::string> names;  ///< Patterns of events, or packs.
  std::string vm;                  ///< Empty for all.
  LeaseLength length;
  SampleWish sample;
};

/// `list`: the member that holds the names, and `what` they are. `default_length`: that of a lease
/// if none is asked for.
[[nodiscard]] Result<SwitchWish> parse_wish(const HttpRequest& request, const std::string& list,
                                            const std::string& what, LeaseLength default_length);

/// The array of names that the member `list` holds.
[[nodiscard]] Result<std::vector<std::string>> parse_names(const nlohmann::json& body,
                                                           const std::string& list,
                                                           const std::string& what);
/// The member "vm"; empty if there is none.
[[nodiscard]] Result<std::string> parse_vm(const nlohmann::json& body);
/// A number of seconds, or null for forever.
[[nodiscard]] Result<LeaseLength> parse_length(const nlohmann::json& value,
                                               const std::string& name);

/// Who is at the other end, for leases and for the log.
[[nodiscard]] Asker asker_of(const HttpRequest& request);

/// "2026-11-24T15:04:05Z" for the log; "forever" without one.
[[nodiscard]] std::string utc_text(const std::optional<BootClock::time_point>& until);

}  // namespace qemon::daemon
