#include "cli/decode_file.hpp"

#include <cstring>
#include <span>
#include <string_view>

#include "cli/progress.hpp"
#include "cli/text.hpp"
#include "trace/piece_reader.hpp"
#include "trace/simple_decoder.hpp"

namespace qemon::cli {
namespace {

Result<void> decode_all(trace::TraceInput& input, trace::Decoder& decoder, trace::RecordSink& sink,
                        Progress& progress, std::uint64_t done, DecodedFile& file,
                        std::vector<std::string>& notes) {
  // What a decoder leaves of one piece goes in front of the next.
  constexpr std::size_t room = 2 * trace::decode_bytes_max;
  // Pipes do not tell how much there is to come.
  const auto mode =
      input.file_bytes() ? trace::PieceReader::Mode::ahead : trace::PieceReader::Mode::in_turn;
  const auto* const simple = dynamic_cast<const trace::SimpleDecoder*>(&decoder);
  trace::PieceReader pieces(input, mode, room);
  std::string rest;
  while (true) {
    const auto piece = pieces.next();
    if (!piece) return piece.error();
    if (piece->empty()) break;
    file.bytes += piece->size();
    char* const begin = piece->data() - rest.size();
    std::memcpy(begin, rest.data(), rest.size());
    const std::string_view bytes(begin, rest.size() + piece->size());
    const auto used = decoder.decode(bytes, sink);
    rest = bytes.substr(used);
    if (simple != nullptr && !simple->problem().empty())
      return Error{input.name() + ": " + simple->problem()};
    progress.show(done + pieces.file_bytes_read());
  }
  // Arguments that were cut would be wrong, and QEMU ends each line when it writes it.
  if (!rest.empty())
    notes.push_back(file.name + ": ends within a record, which is not counted (the last " +
                    counted(rest.size(), "byte") + ")");
  return {};
}

}  // namespace

Result<void> decode_file(trace::TraceInput& input, trace::Decoder& decoder, trace::RecordSink& sink,
                         Progress& progress, std::uint64_t done, DecodedFile& file,
                         std::vector<std::string>& notes) {
  file.name = input.name();
  file.compressed = input.compressed();
  auto result = decode_all(input, decoder, sink, progress, done, file, notes);
  // Only now, so that the bytes that a cut `simple` file left over are counted as lost.
  decoder.restart();
  file.complete = result.has_value();
  return result;
}

}  // namespace qemon::cli
