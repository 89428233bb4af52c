#include "daemon/collect_support.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/utf8.hpp"
#include "qmp/error.hpp"
#include "qmp/trace_commands.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using nlohmann::json;

const json* member(const json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::optional<std::uint64_t> count_of(const json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  // An integer that was parsed is unsigned if it is not negative, but one made in C++ may be
  // either.
  if (!value.is_number_unsigned() && value.get<std::int64_t>() < 0) return std::nullopt;
  return value.get<std::uint64_t>();
}

std::optional<std::uint64_t> count_in(const json& object, std::string_view key) {
  const json* const value = member(object, key);
  return value == nullptr ? std::nullopt : count_of(*value);
}

std::optional<bool> flag_in(const json& object, std::string_view key) {
  const json* const value = member(object, key);
  if (value == nullptr || !value->is_boolean()) return std::nullopt;
  return value->get<bool>();
}

std::string text_in(const json& object, std::string_view key, std::size_t bytes_max) {
  const json* const value = member(object, key);
  if (value == nullptr || !value->is_string()) return {};
  return one_line(value->get_ref<const std::string&>(), bytes_max);
}

std::span<const json> entries_of(const json& list) {
  if (!list.is_array()) return {};
  const auto& entries = list.get_ref<const json::array_t&>();
  return std::span(entries).first(std::min(entries.size(), collected_entries_max));
}

asio::awaitable<Result<json>> ask(CollectorView view, std::string command, json arguments) {
  auto answer =
      co_await view.client->execute(std::move(command), std::move(arguments), view.deadline);
  if (!answer && qmp::is_refusal(answer.error())) answer.emplace();
  co_return std::move(answer);
}

asio::awaitable<Result<std::string>> ask_text(CollectorView view, std::string command,
                                              std::string line) {
  if (view.commands.contains(command)) {
    const auto answer = co_await ask(view, std::move(command), json());
    if (!answer) co_return answer.error();
    Result<std::string> text(boost::system::in_place_value);
    if (const json* const found = member(*answer, "human-readable-text");
        found != nullptr && found->is_string()) {
      text.emplace(found->get<std::string>());
    }
    co_return std::move(text);
  }
  auto text = co_await qmp::human_command(*view.client, std::move(line), view.deadline);
  if (!text && qmp::is_refusal(text.error())) text.emplace();
  co_return std::move(text);
}

namespace {

prometheus::ClientMetric& add_labelled(prometheus::MetricFamily& family,
                                       exporters::LabelList labels) {
  exporters::add_value(family, labels, 0);
  return family.metric.back();
}

}  // namespace

void add_state_set(prometheus::MetricFamily& family, exporters::LabelList labels,
                   std::span<const std::string_view> states, std::string_view current) {
  const auto add = [&](std::string_view state, bool is_current) {
    prometheus::ClientMetric& metric = add_labelled(family, labels);
    prometheus::ClientMetric::Label& label = metric.label.emplace_back();
    label.name = "state";
    label.value = state;
    metric.gauge.value = is_current ? 1 : 0;
  };
  bool known = false;
  for (const std::string_view state : states) {
    known = known || state == current;
    add(state, state == current);
  }
  if (!known) add("other", true);
}

void add_histogram(prometheus::MetricFamily& family, exporters::LabelList labels,
                   std::span<const double> bounds, std::span<const std::uint64_t> bins,
                   double sum) {
  prometheus::ClientMetric::Histogram histogram;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < bins.size(); ++i) {
    count += bins[i];
    prometheus::ClientMetric::Bucket& bucket = histogram.bucket.emplace_back();
    bucket.cumulative_count = count;
    bucket.upper_bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
  }
  histogram.sample_count = count;
  histogram.sample_sum = sum;
  add_labelled(family, labels).histogram = std::move(histogram);
}

void add_family(Figures& figures, prometheus::MetricFamily family) {
  if (!family.metric.empty()) figures.push_back(std::move(family));
}

std::string last_qom_name(std::string_view qom_path) {
  constexpr std::string_view backend = "/virtio-backend";
  if (qom_path.ends_with(backend)) qom_path.remove_suffix(backend.size());
  std::size_t begin = qom_path.rfind('/');
  if (begin == std::string_view::npos) return std::string(qom_path);
  if (qom_path.ends_with(']') && begin > 0) {
    const std::size_t parent = qom_path.rfind('/', begin - 1);
    if (parent != std::string_view::npos) begin = parent;
  }
  return std::string(qom_path.substr(begin + 1));
}

std::string block_device_name(std::string_view drive, std::string_view qdev,
                              std::string_view node_name) {
  if (!drive.empty()) return std::string(drive);
  if (std::string name = last_qom_name(qdev); !name.empty()) return name;
  return std::string(node_name);
}

}  // namespace qemon::daemon
