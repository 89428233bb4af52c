// Any bytes from a QMP server: by the session without I/O, and as answers to what qemond asks.
//
// An input is what the server sends. If it begins with a line "ask NAME" (see monitor_peer.hpp),
// each further line is an answer: one that is an object without an id gets that of the command,
// anything else is sent as it is.
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <variant>

#include "qmp/session.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/monitor_peer.hpp"

namespace qemon::fuzz {
namespace {

using qmp::CommandId;
using qmp::EventMessage;
using qmp::Ready;
using qmp::Reply;
using qmp::Session;

constexpr std::string_view greeting =
    "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, \"package\": "
    "\"\"}, \"capabilities\": [\"oob\"]}}\r\n";
/// More than there may be on the wire.
constexpr int commands = 12;

/// A session, and what came out of it.
class Run {
 public:
  explicit Run(qmp::SessionLimits limits) : limits_(limits), session_(limits) {}

  void receive(std::string_view bytes) {
    session_.receive(bytes);
    while (const auto incoming = session_.next()) {
      require(!session_.ended(), "nothing comes in once the session has ended");
      std::visit([this](const auto& kind) { take(kind); }, *incoming);
      write();
    }
    write();
    require(session_.on_wire() <= limits_.on_wire_max + 1, "the wire is not overfull");
    if (session_.ended()) require_one_line(session_.end_reason().detail, "an end has a reason");
  }

  /// Gives up on a command that was asked.
  void abandon(CommandId id) {
    waiting_.erase(id);
    session_.abandon(id);
  }

  [[nodiscard]] const std::string& notes() const { return notes_; }
  [[nodiscard]] bool ended() const { return session_.ended(); }

 private:
  void take(const Ready& /*ready*/) {
    require(!ready_, "the handshake is over once");
    ready_ = true;
    notes_ += "ready " + session_.greeting().package + "\n";
    for (int i = 0; i < commands; ++i) {
      const auto id = session_.submit("query-status", nullptr);
      if (id) waiting_.insert(*id);
    }
  }
  void take(const Reply& reply) {
    require(ready_, "replies come behind the handshake");
    require(waiting_.erase(reply.id) == 1, "a reply is to a command that waits for it");
    notes_ += std::to_string(reply.id) + " ";
    if (reply.result) {
      notes_ += reply.result->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    } else {
      require(reply.result.error().detail.find('\n') == std::string::npos, "an error is one line");
      notes_ += reply.result.error().detail;
    }
    notes_ += "\n";
  }
  void take(const EventMessage& event) {
    require(!event.name.empty() && event.data.is_object(), "an event has a name and an object");
    notes_ +=
        "event " + event.name + " " + std::to_string(event.time.time_since_epoch().count()) + "\n";
  }

  void write() {
    while (const auto output = session_.next_output()) {
      require(output->bytes.ends_with('\n'), "a command is a line");
      require(!session_.ended(), "nothing goes out once the session has ended");
    }
  }

  qmp::SessionLimits limits_;
  Session session_;
  bool ready_ = false;
  std::set<CommandId> waiting_;
  std::string notes_;
};

void run_session(std::string_view bytes) {
  Choices choices(bytes);
  qmp::SessionLimits limits;
  if (choices.below(8) == 0) limits.line_bytes_max = 64 + choices.below(512);
  if (choices.below(8) == 0) limits.depth_max = 1 + choices.below(8);

  Run whole(limits);
  whole.receive(bytes);
  Run pieces(limits);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = choices.piece(bytes.size() - at);
    pieces.receive(bytes.substr(at, size));
    at += size;
  }
  require(whole.notes() == pieces.notes(), "pieces give the same messages");
  require(whole.ended() == pieces.ended(), "pieces end the session as well");

  Run impatient(limits);
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t size = choices.piece(bytes.size() - at);
    impatient.receive(bytes.substr(at, size));
    impatient.abandon(1 + choices.below(commands + 2));
    at += size;
  }
}

/// The next answers of the input, up to one to this command.
std::string answer(std::string& received, bool& over, std::string_view& answers) {
  std::string out;
  for (std::size_t end; !over && (end = received.find('\n')) != std::string::npos;) {
    const auto command = nlohmann::json::parse(received.substr(0, end), nullptr, false);
    require(command.is_object() && command.contains("id"), "a command is an object with an id");
    const auto id = command["id"].dump();
    received.erase(0, end + 1);
    if (command["execute"] == "qmp_capabilities") {
      out += "{\"return\": {}, \"id\": " + id + "}\r\n";
      continue;
    }
    for (bool answered = false; !answered && !over;) {
      over = answers.empty();
      std::string line(take_until(answers, "\n"));
      answered = line.starts_with("{\"return\"") || line.starts_with("{\"error\"");
      if (answered) line.insert(1, "\"id\": " + id + ", ");
      out += line + "\r\n";
    }
  }
  return out;
}

void run(std::string_view input) {
  constexpr std::string_view head = "ask ";
  if (!input.starts_with(head)) return run_session(input);
  input.remove_prefix(head.size());
  const auto name = take_until(input, "\n");
  PeerScript script;
  script.greeting = greeting;
  script.answer = [&input](std::string& received, bool& over) {
    return answer(received, over, input);
  };
  talk(name, qmp::Protocol::qmp, std::move(script));
}

}  // namespace
}  // namespace qemon::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qemon::fuzz::run(qemon::fuzz::text_of(data, size));
  return 0;
}
