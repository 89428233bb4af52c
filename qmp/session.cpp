#include "qmp/session.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/utf8.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

namespace {

using nlohmann::json;

// Our ids are strings of their own kind, so that a reply meant for somebody else (a proxy in
// between) is recognised.
constexpr std::string_view id_prefix = "qemon-";

std::optional<CommandId> parse_id(std::string_view text) {
  if (!text.starts_with(id_prefix)) return std::nullopt;
  text.remove_prefix(id_prefix.size());
  CommandId id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

Result<std::string> serialize(std::string_view command, const json& arguments, CommandId id) {
  json message = json::object();
  message["execute"] = command;
  if (!arguments.is_null()) message["arguments"] = arguments;
  message["id"] = std::string(id_prefix) + std::to_string(id);
  try {
    return {boost::system::in_place_value, message.dump() + "\n"};
  } catch (const json::exception&) {
    // The one thing that dump refuses. Replacing the bytes would name another file than was meant.
    return make_error(errc::invalid_argument, "the arguments are not valid UTF-8");
  }
}

}  // namespace

Session::Session(SessionLimits limits)
    : limits_(limits), framer_(limits.line_bytes_max, limits.depth_max) {}

void Session::receive(std::string_view bytes) {
  if (!ended()) framer_.feed(bytes);
}

std::optional<Incoming> Session::next() {
  while (!ended()) {
    const auto text = framer_.next();
    if (!text) {
      end(text.error());
      break;
    }
    if (!*text) break;
    const std::size_t size = (*text)->size();
    auto message = parse_message(**text);
    if (!message) {
      end(std::move(message).error());
      break;
    }
    const auto unknown_before = counts_.unknown_ids;
    const bool is_event = std::holds_alternative<EventMessage>(*message);
    auto incoming = std::visit([this](auto& kind) { return take(std::move(kind)); }, *message);
    if (is_event || counts_.unknown_ids != unknown_before) counts_.unasked_bytes += size;
    if (incoming) return incoming;
  }
  return std::nullopt;
}

Result<CommandId> Session::submit(std::string_view command, const json& arguments,
                                  UniqueFd descriptor) {
  if (ended()) return end_reason();
  const CommandId id = last_id_ + 1;
  auto bytes = serialize(command, arguments, id);
  if (!bytes) return bytes.error();
  if (queue_.size() >= limits_.queued_max ||
      queued_bytes_ + bytes->size() > limits_.queued_bytes_max) {
    return make_error(errc::queue_full, "not sent: " + std::to_string(queue_.size()) +
                                            " commands wait already and QEMU does not answer");
  }
  last_id_ = id;
  queued_bytes_ += bytes->size();
  queue_.emplace(id, Queued{std::move(*bytes), std::move(descriptor)});
  return id;
}

std::optional<Output> Session::next_output() {
  if (ended()) return std::nullopt;
  if (negotiation_) return std::exchange(negotiation_, std::nullopt);
  if (state_ != State::ready || queue_.empty() || on_wire_.size() >= limits_.on_wire_max) {
    return std::nullopt;
  }
  const auto first = queue_.begin();
  const bool has_descriptor = static_cast<bool>(first->second.descriptor);
  // QEMU keeps the descriptors of one message only (chardev/char-socket.c): a second that arrives
  // before the first was used replaces it, and the first command would take the second one's file.
  if (has_descriptor && descriptor_on_wire()) return std::nullopt;
  Output output{first->first, std::move(first->second.bytes), std::move(first->second.descriptor)};
  queued_bytes_ -= output.bytes.size();
  queue_.erase(first);
  on_wire_.push_back({output.id, false, has_descriptor});
  return output;
}

void Session::abandon(CommandId id) {
  const auto queued = queue_.find(id);
  if (queued != queue_.end()) {
    queued_bytes_ -= queued->second.bytes.size();
    queue_.erase(queued);
    return;
  }
  for (OnWire& command : on_wire_) {
    if (command.id == id) command.abandoned = true;
  }
  // One whose main loop is blocked will answer all of them, later.
  const bool all_abandoned =
      std::all_of(on_wire_.begin(), on_wire_.end(), [](const OnWire& c) { return c.abandoned; });
  if (counts_.unknown_ids > 0 && on_wire_.size() >= limits_.on_wire_max && all_abandoned) {
    end(make_error(errc::protocol, "the monitor answers with ids that we never gave"));
  }
}

void Session::end(Error reason) {
  if (ended()) return;
  end_reason_ = std::move(reason);
  negotiation_.reset();
  queue_.clear();
  queued_bytes_ = 0;
  on_wire_.clear();
}

std::optional<Incoming> Session::take(Greeting greeting) {
  if (state_ != State::connected) {
    end(make_error(errc::protocol, "the monitor greeted a second time"));
    return std::nullopt;
  }
  greeting_ = std::move(greeting);
  state_ = State::negotiating;
  negotiation_id_ = ++last_id_;
  auto bytes = serialize("qmp_capabilities", nullptr, negotiation_id_);
  negotiation_ = Output{negotiation_id_, std::move(*bytes), UniqueFd()};
  on_wire_.push_back({negotiation_id_, false, false});
  return std::nullopt;
}

std::optional<Incoming> Session::take(ReturnMessage message) {
  if (state_ == State::connected) {
    end(make_error(errc::protocol, "the monitor answered before it greeted"));
    return std::nullopt;
  }
  const auto command = message.id ? take_from_wire(*message.id) : std::nullopt;
  if (!command) {
    ++counts_.unknown_ids;
    return std::nullopt;
  }
  if (command->id == negotiation_id_) {
    state_ = State::ready;
    return Ready{};
  }
  if (command->abandoned) {
    ++counts_.late_replies;
    return std::nullopt;
  }
  Result<json> result(boost::system::in_place_value, std::move(message.value));
  return Reply{command->id, std::move(result)};
}

std::optional<Incoming> Session::take(ErrorMessage message) {
  const std::string desc = one_line(message.desc.empty() ? message.error_class : message.desc);
  if (!message.id) {
    // Only a server that could not parse what we sent answers without an id, and what it lost is
    // unknown.
    end(make_error(errc::protocol, "the monitor could not parse what we sent: " + desc));
    return std::nullopt;
  }
  const auto command = take_from_wire(*message.id);
  if (!command) {
    ++counts_.unknown_ids;
    return std::nullopt;
  }
  if (command->id == negotiation_id_) {
    end(make_error(errc::protocol, "the monitor refused qmp_capabilities: " + desc));
    return std::nullopt;
  }
  if (command->abandoned) {
    ++counts_.late_replies;
    return std::nullopt;
  }
  return Reply{command->id, make_error(errc_of_class(message.error_class), desc)};
}

std::optional<Incoming> Session::take(EventMessage message) {
  if (state_ == State::connected) {
    end(make_error(errc::protocol, "the monitor sent an event before it greeted"));
    return std::nullopt;
  }
  return Incoming(std::move(message));
}

std::optional<Session::OnWire> Session::take_from_wire(std::string_view id) {
  const auto wanted = parse_id(id);
  const auto found = std::find_if(on_wire_.begin(), on_wire_.end(),
                                  [&](const OnWire& command) { return command.id == wanted; });
  if (found == on_wire_.end()) return std::nullopt;
  const OnWire command = *found;
  // Without out-of-band execution QEMU answers in order: the replies to earlier commands will not
  // come any more.
  std::erase_if(on_wire_, [&](const OnWire& c) {
    return c.id == command.id || (c.abandoned && c.id < command.id);
  });
  return command;
}

bool Session::descriptor_on_wire() const {
  return std::any_of(on_wire_.begin(), on_wire_.end(),
                     [](const OnWire& command) { return command.has_descriptor; });
}

}  // namespace qemon::qmp
