// The part of ControlApi that starts, stops and tells experiments.
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "base/utf8.hpp"
#include "daemon/control_answers.hpp"
#include "daemon/control_api.hpp"
#include "daemon/experiments.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

// Of a command line that is remembered.
constexpr std::size_t command_bytes_max = 4096;

HttpResponse refusal(const Error& error) {
  if (error.code == std::errc::no_such_file_or_directory) return refuse(404, error.detail);
  return refuse(error.code == std::errc::file_exists ? 409 : 400, error.detail);
}

/// The object "labels", of texts.
Result<std::map<std::string, std::string>> parse_labels(const json& body) {
  std::map<std::string, std::string> labels;
  const auto given = body.find("labels");
  if (given == body.end() || given->is_null()) return labels;
  if (!given->is_object()) return Error{"\"labels\" must be an object of texts"};
  for (const auto& [name, value] : given->items()) {
    if (!value.is_string()) return Error{"\"labels\" must be an object of texts"};
    labels.emplace(name, to_valid_utf8(value.get_ref<const std::string&>()));
  }
  return labels;
}

/// The words of "command", as many as are remembered.
Result<std::vector<std::string>> parse_command(const json& body) {
  std::vector<std::string> words;
  const auto given = body.find("command");
  if (given == body.end() || given->is_null()) return words;
  if (!given->is_array()) return Error{"\"command\" must be an array of texts"};
  std::size_t bytes = 0;
  for (const auto& word : *given) {
    if (!word.is_string()) return Error{"\"command\" must be an array of texts"};
    auto text = to_valid_utf8(word.get_ref<const std::string&>());
    bytes += text.size() + 1;
    if (bytes > command_bytes_max) {
      words.emplace_back("...");
      break;
    }
    words.push_back(std::move(text));
  }
  return words;
}

Result<bool> parse_flag(const json& body, const char* name) {
  const auto given = body.find(name);
  if (given == body.end() || given->is_null()) return false;
  if (!given->is_boolean()) return Error{"\"" + std::string(name) + "\" must be true or false"};
  return given->get<bool>();
}

Result<ExperimentWish> parse_experiment(const json& body, LeaseLength default_length) {
  ExperimentWish wish;
  const auto name = body.find("name");
  if (name == body.end() || !name->is_string())
    return Error{"\"name\" must be the name of the experiment"};
  wish.name = name->get<std::string>();
  auto vm = parse_vm(body);
  if (!vm) return vm.error();
  wish.vm = std::move(*vm);
  if (const auto packs = body.find("packs");
      packs != body.end() && !(packs->is_array() && packs->empty())) {
    auto parsed = parse_names(body, "packs", "names of packs");
    if (!parsed) return parsed.error();
    wish.packs = std::move(*parsed);
  }
  auto labels = parse_labels(body);
  if (!labels) return labels.error();
  wish.labels = std::move(*labels);
  auto command = parse_command(body);
  if (!command) return command.error();
  wish.command = std::move(*command);
  wish.length = default_length;
  if (const auto length = body.find("for_seconds"); length != body.end()) {
    auto parsed = parse_length(*length, "for_seconds");
    if (!parsed) return parsed.error();
    wish.length = *parsed;
  }
  const auto attended = parse_flag(body, "attended");
  if (!attended) return attended.error();
  wish.attended = *attended;
  const auto replace = parse_flag(body, "replace");
  if (!replace) return replace.error();
  wish.replace = *replace;
  return wish;
}

}  // namespace

HttpResponse ControlApi::list_experiments() const {
  json body;
  body["experiments"] = experiments_.list();
  return answer(body);
}

HttpResponse ControlApi::show_experiment(const std::string& name) const {
  auto text = experiments_.show(name);
  if (!text) return refusal(text.error());
  HttpResponse response;
  response.content_type = "application/json";
  response.body = std::move(*text) + "\n";
  return response;
}

asio::awaitable<HttpResponse> ControlApi::start_experiment(HttpRequest request) {
  const auto body = parse_body(request);
  if (body.is_discarded()) co_return refuse(400, "the body is no JSON object");
  if (body.value("action", json()) != "start")
    co_return refuse(400, "\"action\" must be \"start\"");
  auto wish = parse_experiment(body, lease_length_);
  if (!wish) co_return refusal(wish.error());
  if (!wish->vm.empty() && !fleet_.find(wish->vm)) co_return no_such_vm(wish->vm);
  wish->asker = asker_of(request);
  auto begun = co_await experiments_.start(std::move(*wish));
  if (!begun) co_return refusal(begun.error());
  co_return answer(*begun);
}

asio::awaitable<HttpResponse> ControlApi::change_experiment(HttpRequest request) {
  const auto body = parse_body(request);
  if (body.is_discarded()) co_return refuse(400, "the body is no JSON object");
  const auto action = body.value("action", json());
  const std::string name = request.segments[2];
  const auto asker = to_string(asker_of(request));
  if (action == "stop") {
    auto stopped = co_await experiments_.stop(name, asker);
    if (!stopped) co_return refusal(stopped.error());
    co_return answer(*stopped);
  }
  if (action == "extend") {
    auto length = body.contains("seconds") ? parse_length(body.at("seconds"), "seconds")
                                           : Result<LeaseLength>(lease_length_);
    if (!length) co_return refusal(length.error());
    auto extended = experiments_.extend(name, *length);
    if (!extended) co_return refusal(extended.error());
    co_return answer(*extended);
  }
  if (action != "delete")
    co_return refuse(400, "\"action\" must be \"stop\", \"extend\" or \"delete\"");
  auto removed = experiments_.remove(name);
  if (!removed) co_return refusal(removed.error());
  spdlog::info("experiment={} deleted by={}", name, asker);
  json gone;
  gone["name"] = name;
  co_return answer(gone);
}

}  // namespace qemon::daemon
