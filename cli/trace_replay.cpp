#include "cli/trace_replay.hpp"

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "cli/text.hpp"
#include "exporters/bound_pack.hpp"
#include "trace/catalog_places.hpp"
#include "trace/exec_log_decoder.hpp"
#include "trace/log_decoder.hpp"
#include "trace/simple_decoder.hpp"

namespace qemon::cli {
namespace {

using trace::TraceFormat;
using trace::TraceInput;

std::string list_of(const std::vector<std::string>& texts) {
  std::string list;
  for (const auto& text : texts) list += (list.empty() ? "" : ", ") + text;
  return list;
}

}  // namespace

TraceReplay::TraceReplay(Packs packs, std::string catalog_path)
    : packs_(std::move(packs)), catalog_path_(std::move(catalog_path)) {}

TraceReplay::~TraceReplay() = default;

Result<void> TraceReplay::prepare(const TraceInput& input) {
  const auto seen = input.format().value_or(TraceInput::Format::log);
  auto format = seen == TraceInput::Format::simple ? TraceFormat::simple : TraceFormat::log;
  // That a log is one of -d exec is told by the packs that are to read it.
  if (format == TraceFormat::log && reads_exec_log()) format = TraceFormat::exec_log;
  const auto prepared = prepare_for(format, input.name());
  if (!prepared) return prepared;
  decoder_ = trace::make_decoder(format, events_);
  if (format == TraceFormat::simple) simple_ = static_cast<trace::SimpleDecoder*>(decoder_.get());
  expected_ = seen;
  return {};
}

Result<void> TraceReplay::follow(const std::string& path, TraceFormat format,
                                 trace::FileTailOptions::Start start) {
  const auto prepared = prepare_for(format, path);
  if (!prepared) return prepared;
  feed_ = std::make_unique<trace::TraceFeed>(format, events_, path, start);
  files_.emplace_back().name = path;
  return {};
}

bool TraceReplay::pump(std::span<char> buffer) {
  const bool more = feed_->pump(buffer, engine_);
  files_.back().bytes = feed_->totals().bytes_read;
  files_.back().complete = !more;
  return more;
}

bool TraceReplay::reads_exec_log() const {
  return !packs_.empty() && packs_.front()->exec_log;
}

/// Finds the catalog and binds the packs.
Result<void> TraceReplay::prepare_for(TraceFormat format, const std::string& name) {
  const bool exec_log = format == TraceFormat::exec_log;
  if (!packs_.empty() && exec_log != reads_exec_log()) {
    const std::string what = exec_log ? "a log of -d exec or -d cpu" : "a simple trace";
    return Error{name + ": is " + (format == TraceFormat::log ? "a trace" : what) + ", but pack " +
                 packs_.front()->name + " reads " +
                 (exec_log ? "trace events" : "logs of -d exec and -d cpu")};
  }
  if (exec_log) {
    catalog_ = trace::exec_log_catalog();
    catalog_path_.clear();
  } else if (auto loaded = load_catalog(format); !loaded) {
    return loaded.error();
  }
  if (catalog_) {
    for (const auto& event : catalog_->events()) events_.add(event.name);
    events_.use_catalog(&*catalog_);
  }
  format_ = trace::to_string(format);
  engine_.use(packs_);
  note_left_out();
  return {};
}

Result<void> TraceReplay::load_catalog(TraceFormat format) {
  const std::string cure = "give the file of the QEMU that wrote the trace with --trace-events";
  std::vector<std::string> tried;
  std::string problem;
  for (const auto& path :
       catalog_path_.empty() ? trace::catalog_places() : std::vector{catalog_path_}) {
    auto catalog = trace::Catalog::load(path);
    if (catalog) {
      catalog_ = std::move(*catalog);
      catalog_path_ = path;
      return {};
    }
    if (!catalog_path_.empty()) return wrap(catalog.error(), "--trace-events");
    tried.push_back(path);
    if (problem.empty() && catalog.error().code != std::errc::no_such_file_or_directory)
      problem = catalog.error().detail;
  }
  const std::string missing =
      problem.empty() ? "no trace-events-all found (there is no " + list_of(tried) + ")" : problem;
  if (format == TraceFormat::log)
    return Error{missing + ", without which a log's events are not known; " + cure};
  if (!packs_.empty())
    return Error{missing + ", without which packs cannot read arguments; " + cure};
  notes_.push_back(missing + ": events are counted by name only; " + cure);
  return {};
}

/// Tells which metrics of the packs the catalog has no events for.
void TraceReplay::note_left_out() {
  for (const auto& pack : packs_) {
    const auto* const bound = engine_.bound(pack->name);
    const auto& mistakes = bound->mistakes().lines();
    pack_mistakes_.insert(pack_mistakes_.end(), mistakes.begin(), mistakes.end());
    std::vector<std::string> metrics;
    for (const auto& each : bound->left_out()) {
      const auto& metric = each.rule->metric;
      const auto missing = bound->not_offered();
      const bool offered =
          std::ranges::none_of(missing, [&](const auto& other) { return other.first == metric; });
      if (each.lacks_events && !offered && std::ranges::find(metrics, metric) == metrics.end())
        metrics.push_back(metric);
    }
    if (metrics.empty()) continue;
    notes_.push_back("pack " + pack->name + ": " + counted(metrics.size(), "metric") +
                     " left out, since " + catalog_path_ +
                     " has no such events: " + name_list(metrics));
  }
}

Result<void> TraceReplay::read(TraceInput& input, Progress& progress, std::uint64_t done) {
  if (input.format() != expected_)
    return Error{input.name() + ": is " +
                 (input.format() == TraceInput::Format::log ? "a log" : "a simple trace") +
                 ", but what was read before is not; replay them one by one"};
  if (!files_.empty()) engine_.on_restart();
  return decode_file(input, *decoder_, engine_, progress, done, files_.emplace_back(), notes_);
}

Result<void> TraceReplay::skip(TraceInput& input) {
  auto& file = files_.emplace_back();
  file.name = input.name();
  file.compressed = input.compressed();
  // Nothing comes, but an error may.
  std::array<char, 1> none{};
  const auto got = input.read(none);
  file.complete = got.has_value();
  if (!got) return got.error();
  return {};
}

std::optional<trace::TimeSpan> TraceReplay::span() const {
  const auto span = stats().span;
  return span.empty() ? std::nullopt : std::optional(span);
}

trace::DecoderStats TraceReplay::stats() const {
  if (feed_) return feed_->totals().decoder;
  return decoder_ != nullptr ? decoder_->stats() : trace::DecoderStats{};
}

std::uint64_t TraceReplay::mismatches() const {
  if (feed_) return feed_->totals().mismatches;
  return simple_ != nullptr ? simple_->mismatches() : 0;
}

}  // namespace qemon::cli
