#include "trace/trace_format.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "trace/exec_log_decoder.hpp"
#include "trace/log_decoder.hpp"
#include "trace/simple_decoder.hpp"
#include "trace/simple_format.hpp"

namespace qemon::trace {
namespace {

constexpr std::array<std::pair<TraceFormat, std::string_view>, 3> names{
    {{TraceFormat::simple, "simple"},
     {TraceFormat::log, "log"},
     {TraceFormat::exec_log, "exec-log"}}};

class Nobody final : public RecordSink {
 public:
  void on_record(const Record&) override {}
  void on_loss(std::uint64_t) override {}
};

}  // namespace

std::string_view to_string(TraceFormat format) {
  const auto* const found = std::find_if(names.begin(), names.end(),
                                         [&](const auto& each) { return each.first == format; });
  return found == names.end() ? "unknown" : found->second;
}

std::optional<TraceFormat> trace_format_named(std::string_view name) {
  const auto* const found = std::find_if(names.begin(), names.end(),
                                         [&](const auto& each) { return each.second == name; });
  return found == names.end() ? std::nullopt : std::optional(found->first);
}

std::optional<TraceFormat> guess_format(std::string_view head) {
  if (simple::is_simple(head)) return TraceFormat::simple;
  const auto lines = std::count(head.begin(), head.end(), '\n');
  if (lines == 0) return std::nullopt;
  EventTable events;
  ExecLogDecoder decoder(events);
  Nobody nobody;
  decoder.decode(head, nobody);
  const auto unknown = decoder.stats().errors[static_cast<std::size_t>(DecodeError::unknown_line)];
  return decoder.stats().records > 0 && unknown * 2 < static_cast<std::uint64_t>(lines)
             ? TraceFormat::exec_log
             : TraceFormat::log;
}

std::unique_ptr<Decoder> make_decoder(TraceFormat format, EventTable& events) {
  switch (format) {
    case TraceFormat::simple:
      return std::make_unique<SimpleDecoder>(events);
    case TraceFormat::log:
      return std::make_unique<LogDecoder>(events);
    case TraceFormat::exec_log:
      return std::make_unique<ExecLogDecoder>(events);
  }
  return nullptr;
}

}  // namespace qemon::trace
