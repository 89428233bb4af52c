// TraceReplay: runs the metrics engine over finished traces.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cli/decode_file.hpp"
#include "exporters/engine.hpp"
#include "exporters/pack.hpp"
#include "trace/catalog.hpp"
#include "trace/decoder.hpp"
#include "trace/event_table.hpp"
#include "trace/trace_feed.hpp"
#include "trace/trace_format.hpp"
#include "trace/trace_input.hpp"

namespace qemon::trace {
class SimpleDecoder;
}

namespace qemon::cli {

/// Files are one trace, in the order in which they are read: a log that was rotated. What was in
/// flight at the end of one is void at the beginning of the next. Memory does not grow with them.
class TraceReplay {
 public:
  using Packs = std::vector<std::shared_ptr<const exporters::Pack>>;

  /// `catalog_path`: the trace-events-all file; empty for the one that the system's QEMU brought
  /// along. All packs read the same kind of trace.
  TraceReplay(Packs packs, std::string catalog_path);
  TraceReplay(const TraceReplay&) = delete;
  TraceReplay& operator=(const TraceReplay&) = delete;
  ~TraceReplay();

  /// Gets ready for traces like this one: finds the catalog and binds the packs. Once, before the
  /// first read(), with a file that is not empty.
  [[nodiscard]] Result<void> prepare(const trace::TraceInput& input);
  [[nodiscard]] bool prepared() const { return decoder_ != nullptr; }
  /// Reads a file to its end. After an Error, which names the file, what came before it has been
  /// counted. `done`: bytes of earlier files, for the progress.
  [[nodiscard]] Result<void> read(trace::TraceInput& input, Progress& progress, std::uint64_t done);

  /// Instead of prepare() and read(): follows one file while it is written, reading at each pump().
  /// Restarts of the file void what is in flight.
  [[nodiscard]] Result<void> follow(const std::string& path, trace::TraceFormat format,
                                    trace::FileTailOptions::Start start);
  /// Reads what has been written since, at most a megabyte or so. True if more is waiting.
  bool pump(std::span<char> buffer);
  /// Bytes of the followed file that are still to be read, as far as is known.
  [[nodiscard]] std::uint64_t lag_bytes() const { return feed_->lag_bytes(); }
  /// Why the followed file cannot be read at the moment; empty if it can.
  [[nodiscard]] const std::string& problem() const { return feed_->problem(); }

  /// The same for a file without a byte of trace, for which nothing needs to be prepared.
  [[nodiscard]] Result<void> skip(trace::TraceInput& input);

  /// "log", "simple" or "exec-log"; empty before prepare().
  [[nodiscard]] const std::string& format() const { return format_; }
  /// Where the catalog is from; empty if there is none.
  [[nodiscard]] const std::string& catalog_path() const { return catalog_path_; }
  [[nodiscard]] const std::vector<DecodedFile>& files() const { return files_; }
  [[nodiscard]] const trace::EventTable& events() const { return events_; }
  [[nodiscard]] const Packs& packs() const { return packs_; }
  /// Not const, since showing heat maps settles what they show.
  [[nodiscard]] exporters::Engine& engine() { return engine_; }
  [[nodiscard]] const exporters::Engine& engine() const { return engine_; }
  [[nodiscard]] trace::DecoderStats stats() const;
  [[nodiscard]] std::uint64_t mismatches() const;

  /// The times of the earliest and the latest record, on the clock of the trace; nothing if no
  /// record had a time.
  [[nodiscard]] std::optional<trace::TimeSpan> span() const;
  /// What a person should know about what was read; one line each.
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  /// What in the packs does not fit the catalog: FILE:LINE: and why.
  [[nodiscard]] const std::vector<std::string>& pack_mistakes() const { return pack_mistakes_; }

 private:
  [[nodiscard]] Result<void> prepare_for(trace::TraceFormat format, const std::string& name);
  [[nodiscard]] Result<void> load_catalog(trace::TraceFormat format);
  [[nodiscard]] bool reads_exec_log() const;
  void note_left_out();

  Packs packs_;
  std::string catalog_path_;
  std::string format_;
  std::optional<trace::TraceInput::Format> expected_;  // Of all further files.
  std::optional<trace::Catalog> catalog_;
  trace::EventTable events_;
  exporters::Engine engine_{events_};
  std::unique_ptr<trace::Decoder> decoder_;  // Of finished traces.
  std::unique_ptr<trace::TraceFeed> feed_;   // Of one that is followed.
  trace::SimpleDecoder* simple_ = nullptr;   // decoder_, if it is one.
  std::vector<DecodedFile> files_;
  std::vector<std::string> notes_;
  std::vector<std::string> pack_mistakes_;
};

}  // namespace qemon::cli
