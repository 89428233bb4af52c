// ControlClient: asks qemond over its control socket and waits for the answer.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.hpp"

namespace qemon::cli {

/// One connection per request. Errors are complete sentences for the user: what failed, where, and
/// the cure.
class ControlClient {
 public:
  /// `answer_max` is generous, because switching events waits for the monitors of all VMs.
  explicit ControlClient(std::string path,
                         std::chrono::milliseconds answer_max = std::chrono::seconds(60))
      : path_(std::move(path)), answer_max_(answer_max) {}

  [[nodiscard]] Result<nlohmann::ordered_json> get(const std::string& target) const;
  [[nodiscard]] Result<nlohmann::ordered_json> post(const std::string& target,
                                                    const nlohmann::ordered_json& body) const;
  /// Another one, that waits longer for its answers.
  [[nodiscard]] ControlClient patient(std::chrono::milliseconds answer_max) const {
    return ControlClient(path_, answer_max);
  }

 private:
  [[nodiscard]] Result<nlohmann::ordered_json> request(const char* method,
                                                       const std::string& target,
                                                       const std::string& body) const;

  std::string path_;
  std::chrono::milliseconds answer_max_;
};

}  // namespace qemon::cli
