// The byte layout of QEMU's `simple` trace files, version 4 (trace/simple.c of QEMU 2.8 to 11.0).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace qemon::trace::simple {

// Everything is packed, without padding, in the byte order of the host that QEMU runs on.
//   header:  u64 header_id, u64 magic, u64 version
//   mapping: u64 0, u64 event id, u32 length of the name, the name
//   event:   u64 1, u64 event id, u64 time, u32 length (from the event id on), u32 pid, arguments
//   drop:    an event with the id dropped_id and one u64: how many events were lost
//   argument: a string as u32 length and bytes; anything else as u64, signed types sign-extended
inline constexpr std::uint64_t header_id = ~std::uint64_t{0};
inline constexpr std::uint64_t magic = 0xf2b177cb0aa429b4U;
inline constexpr std::uint64_t version = 4;
inline constexpr std::uint64_t mapping_type = 0;
inline constexpr std::uint64_t event_type = 1;
inline constexpr std::uint64_t dropped_id = ~std::uint64_t{0} - 1;

inline constexpr std::size_t header_bytes = 24;
inline constexpr std::size_t type_bytes = 8;           ///< What a record's length does not include.
inline constexpr std::size_t mapping_head_bytes = 20;  ///< Up to the name.
inline constexpr std::size_t event_head_bytes = 32;    ///< Up to the arguments.
inline constexpr std::uint32_t event_length_min =
    24;  ///< The stored length of an event without arguments.
inline constexpr std::uint32_t drop_length = 32;

/// QEMU's longest record has 11 strings of 512 bytes: 5,700 bytes. With room for a QEMU that cuts
/// strings later, but small, because a damaged length makes the decoder wait for that many bytes.
inline constexpr std::uint32_t event_length_max = 8192;
inline constexpr std::uint32_t name_length_max =
    255;  ///< The longest name in QEMU 11.0 has 52 characters.
/// QEMU counts ids up from 0; the largest build has about 6,000 events.
inline constexpr std::uint64_t ids_max = std::uint64_t{1} << 20;

/// The value at `at`, which need not be aligned.
template <typename T>
[[nodiscard]] T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

/// Whether `left` bytes, fewer than eight or not, can be the beginning of the 64-bit `word`.
[[nodiscard]] inline bool may_be(std::uint64_t word, const char* at, std::size_t left) {
  return std::memcmp(&word, at, left < sizeof word ? left : sizeof word) == 0;
}

/// Whether a file that begins so is such a trace, of any version and byte order: the decoder tells
/// what is wrong with it. No text begins with such bytes.
[[nodiscard]] inline bool is_simple(std::string_view head) {
  return head.size() >= sizeof header_id && load<std::uint64_t>(head.data()) == header_id;
}

}  // namespace qemon::trace::simple
