#include "daemon/content_coding.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <cassert>
#include <charconv>
#include <new>

namespace qemon::daemon {

namespace beast = boost::beast;

namespace {

// The fastest: on /metrics of a thousand VMs the next levels take longer and save little, see
// docs/performance.md.
constexpr int level = 1;
constexpr int window_bits = 15 + 16;  // The largest window, in the format of gzip.
constexpr int memory_level = 8;       // zlib's default: 256 KiB for each writer.

/// What stands before `separator`, without blanks around it. It and the separator are taken away
/// from `text`.
std::string_view take_until(char separator, std::string_view& text) {
  const auto end = std::min(text.find(separator), text.size());
  std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  const auto begin = std::min(part.find_first_not_of(" \t"), part.size());
  part.remove_prefix(begin);
  return part.substr(0, part.find_last_not_of(" \t") + 1);
}

/// Of the parameter q: 0 to 1, and 1 if there is none. What cannot be read counts as a refusal.
double weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    std::string_view value = take_until(';', parameters);
    if (!beast::iequals(take_until('=', value), "q")) continue;
    double weight = 0;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), weight);
    const bool whole = code == std::errc() && end == value.data() + value.size();
    return whole && weight > 0 && weight <= 1 ? weight : 0;
  }
  return 1;
}

}  // namespace

std::optional<ContentCoding> choose_coding(std::string_view accept_encoding) {
  std::optional<double> gzip;
  std::optional<double> identity;
  std::optional<double> others;
  // Beast's ext_list gives an entry without parameters those of the entry before.
  while (!accept_encoding.empty()) {
    std::string_view parameters = take_until(',', accept_encoding);
    const std::string_view name = take_until(';', parameters);
    const double weight = weight_of(parameters);
    if (beast::iequals(name, "gzip") || beast::iequals(name, "x-gzip")) gzip = weight;
    if (beast::iequals(name, "identity")) identity = weight;
    if (name == "*") others = weight;
  }
  const double gzip_weight = gzip.value_or(others.value_or(0));
  if (gzip_weight > 0 && gzip_weight >= identity.value_or(0)) return ContentCoding::gzip;
  // Not to be compressed is acceptable unless it is refused.
  if (identity.value_or(others.value_or(1)) > 0) return ContentCoding::identity;
  return std::nullopt;
}

struct GzipWriter::State {
  z_stream stream{};
};

GzipWriter::GzipWriter() : state_(std::make_unique<State>()) {
  if (::deflateInit2(&state_->stream, level, Z_DEFLATED, window_bits, memory_level,
                     Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();  // The only reason, with these arguments.
}

GzipWriter::~GzipWriter() {
  ::deflateEnd(&state_->stream);
}

void GzipWriter::deflate(std::string_view piece, bool last, std::string& compressed) {
  z_stream& stream = state_->stream;
  // zlib does not write to its input.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
  stream.avail_in = static_cast<uInt>(piece.size());
  std::array<char, 16 * 1024> room;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(room.data());
    stream.avail_out = static_cast<uInt>(room.size());
    [[maybe_unused]] const int code = ::deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
    assert(code != Z_STREAM_ERROR);
    compressed.append(room.data(), room.size() - stream.avail_out);
  } while (stream.avail_out == 0);
}

std::string gzip(std::string_view body) {
  std::string compressed;
  GzipWriter writer;
  writer.add(body, compressed);
  writer.finish(compressed);
  return compressed;
}

}  // namespace qemon::daemon
