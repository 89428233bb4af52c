// Making `simple` traces byte by byte, and collecting what a decoder finds in them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trace/decoder.hpp"

namespace qemon::test {

/// The bytes of a trace, in this host's byte order.
class SimpleTrace {
 public:
  SimpleTrace& u64(std::uint64_t value) { return raw(&value, sizeof value); }
  SimpleTrace& u32(std::uint32_t value) { return raw(&value, sizeof value); }
  SimpleTrace& text(std::string_view value) { return raw(value.data(), value.size()); }

  SimpleTrace& header(std::uint64_t version = 4) {
    return u64(~std::uint64_t{0}).u64(0xf2b177cb0aa429b4U).u64(version);
  }
  SimpleTrace& mapping(std::uint64_t id, std::string_view name) {
    return u64(0).u64(id).u32(static_cast<std::uint32_t>(name.size())).text(name);
  }
  /// `arguments`: their stored bytes, see u64s() and string().
  SimpleTrace& event(std::uint64_t id, std::uint64_t time, std::string_view arguments,
                     std::uint32_t pid = 4711) {
    starts.push_back(bytes.size());
    return u64(1)
        .u64(id)
        .u64(time)
        .u32(static_cast<std::uint32_t>(24 + arguments.size()))
        .u32(pid)
        .text(arguments);
  }
  SimpleTrace& dropped(std::uint64_t time, std::uint64_t count, std::uint32_t pid = 4711) {
    return u64(1).u64(~std::uint64_t{0} - 1).u64(time).u32(32).u32(pid).u64(count);
  }

  std::string bytes;
  std::vector<std::size_t> starts;  ///< Where each event() begins.

 private:
  SimpleTrace& raw(const void* data, std::size_t size) {
    bytes.append(static_cast<const char*>(data), size);
    return *this;
  }
};

inline std::string u64s(std::initializer_list<std::uint64_t> values) {
  SimpleTrace trace;
  for (const std::uint64_t value : values) trace.u64(value);
  return trace.bytes;
}

inline std::string string(std::string_view value) {
  SimpleTrace trace;
  return trace.u32(static_cast<std::uint32_t>(value.size())).text(value).bytes;
}

/// A record that outlives the sink.
struct Found {
  std::string event;
  std::int64_t time_ns = 0;
  std::uint32_t id = 0;
  std::optional<std::vector<std::string>>
      arguments;  ///< Integers in decimal (as unsigned); none if the decoder gave none.
  friend bool operator==(const Found&, const Found&) = default;
};

class CollectingSink : public trace::RecordSink {
 public:
  CollectingSink(const trace::EventTable& events, const trace::Decoder& decoder)
      : events_(events), decoder_(decoder) {}

  void on_record(const trace::Record& record) override {
    Found found{events_.name(record.event), record.time_ns, record.id, std::nullopt};
    trace::Arguments arguments;
    if (decoder_.arguments(record, arguments)) {
      found.arguments.emplace();
      for (std::size_t i = 0; i < arguments.count; ++i) {
        const trace::Value& value = arguments.values[i];
        found.arguments->push_back(value.text.data() != nullptr ? std::string(value.text)
                                                                : std::to_string(value.bits));
      }
    }
    records.push_back(std::move(found));
  }
  void on_loss(std::uint64_t count) override { losses.push_back(count); }

  std::vector<Found> records;
  std::vector<std::uint64_t> losses;

 private:
  const trace::EventTable& events_;
  const trace::Decoder& decoder_;
};

/// Gives `bytes` to the decoder as a reader of a growing file does, `piece` new bytes at a time.
/// Returns what it left over.
inline std::string feed(trace::Decoder& decoder, trace::RecordSink& sink, std::string_view bytes,
                        std::size_t piece, std::string buffer = {}) {
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    buffer += bytes.substr(at, piece);
    buffer.erase(0, decoder.decode(buffer, sink));
  }
  return buffer;
}

}  // namespace qemon::test
