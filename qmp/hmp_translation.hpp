// What a human monitor can tell of QMP: the lines that answer a QMP command, and what their text
// means as JSON. Includes nlohmann/json: for .cpp files.
#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace qemon::qmp {

/// The lines to run for a QMP command. errc::command_not_found if no line of the human monitor
/// answers it, errc::invalid_argument if its arguments are not what we can put in a line.
Result<std::vector<std::string>> hmp_lines_for(std::string_view command,
                                               const nlohmann::json& arguments);

/// What QMP would have returned, given what those lines printed, one text for each. Where the human
/// monitor knows less, members are missing. Errors are refusals.
Result<nlohmann::json> translate_hmp(std::string_view command, const nlohmann::json& arguments,
                                     std::span<const std::string> texts);

}  // namespace qemon::qmp
