#include "qmp/error.hpp"

#include <utility>

namespace qemon::qmp {

namespace {

class Category : public std::error_category {
 public:
  const char* name() const noexcept override { return "qmp"; }

  std::string message(int value) const override {
    switch (static_cast<errc>(value)) {
      case errc::timed_out:
        return "no answer in time";
      case errc::busy:
        return "another client holds this monitor";
      case errc::closed:
        return "the monitor session is closed";
      case errc::protocol:
        return "the peer does not speak QMP";
      case errc::line_too_long:
        return "the monitor sent too long a message";
      case errc::queue_full:
        return "too many commands are waiting";
      case errc::unsupported:
        return "not possible over this connection";
      case errc::invalid_argument:
        return "invalid argument";
      case errc::command_failed:
        return "QEMU refused the command";
      case errc::command_not_found:
        return "QEMU does not know the command";
      case errc::device_not_active:
        return "the device is not active";
      case errc::device_not_found:
        return "there is no such device";
      case errc::kvm_missing_capability:
        return "KVM lacks a capability";
    }
    return "unknown error " + std::to_string(value);
  }
};

}  // namespace

const std::error_category& qmp_category() {
  // An error category is compared by address, so there is exactly one; it holds no state.
  static const Category category;
  return category;
}

std::error_code make_error_code(errc code) {
  return {static_cast<int>(code), qmp_category()};
}

Error make_error(errc code, std::string detail) {
  return Error{std::move(detail), make_error_code(code)};
}

errc errc_of_class(std::string_view error_class) {
  if (error_class == "CommandNotFound") return errc::command_not_found;
  if (error_class == "DeviceNotActive") return errc::device_not_active;
  if (error_class == "DeviceNotFound") return errc::device_not_found;
  if (error_class == "KVMMissingCap") return errc::kvm_missing_capability;
  return errc::command_failed;
}

bool is_refusal(const Error& error) {
  return error.code == errc::command_failed || error.code == errc::command_not_found ||
         error.code == errc::device_not_active || error.code == errc::device_not_found ||
         error.code == errc::kvm_missing_capability;
}

}  // namespace qemon::qmp
