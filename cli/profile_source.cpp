#include "cli/profile_source.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/decode_file.hpp"
#include "cli/execution_sink.hpp"
#include "cli/fields.hpp"
#include "cli/progress.hpp"
#include "cli/text.hpp"
#include "plugin/figures_reader.hpp"
#include "trace/execution_log_decoder.hpp"
#include "trace/simple_decoder.hpp"
#include "trace/trace_input.hpp"

namespace qemon::cli {
namespace {

/// Of the plugin, however it was come by.
class BlockProfile {
 public:
  explicit BlockProfile(std::uint64_t page_bytes) : builder_(page_bytes) {}

  /// All blocks. The busiest first, so that only rare ones are estimated where there are too many.
  void add(std::vector<plugin::Block> blocks) {
    std::ranges::sort(blocks, std::greater(), &plugin::Block::executions);
    for (const auto& block : blocks) {
      if (block.executions == 0) break;
      builder_.hit(block.address, block.executions);
      ++executed_;
    }
  }
  /// `beyond`: executions of blocks that the plugin had no room for.
  void finish(std::uint64_t beyond, ExecutionProfile& profile) {
    builder_.finish(profile);
    profile.kind = "tcg-plugin";
    profile.samples += beyond;
    profile.beyond_pages += beyond;
    profile.sample = "execution";
    profile.sample_of = " of " + counted(executed_, "block") + ", counted by the TCG plugin";
  }

