#include "daemon/web_api.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "base/version.hpp"
#include "daemon/landing_page.hpp"
#include "daemon/vm.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

// Longer than nearly every page takes, and short against the 10 ms that a turn may take at most.
constexpr std::chrono::milliseconds turn_max{3};

}  // namespace

asio::awaitable<HttpResponse> WebApi::handle(HttpRequest request) {
  if (request.method != "GET") {
    auto response =
        text_response(405, "this address is read-only: control is on the Unix socket, with qemon");
    response.headers.emplace_back("Allow", "GET, HEAD");
    co_return response;
  }
  if (request.path == "/metrics") co_return co_await metrics();
  if (request.path == "/") co_return landing();
  if (request.path == "/-/healthy") co_return text_response(200, "qemond is Healthy.");
  if (request.path == "/-/ready") co_return ready();
  co_return text_response(404, "nothing here: see / for what there is");
}

/// In short turns, so that a big page does not hold up the VMs.
asio::awaitable<HttpResponse> WebApi::metrics() {
  const auto executor = co_await asio::this_coro::executor;
  HttpResponse response;
  response.content_type = exporters::metrics_content_type;
  // Growing by doubling would take three times the page's size for a moment.
  response.body.reserve(page_bytes_ + page_bytes_ / 16);
  auto writers = page_.writers();
  auto turn_began = Clock::now();
  for (auto& writer : writers) {
    for (bool more = true; more;) {
      more = writer(response.body);
      if (Clock::now() - turn_began < turn_max) continue;
      co_await asio::post(executor, asio::use_awaitable);
      turn_began = Clock::now();
    }
  }
  page_bytes_ = response.body.size();
  co_return response;
}

HttpResponse WebApi::landing() const {
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
