// How leases are written: what a request asks for, and their end in an answer.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/fields.hpp"

namespace CLI {  // NOLINT(readability-identifier-naming): the library calls itself so.
class App;
}

namespace qemon::cli {

struct Invocation;

/// Adds --for DURATION, which may also be forever.
void add_for_option(CLI::App& command, Invocation& invocation, const std::string& help);

/// Adds the member `name` to a request: seconds, or null for forever; nothing if `duration` is
/// empty, which leaves it to qemond.
void add_length(const std::string& duration, const std::string& name, Json& body);

/// Adds --sample ON/PERIOD; `off`: it may also be that.
void add_sample_option(CLI::App& command, Invocation& invocation, const std::string& help,
                       bool off);

/// A request to switch `names` `action` (on or off), as the invocation says; `kind` is what their
/// member is called.
[[nodiscard]] Json switch_request(const Invocation& invocation, const std::string& action,
                                  const std::string& kind, const std::vector<std::string>& names);

/// "20ms/1s"; empty for what is not sampled.
[[nodiscard]] std::string sample_text(const Json& object);

/// "15:04:05" of today, "2026-11-25 15:04:05" of another day; `seconds` since 1970, local time.
[[nodiscard]] std::string clock_text(double seconds, double now);
[[nodiscard]] std::string clock_text(double seconds);

/// When a lease ends: as clock_text, or "forever".
[[nodiscard]] std::string until_text(const Json& lease);

/// " until 15:04:05 (lease 7)" or " forever (lease 7)"; empty for an answer without a lease.
[[nodiscard]] std::string lease_suffix(const Json& answer);

/// ": 3 events off (a, b, c)"; empty if none went off.
[[nodiscard]] std::string went_off(const Json& answer);

}  // namespace qemon::cli
