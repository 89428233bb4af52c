#include "daemon/web_api.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/version.hpp"
#include "daemon/landing_page.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;

namespace {

/// What caches must know, and the client.
void say_coding(ContentCoding coding, HttpResponse& response) {
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (coding == ContentCoding::gzip) response.headers.emplace_back("Content-Encoding", "gzip");
}

}  // namespace

asio::awaitable<HttpResponse> WebApi::handle(HttpRequest request) {
  if (request.method != "GET") {
    auto response =
        text_response(405, "this address is read-only: control is on the Unix socket, with qemon");
    response.headers.emplace_back("Allow", "GET, HEAD");
    co_return response;
  }
  if (request.path == "/metrics" || request.path == "/") {
    const auto coding = choose_coding(request.accept_encoding);
    if (!coding) co_return text_response(406, "Accept-Encoding takes neither of gzip and identity");
    if (request.path == "/") co_return landing(*coding);
    co_return co_await metrics(*coding);
  }
  if (request.path == "/-/healthy") co_return text_response(200, "qemond is Healthy.");
  if (request.path == "/-/ready") co_return ready();
  co_return text_response(404, "nothing here: see / for what there is");
}

asio::awaitable<HttpResponse> WebApi::metrics(ContentCoding coding) {
  HttpResponse response;
  response.shared_body = co_await pages_.get(coding);
  if (!response.shared_body) co_return text_response(500, "there is no memory for /metrics");
  response.content_type = exporters::metrics_content_type;
  say_coding(coding, response);
  co_return response;
}

HttpResponse WebApi::landing(ContentCoding coding) const {
  std::vector<LandingVm> rows;
  for (const auto& vm : vms_) {
    LandingVm row;
    row.name = vm->name();
    row.state = to_string(vm->state());
    row.detail = vm->state() == VmState::attached ? "QEMU " + vm->qemu_version() : vm->reason();
    rows.push_back(std::move(row));
  }
  HttpResponse response;
  response.content_type = landing_page_content_type;
  response.body = landing_page(version, rows);
  if (coding == ContentCoding::gzip) response.body = gzip(response.body);
  say_coding(coding, response);
  return response;
}

/// Ready once every VM was attached or found absent: a scrape before that would show VMs as down
/// that are not.
HttpResponse WebApi::ready() const {
  const bool settled =
      std::all_of(vms_.begin(), vms_.end(), [](const auto& vm) { return vm->settled(); });
  return settled ? text_response(200, "qemond is Ready.")
                 : text_response(503, "qemond is not Ready: still looking for its VMs.");
}

}  // namespace qemon::daemon
