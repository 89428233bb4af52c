// The ways in which talking to a monitor fails, as error codes that a caller can compare.
#pragma once

#include <string>
#include <string_view>
#include <system_error>

#include "base/result.hpp"

namespace qemon::qmp {

enum class errc {
  timed_out = 1,  ///< No answer before the deadline: QEMU's main loop is blocked, or nobody reads
                  ///< our commands.
  busy,           ///< Connected, but no greeting: a monitor serves one client at a time.
  closed,         ///< The session is over: the peer hung up, or we closed it.
  protocol,       ///< The peer does not talk QMP, or no longer does.
  line_too_long,  ///< A message is longer than we accept.
  queue_full,     ///< Too many commands wait for a peer that does not answer.
  unsupported,    ///< This connection cannot do that (a human monitor, descriptors over TCP).
  invalid_argument,   ///< We refuse to send it.
  command_failed,     ///< QEMU said no: GenericError, and every class not listed here.
  command_not_found,  ///< This QEMU does not have the command.
  device_not_active,
  device_not_found,
  kvm_missing_capability,
};

const std::error_category& qmp_category();
std::error_code make_error_code(errc code);

/// An Error with one of our codes; `detail` is one line for a person.
Error make_error(errc code, std::string detail);

/// The code for the `class` member of a QMP error reply.
errc errc_of_class(std::string_view error_class);

/// Whether QEMU understood the command and refused it, so that the session goes on and the answer
/// will not change by itself.
bool is_refusal(const Error& error);

}  // namespace qemon::qmp

template <>
struct std::is_error_code_enum<qemon::qmp::errc> : std::true_type {};
