#include "daemon/collect_tcg_plugin.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "daemon/collect_support.hpp"
#include "daemon/plugin_level.hpp"

namespace qemon::daemon {

namespace asio = boost::asio;
using exporters::add_sample;
using exporters::counter_family;
using exporters::gauge_family;
using namespace std::chrono_literals;

namespace {

constexpr std::array<std::string_view, plugin::access_targets> target_names{"ram", "device"};
constexpr std::array<std::string_view, plugin::access_operations> operation_names{"load", "store"};
constexpr std::uint32_t vcpus_max = 256;  // Each has some thirty series.
constexpr std::size_t usual_sizes = 5;    // 1 to 16 bytes; more only where it occurs.

bool counts_accesses(const plugin::Figures& figures) {
  if ((figures.header.level & plugin::level_memory) != 0) return true;
  for (const auto& vcpu : figures.vcpus)
    if (vcpu.counts.accesses != plugin::AccessCounts{}) return true;
  return false;
}

void add_accesses(prometheus::MetricFamily& family, const std::string& vcpu, bool is_system,
                  const plugin::AccessCounts& accesses) {
  for (std::size_t target = 0; target < (is_system ? plugin::access_targets : 1); ++target) {
    for (std::size_t operation = 0; operation < plugin::access_operations; ++operation) {
      for (std::size_t size = 0; size < plugin::access_sizes; ++size) {
        const auto count = accesses[target][operation][size];
        if (count == 0 && size >= usual_sizes) continue;
        add_sample(family,
                   {{"vcpu", vcpu},
                    {"operation", operation_names[operation]},
                    {"size", std::to_string(1U << size)},
                    {"target", target_names[target]}},
                   count);
      }
    }
  }
}

}  // namespace

Figures tcg_plugin_figures(const plugin::Figures& found) {
  auto instructions =
      counter_family("qemu_tcg_instructions_total",
                     "Guest instructions in the translated blocks that were entered.");
  auto blocks = counter_family("qemu_tcg_blocks_total", "Translated blocks that were entered.");
  auto idles = counter_family("qemu_tcg_idles_total", "How often a vCPU had nothing to do.");
  auto accesses = counter_family("qemu_tcg_memory_accesses_total",
                                 "Loads and stores of the guest, by their size in bytes.");
  auto discontinuities = counter_family("qemu_tcg_discontinuities_total",
                                        "Interrupts, exceptions and host calls that a vCPU took.");
  const auto& header = found.header;
  const bool has_accesses = counts_accesses(found);
  for (const auto& [index, counts] : found.vcpus) {
    if (index >= vcpus_max) break;
    const std::string vcpu = std::to_string(index);
    add_sample(instructions, {{"vcpu", vcpu}}, counts.instructions);
    add_sample(blocks, {{"vcpu", vcpu}}, counts.blocks);
    add_sample(idles, {{"vcpu", vcpu}}, counts.idles);
    if (has_accesses) add_accesses(accesses, vcpu, header.system != 0, counts.accesses);
    if (header.has_discontinuities == 0) continue;
    add_sample(discontinuities, {{"vcpu", vcpu}, {"type", "interrupt"}}, counts.interrupts);
    add_sample(discontinuities, {{"vcpu", vcpu}, {"type", "exception"}}, counts.exceptions);
    add_sample(discontinuities, {{"vcpu", vcpu}, {"type", "host_call"}}, counts.host_calls);
  }
  auto translations = counter_family("qemu_tcg_translations_total", "Blocks that TCG translated.");
  add_sample(translations, {}, header.translations);
  auto translated = counter_family("qemu_tcg_translated_instructions_total",
                                   "Guest instructions in the blocks that TCG translated.");
  add_sample(translated, {}, header.translated_instructions);
  auto flushes =
      counter_family("qemu_tcg_flushes_total", "How often TCG threw all translated blocks away.");
  add_sample(flushes, {}, header.flushes);
  auto uncounted = counter_family("qemu_tcg_uncounted_blocks_total",
                                  "Blocks entered by vCPUs for which the plugin has no room.");
  add_sample(uncounted, {}, header.vcpus_beyond);
  auto level = gauge_family("qemu_tcg_plugin_level", "1 for what the plugin counts at the moment.");
  static constexpr std::array<std::string_view, 4> levels{"count", "memory", "blocks", "all"};
  add_state_set(level, {}, levels, plugin::level_name(header.level));

  Figures figures;
  for (auto* family : {&instructions, &blocks, &idles, &accesses, &discontinuities, &translations,
                       &translated, &flushes, &uncounted, &level})
    add_family(figures, std::move(*family));
  return figures;
}

void TcgBlocks::update(const std::vector<plugin::Block>& blocks) {
  executions_.resize(std::max(executions_.size(), blocks.size()));
  for (std::size_t at = 0; at < blocks.size(); ++at) {
    const plugin::Block& block = blocks[at];
    const std::uint64_t more = block.executions - executions_[at];
    if (block.executions <= executions_[at]) continue;
    executions_[at] = block.executions;
    pages_.hit(block.address, more * block.instructions);
    for (std::size_t which = 0; which < plugin::instruction_classes; ++which)
      instructions_[which] += more * block.classes[which];
  }
  pages_.refresh();
}

Figures TcgBlocks::figures(std::uint64_t beyond) const {
  auto pages = counter_family("qemu_tcg_page_instructions_total",
                              "Guest instructions executed on each page of 4096 bytes, by its "
                              "virtual address; of the busiest pages, and of all others together.");
  for (const auto& [address, count] : pages_.series())
    add_sample(pages, {{"page", hexadecimal(address)}}, count);
  add_sample(pages, {{"page", "__other__"}}, pages_.other() + beyond);
  auto classes = counter_family("qemu_tcg_classified_instructions_total",
                                "Guest instructions by what their mnemonic says.");
  for (std::size_t which = 0; which < instructions_.size(); ++which)
    add_sample(classes, {{"class", plugin::class_name(which)}}, instructions_[which]);
  Figures figures;
  add_family(figures, std::move(pages));
  add_family(figures, std::move(classes));
  return figures;
}

namespace {

/// Of one VM. Begins anew when another QEMU, or another file, takes the place of the one that it
/// follows.
class TcgPluginCollector {
 public:
  asio::awaitable<Result<Figures>> poll(CollectorView view) {
    if (view.plugin_path.empty()) co_return Figures();
    const pid_t pid = view.process ? view.process->pid : 0;
    const std::uint64_t start = view.process ? view.process->start_ticks : 0;
    if (path_ != view.plugin_path || pid != pid_ || start != start_ticks_) {
      path_ = view.plugin_path;
      pid_ = pid;
      start_ticks_ = start;
      reader_.reset();
    }
    co_return read();
  }

