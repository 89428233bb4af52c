#include "cli/lease_text.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/text.hpp"

namespace qemon::cli {

namespace {

constexpr const char* forever = "forever";

/// For the parser: empty if it is a length.
std::string check_length(const std::string& text) {
  if (text == forever) return {};
  const Result<double> seconds = parse_duration(text);
  return seconds ? std::string() : seconds.error().detail + ", or forever";
}

std::string local_time(double seconds, const char* format) {
  const auto time = static_cast<std::time_t>(std::floor(seconds));
  std::tm parts{};
  if (::localtime_r(&time, &parts) == nullptr) return "?";
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
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
      duration == forever ? Result<double>(0.0) : parse_duration(duration);
  if (!seconds || *seconds <= 0) return;
  if (std::floor(*seconds) == *seconds && *seconds < 1e15) {
    body[name] = static_cast<std::uint64_t>(*seconds);
  } else {
    body[name] = *seconds;
  }
}

std::string clock_text(double seconds, double now) {
  const bool today = local_time(seconds, "%F") == local_time(now, "%F");
  return local_time(seconds, today ? "%T" : "%F %T");
}

std::string until_text(const Json& lease) {
  const auto until = number_at(lease, "until");
  if (!until) return forever;
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return clock_text(*until, now.count());
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
