// QEMU's own rules for naming trace events by pattern.
#pragma once

#include <string_view>

namespace qemon::daemon {

/// QEMU takes a name for a pattern only if it contains `*`; then `?` stands for one character, too.
/// Without `*` even a name with `?` is literal. Case counts. (trace_event_is_pattern and
/// g_pattern_match in trace/control.c of QEMU.)
[[nodiscard]] bool is_event_pattern(std::string_view text);
/// Whether `name` matches `pattern`, in which * stands for any text and ? for one character.
[[nodiscard]] bool matches_glob(std::string_view pattern, std::string_view name);
[[nodiscard]] bool matches_event_pattern(std::string_view pattern, std::string_view name);

}  // namespace qemon::daemon
