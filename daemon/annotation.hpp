// Annotation: something that happened and that users want to see on their graphs.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qemon::daemon {

/// In Grafana's sense: a moment or a region of time, with a text and tags.
struct Annotation {
  std::chrono::system_clock::time_point begin;
  std::optional<std::chrono::system_clock::time_point> end;  ///< A region, not a moment.
  std::string vm;                                            ///< Empty: it is about all of them.
  std::string kind;               ///< One word: `events`, `budget`, `mark`, `experiment`, ...
  std::string text;               ///< One line, for people.
  std::vector<std::string> tags;  ///< Beside `qemon`, the kind and the VM.
};

/// Takes what happened, at once and without waiting for anybody. May be empty.
using AnnotationSink = std::function<void(Annotation)>;

}  // namespace qemon::daemon
