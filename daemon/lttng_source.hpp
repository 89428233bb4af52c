// LttngSource: the records of a QEMU with the backend `ust`, by a live session of LTTng.
#pragma once

#include <string>

#include "daemon/lttng_helper.hpp"
#include "daemon/trace_source.hpp"
#include "trace/simple_decoder.hpp"

namespace qemon::daemon {

/// The session is there from start() to stop() and only this QEMU writes to it. The helper reads
/// it, and passes the records on in the format of `simple`.
class LttngSource final : public TraceSource {
 public:
  explicit LttngSource(TraceSourceOptions options);

  boost::asio::awaitable<Result<void>> start() override;
  boost::asio::awaitable<void> stop() override;
  boost::asio::awaitable<Result<void>> switch_event(trace::EventIndex event, bool on) override;
  boost::asio::awaitable<Result<void>> flush() override;

  bool pump(std::span<char> buffer, trace::RecordSink& sink) override;
  [[nodiscard]] bool has_ended() const override { return ended_; }
  [[nodiscard]] trace::FeedTotals totals() const override;
  [[nodiscard]] std::uint64_t lag_bytes() const override;
  [[nodiscard]] std::optional<clockid_t> clock() const override { return CLOCK_MONOTONIC; }
  [[nodiscard]] std::string place() const override;
  [[nodiscard]] std::vector<std::string> problems() const override;
  [[nodiscard]] std::vector<std::string> unknown() const override;

 private:
  TraceSourceOptions options_;
  LttngHelper helper_;
  trace::SimpleDecoder decoder_;
  std::string rest_;  // Read but not yet decodable: the first part of a record.
  std::uint64_t bytes_read_ = 0;
  bool ended_ = false;
};

/// Whether a process has LTTng-UST's library in it.
[[nodiscard]] bool has_lttng(const ProcessInfo& process);

}  // namespace qemon::daemon
