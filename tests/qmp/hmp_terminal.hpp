// What a human monitor writes while it is typed into, as QEMU's util/readline.c does it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace qemon::qmp::test {

constexpr std::string_view hmp_greeting =
    "QEMU 7.2.22 monitor - type 'help' for more information\r\n(qemu) ";

/// The echo of `line` and Enter.
inline std::string hmp_echo(std::string_view line) {
  std::string echo;
  for (std::size_t size = 1; size <= line.size(); ++size) {
    for (std::size_t back = 1; back < size; ++back) echo += "\033[D";
    echo += std::string(line.substr(0, size)) + "\033[K";
  }
  return echo + "\r\n";
}

/// The next prompt, and the echo of a letter that is typed and taken back.
inline std::string hmp_prompt(char letter) {
  return "(qemu) " + std::string(1, letter) + "\033[K\033[D\033[K";
}

/// Everything that comes for `typed`, a line with Enter, a letter and Delete as the session sends
/// it, when the line prints `text`.
inline std::string hmp_reply(std::string_view typed, std::string_view text) {
  return hmp_echo(typed.substr(0, typed.size() - 3)) + std::string(text) +
         hmp_prompt(typed[typed.size() - 2]);
}

}  // namespace qemon::qmp::test
