// HmpSession: the human monitor's protocol without any I/O: bytes in, answers to QMP commands and
// bytes out. Includes nlohmann/json: for .cpp files.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "qmp/session.hpp"

namespace qemon::qmp {

struct HmpSessionLimits {
  /// The greeting and the version in it take 60 bytes.
  std::size_t greeting_bytes_max = 1024;
  /// QEMU draws the whole line again for each character: 1,024 of them make 2 MB of echo and keep
  /// its main loop busy for 0.1 s, 4,095 make 33 MB, and what is longer it cuts without a word
  /// (measured on 7.2 and 10.0).
  std::size_t line_bytes_max = 1024;
  /// The longest answer seen is 178 KB (info trace-events).
  std::size_t answer_bytes_max = 16U << 20;
  /// Commands that wait for their turn, and their bytes, as in SessionLimits.
  std::size_t queued_max = 16384;
  std::size_t queued_bytes_max = 16U << 20;
};

/// One connection to a human monitor that is used as if it were a QMP one: hmp_translation tells
/// which lines answer a command and what their text means. The interface, its calling order and
/// its promises are those of Session; Ready comes when the version has been asked.
///
/// The monitor was made for a terminal. It echoes each byte by drawing the line again (`ESC [D` for
/// each column back, the line, `ESC [K`), and what a line printed ends where the next prompt
/// stands, which any text may contain. So there is one line at a time, and behind it one letter is
/// typed and taken back: a prompt with the echo of just that in terminal codes is where the text
/// ends. What comes between two lines is nobody's answer, and is dropped.
class HmpSession {
 public:
  explicit HmpSession(HmpSessionLimits limits = {});

  void receive(std::string_view bytes);
  std::optional<Incoming> next();

  /// Refuses what a human monitor cannot tell or do, a descriptor above all, with
  /// errc::command_not_found.
  Result<CommandId> submit(std::string_view command, const nlohmann::json& arguments,
                           UniqueFd descriptor = {});
  std::optional<Output> next_output();
  /// As in Session; of a command that takes several lines, those not sent yet are never sent.
  void abandon(CommandId id);
  void end(Error reason);

  [[nodiscard]] bool greeted() const { return state_ != State::connected; }
  [[nodiscard]] bool ready() const { return state_ == State::ready && !end_reason_; }
  [[nodiscard]] bool ended() const { return end_reason_.has_value(); }
  [[nodiscard]] const Error& end_reason() const { return *end_reason_; }
  [[nodiscard]] const Greeting& greeting() const { return greeting_; }
  [[nodiscard]] const SessionCounts& counts() const { return counts_; }

 private:
  enum class State { connected, greeted, negotiating, ready };

  struct Command {
    CommandId id = 0;
    std::string name;
    nlohmann::json arguments;
    std::vector<std::string> lines;
    std::vector<std::string> texts;  // What the lines printed, so far.
    bool abandoned = false;
  };

  /// The line on the wire.
  struct Line {
    std::string echo_end;        // How the echo of the line ends; the text begins behind it.
    std::string text_end;        // The prompt and the echo of the letter.
    std::string probe;           // The echo of a later letter; empty if there is none.
    std::size_t echo_bytes = 0;  // Passed over while waiting for the echo's end.
    std::size_t echo_bytes_max = 0;
    bool echoed = false;
  };

  bool take_greeting();
  bool take_prompt();
  std::optional<std::string> take_text();
  bool take_echo();
  void end_if_lost();
  std::optional<Incoming> finish(Command command);
  std::optional<Incoming> finish_negotiation(const Result<nlohmann::json>& version);
  Result<Command> make_command(std::string_view name, const nlohmann::json& arguments) const;
  Output send_line();
  char next_letter();
  void end_protocol(std::string why);

  const HmpSessionLimits limits_;
  State state_ = State::connected;
  std::string buffer_;
  std::size_t scan_ = 0;  // Up to here in buffer_ there is no end of the text.
  Greeting greeting_;
  CommandId last_id_ = 0;
  unsigned letters_ = 0;
  std::map<CommandId, Command> queue_;  // In the order of submission, because ids grow.
  std::size_t queued_bytes_ = 0;
  std::optional<Command> running_;
  std::optional<Line> line_;  // Of running_.
  bool probe_due_ = false;
  std::optional<Error> end_reason_;
  SessionCounts counts_;
};

}  // namespace qemon::qmp
