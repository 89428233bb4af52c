// Mistakes: what is wrong with a file that somebody wrote, each with its line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace qemon::exporters {

/// Collects mistakes, so that a file is told all of them at once.
class Mistakes {
 public:
  /// `file` is what the messages call it.
  explicit Mistakes(std::string file) : file_(std::move(file)) {}

  /// Adds "FILE:LINE: TEXT". Lines count from 1; 0 leaves the number out.
  void add(int line, std::string_view text);
  /// Adds a line that is complete.
  void add_line(std::string line) { lines_.push_back(std::move(line)); }
  /// Adds all that another file's collection holds.
  void append(const Mistakes& others);

  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool empty() const { return lines_.empty(); }
  [[nodiscard]] std::size_t size() const { return lines_.size(); }
  /// One line of text each, in the order in which they were found.
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::string file_;
  std::vector<std::string> lines_;
};

/// The one of `candidates` that `word` is most likely meant to be; empty if none is near.
[[nodiscard]] std::string nearest(std::string_view word,
                                  const std::vector<std::string_view>& candidates);

/// " did you mean X?" with a leading blank, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word,
                                       const std::vector<std::string_view>& candidates);

}  // namespace qemon::exporters
