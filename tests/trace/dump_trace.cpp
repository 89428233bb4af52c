// Prints what a trace's decoder finds in it, a JSON line each, for tests in other languages:
//   dump-trace simple|log CATALOG TRACE PIECE
// PIECE: how many bytes more each call of decode() is shown. A record is [name, time or null, id,
// arguments or null], strings in hexadecimal behind an 's'; a loss is a number, that of the events
// that were dropped. The last line is an object: totals, and how many bytes were left over.
#include <charconv>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "tests/trace/simple_trace.hpp"
#include "trace/log_decoder.hpp"
#include "trace/simple_decoder.hpp"

namespace qemon::trace {
namespace {

using Json = nlohmann::json;

Json to_json(const Value& value, const Argument& argument) {
  if (argument.kind != ArgumentKind::string) return value.bits;
  std::string text = "s";
  for (const char c : value.text) {
    constexpr std::string_view digits = "0123456789abcdef";
    text += digits[static_cast<unsigned char>(c) >> 4U];
    text += digits[static_cast<unsigned char>(c) & 15U];
  }
  return text;
}

class PrintingSink : public RecordSink {
 public:
  explicit PrintingSink(const EventTable& events) : events_(events) {}

  void on_record(const Record& record) override {
    Json arguments;
    Arguments found;
    const CatalogEvent* const described = events_.described(record.event);
    if (described != nullptr && record.decoder->arguments(record, found)) {
      arguments = Json::array();
      for (std::size_t i = 0; i < found.count; ++i)
        arguments.push_back(to_json(found.values[i], described->arguments.at(i)));
    }
    const Json time = record.has_time ? Json(record.time_ns) : Json();
    std::cout << Json{events_.name(record.event), time, record.id, arguments} << '\n';
  }
  void on_loss(std::uint64_t count) override { std::cout << count << '\n'; }

 private:
  const EventTable& events_;
};

int dump(bool simple, const std::string& catalog_path, const std::string& path, std::size_t piece) {
  const auto catalog = Catalog::load(catalog_path);
  if (!catalog) {
    std::cerr << "dump-trace: " << catalog.error().detail << '\n';
    return 1;
  }
  for (const auto& problem : catalog->problems()) std::cerr << "dump-trace: " << problem << '\n';
  EventTable events;
  events.use_catalog(&*catalog);
  std::unique_ptr<Decoder> decoder;
  if (simple) {
    decoder = std::make_unique<SimpleDecoder>(events);
  } else {
    for (const auto& event : catalog->events()) events.add(event.name);
    decoder = std::make_unique<LogDecoder>(events);
  }
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  PrintingSink sink(events);
  const std::string rest = test::feed(*decoder, sink, bytes, piece);
  const auto& stats = decoder->stats();
  std::cout << Json{{"records", stats.records}, {"dropped", stats.dropped_events},
                    {"resyncs", stats.resyncs}, {"lost_bytes", stats.lost_bytes},
                    {"errors", stats.errors},   {"rest", rest.size()}}
            << '\n';
  return 0;
}

}  // namespace
}  // namespace qemon::trace

int main(int argc, char** argv) {
  std::size_t piece = 0;
  const bool simple = argc == 5 && std::strcmp(argv[1], "simple") == 0;
  if (argc != 5 || (!simple && std::strcmp(argv[1], "log") != 0) ||
      std::from_chars(argv[4], argv[4] + std::strlen(argv[4]), piece).ec != std::errc() ||
      piece == 0) {
    std::cerr << "usage: dump-trace simple|log CATALOG TRACE PIECE\n";
    return 2;
  }
  return qemon::trace::dump(simple, argv[2], argv[3], piece);
}
