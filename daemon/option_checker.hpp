// OptionChecker: options of qemond's command line that have a form of their own, and what is wrong
// with them.
#pragma once

#include <string>
#include <vector>

#include "daemon/config.hpp"

namespace qemon::daemon {

/// "HOST:PORT", as HttpServer::listen_tcp takes it.
[[nodiscard]] bool is_listen_address(const std::string& listen);
inline constexpr const char* how_listen_addresses_look =
    "write ADDRESS:PORT, for instance 127.0.0.1:9749 or [::1]:9749";

/// Each add_ function puts what one option says into a configuration, or notes a mistake, a line
/// each.
class OptionChecker {
 public:
  void add_vm(const std::string& option, Config& config);
  void add_catalog(const std::string& option, Config& config);
  void add_discovery(const std::string& option, Config& config);
  void add_pack(const std::string& option, Config& config);
  void add_collector(const std::string& option, Config& config);
  void add_poll_interval(const std::string& option, Config& config);
  void add_budget(const std::string& option, Config& config);
  void add_backend(const std::string& option, Config& config);
  void check_groups(const std::string& option, const std::vector<std::string>& groups);
  void check_listen(const std::string& listen);

  void fail(const std::string& text) { mistakes_.push_back(text); }
  [[nodiscard]] const std::vector<std::string>& mistakes() const { return mistakes_; }

 private:
  std::vector<std::string> mistakes_;
};

}  // namespace qemon::daemon
