#include "daemon/qmp_event_annotations.hpp"

#include <nlohmann/json.hpp>

#include "daemon/budget.hpp"
#include "daemon/collect_support.hpp"

namespace qemon::daemon {

using nlohmann::json;

namespace {

constexpr std::chrono::seconds quiet_after_one{10};
constexpr std::size_t texts_max = 100;

std::string or_unknown(std::string text) {
  return text.empty() ? "unknown" : std::move(text);
}

/// "RESET: guest-reset, by the guest"
std::string with_cause(const qmp::Event& event) {
  std::string text(event.name);
  const auto reason = text_in(event.data, "reason");
  const auto guest = flag_in(event.data, "guest");
  if (!reason.empty()) text += ": " + reason;
  if (guest) text += *guest ? ", by the guest" : ", by the host";
  return text;
}

std::string text_of(const qmp::Event& event) {
  if (event.name == "RESET" || event.name == "SHUTDOWN") return with_cause(event);
  if (event.name == "WATCHDOG" || event.name == "GUEST_PANICKED")
    return std::string(event.name) + ": action " + or_unknown(text_in(event.data, "action"));
  if (event.name != "BLOCK_IO_ERROR") return {};
  const auto device =
      block_device_name(text_in(event.data, "device"), text_in(event.data, "qom-path"),
                        text_in(event.data, "node-name"));
  auto text = "BLOCK_IO_ERROR: " + or_unknown(text_in(event.data, "operation")) + " on " +
              or_unknown(device) + ", action " + or_unknown(text_in(event.data, "action"));
  if (const auto reason = text_in(event.data, "reason"); !reason.empty()) text += ": " + reason;
  return text;
}

}  // namespace

std::optional<Annotation> QmpEventAnnotations::annotate(const qmp::Event& event,
                                                        std::chrono::steady_clock::time_point now) {
  auto text = text_of(event);
  if (text.empty()) return std::nullopt;
  // Texts come from the VM; what is forgotten is at worst annotated too often.
  if (told_.size() >= texts_max && !told_.contains(text)) told_.clear();
  const auto [place, is_new] = told_.try_emplace(text, Told{now, 0});
  auto& told = place->second;
  if (!is_new && now - told.time < quiet_after_one) {
    ++told.not_told;
    return std::nullopt;
  }
  if (told.not_told > 0)
    text += " (and " + grouped(static_cast<double>(told.not_told)) + " more since the last one)";
  told = Told{now, 0};
  Annotation annotation;
  annotation.begin = event.time;
  annotation.kind = "qmp";
  annotation.text = std::move(text);
  annotation.tags.emplace_back(event.name);
  return annotation;
}

}  // namespace qemon::daemon
