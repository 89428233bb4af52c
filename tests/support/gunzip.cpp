#include "tests/support/gunzip.hpp"

#include <zlib.h>

#include <array>
#include <stdexcept>

namespace qemon::test {

std::string gunzip(std::string_view compressed) {
  z_stream stream{};
  constexpr int only_gzip = 15 + 16;
  if (::inflateInit2(&stream, only_gzip) != Z_OK) throw std::runtime_error("no memory");
  std::string copy(compressed);
  stream.next_in = reinterpret_cast<Bytef*>(copy.data());
  stream.avail_in = static_cast<uInt>(copy.size());
  std::string text;
  std::array<char, 64 * 1024> piece;
  int code = Z_OK;
  while (code == Z_OK) {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = static_cast<uInt>(piece.size());
    code = ::inflate(&stream, Z_NO_FLUSH);
    text.append(piece.data(), piece.size() - stream.avail_out);
  }
  const bool whole = code == Z_STREAM_END && stream.avail_in == 0;
  ::inflateEnd(&stream);
  if (!whole) throw std::runtime_error("no whole gzip data");
  return text;
}

}  // namespace qemon::test
