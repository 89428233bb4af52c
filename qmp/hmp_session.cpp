#include "qmp/hmp_session.hpp"

#include <algorithm>
#include <utility>

#include "base/utf8.hpp"
#include "qmp/error.hpp"
#include "qmp/hmp_translation.hpp"

namespace qemon::qmp {

using nlohmann::json;

namespace {

constexpr std::string_view greeting_head = "QEMU ";
constexpr std::string_view greeting_tail = " monitor - type 'help' for more information";
constexpr std::string_view prompt = "(qemu) ";
constexpr std::string_view version_command = "query-version";
// How the echo of a line ends: what stands right of the line is erased, and the cursor goes on to
// the next line when Enter is typed.
constexpr std::string_view erase = "\033[K";
constexpr std::string_view line_break = "\r\n";
// Text that something else prints while we type; far more than that means that there is no echo.
constexpr std::size_t foreign_bytes_max = 65536;

// Delete goes back by one column and draws the line again, which is empty now.
std::string echo_of_letter(char letter) {
  std::string echo(1, letter);
  echo += erase;
  echo += "\033[D";
  echo += erase;
  return echo;
}

constexpr char enter = '\r';
constexpr char erase_letter = '\x7f';

// The n-th character is drawn with the n - 1 before it, after as many steps back of 3 bytes.
std::size_t echo_bytes(std::size_t line_bytes) {
  return 2 * line_bytes * line_bytes + 4 * line_bytes;
}

// What readline of the human monitor takes for editing and not for text. 0x9b is the 8-bit form of
// ESC [, also in the middle of a UTF-8 character.
bool can_be_typed(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f && byte != 0x9b;
  });
}

// Whether what is there so far may become `whole`, or goes on behind it.
bool may_begin_with(std::string_view text, std::string_view whole) {
  return text.substr(0, whole.size()) == whole.substr(0, text.size());
}

std::string no_greeting(std::string_view text) {
  if (text.starts_with("{")) {
    return "this is a QMP monitor: write its address without hmp:";
  }
  if (text.starts_with("\xff")) {
    return "this is a telnet monitor: give QEMU a -monitor with unix: or tcp: instead";
  }
  return "this is not a human monitor of QEMU: it sent \"" +
         one_line(text.substr(0, text.find('\n')), 80) + "\"";
}

}  // namespace

HmpSession::HmpSession(HmpSessionLimits limits) : limits_(limits) {}

void HmpSession::receive(std::string_view bytes) {
  if (!ended()) buffer_ += bytes;
}

std::optional<Incoming> HmpSession::next() {
  while (!ended()) {
    if (state_ == State::connected && !take_greeting()) break;
    if (state_ == State::greeted && !take_prompt()) break;
    if (!line_) {
      buffer_.clear();
      break;
    }
    auto text = take_text();
    if (!text) break;
    line_.reset();
    probe_due_ = false;
    running_->texts.push_back(std::move(*text));
    if (running_->abandoned) {
      running_.reset();
      ++counts_.late_replies;
    } else if (running_->texts.size() == running_->lines.size()) {
      Command command = std::move(*running_);
      running_.reset();
      auto incoming = finish(std::move(command));
      if (incoming) return incoming;
    }
  }
  return std::nullopt;
}

Result<CommandId> HmpSession::submit(std::string_view name, const json& arguments,
                                     UniqueFd descriptor) {
  if (ended()) return end_reason();
  if (descriptor) {
    return make_error(errc::command_not_found, "a human monitor cannot be given a file descriptor");
  }
  auto command = make_command(name, arguments);
  if (!command) return command.error();
  std::size_t bytes = 0;
  for (const auto& line : command->lines) bytes += line.size();
  if (queue_.size() >= limits_.queued_max || queued_bytes_ + bytes > limits_.queued_bytes_max) {
    return make_error(errc::queue_full, "not sent: " + std::to_string(queue_.size()) +
                                            " commands wait already and QEMU does not answer");
  }
  command->id = ++last_id_;
  queued_bytes_ += bytes;
  queue_.emplace(command->id, std::move(*command));
  return last_id_;
}

std::optional<Output> HmpSession::next_output() {
  if (ended()) return std::nullopt;
  if (probe_due_) {
    probe_due_ = false;
    const char letter = next_letter();
    line_->probe = echo_of_letter(letter);
    return Output{running_->id, std::string{letter, erase_letter}, UniqueFd()};
  }
  if (line_) return std::nullopt;
  if (!running_ && state_ == State::ready && !queue_.empty()) {
    auto first = queue_.begin();
    for (const auto& line : first->second.lines) queued_bytes_ -= line.size();
    running_ = std::move(first->second);
    queue_.erase(first);
  }
  if (!running_) return std::nullopt;
  return send_line();
}

void HmpSession::abandon(CommandId id) {
  const auto queued = queue_.find(id);
  if (queued != queue_.end()) {
    for (const auto& line : queued->second.lines) queued_bytes_ -= line.size();
    queue_.erase(queued);
  } else if (running_ && running_->id == id && !line_) {
    running_.reset();
  } else if (running_ && running_->id == id && !running_->abandoned) {
    running_->abandoned = true;
    // If QEMU's main loop is blocked, the line's own end will come before this letter. If something
    // has spoilt the end, the letter comes alone, and tells us not to wait for ever.
    probe_due_ = true;
  }
}

void HmpSession::end(Error reason) {
  if (ended()) return;
  end_reason_ = std::move(reason);
  buffer_.clear();
  queue_.clear();
  queued_bytes_ = 0;
  running_.reset();
  line_.reset();
  probe_due_ = false;
}

