#include "daemon/event_pattern.hpp"

#include <cstddef>

namespace qemon::daemon {

bool is_event_pattern(std::string_view text) {
  return text.find('*') != std::string_view::npos;
}

bool matches_event_pattern(std::string_view pattern, std::string_view name) {
  return is_event_pattern(pattern) ? matches_glob(pattern, name) : pattern == name;
}

bool matches_glob(std::string_view pattern, std::string_view name) {
  // Greedy with one point of return: going back to the latest `*` only is enough, so the time is
  // bounded by pattern length times name length.
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace qemon::daemon
