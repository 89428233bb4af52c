#include "daemon/collect_replay.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

asio::awaitable<Result<Figures>> poll_replay(CollectorView view) {
  const auto answer = co_await ask(view, "query-replay", json());
  if (!answer) co_return answer.error();
  co_return replay_figures(*answer);
}

}  // namespace

Figures replay_figures(const json& replay) {
  auto instructions = exporters::counter_family(
      "qemu_guest_instructions_total",
      "Instructions that the guest has executed, where QEMU counts them (-icount).");
  // QEMU says 0 where it does not count.
  const auto count = count_in(replay, "icount");
  if (count && *count > 0) exporters::add_sample(instructions, {}, *count);
  Figures figures;
  add_family(figures, std::move(instructions));
  return figures;
}

Collector replay_collector() {
  Collector collector;
  collector.name = "replay";
  collector.interval = 5s;
  collector.needs = {"query-replay"};
  collector.poll = poll_replay;
  return collector;
}

}  // namespace qemon::daemon
