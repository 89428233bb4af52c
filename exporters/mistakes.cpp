#include "exporters/mistakes.hpp"

#include <algorithm>

#include "base/utf8.hpp"

namespace qemon::exporters {
namespace {

/// Levenshtein's distance: how many characters to insert, delete or replace.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

}  // namespace

void Mistakes::add(int line, std::string_view text) {
  std::string where = file_;
  if (line > 0) where += ":" + std::to_string(line);
  // What is quoted from the file may hold anything and be cut anywhere, but a mistake is one line
  // of UTF-8.
  auto& line_of_text = lines_.emplace_back(to_valid_utf8(where + ": " + std::string(text)));
  std::replace_if(
      line_of_text.begin(), line_of_text.end(),
      [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, '?');
}

void Mistakes::append(const Mistakes& others) {
  lines_.insert(lines_.end(), others.lines_.begin(), others.lines_.end());
}

std::string nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  // More than a third of the letters wrong is another word.
  std::size_t best = std::max<std::size_t>(word.size() / 3, 1) + 1;
  std::string_view found;
  for (const auto candidate : candidates) {
    const auto longer = std::max(candidate.size(), word.size());
    if (longer - std::min(candidate.size(), word.size()) > best) continue;
    // Of two that are as near, the one with the right first letter: that is rarely mistaken.
    const auto starts_alike = [&](std::string_view other) {
      return !word.empty() && other.starts_with(word.front());
    };
    const auto apart = distance(word, candidate);
    const bool nearer =
        !found.empty() && apart == best && starts_alike(candidate) && !starts_alike(found);
    if (apart < best || nearer) {
      best = apart;
      found = candidate;
    }
  }
  return std::string(found);
}

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates) {
  const auto found = nearest(word, candidates);
  return found.empty() ? std::string() : " did you mean " + found + "?";
}

}  // namespace qemon::exporters
