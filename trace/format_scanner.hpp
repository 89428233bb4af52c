// FormatScanner: gives an event's arguments back from the text that printf made of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "trace/catalog.hpp"
#include "trace/decoder.hpp"

namespace qemon::trace {

/// Compiled once from an event's format into a list of steps; scanning allocates nothing and takes
/// time proportional to the text, whatever the text is.
///
/// What the text does not determine:
/// * Strings without quotes around them. A string ends at the first place from which everything up
///   to the next string fits; strings with nothing between them ("%s%s") leave all to the last one.
///   NULL reads as the empty string.
/// * A `*` width or precision is given back as the number of characters that were printed.
/// * Bits that are not printed (%c of an int, h and hh) are zero, or the sign for %hd and %hhd.
class FormatScanner {
 public:
  explicit FormatScanner(const CatalogEvent& event);

  /// False when the format has a conversion that no event of QEMU has (floating point, %n, ...), or
  /// does not have exactly one for each argument. Then no text fits.
  [[nodiscard]] bool usable() const { return usable_; }

  /// Scans `text`, what stands behind "NAME " in a log line. True if all of it is what the format
  /// can have printed; strings in `into` are then views of `text`. Else `into` is unspecified.
  [[nodiscard]] bool scan(std::string_view text, Arguments& into) const;

 private:
  enum class Kind : std::uint8_t { literal, integer, pointer, character, string };

  struct Step {
    Kind kind = Kind::literal;
    std::uint8_t argument = 0;

    // Integers. How many bits printf was given, how many the declared type has, and their signs.
    std::uint8_t base = 10;
    std::uint8_t printed_bits = 32;
    std::uint8_t declared_bits = 32;
    bool declared_signed = false;
    bool prints_sign = false;
    bool alternate = false;  ///< Flag '#'.
    bool blank = false;      ///< Flag ' '.
    bool plus = false;       ///< Flag '+'.
    bool zero = false;       ///< Flag '0'.
    bool left = false;       ///< Flag '-'.
    std::uint16_t width = 0;
    std::int32_t precision = -1;
    std::int8_t width_argument = -1;      ///< The argument that a `*` width takes, or -1.
    std::int8_t precision_argument = -1;  ///< The same for a `*` precision.
    std::uint16_t digits_max = 0;
    /// How many characters at the front of the literal behind it read as digits: "0x%x0x%x".
    std::uint16_t glued = 0;

    // Literals.
    std::uint32_t literal_at = 0;
    std::uint32_t literal_size = 0;

    // Strings: the index of the next string step, or the number of steps.
    std::uint32_t next_string = 0;
  };

  struct Span {
    const char* begin = nullptr;
    const char* end = nullptr;
  };

  bool compile(const CatalogEvent& event);
  bool compile_conversion(std::string_view& format, const CatalogEvent& event, std::size_t& next);
  static void take_flags(std::string_view& format, Step& step);
  static void set_integer(char conversion, Step& step);
  void link();
  [[nodiscard]] std::string_view literal(const Step& step) const;

  // Each returns where the text goes on, or nullptr if it does not fit.
  const char* match_run(std::size_t first, std::size_t last, const char* at, const char* end,
                        Arguments& into) const;
  static const char* match_padded(const Step& step, const char* at, const char* end,
                                  Arguments& into);
  static const char* match_integer(const Step& step, const char* at, const char* end, Value& value);
  static bool store_string(const Step& step, std::string_view text, Arguments& into);
  Span find_run(std::size_t first, std::size_t last, const char* from, const char* end,
                Arguments& into) const;

  std::vector<Step> steps_;
  std::string literals_;
  std::size_t argument_count_ = 0;
  std::size_t first_string_ = 0;
  bool usable_ = false;
};

}  // namespace qemon::trace
