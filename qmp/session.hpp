// Session: the QMP protocol without any I/O: bytes in, messages and bytes out. Includes
// nlohmann/json: for .cpp files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "qmp/framer.hpp"
#include "qmp/message.hpp"

namespace qemon::qmp {

/// Numbers the commands of one session, in the order of submission.
using CommandId = std::uint64_t;

struct SessionLimits {
  /// The longest reply seen is 307 KB (trace-event-get-state of everything, on 7.2). Six times that
  /// is parsed in 25 ms, and everybody else waits meanwhile.
  std::size_t line_bytes_max = 2U << 20;
  /// Far above what QEMU sends (about 15 levels, for a deep backing chain about 100), far below
  /// what overflows a stack.
  std::size_t depth_max = 256;
  /// QEMU queues 8 in-band commands; with more it stops reading its socket.
  std::size_t on_wire_max = 8;
  /// Commands that wait for a place on the wire, and their bytes. One reconcile of every event of a
  /// VM is about 5,600.
  std::size_t queued_max = 16384;
  std::size_t queued_bytes_max = 16U << 20;
};

/// The answer to one of our commands: what `return` holds, or QEMU's error.
struct Reply {
  CommandId id = 0;
  Result<nlohmann::json> result;
};

/// The handshake is over; comes exactly once, before every Reply.
struct Ready {};

using Incoming = std::variant<Ready, Reply, EventMessage>;

/// Bytes to be written as one piece. `descriptor`, if any, goes with the first byte.
struct Output {
  CommandId id = 0;
  std::string bytes;
  UniqueFd descriptor;
};

struct SessionCounts {
  std::uint64_t unknown_ids = 0;    ///< Replies to nothing that we asked.
  std::uint64_t late_replies = 0;   ///< Replies to commands that were abandoned.
  std::uint64_t unasked_bytes = 0;  ///< Of QMP events, and of replies to nothing that we asked.
};

/// One connection's protocol state. Calling order: after `receive`, call `next` until it gives
/// nothing; after that and after `submit`, write what `next_output` gives, until it gives nothing.
/// All of it is safe in every state; once the session has ended (by itself on a protocol error, or
/// by `end`), nothing comes in and nothing goes out any more.
///
/// Owned by a Connection; not thread-safe; knows no clock: who waits too long calls `abandon`.
class Session {
 public:
  explicit Session(SessionLimits limits = {});

  // Incoming.
  void receive(std::string_view bytes);
  std::optional<Incoming> next();

  // Outgoing. A command submitted before the handshake is over waits for it.
  Result<CommandId> submit(std::string_view command, const nlohmann::json& arguments,
                           UniqueFd descriptor = {});
  std::optional<Output> next_output();

  /// Nobody waits for this command any more. If it is not on the wire yet, it is never sent; else
  /// its place on the wire stays taken until the reply comes, because it still takes a place in
  /// QEMU's queue.
  void abandon(CommandId id);

  /// Ends the session; the first reason stays.
  void end(Error reason);

  [[nodiscard]] bool greeted() const { return state_ != State::connected; }
  [[nodiscard]] bool ready() const { return state_ == State::ready && !end_reason_; }
  [[nodiscard]] bool ended() const { return end_reason_.has_value(); }
  /// Why the session ended; only when it has.
  [[nodiscard]] const Error& end_reason() const { return *end_reason_; }
  /// Only after the handshake.
  [[nodiscard]] const Greeting& greeting() const { return greeting_; }
  [[nodiscard]] const SessionCounts& counts() const { return counts_; }
  [[nodiscard]] std::size_t on_wire() const { return on_wire_.size(); }
  [[nodiscard]] std::size_t queued() const { return queue_.size(); }

 private:
  enum class State { connected, negotiating, ready };

  struct Queued {
    std::string bytes;
    UniqueFd descriptor;
  };

  struct OnWire {
    CommandId id = 0;
    bool abandoned = false;
    bool has_descriptor = false;
  };

  std::optional<Incoming> take(Greeting greeting);
  std::optional<Incoming> take(ReturnMessage message);
  std::optional<Incoming> take(ErrorMessage message);
  std::optional<Incoming> take(EventMessage message);
  std::optional<OnWire> take_from_wire(std::string_view id);
  bool descriptor_on_wire() const;

  const SessionLimits limits_;
  State state_ = State::connected;
  Framer framer_;
  Greeting greeting_;
  CommandId last_id_ = 0;
  CommandId negotiation_id_ = 0;
  std::optional<Output> negotiation_;
  std::map<CommandId, Queued> queue_;  // In the order of submission, because ids grow.
  std::size_t queued_bytes_ = 0;
  std::vector<OnWire> on_wire_;
  std::optional<Error> end_reason_;
  SessionCounts counts_;
};

}  // namespace qemon::qmp
