#include "daemon/collect_jit.hpp"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "daemon/collect_support.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;
using namespace std::chrono_literals;

namespace {

/// The first number behind `key` at the beginning of a line. "TB count" must not be found in "TB
/// count max", so a blank and the number follow it.
std::optional<std::uint64_t> number_after(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (!line.starts_with(key) || line.substr(key.size(), 1) != " ") continue;
    line = trimmed(line.substr(key.size()));
    if (const auto number = take_count(line)) return number;
  }
  return std::nullopt;
}

/// N of "gen code size       USED/N".
std::optional<std::uint64_t> code_size_max(std::string_view text) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    if (!line.starts_with("gen code size ")) continue;
    const std::size_t slash = line.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    line.remove_prefix(slash + 1);
    return take_count(line);
  }
  return std::nullopt;
}

struct Line {
  std::string_view key;
  bool counter = false;
  std::string_view name;
  std::string_view help;
};
constexpr std::array<Line, 8> lines{{
    {"gen code size", false, "qemu_jit_code_bytes", "Host code that TCG has generated and keeps."},
    {"TB count", false, "qemu_jit_blocks", "Translated blocks that TCG keeps."},
    {"TB avg target size", false, "qemu_jit_block_guest_bytes_average",
     "Mean size of the guest code of a translated block."},
    {"TB avg host size", false, "qemu_jit_block_host_bytes_average",
     "Mean size of the host code of a translated block."},
    {"cross page TB count", false, "qemu_jit_cross_page_blocks",
     "Translated blocks whose guest code is on two pages."},
    {"direct jump count", false, "qemu_jit_direct_jump_blocks",
     "Translated blocks that jump to the next one directly."},
    {"TB flush count", true, "qemu_jit_flushes_total",
     "How often TCG threw all translated blocks away."},
    {"TB invalidate count", true, "qemu_jit_invalidations_total",
     "Translated blocks that became invalid, for instance because their code was written to."},
}};

asio::awaitable<Result<Figures>> poll_jit(CollectorView view) {
  // Under KVM there is nothing to tell; where the accelerator is not known, QEMU's answer decides.
  if (view.identity.accelerator == "kvm") co_return Figures();
  const auto text = co_await ask_text(view, "x-query-jit", "info jit");
  if (!text) co_return text.error();
  co_return jit_figures(*text);
}

}  // namespace

Figures jit_figures(std::string_view text) {
  Figures figures;
  for (const Line& line : lines) {
    auto family =
        line.counter ? counter_family(line.name, line.help) : gauge_family(line.name, line.help);
    add_known(family, {}, number_after(text, line.key));
    add_family(figures, std::move(family));
  }
  auto size_max =
      gauge_family("qemu_jit_code_bytes_max", "Host code that TCG has room for; then it flushes.");
  add_known(size_max, {}, code_size_max(text));
  add_family(figures, std::move(size_max));

  auto tlb = counter_family("qemu_jit_tlb_flushes_total",
                            "Flushes of the emulated TLBs; elided ones were found unnecessary.");
  add_known(tlb, {{"kind", "full"}}, number_after(text, "TLB full flushes"));
  add_known(tlb, {{"kind", "partial"}}, number_after(text, "TLB partial flushes"));
  add_known(tlb, {{"kind", "elided"}}, number_after(text, "TLB elided flushes"));
  add_family(figures, std::move(tlb));
  return figures;
}

Collector jit_collector() {
  Collector collector;
  collector.name = "jit";
  collector.interval = 10s;
  collector.poll = poll_jit;
  return collector;
}

}  // namespace qemon::daemon
