// ExperimentStore: the experiments that have ended, in files of the runtime directory.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "daemon/private_folder.hpp"

namespace qemon::daemon {

/// RUNTIME-DIRECTORY/experiments: one file for each, NAME.json. Bounded in number and in bytes;
/// what began first goes first. Also holds a file for each one that runs, with its leases, so that
/// the next qemond knows of it after a crash. Owned by an Experiments.
class ExperimentStore {
 public:
  static constexpr std::size_t kept_max = 100;
  static constexpr std::size_t bytes_max = std::size_t{64} << 20;

  struct Opened;
  [[nodiscard]] static Result<Opened> open(const std::string& runtime_directory);

  /// Of each that has ended: what lists tell.
  [[nodiscard]] const std::map<std::string, nlohmann::json>& headers() const { return headers_; }
  [[nodiscard]] bool contains(const std::string& name) const { return headers_.contains(name); }
  /// The whole summary, as JSON.
  [[nodiscard]] Result<std::string> read(const std::string& name) const;

  /// One that runs.
  [[nodiscard]] Result<void> write_running(const std::string& name, const nlohmann::json& about);
  /// One that has ended: `header` is for lists, `summary` all of it. Makes room.
  [[nodiscard]] Result<void> write(const std::string& name, nlohmann::json header,
                                   const nlohmann::json& summary);
  [[nodiscard]] Result<void> remove(const std::string& name);

 private:
  explicit ExperimentStore(PrivateFolder folder) : folder_(std::move(folder)) {}
  void make_room(const std::string& except);

  PrivateFolder folder_;
  std::map<std::string, nlohmann::json> headers_;
  std::map<std::string, std::size_t> sizes_;
};

struct ExperimentStore::Opened {
  ExperimentStore store;
  std::vector<nlohmann::json> running;  ///< What an earlier qemond wrote of those that ran.
  std::vector<std::string> refused;     ///< A line each, with the file's path and why.
};

}  // namespace qemon::daemon
