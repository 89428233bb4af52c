// Whether the tests, and with them the programs, are built with a sanitizer that makes them slow.
#pragma once

namespace qemon::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace qemon::test