 private:
  Result<Figures> read() {
    if (reader_ && !reader_->is_still_there()) reader_.reset();
    if (!reader_) {
      auto opened = open_plugin_figures(path_);
      if (!opened) return opened.error();
      reader_.emplace(std::move(*opened));
      blocks_ = TcgBlocks();
      has_blocks_ = counted_blocks_ = false;
    }
    const auto found = reader_->read();
    if (!found) return found.error();
    Figures figures = tcg_plugin_figures(*found);
    // Once more after the level has changed: then nothing is added any more.
    const bool counts_blocks = (found->header.level & plugin::level_blocks) != 0;
    if (!counts_blocks && !counted_blocks_ && has_blocks_)
      return add_blocks(std::move(figures), *found);
    if (found->header.block_count == 0) return figures;
    counted_blocks_ = counts_blocks;
    has_blocks_ = true;
    const auto blocks = reader_->read_blocks();
    if (!blocks) return blocks.error();
    blocks_.update(*blocks);
    return add_blocks(std::move(figures), *found);
  }

  Figures add_blocks(Figures figures, const plugin::Figures& found) const {
    for (auto& family : blocks_.figures(found.header.beyond_instructions))
      figures.push_back(std::move(family));
    return figures;
  }

  std::string path_;
  pid_t pid_ = 0;  // Of the QEMU that it is of, if that is known.
  std::uint64_t start_ticks_ = 0;
  std::optional<plugin::FiguresReader> reader_;
  TcgBlocks blocks_;
  bool has_blocks_ = false;
  bool counted_blocks_ = false;  // When they were read last.
};

}  // namespace

Collector tcg_plugin_collector() {
  Collector collector;
  collector.name = "tcg-plugin";
  collector.interval = 5s;
  collector.needs_monitor = false;
  // Shared by the function's copies, which std::function insists on making.
  const auto state = std::make_shared<TcgPluginCollector>();
  collector.poll = [state](CollectorView view) { return state->poll(view); };
  return collector;
}

}  // namespace qemon::daemon
