#include "qmp/hmp_translation.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.hpp"
#include "base/utf8.hpp"
#include "qmp/error.hpp"
#include "qmp/hmp_table.hpp"
#include "qmp/hmp_text.hpp"

namespace qemon::qmp {

using nlohmann::json;

namespace {

std::optional<std::string> string_argument(const json& arguments, const char* key) {
  if (!arguments.is_object()) return std::nullopt;
  const auto found = arguments.find(key);
  if (found == arguments.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

Error missing(const char* key) {
  return make_error(errc::invalid_argument, "the argument " + std::string(key) + " is missing");
}

/// What was printed instead of an answer, as the reason; it may be nothing but blanks.
Error refusal(std::string_view text) {
  auto message = one_line(text);
  if (message.empty()) return unexpected_hmp_text(text);
  return make_error(errc::command_failed, std::move(message));
}

Result<std::vector<std::string>> human_lines(const json& arguments) {
  auto line = string_argument(arguments, "command-line");
  if (!line) return missing("command-line");
  if (arguments.size() > 1) {
    return make_error(errc::invalid_argument, "a human monitor takes the command-line only");
  }
  return std::vector<std::string>{std::move(*line)};
}

constexpr char version_line[] = "info version";
constexpr char name_line[] = "info name";
constexpr char uuid_line[] = "info uuid";
constexpr char status_line[] = "info status";
constexpr char cpus_line[] = "info cpus";
constexpr char iothreads_line[] = "info iothreads";
constexpr char kvm_line[] = "info kvm";

// "7.2.22Debian 1:7.2+dfsg-7+deb12u18+b3"
Result<json> version_meaning(const json& /*arguments*/, HmpTexts texts) {
  std::string_view text = texts[0];
  std::array<int, 3> numbers{};
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0 && !text.starts_with('.')) return unexpected_hmp_text(texts[0]);
    if (i > 0) text.remove_prefix(1);
    const auto number = take_number<int>(text);
    if (!number) return unexpected_hmp_text(texts[0]);
    numbers[i] = *number;
  }
  return hmp_value({{"qemu", {{"major", numbers[0]}, {"minor", numbers[1]}, {"micro", numbers[2]}}},
                    {"package", one_line(text)}});
}

Result<json> name_meaning(const json& /*arguments*/, HmpTexts texts) {
  json name = json::object();
  if (!texts[0].empty()) name["name"] = texts[0];
  return hmp_value(std::move(name));
}

Result<json> uuid_meaning(const json& /*arguments*/, HmpTexts texts) {
  if (texts[0].size() != 36 ||
      texts[0].find_first_not_of("0123456789abcdefABCDEF-") != std::string::npos) {
    return unexpected_hmp_text(texts[0]);
  }
  return hmp_value({{"UUID", texts[0]}});
}

// "VM status: running", "VM status: paused (postmigrate)", up to 8.2 also with " (single step
// mode)" behind the first word.
Result<json> status_meaning(const json& /*arguments*/, HmpTexts texts) {
  constexpr std::string_view head = "VM status: ";
  constexpr std::string_view single_step = " (single step mode)";
  std::string text = texts[0];
  if (!text.starts_with(head)) return unexpected_hmp_text(texts[0]);
  text.erase(0, head.size());
  if (const auto at = text.find(single_step); at != text.npos) text.erase(at, single_step.size());
  const bool running = text == "running";
  const std::string_view paused = "paused (";
  if (text.starts_with(paused) && text.ends_with(')')) {
    text = text.substr(paused.size(), text.size() - paused.size() - 1);
  } else if (!running && text != "paused") {
    return unexpected_hmp_text(texts[0]);
  }
  return hmp_value({{"running", running}, {"status", text}});
}

// "* CPU #0: thread_id=28048" a line; the star marks the one that `cpu` chose.
Result<json> cpus_meaning(const json& /*arguments*/, HmpTexts texts) {
  json cpus = json::array();
  std::string_view text = texts[0];
  while (!text.empty()) {
    const auto line = take_line(text);
    const auto index = number_behind(line, "CPU #");
    const auto thread = number_behind(line, "thread_id=");
    if (!index || !thread) return unexpected_hmp_text(line);
    cpus.push_back({{"cpu-index", *index}, {"thread-id", *thread}});
  }
  return hmp_value(std::move(cpus));
}

// "io0:" and below it "  thread_id=1" and other numbers.
Result<json> iothreads_meaning(const json& /*arguments*/, HmpTexts texts) {
  json threads = json::array();
  std::string id;
  std::string_view text = texts[0];
  while (!text.empty()) {
    const auto line = take_line(text);
    if (!line.starts_with(' ') && line.ends_with(':')) {
      id = line.substr(0, line.size() - 1);
    } else if (const auto thread = number_behind(line, "  thread_id=")) {
      threads.push_back({{"id", id}, {"thread-id", *thread}});
    } else if (!line.starts_with(' ')) {
      return unexpected_hmp_text(line);
    }
  }
  return hmp_value(std::move(threads));
}

Result<json> kvm_meaning(const json& /*arguments*/, HmpTexts texts) {
  constexpr std::string_view head = "kvm support: ";
  const std::string& text = texts[0];
  if (!text.starts_with(head)) return unexpected_hmp_text(text);
  const auto state = text.substr(head.size());
  if (state != "enabled" && state != "disabled" && state != "not compiled")
    return unexpected_hmp_text(text);
  return hmp_value({{"enabled", state == "enabled"}, {"present", state != "not compiled"}});
}

Result<std::vector<std::string>> property_lines(const json& arguments) {
  std::string line = "qom-get";
  for (const char* key : {"path", "property"}) {
    const auto text = string_argument(arguments, key);
    if (!text) return missing(key);
    const auto quoted = quote_hmp_argument(*text);
    if (!quoted) return quoted.error();
    line += " " + *quoted;
  }
  return std::vector<std::string>{std::move(line)};
}

// JSON, or a message. Plain values only: nobody needs more, and nested ones would have to be
// limited before they are parsed.
Result<json> property_meaning(const json& /*arguments*/, HmpTexts texts) {
  const std::string& text = texts[0];
  if (text.starts_with('{') || text.starts_with('[')) {
    return make_error(errc::command_failed, "only plain values can be read from a human monitor");
  }
  auto parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return refusal(text);
  return hmp_value(std::move(parsed));
}

Result<std::vector<std::string>> get_state_lines(const json& arguments) {
  const auto pattern = string_argument(arguments, "name");
  if (!pattern) return missing("name");
  if (*pattern == "*") return std::vector<std::string>{"info trace-events"};
  const auto quoted = quote_hmp_argument(*pattern);
  if (!quoted) return quoted.error();
  return std::vector<std::string>{"info trace-events " + *quoted};
}

// The human monitor shows an event that is compiled out as one that is off.
Result<json> get_state_meaning(const json& /*arguments*/, HmpTexts texts) {
  json states = json::array();
  for (const auto& line : parse_trace_event_lines(texts[0])) {
    states.push_back({{"name", line.name}, {"state", line.on ? "enabled" : "disabled"}});
  }
  // `unknown event "x"`; nothing at all for a pattern that matches nothing.
  if (states.empty() && !texts[0].empty()) {
    return refusal(texts[0]);
  }
  return hmp_value(std::move(states));
}

Result<std::vector<std::string>> set_state_lines(const json& arguments) {
  const auto name = string_argument(arguments, "name");
  if (!name) return missing("name");
  const auto enable = arguments.find("enable");
  if (enable == arguments.end() || !enable->is_boolean()) return missing("enable");
  const auto quoted = quote_hmp_argument(*name);
  if (!quoted) return quoted.error();
  return std::vector<std::string>{"trace-event " + *quoted + (enable->get<bool>() ? " on" : " off"),
                                  "info trace-events " + *quoted};
}

// The human monitor says nothing when it could not switch an event on, so the state is read back.
Result<json> set_state_meaning(const json& arguments, HmpTexts texts) {
  if (!texts[0].empty()) return refusal(texts[0]);
  const bool enable = arguments.at("enable").get<bool>();
  const auto lines = parse_trace_event_lines(texts[1]);
  if (lines.empty() && !texts[1].empty()) return unexpected_hmp_text(texts[1]);
  for (const auto& line : lines) {
    if (line.on == enable) continue;
    const std::string event = "event \"" + one_line(line.name) + "\"";
    return make_error(errc::command_failed,
                      enable ? event + " stays off: it is compiled out" : event + " stays on");
  }
  return hmp_value(json::object());
}

Result<json> human_meaning(const json& /*arguments*/, HmpTexts texts) {
  return hmp_value(texts[0]);
}

constexpr HmpTranslation translations[] = {
    {"human-monitor-command", human_lines, human_meaning},
    {"qom-get", property_lines, property_meaning},
    {"query-cpus-fast", fixed_lines<cpus_line>, cpus_meaning},
    {"query-iothreads", fixed_lines<iothreads_line>, iothreads_meaning},
    {"query-kvm", fixed_lines<kvm_line>, kvm_meaning},
    {"query-name", fixed_lines<name_line>, name_meaning},
    {"query-status", fixed_lines<status_line>, status_meaning},
    {"query-uuid", fixed_lines<uuid_line>, uuid_meaning},
    {"query-version", fixed_lines<version_line>, version_meaning},
    {"trace-event-get-state", get_state_lines, get_state_meaning},
    {"trace-event-set-state", set_state_lines, set_state_meaning},
};

const HmpTranslation* find_translation(std::string_view command) {
  for (const auto table : {std::span<const HmpTranslation>(translations), hmp_figures()}) {
    for (const auto& translation : table) {
      if (translation.command == command) return &translation;
    }
  }
  return nullptr;
}

// query-commands needs no line that tells anything, but an answer of a monitor that lives.
constexpr std::string_view list_command = "query-commands";

json command_list() {
  json list = json::array();
  list.push_back({{"name", list_command}});
  for (const auto table : {std::span<const HmpTranslation>(translations), hmp_figures()}) {
    for (const auto& translation : table) list.push_back({{"name", translation.command}});
  }
  return list;
}

}  // namespace

Error unexpected_hmp_text(std::string_view text) {
  return make_error(errc::command_failed,
                    "unexpected answer of the human monitor \"" + one_line(text, 80) + "\"");
}

std::optional<std::int64_t> number_behind(std::string_view line, std::string_view key) {
  const auto at = line.find(key);
  if (at == line.npos) return std::nullopt;
  line.remove_prefix(at + key.size());
  return take_number<std::int64_t>(line);
}

Result<std::vector<std::string>> hmp_lines_for(std::string_view command, const json& arguments) {
  if (command == list_command) return std::vector<std::string>{std::string()};
  const auto* translation = find_translation(command);
  if (translation == nullptr) {
    return make_error(errc::command_not_found, "a human monitor has nothing like it");
  }
  return translation->lines(arguments);
}

Result<json> translate_hmp(std::string_view command, const json& arguments, HmpTexts texts) {
  if (command == list_command) return hmp_value(command_list());
  const auto* translation = find_translation(command);
  if (translation == nullptr || texts.empty()) return unexpected_hmp_text("");
  std::vector<std::string> clean;
  for (const auto& text : texts) {
    // As QMP does it: what is not UTF-8 cannot be in JSON.
    auto valid = to_valid_utf8(text);
    clean.push_back(translation->meaning == human_meaning ? std::move(valid)
                                                          : clean_hmp_text(valid));
  }
  const auto unknown = std::find_if(clean.begin(), clean.end(), [](const std::string& text) {
    return text.starts_with("unknown command: ");
  });
  if (translation->meaning != human_meaning && unknown != clean.end()) {
    return make_error(errc::command_not_found, "human monitor: " + one_line(*unknown));
  }
  return translation->meaning(arguments, clean);
}

}  // namespace qemon::qmp
