#include "daemon/trace_backend.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace qemon::daemon {
namespace {

constexpr std::array<std::pair<TraceBackend, std::string_view>, 6> names{{
    {TraceBackend::simple, "simple"},
    {TraceBackend::log, "log"},
    {TraceBackend::usdt, "usdt"},
    {TraceBackend::ftrace, "ftrace"},
    {TraceBackend::lttng, "lttng"},
    {TraceBackend::syslog, "syslog"},
}};

}  // namespace

std::string_view to_string(TraceBackend backend) {
  const auto* const found = std::find_if(names.begin(), names.end(),
                                         [&](const auto& each) { return each.first == backend; });
  return found == names.end() ? "unknown" : found->second;
}

Result<BackendChoice> parse_backend(std::string_view text) {
  const auto colon = text.find(':');
  const auto name = text.substr(0, colon);
  const auto* const found = std::find_if(names.begin(), names.end(),
                                         [&](const auto& each) { return each.second == name; });
  if (found == names.end())
    return Error{"write simple, log, usdt, ftrace, lttng, syslog or syslog:FILE"};
  BackendChoice choice{found->first, {}};
  if (colon == std::string_view::npos) return choice;
  if (choice.backend != TraceBackend::syslog)
    return Error{"only syslog has a file behind it, for instance syslog:/var/log/syslog"};
  choice.place = text.substr(colon + 1);
  if (!choice.place.starts_with('/'))
    return Error{"write an absolute path behind syslog:, for instance syslog:/var/log/syslog"};
  return choice;
}

}  // namespace qemon::daemon
