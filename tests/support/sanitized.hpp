// Whether the tests, and with them the programs, are built with a sanitizer that makes them slow.
#pragma once

namespace qemon::test {

/// ThreadSanitizer makes programs slower than any other: 10 to 20 times.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool thread_sanitized = true;
#else
inline constexpr bool thread_sanitized = false;
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace qemon::test