 private:
  ProfileBuilder builder_;
  std::uint64_t executed_ = 0;
};

bool is_plugin_file(const std::string& path) {
  std::error_code error;
  if (path == "-" || !std::filesystem::is_regular_file(path, error)) return false;
  std::array<char, plugin::file_magic.size()> magic{};
  std::ifstream file(path, std::ios::binary);
  return file.read(magic.data(), magic.size()) && magic == plugin::file_magic;
}

Result<ReadProfile> profile_of_plugin_file(const std::string& path, std::uint64_t page_bytes) {
  // The reader takes no symbolic links, for the sake of the daemon; the user may have some.
  std::error_code error;
  const auto real = std::filesystem::canonical(path, error);
  if (error) return Error{path + ": " + error.message(), error};
  const auto reader = plugin::FiguresReader::open(real);
  if (!reader) return reader.error();
  const auto header = reader->read_header();
  if (!header) return header.error();
  auto blocks = reader->read_blocks();
  if (!blocks) return blocks.error();
  ReadProfile read;
  BlockProfile profile(page_bytes);
  profile.add(std::move(*blocks));
  profile.finish(header->beyond_executions, read.profile);
  read.profile.source = path;
  if (!read.profile.empty()) return read;
  if ((header->level & plugin::level_blocks) == 0)
    return Error{path + ": has no blocks, since the plugin counts at level " +
                 std::string(plugin::level_name(header->level)) +
                 ": start QEMU with level=blocks, or use qemon plugin level VM blocks"};
  return Error{path + ": no block has been executed yet"};
}

/// All blocks of a VM, answer by answer.
Result<std::vector<plugin::Block>> blocks_of(const ControlClient& client, const std::string& vm,
                                             std::uint64_t& beyond) {
  std::vector<plugin::Block> blocks;
  std::optional<std::uint64_t> pid;
  while (true) {
    const auto answer = client.get("/v1/vms/" + percent_encode(vm) +
                                   "/plugin/blocks?first=" + std::to_string(blocks.size()));
    if (!answer) return answer.error();
    if (pid.value_or(count_at(*answer, "pid")) != count_at(*answer, "pid"))
      return Error{vm + ": QEMU was started again meanwhile: try once more"};
    pid = count_at(*answer, "pid");
    beyond = count_at(*answer, "beyond_executions");
    const Json& list = array_at(*answer, "blocks");
    for (const Json& each : list) {
      const auto number = [&](std::size_t at) -> std::uint64_t {
        return each.is_array() && each.size() > at && each[at].is_number_unsigned()
                   ? each[at].get<std::uint64_t>()
                   : 0;
      };
      plugin::Block block;
      block.address = number(0);
      block.executions = number(1);
      blocks.push_back(block);
    }
    if (list.empty() || blocks.size() >= count_at(*answer, "block_count")) return blocks;
  }
}

const Json* find_named(const Json& list, std::string_view name) {
  const auto found =
      std::ranges::find_if(list, [&](const Json& each) { return text_at(each, "name") == name; });
  return found == list.end() ? nullptr : &*found;
}

/// Metrics of packs that tell what was executed.
struct PackSource {
  std::string_view pages, counters;
  std::string_view sample, sample_of;
};
constexpr std::array<PackSource, 3> pack_sources{
    {{"qemu_tcg_executed_page_total", "qemu_tcg_hot_pc", "record",
      " of exec_tb, counted by the pack tcg"},
     {"qemu_exec_log_page_total", "qemu_exec_log_hot_pc", "line",
      " of -d exec, counted by the pack exec-log"},
     {"qemu_exec_log_dump_page_total", "qemu_exec_log_dump_hot_pc", "register dump",
      " of -d cpu, counted by the pack exec-log"}}};

/// What a pack has; empty if it has nothing.
Result<ExecutionProfile> profile_of_pack(const Json& answer, const PackSource& source,
                                         const std::string& vm, std::uint64_t page_bytes) {
  ExecutionProfile profile;
  const Json* const heat = find_named(array_at(answer, "heatmaps"), source.pages);
  if (heat == nullptr) return profile;
  const std::uint64_t range_bytes = count_at(*heat, "range_bytes");
  if (page_bytes < range_bytes)
    return Error{vm + ": qemond counts pages of " + human_bytes(range_bytes) +
                 ", so that --page cannot be less"};
  ProfileBuilder builder(page_bytes);
  std::uint64_t last = 0;
  for (const Json& range : array_at(*heat, "ranges")) {
    builder.hit(count_at(range, "address"), count_at(range, "count"));
    last = std::max(last, count_at(range, "address"));
  }
  builder.finish(profile);
  // Of an address nothing is known but its range.
  profile.highest = last + (range_bytes - 1);
  profile.counters.clear();
  profile.beyond_pages += count_at(*heat, "other");
  profile.samples += count_at(*heat, "other");
  profile.kind = "pack";
  profile.sample = source.sample;
  profile.sample_of = source.sample_of;
  if (const Json* const top = find_named(array_at(answer, "top"), source.counters)) {
    for (const Json& value : array_at(*top, "values"))
      profile.counters.push_back(
          {count_at(value, "value"), count_at(value, "count"), count_at(value, "error")});
  }
  return profile;
}

/// Why there is nothing to show of a VM.
Error nothing_of(const Json& answer, const std::string& vm) {
  const bool exec_log = text_at(answer, "backend") == "exec-log";
  const std::string pack =
      std::string("qemon pack on ") + (exec_log ? "exec-log" : "tcg") + " --vm " + vm;
  if (exec_log)
    return Error{vm + ": nothing to show: use " + pack + ", which counts what comes from then on"};
  const Json& plugin = object_at(answer, "plugin");
  if (!plugin.empty() && text_at(plugin, "level") != "blocks" && text_at(plugin, "level") != "all")
    return Error{vm + ": nothing to show: its TCG plugin counts at level " +
                 text_at(plugin, "level") + ": use qemon plugin level " + vm +
                 " blocks --for 1m, or " + pack};
  if (!plugin.empty()) return Error{vm + ": no block has been executed yet"};
  return Error{vm + ": nothing to show: use " + pack + ", or the TCG plugin, but QEMU " +
               text_at(answer, "plugin_error")};
}

}  // namespace

Result<ReadProfile> profile_of_file(const std::string& path, std::uint64_t page_bytes,
                                    std::ostream* terminal) {
  if (is_plugin_file(path)) return profile_of_plugin_file(path, page_bytes);
  auto input = trace::TraceInput::open(path);
  if (!input) return input.error();
  const auto catalog = trace::execution_catalog();
  trace::EventTable events;
  for (const auto& event : catalog.events()) events.add(event.name);
  events.use_catalog(&catalog);
  std::unique_ptr<trace::Decoder> decoder;
  if (input->format() == trace::TraceInput::Format::simple) {
    decoder = std::make_unique<trace::SimpleDecoder>(events);
  } else {
    decoder = std::make_unique<trace::ExecutionLogDecoder>(events);
  }
  ExecutionSink sink(events, page_bytes);
  ReadProfile read;
  DecodedFile file;
  {
    Progress progress(terminal, input->file_bytes());
    if (auto done = decode_file(*input, *decoder, sink, progress, 0, file, read.notes); !done)
      read.problem = done.error();
  }
  sink.finish(read.profile);
  read.profile.source = input->name() + (input->compressed() ? " (gzip)" : "");
  if (const auto dropped = decoder->stats().dropped_events; dropped > 0)
    read.notes.push_back(input->name() + ": QEMU dropped " + counted(dropped, "event"));
  if (!read.profile.empty()) return read;
  if (read.problem) return *read.problem;
  const std::string cure =
      "give a log of -d exec,nochain or -d cpu,nochain, or a trace with exec_tb";
  if (file.bytes == 0) return Error{input->name() + ": is empty: " + cure};
  if (sink.exits() > 0)
    return Error{input->name() +
                 ": has no program counters, since exec_tb_exit does not tell "
                 "them: " +
                 cure};
  return Error{input->name() + ": tells of no executed code: " + cure};
}

Result<ReadProfile> profile_of_vm(const ControlClient& client, const std::string& vm,
                                  std::uint64_t page_bytes) {
  const auto answer = client.get("/v1/vms/" + percent_encode(vm) + "/heatmaps");
  if (!answer) return answer.error();
  ReadProfile read;
  if (count_at(object_at(*answer, "plugin"), "block_count") > 0) {
    std::uint64_t beyond = 0;
    auto blocks = blocks_of(client, vm, beyond);
    if (!blocks) return blocks.error();
    BlockProfile profile(page_bytes);
    profile.add(std::move(*blocks));
    profile.finish(beyond, read.profile);
  }
  for (const auto& source : pack_sources) {
    if (!read.profile.empty()) break;
    auto profile = profile_of_pack(*answer, source, vm, page_bytes);
    if (!profile) return profile.error();
    read.profile = std::move(*profile);
  }
  if (read.profile.empty()) return nothing_of(*answer, vm);
  read.profile.source = "VM " + vm;
  return read;
}

}  // namespace qemon::cli