// True when the greeting was taken.
bool HmpSession::take_greeting() {
  const auto end = buffer_.find(line_break);
  const auto line = std::string_view(buffer_).substr(0, end);
  const bool too_long = line.size() > limits_.greeting_bytes_max;
  if (!may_begin_with(line, greeting_head) || too_long ||
      (end != buffer_.npos && !line.ends_with(greeting_tail))) {
    end_protocol(no_greeting(buffer_));
    return false;
  }
  if (end == buffer_.npos) return false;
  buffer_.erase(0, end + line_break.size());
  state_ = State::greeted;
  return true;
}

// True when the prompt was taken.
bool HmpSession::take_prompt() {
  if (!may_begin_with(buffer_, prompt)) {
    end_protocol("the monitor greeted, but showed \"" + one_line(buffer_, 80) +
                 "\" and no prompt; one that shares its character device (mux) cannot be used");
    return false;
  }
  if (buffer_.size() < prompt.size()) return false;
  buffer_.erase(0, prompt.size());
  state_ = State::negotiating;
  auto command = make_command(version_command, json());
  running_ = std::move(*command);
  running_->id = ++last_id_;
  return true;
}

// What the line on the wire printed, once all of it is there.
std::optional<std::string> HmpSession::take_text() {
  if (!line_->echoed && !take_echo()) return std::nullopt;
  const auto at = buffer_.find(line_->text_end, scan_);
  if (at != buffer_.npos) {
    std::string text = buffer_.substr(0, at);
    buffer_.erase(0, at + line_->text_end.size());
    scan_ = 0;
    return text;
  }
  if (buffer_.size() > limits_.answer_bytes_max) {
    end(make_error(errc::line_too_long,
                   "the answer to \"" + one_line(running_->lines[running_->texts.size()], 80) +
                       "\" has more than " + std::to_string(limits_.answer_bytes_max) + " bytes"));
    return std::nullopt;
  }
  end_if_lost();
  const std::size_t kept = std::max(line_ ? line_->text_end.size() : 0, std::size_t{1}) - 1;
  scan_ = buffer_.size() - std::min(buffer_.size(), kept);
  return std::nullopt;
}

// True when the echo was taken. Only its end is looked at: each character draws the whole line
// anew, so that what was printed in between does no harm.
bool HmpSession::take_echo() {
  Line& line = *line_;
  const auto at = buffer_.find(line.echo_end);
  if (at != buffer_.npos) {
    buffer_.erase(0, at + line.echo_end.size());
    line.echoed = true;
    return true;
  }
  if (buffer_.find(line.text_end) != buffer_.npos) {
    end_protocol("the monitor's echo is not what was typed: something else uses it too");
    return false;
  }
  end_if_lost();
  if (ended()) return false;
  const auto longest = std::max(line.echo_end.size(), line.text_end.size());
  const auto passed = buffer_.size() - std::min(buffer_.size(), longest - 1);
  buffer_.erase(0, passed);
  line.echo_bytes += passed;
  if (line.echo_bytes > line.echo_bytes_max) {
    end_protocol("the monitor does not echo what is typed, but sends other things");
  }
  return false;
}

void HmpSession::end_if_lost() {
  if (line_->probe.empty() || buffer_.find(line_->probe, scan_) == buffer_.npos) return;
  end_protocol("the end of an answer was lost: something else writes to this monitor");
}

std::optional<Incoming> HmpSession::finish(Command command) {
  auto result = translate_hmp(command.name, command.arguments, command.texts);
  if (state_ == State::negotiating) return finish_negotiation(result);
  return Reply{command.id, std::move(result)};
}

std::optional<Incoming> HmpSession::finish_negotiation(const Result<json>& version) {
  if (!version) {
    end(wrap(version.error(), "the monitor does not tell its version"));
    return std::nullopt;
  }
  const json& qemu = version->at("qemu");
  greeting_.version = {qemu.at("major"), qemu.at("minor"), qemu.at("micro")};
  greeting_.package = version->at("package");
  state_ = State::ready;
  return Ready{};
}

Result<HmpSession::Command> HmpSession::make_command(std::string_view name,
                                                     const json& arguments) const {
  auto lines = hmp_lines_for(name, arguments);
  if (!lines) return lines.error();
  for (const auto& line : *lines) {
    if (!can_be_typed(line)) {
      return make_error(errc::invalid_argument,
                        "\"" + one_line(line, 80) +
                            "\" has a byte that a human monitor takes for a key, as control "
                            "characters are and 0x9b; use another name");
    }
    if (line.size() > limits_.line_bytes_max) {
      return make_error(errc::invalid_argument,
                        "\"" + one_line(line, 80) + "\" has more than the " +
                            std::to_string(limits_.line_bytes_max) +
                            " bytes that we type into a human monitor; use a shorter name");
    }
  }
  Command command;
  command.name = name;
  command.arguments = arguments;
  command.lines = std::move(*lines);
  return command;
}

Output HmpSession::send_line() {
  const std::string& text = running_->lines[running_->texts.size()];
  const char letter = next_letter();
  Line line;
  // Nothing is drawn for an empty line.
  if (!text.empty()) line.echo_end = text + std::string(erase);
  line.echo_end += line_break;
  line.text_end = std::string(prompt) + echo_of_letter(letter);
  line.echo_bytes_max = echo_bytes(text.size()) + foreign_bytes_max;
  line_ = std::move(line);
  scan_ = 0;
  return Output{running_->id, text + enter + letter + erase_letter, UniqueFd()};
}

// Another one than those before, so that none of their echoes is taken for this one's.
char HmpSession::next_letter() {
  constexpr unsigned letters = 26;
  return static_cast<char>('a' + letters_++ % letters);
}

void HmpSession::end_protocol(std::string why) {
  end(make_error(errc::protocol, std::move(why)));
}

}  // namespace qemon::qmp
