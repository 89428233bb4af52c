// Any bytes from a human monitor: by the session without I/O, as texts that lines print, and as
// answers to what qemond asks.
//
// An input is what the monitor sends. If it begins with a line "ask NAME" (see monitor_peer.hpp) or
// "translate COMMAND", the rest are texts that lines print, with a line "----" between them.
#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <variant>
#include <vector>

#include "qmp/hmp_session.hpp"
#include "qmp/hmp_text.hpp"
#include "qmp/hmp_translation.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/monitor_peer.hpp"
#include "tests/qmp/hmp_terminal.hpp"

namespace qemon::fuzz {
namespace {

using nlohmann::json;
using qmp::CommandId;
using qmp::EventMessage;
using qmp::HmpSession;
using qmp::Ready;
using qmp::Reply;

constexpr std::string_view separator = "\n----\n";

/// What a command has as arguments, if it has some.
const json& arguments_of(std::string_view command) {
  static const json line{{"command-line", "info status"}};
  static const json others{
      {"name", "virtio_*"}, {"enable", true}, {"path", "/machine"}, {"property", "type"}};
  return command == "human-monitor-command" ? line : others;
}

class Run {
 public:
  explicit Run(qmp::HmpSessionLimits limits) : session_(limits) {}

  void receive(std::string_view bytes) {
    session_.receive(bytes);
    while (const auto incoming = session_.next()) {
      require(!session_.ended(), "nothing comes in once the session has ended");
      std::visit([this](const auto& kind) { take(kind); }, *incoming);
      write();
    }
    write();
    if (session_.ended()) require_one_line(session_.end_reason().detail, "an end has a reason");
  }

  void abandon(CommandId id) {
    waiting_.erase(id);
    session_.abandon(id);
    write();
  }

 private:
  void take(const Ready& /*ready*/) {
    require(!ready_, "the handshake is over once");
    ready_ = true;
    for (const auto* command : {"query-status", "query-name", "query-cpus-fast", "query-commands"})
      submit(command, nullptr);
    submit("trace-event-set-state", {{"name", "virtio_notify"}, {"enable", true}});
  }
  void take(const Reply& reply) {
    require(ready_, "replies come behind the handshake");
    require(waiting_.erase(reply.id) == 1, "a reply is to a command that waits for it");
    if (!reply.result) require_one_line(reply.result.error().detail, "an error is one line");
  }
  void take(const EventMessage& /*event*/) { require(false, "a human monitor sends no events"); }

  void submit(const char* command, const json& given) {
    const auto id = session_.submit(command, given);
    if (id) waiting_.insert(*id);
  }

  void write() {
    while (const auto output = session_.next_output())
      require(output->bytes.ends_with('\x7f'), "a line ends with the letter taken back");
  }

  HmpSession session_;
  bool ready_ = false;
  std::set<CommandId> waiting_;
};

void run_session(std::string_view bytes) {
  Choices choices(bytes);
  qmp::HmpSessionLimits limits;
  if (choices.below(8) == 0) limits.answer_bytes_max = choices.below(512);
  Run(limits).receive(bytes);
  Run pieces(limits);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = choices.piece(bytes.size() - at);
    pieces.receive(bytes.substr(at, size));
    if (choices.below(8) == 0) pieces.abandon(1 + choices.below(8));
    at += size;
  }
}

void translate(std::string_view command, std::string_view input) {
  std::vector<std::string> texts;
  while (!input.empty()) texts.emplace_back(take_until(input, separator));
  const auto& arguments = arguments_of(command);
  const auto lines = qmp::hmp_lines_for(command, arguments);
  if (!lines) return;
  for (const auto& line : *lines)
    require(line.find('\n') == std::string::npos, "a line is one line");
  texts.resize(lines->size());
  const auto meaning = qmp::translate_hmp(command, arguments, texts);
  if (!meaning) return require_one_line(meaning.error().detail, "an error is one line");
  // What is not UTF-8 has been replaced; else this throws.
  require(!meaning->dump().empty(), "a meaning is JSON");
}

void read_texts(std::string_view text) {
  if (const auto quoted = qmp::quote_hmp_argument(text))
    require(quoted->size() >= text.size() + 2, "a quoted argument has quotes");
  require(qmp::clean_hmp_text(text).size() <= text.size(), "a text is cleaned by leaving out");
  const auto status = qmp::parse_trace_file_status(text);
  if (!status) require_one_line(status.error().detail, "an error is one line");
  for (const auto& line : qmp::parse_trace_event_lines(text))
    require(!line.name.empty() && line.name.find('\n') == std::string_view::npos,
            "an event's name is on one line");
}

/// The terminal's answer to each line that has been typed, with the letter that ends it.
std::string answer(std::string& received, bool& over, std::string_view& texts) {
  constexpr char erase_letter = '\x7f';
  std::string out;
  for (std::size_t end; !over && (end = received.find(erase_letter)) != std::string::npos;) {
    const std::string typed = received.substr(0, end + 1);
    received.erase(0, end + 1);
    if (typed.size() < 3) {
      over = true;
    } else if (typed.starts_with("info version")) {
      out += qmp::test::hmp_reply(typed, "7.2.22Debian\r\n");
    } else {
      over = texts.empty();
      out += qmp::test::hmp_reply(typed, take_until(texts, separator));
    }
  }
  return out;
}

void run(std::string_view input) {
  constexpr std::string_view ask = "ask ";
  constexpr std::string_view translation = "translate ";
  if (input.starts_with(ask)) {
    input.remove_prefix(ask.size());
    const auto name = take_until(input, "\n");
    PeerScript script;
    script.greeting = qmp::test::hmp_greeting;
    script.answer = [&input](std::string& received, bool& over) {
      return answer(received, over, input);
    };
    talk(name, qmp::Protocol::hmp, std::move(script));
  } else if (input.starts_with(translation)) {
    input.remove_prefix(translation.size());
    const auto command = take_until(input, "\n");
    translate(command, input);
  } else {
    run_session(input);
    read_texts(input);
  }
}

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qemon::fuzz::run(qemon::fuzz::text_of(data, size));
  return 0;
}
