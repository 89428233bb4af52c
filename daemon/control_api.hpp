// The control API: HTTP and JSON on the Unix socket, version 1. It is what qemon speaks;
// docs/control-api.md describes it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/annotation.hpp"
#include "daemon/fleet.hpp"
#include "daemon/http_message.hpp"
#include "daemon/lease_length.hpp"
#include "daemon/marks.hpp"
#include "daemon/peer.hpp"
#include "exporters/pack_library.hpp"

namespace qemon::daemon {

class Experiments;

/// Answers the requests of one daemon. Owned by it, and outlives the HTTP server.
class ControlApi {
 public:
  struct About {
    std::string listen;  ///< The address that /metrics is served on, with its port.
    std::string control_socket;
  };
  ControlApi(Fleet& fleet, const exporters::PackLibrary& packs, Experiments& experiments,
             Marks& marks, ControlPolicy policy)
      : fleet_(fleet),
        packs_(packs),
        experiments_(experiments),
        marks_(marks),
        policy_(std::move(policy)) {}
  /// Who may read and who may control from now on.
  void set_policy(ControlPolicy policy) { policy_ = std::move(policy); }
  /// What a request to reload does; it returns the mistakes, a line each, that kept it from
  /// reloading.
  void on_reload(std::function<std::vector<std::string>()> reload) { reload_ = std::move(reload); }
  /// Of leases of which the command line does not say how long they are to last.
  void set_lease_length(LeaseLength length) { lease_length_ = length; }
  void set_about(About about) { about_ = std::move(about); }
  /// Told what users did.
  void on_annotation(AnnotationSink sink) { annotation_sink_ = std::move(sink); }

  boost::asio::awaitable<HttpResponse> handle(HttpRequest request);

 private:
  boost::asio::awaitable<HttpResponse> switch_events(HttpRequest request);
  boost::asio::awaitable<HttpResponse> measure_events(HttpRequest request);
  boost::asio::awaitable<HttpResponse> switch_packs(HttpRequest request);
  boost::asio::awaitable<HttpResponse> list_packs(HttpRequest request);
  [[nodiscard]] HttpResponse show_pack(const std::string& name) const;
  boost::asio::awaitable<HttpResponse> change_lease(HttpRequest request);
  boost::asio::awaitable<HttpResponse> restore(HttpRequest request);
  [[nodiscard]] HttpResponse list_experiments() const;
  [[nodiscard]] HttpResponse show_experiment(const std::string& name) const;
  boost::asio::awaitable<HttpResponse> start_experiment(HttpRequest request);
  boost::asio::awaitable<HttpResponse> change_experiment(HttpRequest request);
  [[nodiscard]] HttpResponse list_leases(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse reload(const HttpRequest& request);
  [[nodiscard]] HttpResponse status() const;
  [[nodiscard]] HttpResponse vms() const;
  [[nodiscard]] HttpResponse list_events(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse release(const std::string& name, const HttpRequest& request) const;
  [[nodiscard]] HttpResponse show_plugin(const std::string& name, const HttpRequest& request) const;
  [[nodiscard]] HttpResponse list_blocks(const std::string& name, const HttpRequest& request) const;
  [[nodiscard]] HttpResponse show_heat_maps(const std::string& name) const;
  [[nodiscard]] HttpResponse switch_plugin(const std::string& name, const HttpRequest& request);
  [[nodiscard]] HttpResponse attach(const std::string& name, const HttpRequest& request);
  [[nodiscard]] HttpResponse detach(const std::string& name, const HttpRequest& request);
  [[nodiscard]] HttpResponse add_mark(const HttpRequest& request);
  [[nodiscard]] HttpResponse list_marks(const HttpRequest& request) const;
  [[nodiscard]] HttpResponse no_such_vm(const std::string& name) const;
  void annotate(std::optional<Annotation> annotation) const;

  Fleet& fleet_;
  const exporters::PackLibrary& packs_;
  Experiments& experiments_;
  Marks& marks_;
  AnnotationSink annotation_sink_;
  std::function<std::vector<std::string>()> reload_;
  ControlPolicy policy_;
  LeaseLength lease_length_ = default_lease_length;
  About about_;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace qemon::daemon
