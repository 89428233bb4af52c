// FtraceSource: the records that QEMU's `ftrace` backend writes into the kernel's trace buffer.
#pragma once

#include <memory>
#include <string>

#include "daemon/process_threads.hpp"
#include "daemon/trace_buffer.hpp"
#include "daemon/trace_source.hpp"
#include "trace/log_decoder.hpp"

namespace qemon::daemon {

/// Whether this QEMU writes to the kernel's trace buffer.
[[nodiscard]] bool has_ftrace_backend(const ProcessInfo& process);

/// Events are switched by QEMU. What another thread than those of QEMU's process writes is passed
/// over.
class FtraceSource final : public TraceSource {
 public:
  /// `tracefs`: where it is mounted; found out if it is empty.
  explicit FtraceSource(TraceSourceOptions options, std::string tracefs = {});
  ~FtraceSource() override;
  FtraceSource(const FtraceSource&) = delete;
  FtraceSource& operator=(const FtraceSource&) = delete;

  boost::asio::awaitable<Result<void>> start() override;
  boost::asio::awaitable<void> stop() override;
  boost::asio::awaitable<Result<void>> switch_event(trace::EventIndex event, bool on) override;
  boost::asio::awaitable<Result<void>> flush() override;
  bool pump(std::span<char> buffer, trace::RecordSink& sink) override;
  [[nodiscard]] trace::FeedTotals totals() const override;
  [[nodiscard]] std::uint64_t lag_bytes() const override;
  [[nodiscard]] std::optional<clockid_t> clock() const override;
  [[nodiscard]] std::string place() const override;
  [[nodiscard]] std::vector<std::string> problems() const override;
  [[nodiscard]] std::vector<std::string> unknown() const override;

 private:
  /// Reads what fits into `room`; fewer bytes if there are no more now.
  std::size_t read_some(std::span<char> room);

  TraceSourceOptions options_;
  std::string tracefs_;
  TraceBuffer buffer_;
  ProcessThreads threads_;
  trace::LogDecoder decoder_;
  trace::FeedTotals totals_;
  std::string rest_;     // Read but not yet decodable: the first part of a line.
  bool drained_ = true;  // There was no more at the last look.
  std::string problem_;
};

}  // namespace qemon::daemon
