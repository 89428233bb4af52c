// The control API: HTTP and JSON on the Unix socket, version 1. It is what qemon speaks;
// docs/control-api.md describes it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <string>

#include "daemon/http_message.hpp"
#include "daemon/peer.hpp"
#include "daemon/vm_metrics.hpp"

namespace qemon::daemon {

/// Answers the requests of one daemon. Owned by it, and outlives the HTTP server.
class ControlApi {
 public:
  struct About {
    std::string listen;  ///< The address that /metrics is served on, with its port.
    std::string control_socket;
  };
  ControlApi(const VmList& vms, ControlPolicy policy) : vms_(vms), policy_(policy) {}
  void set_about(About about) { about_ = std::move(about); }

  boost::asio::awaitable<HttpResponse> handle(HttpRequest request);

 private:
  boost::asio::awaitable<HttpResponse> switch_events(HttpRequest request);
  [[nodiscard]] HttpResponse status() const;
  [[nodiscard]] HttpResponse vms() const;
  [[nodiscard]] HttpResponse list_events(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse release(const std::string& name, const HttpRequest& request) const;
  [[nodiscard]] Vm* find(const std::string& name) const;
  [[nodiscard]] HttpResponse no_such_vm(const std::string& name) const;

  const VmList& vms_;
  ControlPolicy policy_;
  About about_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace qemon::daemon
