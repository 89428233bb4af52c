// Failure: what a fake monitor does instead of answering, and from which command on.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace qemon::fake {

enum class FailureKind {
  hang,              ///< Nothing more comes. What was asked is answered when it is healed.
  close,             ///< The connection is closed instead of an answer.
  garbage,           ///< A line that is no JSON instead of an answer, and then nothing.
  half,              ///< Half of the answer, and then nothing.
  long_line,         ///< A string of more than 10 MiB, and then nothing.
  wrong_id,          ///< Answers with ids that nobody asked with.
  error_without_id,  ///< What QEMU says when it cannot parse.
  slow,              ///< Each answer is late.
  flood,             ///< QMP events as fast as they are read, and no answer.
  busy_flood,        ///< The same, with the answers in between.
  no_greeting,       ///< As while another client holds the monitor.
  greeting_garbage,  ///< As of something that is no monitor.
};

/// Where it begins: with the `occurrence`-th time that the command comes in a session. A command of
/// the human monitor goes by its line.
struct Failure {
  FailureKind kind = FailureKind::hang;
  std::string command;
  unsigned occurrence = 1;
  std::chrono::milliseconds delay{0};  ///< Of a slow one.
};

/// KIND@COMMAND, KIND@COMMAND#OCCURRENCE, slow:MILLISECONDS@COMMAND, no-greeting and
/// greeting-garbage.
[[nodiscard]] std::optional<Failure> parse_failure(std::string_view text);

}  // namespace qemon::fake
