// Result<T> and Error: how a recoverable failure is returned instead of thrown.
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace qemon {

/// A failure that the caller can act on. `detail` is one line for a person: who, what and why,
/// built from the inside out with `wrap`. `code` is empty when there is nothing more to tell apart
/// than the text.
struct [[nodiscard]] Error {
  std::string detail;
  std::error_code code{};
};

/// Either a T or an Error. Usage:
///   Result<int> parse(...);
///   auto number = parse(...);
///   if (!number) return wrap(number.error(), "line 3");
///   use(*number);
template <typename T>
using Result = boost::system::result<T, Error>;

/// Puts `context` (who and what) in front of an error's text, and keeps its code.
inline Error wrap(Error error, std::string_view context) {
  error.detail = std::string(context) + ": " + error.detail;
  return error;
}

/// An error of the operating system, as `context: strerror(number)`; `number` is an errno value.
inline Error system_error(int number, std::string_view context) {
  const std::error_code code(number, std::generic_category());
  return Error{std::string(context) + ": " + code.message(), code};
}

/// Called by boost::system::result when value() is asked of an error: a bug in the caller, so the
/// program ends.
[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& location);

}  // namespace qemon
