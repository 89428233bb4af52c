#include "qmp/allowed_commands.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "qmp/error.hpp"

namespace qemon::qmp {

namespace {

// Sorted, so that it can be searched.
constexpr std::array<std::string_view, 30> commands{
    "add-fd",
    "block-latency-histogram-set",
    "human-monitor-command",
    "qmp_capabilities",
    "qom-get",
    "query-accelerators",
    "query-balloon",
    "query-block-jobs",
    "query-blockstats",
    "query-commands",
    "query-cpus-fast",
    "query-dirty-rate",
    "query-iothreads",
    "query-jobs",
    "query-kvm",
    "query-memory-size-summary",
    "query-migrate",
    "query-name",
    "query-replay",
    "query-stats",
    "query-stats-schemas",
    "query-status",
    "query-target",
    "query-uuid",
    "query-version",
    "remove-fd",
    "trace-event-get-state",
    "trace-event-set-state",
    "x-query-irq",
    "x-query-jit",
};
static_assert(std::ranges::is_sorted(commands));

constexpr std::array<AllowedLine, 32> lines{{
    {"help trace-file"},
    {"info balloon"},
    {"info block"},
    {"info block-jobs"},
    {"info blockstats"},
    {"info cpus"},
    {"info dirty_rate"},
    {"info iothreads"},
    {"info irq"},
    {"info jit"},
    {"info kvm"},
    {"info memory_size_summary"},
    {"info migrate"},
    {"info name"},
    {"info replay"},
    {"info status"},
    {"info sync-profile 50"},
    {"info trace-events", true},
    {"info uuid"},
    {"info version"},
    {"log help"},
    {"logfile", true},
    {"qom-get", true},
    {"sync-profile"},
    {"sync-profile off"},
    {"sync-profile on"},
    {"trace-event", true},
    {"trace-file"},
    {"trace-file flush"},
    {"trace-file off"},
    {"trace-file on"},
    {"trace-file set", true},
}};

bool fits(const AllowedLine& allowed, std::string_view line) {
  if (!line.starts_with(allowed.words)) return false;
  line.remove_prefix(allowed.words.size());
  return line.empty() || (allowed.with_arguments && line.front() == ' ');
}

}  // namespace

std::span<const std::string_view> allowed_commands() {
  return commands;
}

std::span<const AllowedLine> allowed_lines() {
  return lines;
}

bool is_allowed_line(std::string_view line) {
  const bool plain = std::ranges::none_of(
      line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return plain &&
         std::ranges::any_of(lines, [&](const AllowedLine& each) { return fits(each, line); });
}

Result<void> check_allowed(std::string_view command, const nlohmann::json& arguments) {
  if (!std::ranges::binary_search(commands, command)) {
    return make_error(errc::invalid_argument,
                      "not sent: qemon does not send this command to any monitor");
  }
  if (command != "human-monitor-command") return Result<void>();
  const auto line = arguments.is_object() ? arguments.find("command-line") : arguments.end();
  if (line != arguments.end() && line->is_string() &&
      is_allowed_line(line->get_ref<const std::string&>())) {
    return Result<void>();
  }
  return make_error(errc::invalid_argument,
                    "not sent: qemon does not type this line into any monitor");
}

}  // namespace qemon::qmp
