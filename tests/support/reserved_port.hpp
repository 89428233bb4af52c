// ReservedPort: a TCP port at which nobody answers, and nobody else can come to.
#pragma once

#include <cstdint>
#include <utility>

#include "base/unique_fd.hpp"

namespace qemon::test {

/// A TCP port of 127.0.0.1 that is taken but on which nobody listens: connections are refused.
class ReservedPort {
 public:
  ReservedPort();
  [[nodiscard]] std::uint16_t number() const { return number_; }
  /// To listen on it.
  [[nodiscard]] UniqueFd take() { return std::move(socket_); }

 private:
  UniqueFd socket_;
  std::uint16_t number_ = 0;
};

}  // namespace qemon::test
