#include "daemon/collect_block_latency.hpp"

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "daemon/collect_support.hpp"
#include "daemon/latency_histograms.hpp"
#include "qmp/error.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

class LatencyReader {
 public:
  asio::awaitable<Result<Figures>> poll(CollectorView view) {
    if (session_ != view.session) {
      session_ = view.session;
      histograms_ = LatencyHistograms();
      refused_.clear();
    }
    auto answer = co_await ask(view, "query-blockstats", json());
    if (!answer) co_return answer.error();
    bool changed = false;
    const auto devices = histograms_.to_be_set(*answer);
    for (const LatencyHistograms::Device& device : devices) {
      if (refused_.contains(device.name)) continue;
      const auto id = co_await set_histogram(view, device.qdev);
      if (!id) co_return id.error();
      if (id->empty()) {
        refused_.insert(device.name);
        continue;
      }
      histograms_.was_set(device.name, *answer);
      changed = true;
    }
    if (changed) {
      answer = co_await ask(view, "query-blockstats", json());
      if (!answer) co_return answer.error();
    }
    co_return histograms_.figures(*answer);
  }

  /// Removes the histograms that were set. One that somebody replaced meanwhile goes too: QEMU does
  /// not tell whose it is.
  asio::awaitable<Result<void>> finish(CollectorView view) {
    session_.reset();
    const auto ids = view.changed.latency_histograms;
    for (const auto& id : ids) {
      json arguments = json::object();
      arguments["id"] = id;
      // A device that was unplugged took its histogram with it.
      const auto answer = co_await ask(view, "block-latency-histogram-set", std::move(arguments));
      if (!answer) co_return answer.error();
      view.changed.latency_histograms.erase(id);
    }
    if (ids.empty()) co_return Result<void>();
    co_return view.write_journal();
  }

 private:
  /// Returns under which id the histogram could be set, or an empty one if it could not.
  static asio::awaitable<Result<std::string>> set_histogram(CollectorView view, std::string qdev) {
    // What owns the drive of a virtio-blk-pci is its `virtio-backend`. 7.2 and 10.0 name that in
    // query-blockstats already; a device with an id of its own may be named by it instead.
    Result<std::string> found(boost::system::in_place_value);
    static constexpr std::array<const char*, 2> suffixes{"", "/virtio-backend"};
    for (const char* const suffix : suffixes) {
      std::string id = qdev + suffix;
      json arguments = json::object();
      arguments["id"] = id;
      arguments["boundaries"] = latency_boundaries();
      const bool is_new = view.changed.latency_histograms.insert(id).second;
      if (const auto written = view.write_journal(); !written) {
        if (is_new) view.changed.latency_histograms.erase(id);
        co_return written.error();
      }
      const auto answer = co_await view.client->execute("block-latency-histogram-set",
                                                        std::move(arguments), view.deadline);
      if (answer) {
        found.emplace(std::move(id));
        break;
      }
      if (!qmp::is_refusal(answer.error())) co_return answer.error();
      if (is_new) view.changed.latency_histograms.erase(id);
    }
    co_return std::move(found);
  }

  std::optional<std::uint64_t> session_;
  LatencyHistograms histograms_;
  std::set<std::string> refused_;  ///< Devices not to be tried again in this session.
};

}  // namespace

Collector block_latency_collector() {
  Collector collector;
  collector.name = "block-latency";
  collector.interval = 10s;
  collector.on_by_default = false;
  collector.needs = {"query-blockstats", "block-latency-histogram-set"};
  // Shared by the two functions and their copies, which std::function insists on making.
  const auto reader = std::make_shared<LatencyReader>();
  collector.poll = [reader](CollectorView view) { return reader->poll(view); };
  collector.finish = [reader](CollectorView view) { return reader->finish(view); };
  return collector;
}

}  // namespace qemon::daemon
