// What each stage between a trace and /metrics takes, by Google Benchmark:
//   cmake --preset dev && cmake --build build/dev --target stages && build/dev/tests/stages
// The engine is optimised whatever the build is.
#include <benchmark/benchmark.h>

#include "exporters/engine_metrics.hpp"
#include "exporters/metrics_page.hpp"
#include "tests/bench/trace_workload.hpp"

namespace {

using qemon::bench::TraceWorkload;
using Format = TraceWorkload::Format;

void decode(benchmark::State& state, Format format, bool with_packs) {
  TraceWorkload workload(format, with_packs);
  std::uint64_t records = 0, bytes = 0;
  for (auto each : state) {
    (void)each;
    records += workload.run();
    bytes += workload.bytes().size();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
  state.SetItemsProcessed(static_cast<std::int64_t>(records));
}

/// Finding the arguments of every record, and nothing else.
class Reader : public qemon::trace::RecordSink {
 public:
  void on_record(const qemon::trace::Record& record) override {
    benchmark::DoNotOptimize(record.decoder->arguments(record, arguments_));
    ++records;
  }
  void on_loss(std::uint64_t count) override { benchmark::DoNotOptimize(count); }

  std::uint64_t records = 0;

 private:
  qemon::trace::Arguments arguments_;
};

void read_arguments(benchmark::State& state, Format format) {
  TraceWorkload workload(format, false);
  Reader reader;
  const std::string_view bytes(workload.bytes());
  for (auto each : state) {
    (void)each;
    workload.decoder().restart();
    benchmark::DoNotOptimize(workload.decoder().decode(bytes, reader));
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(reader.records));
}

void write_page(benchmark::State& state) {
  TraceWorkload workload(Format::simple, true);
  workload.run();
  const qemon::exporters::Engines engines = [&] {
    return std::vector<qemon::exporters::EngineOfVm>{{"web1", &workload.engine(), true}};
  };
  std::uint64_t bytes = 0;
  for (auto each : state) {
    (void)each;
    for (const auto& collect : qemon::exporters::pack_families(engines))
      bytes += qemon::exporters::serialize(collect()).size();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}

}  // namespace

BENCHMARK_CAPTURE(decode, simple_counted, Format::simple, false);
BENCHMARK_CAPTURE(decode, simple_with_packs, Format::simple, true);
BENCHMARK_CAPTURE(decode, log_counted, Format::log, false);
BENCHMARK_CAPTURE(decode, log_with_packs, Format::log, true);
BENCHMARK_CAPTURE(read_arguments, simple, Format::simple);
BENCHMARK_CAPTURE(read_arguments, log, Format::log);
BENCHMARK(write_page);
BENCHMARK_MAIN();
