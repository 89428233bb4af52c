#include "daemon/collect_migration.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::gauge_family;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

// MigrationStatus of QEMU's qapi/migration.json, 6.2 to 11, without "none".
constexpr std::array<std::string_view, 15> statuses{"setup",
                                                    "active",
                                                    "postcopy-device",
                                                    "postcopy-active",
                                                    "postcopy-paused",
                                                    "postcopy-recover-setup",
                                                    "postcopy-recover",
                                                    "pre-switchover",
                                                    "device",
                                                    "wait-unplug",
                                                    "colo",
                                                    "completed",
                                                    "failed",
                                                    "cancelling",
                                                    "cancelled"};

struct Gauge {
  std::string_view name;
  std::string_view help;
  std::string_view key;
  double divisor = 1;
};
constexpr std::array<Gauge, 4> times{{
    {"qemu_migration_elapsed_seconds", "Time since the migration began, or that it took.",
     "total-time", 1000},
    {"qemu_migration_downtime_seconds", "How long the guest stood still, once it is over.",
     "downtime", 1000},
    {"qemu_migration_expected_downtime_seconds", "How long the guest would stand still now.",
     "expected-downtime", 1000},
    {"qemu_migration_setup_seconds", "Time that preparing the migration took.", "setup-time", 1000},
}};
constexpr std::array<Gauge, 5> ram_figures{{
    {"qemu_migration_ram_transferred_bytes", "Memory sent so far in this migration.",
     "transferred"},
    {"qemu_migration_ram_remaining_bytes", "Memory still to be sent.", "remaining"},
    {"qemu_migration_ram_total_bytes", "Memory of the guest that is to be migrated.", "total"},
    {"qemu_migration_dirty_pages_per_second", "Pages that the guest writes to in a second.",
     "dirty-pages-rate"},
    {"qemu_migration_iterations", "How often the guest's dirty pages were looked up.",
     "dirty-sync-count"},
}};

void add_gauges(Figures& figures, const json& object, std::span<const Gauge> gauges) {
  for (const Gauge& gauge : gauges) {
    auto family = gauge_family(gauge.name, gauge.help);
    const auto count = count_in(object, gauge.key);
    if (count) exporters::add_sample(family, {}, static_cast<double>(*count) / gauge.divisor);
    add_family(figures, std::move(family));
  }
}

asio::awaitable<Result<Figures>> poll_migration(CollectorView view) {
  const auto answer = co_await ask(view, "query-migrate", json());
  if (!answer) co_return answer.error();
  co_return migration_figures(*answer);
}

}  // namespace

Figures migration_figures(const json& migration) {
  const std::string status = text_in(migration, "status");
  if (status.empty() || status == "none") return {};
  auto state = gauge_family("qemu_migration_status",
                            "1 for the status of the current migration, or of the last one.");
  bool known = false;
  for (const std::string_view one : statuses) {
    known = known || one == status;
    exporters::add_sample(state, {{"status", one}}, one == status ? 1 : 0);
  }
  if (!known) exporters::add_sample(state, {{"status", "other"}}, 1);

  Figures figures;
  add_family(figures, std::move(state));
  add_gauges(figures, migration, times);
  if (const json* const ram = member(migration, "ram")) add_gauges(figures, *ram, ram_figures);
  return figures;
}

Collector migration_collector() {
  Collector collector;
  collector.name = "migration";
  collector.interval = 2s;
  collector.needs = {"query-migrate"};
  collector.poll = poll_migration;
  return collector;
}

}  // namespace qemon::daemon
