#include "cli/execution_sink.hpp"

#include "cli/text.hpp"
#include "trace/execution_log_decoder.hpp"

namespace qemon::cli {

ExecutionSink::ExecutionSink(const trace::EventTable& events, std::uint64_t page_bytes)
    : events_(events),
      page_bytes_(page_bytes),
      exits_(events.find(trace::exec_tb_exit_event).value()),
      kinds_(events.size(), no_kind) {
  kinds_[events.find(trace::exec_log_block_event).value()] = exec_log;
  kinds_[events.find(trace::exec_log_registers_event).value()] = cpu_log;
  kinds_[events.find(trace::exec_tb_event).value()] = exec_tb;
  kinds_[events.find(trace::exec_tb_nocache_event).value()] = exec_tb;
  for (const auto kind : kinds_) readers_.push_back(kind == no_kind ? 0 : 1);
  counts_.resize(kinds_.size());
}

trace::Tally ExecutionSink::tally() {
  // Events that a trace brings along are of no use, but are passed over most quickly so.
  counts_.resize(events_.size());
  readers_.resize(events_.size());
  return {counts_, readers_};
}

void ExecutionSink::on_record(const trace::Record& record) {
  if (record.event == exits_) ++counts_[exits_];
  if (record.event >= kinds_.size() || kinds_[record.event] == no_kind) return;
  if (!record.decoder->arguments(record, arguments_)) return;
  auto& builder = builders_[kinds_[record.event]];
  if (!builder) builder.emplace(page_bytes_);
  // The program counter is the last argument of each.
  builder->hit(arguments_.values[arguments_.count - 1].bits);
}

void ExecutionSink::finish(ExecutionProfile& profile) {
  const auto samples = [&](Kind kind) { return builders_[kind] ? builders_[kind]->samples() : 0; };
  const Kind kind = samples(exec_log) > 0 ? exec_log : samples(exec_tb) > 0 ? exec_tb : cpu_log;
  if (samples(kind) == 0) return;
  builders_[kind]->finish(profile);
  if (kind == exec_log) {
    profile.kind = "exec-log";
    profile.sample = "line";
    profile.sample_of = " of -d exec";
    if (samples(cpu_log) == samples(kind)) {
      profile.sample_of += ", each with a register dump";
    } else if (samples(cpu_log) > 0) {
      profile.sample_of +=
          "; " + counted(samples(cpu_log), "register dump") + " beside them left out";
    }
  } else if (kind == exec_tb) {
    profile.kind = "exec_tb";
    profile.sample = "record";
    profile.sample_of = " of exec_tb";
    if (exits() > 0) profile.sample_of += ", and " + std::to_string(exits()) + " of exec_tb_exit";
  } else {
    profile.kind = "cpu-log";
    profile.sample = "register dump";
    profile.sample_of = " of -d cpu";
  }
}

}  // namespace qemon::cli
