// What a program file says about the probes for static tracing (USDT) in its code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace qemon::usdt {

/// How many places in the code have the probe of each name.
using ProbeSites = std::map<std::string, std::size_t, std::less<>>;

/// The probes of `provider` in an ELF file of this host's kind, from its notes of type stapsdt.
/// Empty if there are none; an Error if the file cannot be read or is no such file.
[[nodiscard]] Result<ProbeSites> read_probes(const std::string& path, std::string_view provider);

/// One place, as offsets in the file.
struct ProbeSite {
  std::uint64_t code = 0;
  std::uint64_t semaphore = 0;  ///< 0 if it has none.
};

/// The places of one probe.
[[nodiscard]] Result<std::vector<ProbeSite>> find_sites(const std::string& path,
                                                        std::string_view provider,
                                                        std::string_view name);

/// Whether there is one; it does not read further than to the first.
[[nodiscard]] bool has_probes(const std::string& path, std::string_view provider);

}  // namespace qemon::usdt
