#include "tests/fake_qemu/failure.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace qemon::fake {
namespace {

constexpr std::array<std::pair<std::string_view, FailureKind>, 12> kinds{{
    {"hang", FailureKind::hang},
    {"close", FailureKind::close},
    {"garbage", FailureKind::garbage},
    {"half", FailureKind::half},
    {"long", FailureKind::long_line},
    {"wrong-id", FailureKind::wrong_id},
    {"error-without-id", FailureKind::error_without_id},
    {"slow", FailureKind::slow},
    {"flood", FailureKind::flood},
    {"busy-flood", FailureKind::busy_flood},
    {"no-greeting", FailureKind::no_greeting},
    {"greeting-garbage", FailureKind::greeting_garbage},
}};

std::optional<unsigned> parse_number(std::string_view text) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Cuts `text` at the last `separator` and returns what stood behind it.
std::optional<std::string_view> take_suffix(std::string_view& text, char separator) {
  const auto at = text.rfind(separator);
  if (at == text.npos) return std::nullopt;
  const auto suffix = text.substr(at + 1);
  text = text.substr(0, at);
  return suffix;
}

}  // namespace

std::optional<Failure> parse_failure(std::string_view text) {
  Failure failure;
  if (const auto occurrence = take_suffix(text, '#')) {
    const auto number = parse_number(*occurrence);
    if (!number || *number == 0) return std::nullopt;
    failure.occurrence = *number;
  }
  if (const auto command = take_suffix(text, '@')) failure.command = *command;
  if (const auto delay = take_suffix(text, ':')) {
    const auto number = parse_number(*delay);
    if (!number) return std::nullopt;
    failure.delay = std::chrono::milliseconds(*number);
  }
  for (const auto& [name, kind] : kinds) {
    if (name != text) continue;
    failure.kind = kind;
    const bool at_greeting =
        kind == FailureKind::no_greeting || kind == FailureKind::greeting_garbage;
    if (at_greeting != failure.command.empty()) return std::nullopt;
    if ((kind == FailureKind::slow) != (failure.delay.count() > 0)) return std::nullopt;
    return failure;
  }
  return std::nullopt;
}

}  // namespace qemon::fake
