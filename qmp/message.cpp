#include "qmp/message.hpp"

#include <algorithm>

#include "base/utf8.hpp"
#include "qmp/error.hpp"

namespace qemon::qmp {

namespace {

using nlohmann::json;

Error nonsense(std::string_view what, std::string_view text) {
  return make_error(errc::protocol,
                    "the monitor sent " + std::string(what) + ": " + one_line(text, 80));
}

// The member `key` of `object` if it is there and a string, else "".
std::string string_member(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return "";
  return found->get<std::string>();
}

int int_member(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return -1;
  const auto value = found->get<std::int64_t>();
  return value >= 0 && value <= 1'000'000 ? static_cast<int>(value) : -1;
}

std::optional<std::string> id_of(const json& message) {
  const auto found = message.find("id");
  if (found == message.end()) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  return found->dump();
}

Result<Message> parse_greeting(const json& qmp, std::string_view text) {
  if (!qmp.is_object() || !qmp.contains("version") || !qmp["version"].is_object()) {
    return nonsense("a greeting without a version", text);
  }
  const json& version = qmp["version"];
  if (!version.contains("qemu") || !version["qemu"].is_object()) {
    return nonsense("a greeting without a version", text);
  }
  const json& qemu = version["qemu"];
  Greeting greeting;
  greeting.version.major = int_member(qemu, "major");
  greeting.version.minor = int_member(qemu, "minor");
  greeting.version.micro = int_member(qemu, "micro");
  if (std::min({greeting.version.major, greeting.version.minor, greeting.version.micro}) < 0) {
    return nonsense("a greeting with a version that is not three numbers", text);
  }
  greeting.package = one_line(string_member(version, "package"));
  const auto capabilities = qmp.find("capabilities");
  if (capabilities != qmp.end() && capabilities->is_array()) {
    greeting.oob =
        std::find(capabilities->begin(), capabilities->end(), "oob") != capabilities->end();
  }
  return Message(std::move(greeting));
}

Result<Message> parse_error(json& message, std::string_view text) {
  const json& error = message["error"];
  if (!error.is_object()) return nonsense("an error that is not an object", text);
  ErrorMessage parsed;
  parsed.id = id_of(message);
  parsed.error_class = string_member(error, "class");
  parsed.desc = string_member(error, "desc");
  return Message(std::move(parsed));
}

Result<Message> parse_event(json& message, std::string_view text) {
  EventMessage parsed;
  parsed.name = string_member(message, "event");
  if (parsed.name.empty()) return nonsense("an event without a name", text);
  const auto data = message.find("data");
  if (data != message.end()) {
    if (!data->is_object()) return nonsense("an event whose data are not an object", text);
    parsed.data = std::move(*data);
  }
  const auto stamp = message.find("timestamp");
  if (stamp != message.end() && stamp->is_object()) {
    // QEMU writes -1 in both when it cannot tell the time; that becomes the epoch. The bound keeps
    // the sum from overflowing.
    const auto seconds = stamp->value("seconds", json(-1));
    const auto microseconds = stamp->value("microseconds", json(-1));
    constexpr std::int64_t seconds_max = 1LL << 33;
    if (seconds.is_number_integer() && microseconds.is_number_integer()) {
      const auto s = seconds.get<std::int64_t>();
      const auto us = microseconds.get<std::int64_t>();
      if (s >= 0 && s <= seconds_max && us >= 0 && us < 1'000'000) {
        parsed.time += std::chrono::seconds(s) + std::chrono::microseconds(us);
      }
    }
  }
  return Message(std::move(parsed));
}

}  // namespace

Result<Message> parse_message(std::string_view text) {
  json message = json::parse(text, nullptr, false);
  if (message.is_discarded()) return nonsense("something that is not JSON", text);
  if (!message.is_object()) return nonsense("something that is not an object", text);
  // The kind is told by the one member that only this kind has. Member order is arbitrary.
  if (message.contains("return")) {
    ReturnMessage parsed;
    parsed.id = id_of(message);
    parsed.value = std::move(message["return"]);
    return Message(std::move(parsed));
  }
  if (message.contains("error")) return parse_error(message, text);
  if (message.contains("event")) return parse_event(message, text);
  if (message.contains("QMP")) return parse_greeting(message["QMP"], text);
  return nonsense("an object that is no QMP message", text);
}

}  // namespace qemon::qmp
