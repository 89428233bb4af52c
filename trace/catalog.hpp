// Catalog: what a trace-events-all file says about events: argument names, C types, printf formats.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"

namespace qemon::trace {

/// How an argument's 64 stored bits are to be read.
enum class ArgumentKind : std::uint8_t { signed_integer, unsigned_integer, pointer, string };

/// One argument of an event, as declared.
struct Argument {
  std::string name;
  ArgumentKind kind = ArgumentKind::unsigned_integer;
  /// Declared width of an integer: 1 (bool), 8, 16, 32 or 64. 64 for pointers, 0 for strings.
  std::uint8_t bits = 64;
};

/// One event. `arguments` includes the implicit `void *__cpu` of `vcpu` events (QEMU 7.2 and
/// older), which is in the record and in the log line but not in the file; `format` then begins
/// with its "cpu=%p ".
struct CatalogEvent {
  std::string name;
  std::vector<Argument> arguments;
  /// printf format with literals joined and PRI macros expanded for LP64; may be empty.
  std::string format;
  bool disabled = false;  ///< Compiled out; QEMU calls it "unavailable".
};

/// The parsed file. Immutable; events keep their order. Source of the grammar:
/// docs/devel/tracing.rst and scripts/tracetool/__init__.py of QEMU.
class Catalog {
 public:
  Catalog() = default;
  Catalog(Catalog&&) = default;
  Catalog& operator=(Catalog&&) = default;
  // A copy's index would hold views into the original.
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  /// Parses the text of a trace-events-all file. Lines that cannot be parsed are left out and told
  /// in `problems()`; an Error only if there is not one event in it.
  [[nodiscard]] static Result<Catalog> parse(std::string_view text);
  /// Reads and parses the file at `path` (a regular file of at most 64 MiB).
  [[nodiscard]] static Result<Catalog> load(const std::string& path);

  /// nullptr if there is no such event. The pointer lives as long as the catalog, and survives
  /// moving it.
  [[nodiscard]] const CatalogEvent* find(std::string_view name) const;
  [[nodiscard]] std::span<const CatalogEvent> events() const { return events_; }
  /// One line each: "line 12: ...". At most 20, and then one that says how many more there are.
  [[nodiscard]] std::span<const std::string> problems() const { return problems_; }

 private:
  std::vector<CatalogEvent> events_;
  // Views of events_' names. Made when events_ is complete: moving the vector moves no element.
  std::unordered_map<std::string_view, std::size_t> index_;
  std::vector<std::string> problems_;
};

}  // namespace qemon::trace
