// Feeding a decoder with a finished trace, from its first byte to its last.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "trace/decoder.hpp"
#include "trace/trace_input.hpp"

namespace qemon::cli {

class Progress;

/// One file as it was read.
struct DecodedFile {
  std::string name;
  bool compressed = false;
  std::uint64_t bytes = 0;  ///< Of trace, which is more than the file has if that is compressed.
  bool complete = false;    ///< Read to its end.
};

/// Reads `input` to its end and restarts the decoder. After an Error, which names the file, what
/// came before it has been given to the sink. `done`: bytes of earlier files, for the progress.
/// What a person should know about it is added to `notes`, a line each.
[[nodiscard]] Result<void> decode_file(trace::TraceInput& input, trace::Decoder& decoder,
                                       trace::RecordSink& sink, Progress& progress,
                                       std::uint64_t done, DecodedFile& file,
                                       std::vector<std::string>& notes);

}  // namespace qemon::cli
