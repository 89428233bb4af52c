// What the collectors share: careful reading of JSON, questions to a monitor, and samples.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/text.hpp"
#include "daemon/collector.hpp"
#include "exporters/metrics_page.hpp"

namespace qemon::daemon {

/// No more series than this for one family, whatever a monitor says.
inline constexpr std::size_t collected_entries_max = 1000;

// Reading members of an answer. Whatever is missing or of another type is nothing.

/// The member `key` of an object, or null.
[[nodiscard]] const nlohmann::json* member(const nlohmann::json& object, std::string_view key);
/// An integer that is not negative.
[[nodiscard]] std::optional<std::uint64_t> count_of(const nlohmann::json& value);
[[nodiscard]] std::optional<std::uint64_t> count_in(const nlohmann::json& object,
                                                    std::string_view key);
[[nodiscard]] std::optional<bool> flag_in(const nlohmann::json& object, std::string_view key);
/// A string, on one line and cut after `bytes_max` bytes; empty if there is none.
[[nodiscard]] std::string text_in(const nlohmann::json& object, std::string_view key,
                                  std::size_t bytes_max = 200);
/// The elements of a list, of which only the first collected_entries_max count.
[[nodiscard]] std::span<const nlohmann::json> entries_of(const nlohmann::json& list);

/// What the command returns, or null if this QEMU does not have it or refuses it.
boost::asio::awaitable<Result<nlohmann::json>> ask(CollectorView view, std::string command,
                                                   nlohmann::json arguments);
/// The text of an `x-query-...` command, or what the human monitor prints for `line` where this
/// QEMU lacks that command; empty if it refuses both.
boost::asio::awaitable<Result<std::string>> ask_text(CollectorView view, std::string command,
                                                     std::string line);

/// Adds a sample if there is a value.
template <typename Number>
void add_known(prometheus::MetricFamily& family, exporters::LabelList labels,
               const std::optional<Number>& value) {
  if (value) exporters::add_sample(family, labels, *value);
}

/// Adds one series for each of `states`: 1 for the one that is `current`, 0 for all others. If
/// `current` is none of them, a further series `other` is 1.
void add_state_set(prometheus::MetricFamily& family, exporters::LabelList labels,
                   std::span<const std::string_view> states, std::string_view current);

/// Adds a histogram: `bounds` are what `le` says, ascending, and `bins` the counts between them,
/// one more than bounds. A sum that is not known is NaN.
void add_histogram(prometheus::MetricFamily& family, exporters::LabelList labels,
                   std::span<const double> bounds, std::span<const std::uint64_t> bins, double sum);

/// Moves the family to `figures`, unless it is empty.
void add_family(Figures& figures, prometheus::MetricFamily family);

/// Names for block devices that are the same in every collector: the id of the drive (`-drive id=`,
/// "ide0-hd0"); without one, what the guest device is called in the QOM tree (last_qom_name); and
/// without that the node's name, which changes with each start of QEMU if nobody gave it.
[[nodiscard]] std::string block_device_name(std::string_view drive, std::string_view qdev,
                                            std::string_view node_name);
/// "vd0" for "vd0" and for "/machine/peripheral/vd0/virtio-backend"; with the parent's name, as in
/// "peripheral-anon/device[0]", for a device that QEMU numbered itself.
[[nodiscard]] std::string last_qom_name(std::string_view qom_path);

}  // namespace qemon::daemon
