#include "daemon/control_answers.hpp"

#include <array>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/json_nesting.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

constexpr std::size_t names_max = 1000;

/// What the member "sample" asks for; null is not to sample.
Result<std::optional<Sampling>> parse_sample(const json& value) {
  if (value.is_null()) return std::optional<Sampling>();
  const auto milliseconds = [&](const char* name) {
    const auto found = value.is_object() ? value.find(name) : value.end();
    const double seconds = found != value.end() && found->is_number() ? found->get<double>() : 0;
    return std::chrono::milliseconds(seconds > 0 && seconds < 1e6 ? std::llround(seconds * 1000)
                                                                  : 0);
  };
  const Sampling sampling{milliseconds("on_seconds"), milliseconds("period_seconds")};
  const auto checked = check_sampling(sampling);
  if (!checked)
    return Error{"\"sample\" must be null or have \"on_seconds\" and \"period_seconds\": " +
                 checked.error().detail};
  return std::optional<Sampling>(sampling);
}

}  // namespace

HttpResponse answer(const json& body, unsigned status) {
  HttpResponse response;
  response.status = status;
  response.content_type = "application/json";
  // Texts from QEMU may hold anything; what is not UTF-8 is replaced.
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  return response;
}

HttpResponse refuse(unsigned status, const std::string& why) {
  return answer({{"error", why}}, status);
}

HttpResponse wrong_method(const std::string& allowed) {
  auto response = refuse(405, "this address takes " + allowed + " only");
  response.headers.emplace_back("Allow", allowed);
  return response;
}

/// The body as a JSON object; a discarded value if it is none.
json parse_body(const HttpRequest& request) {
  if (nests_deeper_than(request.body, json_depth_max)) return json(json::value_t::discarded);
  auto body = json::parse(request.body, nullptr, false);
  return body.is_object() ? body : json(json::value_t::discarded);
}

Result<std::vector<std::string>> parse_names(const json& body, const std::string& list,
                                             const std::string& what) {
  const auto names = body.find(list);
  if (names == body.end() || !names->is_array() || names->empty() || names->size() > names_max) {
    return Error{"\"" + list + "\" must be an array of 1 to " + std::to_string(names_max) + " " +
                 what};
  }
  std::vector<std::string> parsed;
  for (const auto& name : *names) {
    if (!name.is_string() || name.get_ref<const std::string&>().empty())
      return Error{"\"" + list + "\" holds something else than " + what};
    parsed.push_back(name.get<std::string>());
  }
  return parsed;
}

Result<SwitchWish> parse_wish(const HttpRequest& request, const std::string& list,
                              const std::string& what, LeaseLength default_length) {
  const auto body = parse_body(request);
  if (body.is_discarded()) return Error{"the body is no JSON object"};
  const auto action = body.find("action");
  if (action == body.end() || (*action != "on" && *action != "off"))
    return Error{"\"action\" must be \"on\" or \"off\""};
  SwitchWish wish;
  wish.on = *action == "on";
  auto names = parse_names(body, list, what);
  if (!names) return names.error();
  wish.names = std::move(*names);
  auto vm = parse_vm(body);
  if (!vm) return vm.error();
  wish.vm = std::move(*vm);
  wish.length = default_length;
  if (const auto length = body.find("for_seconds"); length != body.end()) {
    auto parsed = parse_length(*length, "for_seconds");
    if (!parsed) return parsed.error();
    wish.length = *parsed;
  }
  if (const auto sample = body.find("sample"); sample != body.end()) {
    auto parsed = parse_sample(*sample);
    if (!parsed) return parsed.error();
    wish.sample = {true, *parsed};
  }
  return wish;
}

Result<std::string> parse_vm(const json& body) {
  const auto vm = body.find("vm");
  if (vm == body.end() || vm->is_null()) return {boost::system::in_place_value};
  if (!vm->is_string()) return Error{"\"vm\" must be the name of a VM"};
  return {boost::system::in_place_value, vm->get<std::string>()};
}

Result<LeaseLength> parse_length(const json& value, const std::string& name) {
  if (value.is_null()) return LeaseLength();
  const std::chrono::duration<double> longest = lease_length_max;
  const double seconds = value.is_number() ? value.get<double>() : 0;
  if (!(seconds >= 0.001) || seconds > longest.count()) {
    return Error{"\"" + name +
                 "\" must be a number of seconds, up to ten years, or null for forever"};
  }
  return LeaseLength(std::chrono::milliseconds(std::llround(seconds * 1000)));
}

Asker asker_of(const HttpRequest& request) {
  if (!request.peer) return {"unknown", std::nullopt};
  return {user_name(request.peer->uid), request.peer->uid};
}

std::string utc_text(const std::optional<BootClock::time_point>& until) {
  if (!until) return "forever";
  const auto time = std::chrono::system_clock::to_time_t(wall_time(*until));
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

}  // namespace qemon::daemon
