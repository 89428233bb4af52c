// MonitorSession: the protocol of one monitor connection, QMP's or the human monitor's. Heavy: for
// .cpp files.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "qmp/endpoint.hpp"
#include "qmp/hmp_session.hpp"
#include "qmp/session.hpp"

namespace qemon::qmp {

/// Does what Session does, whichever of the two it holds. Chosen once, owned by a Connection.
class MonitorSession {
 public:
  explicit MonitorSession(Protocol protocol) {
    if (protocol == Protocol::hmp) session_.emplace<HmpSession>();
  }

  void receive(std::string_view bytes) {
    std::visit([bytes](auto& session) { session.receive(bytes); }, session_);
  }
  std::optional<Incoming> next() {
    return std::visit([](auto& session) { return session.next(); }, session_);
  }
  Result<CommandId> submit(std::string_view command, const nlohmann::json& arguments,
                           UniqueFd descriptor) {
    return std::visit(
        [&](auto& session) { return session.submit(command, arguments, std::move(descriptor)); },
        session_);
  }
  std::optional<Output> next_output() {
    return std::visit([](auto& session) { return session.next_output(); }, session_);
  }
  void abandon(CommandId id) {
    std::visit([id](auto& session) { session.abandon(id); }, session_);
  }
  void end(Error reason) {
    std::visit([&](auto& session) { session.end(std::move(reason)); }, session_);
  }

  [[nodiscard]] Protocol protocol() const {
    return std::holds_alternative<HmpSession>(session_) ? Protocol::hmp : Protocol::qmp;
  }
  [[nodiscard]] bool greeted() const {
    return std::visit([](const auto& session) { return session.greeted(); }, session_);
  }
  [[nodiscard]] bool ready() const {
    return std::visit([](const auto& session) { return session.ready(); }, session_);
  }
  [[nodiscard]] bool ended() const {
    return std::visit([](const auto& session) { return session.ended(); }, session_);
  }
  [[nodiscard]] const Error& end_reason() const {
    return std::visit([](const auto& session) -> const Error& { return session.end_reason(); },
                      session_);
  }
  [[nodiscard]] const Greeting& greeting() const {
    return std::visit([](const auto& session) -> const Greeting& { return session.greeting(); },
                      session_);
  }
  [[nodiscard]] const SessionCounts& counts() const {
    return std::visit([](const auto& session) -> const SessionCounts& { return session.counts(); },
                      session_);
  }

 private:
  std::variant<Session, HmpSession> session_;
};

}  // namespace qemon::qmp
