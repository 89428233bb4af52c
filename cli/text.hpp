// Texts for people: what may go to a terminal, sizes, durations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace qemon::cli {

/// `text` with everything escaped that a terminal would act on instead of showing it: control
/// characters as \n, \t or \x1b, bytes that are not UTF-8 as \xff, and the invisible ones that
/// reorder a line as \u202e. Everything that comes from outside passes through here before it is
/// printed.
[[nodiscard]] std::string printable(std::string_view text);

/// How many columns printable text takes; wide characters count as one.
[[nodiscard]] std::size_t columns(std::string_view text);

/// "0 B", "999 B", "1.2 MiB".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);
/// "0.2 s", "12 s", "3m 20s", "2h 3m", "4d 1h".
[[nodiscard]] std::string human_seconds(double seconds);
/// "12.3 %" of `whole`; "-" of nothing.
[[nodiscard]] std::string share_text(std::uint64_t part, std::uint64_t whole);
/// "1 event", "3 events".
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view noun);

/// "a, b, c and 120 more": printable names, the first eight of them.
[[nodiscard]] std::string name_list(std::span<const std::string> names);

/// The seconds of "500ms", "60s", "10m", "1.5h" or "2d".
[[nodiscard]] Result<double> parse_seconds(std::string_view text);

/// For the path or the query of a request: everything but letters, digits and -._~ becomes %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace qemon::cli
