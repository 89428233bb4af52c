// One QMP command as a human monitor answers it, and what those who write such entries share.
// Includes nlohmann/json: for .cpp files.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace qemon::qmp {

/// What the lines of a command printed, one text for each: valid UTF-8, without CR and without line
/// breaks at the end, except for human-monitor-command.
using HmpTexts = std::span<const std::string>;

/// A QMP command: its lines, made of its arguments, and what their texts mean.
struct HmpTranslation {
  std::string_view command;
  Result<std::vector<std::string>> (*lines)(const nlohmann::json& arguments);
  Result<nlohmann::json> (*meaning)(const nlohmann::json& arguments, HmpTexts texts);
};

/// `lines` of a command without arguments.
template <const char*... line>
Result<std::vector<std::string>> fixed_lines(const nlohmann::json& /*arguments*/) {
  return std::vector<std::string>{line...};
}

inline Result<nlohmann::json> hmp_value(nlohmann::json result) {
  return {boost::system::in_place_value, std::move(result)};
}

/// A refusal that shows what was printed instead of what we know.
Error unexpected_hmp_text(std::string_view text);

/// The number behind `key` in `line`, as in "* CPU #0: thread_id=28048".
std::optional<std::int64_t> number_behind(std::string_view line, std::string_view key);

/// The entries for figures about the VM, which only collectors ask for.
std::span<const HmpTranslation> hmp_figures();

}  // namespace qemon::qmp
