#include "cli/fields.hpp"

#include <nlohmann/json.hpp>

namespace qemon::cli {

namespace {

const Json* member(const Json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(std::string(name));
  return found == object.end() ? nullptr : &*found;
}

}  // namespace

std::string text_at(const Json& object, std::string_view name) {
  const Json* const value = member(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::optional<double> number_at(const Json& object, std::string_view name) {
  const Json* const value = member(object, name);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->get<double>();
}

std::uint64_t count_at(const Json& object, std::string_view name) {
  const Json* const value = member(object, name);
  return value != nullptr && value->is_number_unsigned() ? value->get<std::uint64_t>() : 0;
}

bool flag_at(const Json& object, std::string_view name) {
  const Json* const value = member(object, name);
  return value != nullptr && value->is_boolean() && value->get<bool>();
}

const Json& object_at(const Json& object, std::string_view name) {
  static const Json empty = Json::object();
  const Json* const value = member(object, name);
  return value != nullptr && value->is_object() ? *value : empty;
}

const Json& array_at(const Json& object, std::string_view name) {
  static const Json empty = Json::array();
  const Json* const value = member(object, name);
  return value != nullptr && value->is_array() ? *value : empty;
}

std::vector<std::string> texts_at(const Json& object, std::string_view name) {
  std::vector<std::string> texts;
  for (const Json& value : array_at(object, name))
    if (value.is_string()) texts.push_back(value.get<std::string>());
  return texts;
}

}  // namespace qemon::cli
