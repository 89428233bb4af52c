// The records that QEMU's `syslog` backend writes into the system's log: read from a file of the
// syslog daemon, or from the journal.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "daemon/child_output.hpp"
#include "daemon/trace_source.hpp"
#include "trace/journal_export.hpp"
#include "trace/log_decoder.hpp"
#include "trace/trace_feed.hpp"

namespace qemon::daemon {

/// Whether this QEMU can write to the system's log: its binary uses openlog(3), which a QEMU
/// without that backend does not.
[[nodiscard]] bool has_syslog_backend(const ProcessInfo& process);

/// Of the file that the choice names; else of the journal if that runs here, else of the file that
/// syslog daemons usually write.
[[nodiscard]] std::unique_ptr<TraceSource> make_syslog_source(TraceSourceOptions options);

/// What both have in common. Events are switched by QEMU.
class SyslogSource : public TraceSource {
 public:
  boost::asio::awaitable<Result<void>> switch_event(trace::EventIndex event, bool on) override;
  /// Messages are on their way for a while: waits until no more come.
  boost::asio::awaitable<Result<void>> flush() override;

 protected:
  explicit SyslogSource(TraceSourceOptions options);
  [[nodiscard]] const TraceSourceOptions& options() const { return options_; }
  [[nodiscard]] trace::LogDecoderOptions decoder_options() const;

 private:
  TraceSourceOptions options_;
};

class SyslogFileSource final : public SyslogSource {
 public:
  SyslogFileSource(TraceSourceOptions options, std::string path);

  boost::asio::awaitable<Result<void>> start() override;
  boost::asio::awaitable<void> stop() override;
  bool pump(std::span<char> buffer, trace::RecordSink& sink) override;
  [[nodiscard]] trace::FeedTotals totals() const override { return feed_.totals(); }
  [[nodiscard]] std::uint64_t lag_bytes() const override { return feed_.lag_bytes(); }
  [[nodiscard]] std::optional<clockid_t> clock() const override;
  [[nodiscard]] std::string place() const override { return feed_.tail().path(); }
  [[nodiscard]] std::vector<std::string> problems() const override;
  [[nodiscard]] std::vector<std::string> unknown() const override;

 private:
  trace::TraceFeed feed_;
};

/// Has `journalctl` follow the journal, which needs no library of systemd's, and no rights but
/// those to read it.
class JournalSource final : public SyslogSource {
 public:
  explicit JournalSource(TraceSourceOptions options, std::string program = "journalctl");

  boost::asio::awaitable<Result<void>> start() override;
  boost::asio::awaitable<void> stop() override;
  bool pump(std::span<char> buffer, trace::RecordSink& sink) override;
  [[nodiscard]] trace::FeedTotals totals() const override;
  [[nodiscard]] std::uint64_t lag_bytes() const override;
  [[nodiscard]] std::optional<clockid_t> clock() const override { return CLOCK_REALTIME; }
  [[nodiscard]] std::string place() const override;
  [[nodiscard]] std::vector<std::string> problems() const override;
  [[nodiscard]] std::vector<std::string> unknown() const override;

 private:
  [[nodiscard]] Result<void> run();
  void ended(trace::RecordSink& sink);

  std::string program_;
  std::string since_;  // When the source was started, as journalctl takes it.
  ChildOutput child_;
  trace::JournalExport reader_;
  trace::LogDecoder decoder_;
  std::string rest_;   // Read but not yet a whole field.
  std::string lines_;  // Not yet decoded.
  trace::FeedTotals totals_;
  std::string problem_;
  std::chrono::steady_clock::time_point next_start_{};
};

}  // namespace qemon::daemon
