// Reading the daemon's answers: a member that is missing or of another type reads as absent, never
// as a failure.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qemon::cli {

using Json = nlohmann::ordered_json;

/// A newer or older daemon may send more or less than we know, and both are fine.
[[nodiscard]] std::string text_at(const Json& object, std::string_view name);
[[nodiscard]] std::optional<double> number_at(const Json& object, std::string_view name);
/// 0 if it is absent, negative or no number.
[[nodiscard]] std::uint64_t count_at(const Json& object, std::string_view name);
[[nodiscard]] bool flag_at(const Json& object, std::string_view name);
/// An empty object if it is absent.
[[nodiscard]] const Json& object_at(const Json& object, std::string_view name);
/// An empty array if it is absent.
[[nodiscard]] const Json& array_at(const Json& object, std::string_view name);
/// The strings of an array; what is no string is left out.
[[nodiscard]] std::vector<std::string> texts_at(const Json& object, std::string_view name);

}  // namespace qemon::cli
