#include "tests/bench/trace_workload.hpp"

#include <stdexcept>

#include "exporters/pack_library.hpp"
#include "trace/log_decoder.hpp"
#include "trace/simple_decoder.hpp"

namespace qemon::bench {
namespace {

template <typename T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().detail);
  return std::move(*result);
}

std::string read_trace(const std::string& path) {
  auto input = value_of(trace::TraceInput::open(path));
  std::string all;
  std::vector<char> buffer(trace::decode_bytes_max);
  while (const auto got = value_of(input.read(buffer))) all.append(buffer.data(), got);
  return all;
}

}  // namespace

TraceWorkload::TraceWorkload(Format format, bool with_packs)
    : bytes_(read_trace(format == Format::simple ? QEMON_TEST_DATA "/simple-7.2.bin.gz"
                                                 : QEMON_TEST_DATA "/packs/pair.log.gz")),
      catalog_(value_of(trace::Catalog::load(QEMON_TEST_DATA "/catalog-7.2-excerpt.txt"))) {
  for (const auto& event : catalog_.events()) events_.add(event.name);
  events_.use_catalog(&catalog_);
  if (format == Format::simple) {
    decoder_ = std::make_unique<trace::SimpleDecoder>(events_);
  } else {
    decoder_ = std::make_unique<trace::LogDecoder>(events_);
  }
  if (!with_packs) return;
  std::vector<std::shared_ptr<const exporters::Pack>> packs;
  for (const char* name : {"block", "virtio-blk", "irq"}) {
    exporters::Mistakes mistakes(name);
    auto pack =
        exporters::load_pack(QEMON_SHIPPED_PACKS "/" + std::string(name) + ".yaml", mistakes);
    if (pack == nullptr) throw std::runtime_error(mistakes.lines().front());
    packs.push_back(std::move(pack));
  }
  engine_.use(packs);
}

std::uint64_t TraceWorkload::run() {
  const auto before = decoder_->stats().records;
  engine_.on_restart();
  decoder_->restart();
  const std::string_view bytes(bytes_);
  for (std::size_t at = 0; at < bytes.size();) {
    const auto used = decoder_->decode(bytes.substr(at, trace::decode_bytes_max), engine_);
    if (used == 0) break;
    at += used;
  }
  return decoder_->stats().records - before;
}

}  // namespace qemon::bench
