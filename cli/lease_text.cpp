#include "cli/lease_text.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "base/sampling.hpp"
#include "cli/commands.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr const char* forever = "forever";
constexpr const char* not_sampled = "off";

/// For the parser: empty if it is a length.
std::string check_length(const std::string& text) {
  if (text == forever) return {};
  const Result<double> seconds = parse_seconds(text);
  return seconds ? std::string() : seconds.error().detail + ", or forever";
}

std::string local_time(double seconds, const char* format) {
  const auto time = static_cast<std::time_t>(std::floor(seconds));
  std::tm parts{};
  if (::localtime_r(&time, &parts) == nullptr) return "?";
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

/// Adds the member `sample` to a request: how, or null for off; nothing if `sample` is empty.
void add_sample(const std::string& sample, Json& body) {
  if (sample.empty()) return;
  body["sample"] = nullptr;
  const auto sampling = parse_sampling(sample);
  if (!sampling) return;
  body["sample"] = {{"on_seconds", static_cast<double>(sampling->on.count()) / 1000},
                    {"period_seconds", static_cast<double>(sampling->period.count()) / 1000}};
}

}  // namespace

void add_for_option(CLI::App& command, Invocation& invocation, const std::string& help) {
  command.add_option("--for", invocation.duration, help)
      ->type_name("DURATION")
      ->check(CLI::Validator(check_length, ""));
}

void add_length(const std::string& duration, const std::string& name, Json& body) {
  if (duration.empty()) return;
  body[name] = nullptr;
  const Result<double> seconds =
      duration == forever ? Result<double>(0.0) : parse_seconds(duration);
  if (!seconds || *seconds <= 0) return;
  if (std::floor(*seconds) == *seconds && *seconds < 1e15) {
    body[name] = static_cast<std::uint64_t>(*seconds);
  } else {
    body[name] = *seconds;
  }
}

void add_sample_option(CLI::App& command, Invocation& invocation, const std::string& help,
                       bool off) {
  const auto check = [off](const std::string& text) -> std::string {
    if (off && text == not_sampled) return {};
    const auto sampling = parse_sampling(text);
    return sampling ? std::string() : "'" + printable(text) + "' " + sampling.error().detail;
  };
  command.add_option("--sample", invocation.sample, help)
      ->type_name("ON/PERIOD")
      ->check(CLI::Validator(check, ""));
}

Json switch_request(const Invocation& invocation, const std::string& action,
                    const std::string& kind, const std::vector<std::string>& names) {
  Json body;
  body["action"] = action;
  body[kind] = names;
  add_length(invocation.duration, "for_seconds", body);
  add_sample(invocation.sample, body);
  if (!invocation.vm.empty()) body["vm"] = invocation.vm;
  return body;
}

std::string sample_text(const Json& object) {
  const Json& sample = object_at(object, "sample");
  const auto milliseconds = [&](const char* name) {
    const double seconds = number_at(sample, name).value_or(0);
    return std::chrono::milliseconds(seconds > 0 && seconds < 1e9 ? std::llround(seconds * 1000)
                                                                  : 0);
  };
  const Sampling sampling{milliseconds("on_seconds"), milliseconds("period_seconds")};
  return sampling.period.count() > 0 ? to_string(sampling) : std::string();
}

std::string clock_text(double seconds, double now) {
  const bool today = local_time(seconds, "%F") == local_time(now, "%F");
  return local_time(seconds, today ? "%T" : "%F %T");
}

std::string clock_text(double seconds) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return clock_text(seconds, now.count());
}

std::string until_text(const Json& lease) {
  const auto until = number_at(lease, "until");
  return until ? clock_text(*until) : forever;
}

std::string lease_suffix(const Json& answer) {
  const Json& lease = object_at(answer, "lease");
  if (count_at(lease, "id") == 0) return {};
  const std::string until = until_text(lease);
  return (until == forever ? " " : " until ") + until + " (lease " +
         std::to_string(count_at(lease, "id")) + ")";
}

std::string went_off(const Json& answer) {
  const std::vector<std::string> names = texts_at(answer, "changed");
  if (names.empty()) return {};
  return ": " + counted(names.size(), "event") + " off (" + name_list(names) + ")";
}

}  // namespace qemon::cli
