#include "trace/format_scanner.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <optional>

namespace qemon::trace {
namespace {

/// Scans `text` as an event with this line in the catalog.
class Scan {
 public:
  Scan(std::string_view arguments, std::string_view format, std::string text)
      : text_(std::move(text)) {
    // The format is given as printf sees it.
    const auto catalog = Catalog::parse("e(" + std::string(arguments) + ")");
    if (!catalog) {
      ADD_FAILURE() << catalog.error().detail;
      return;
    }
    CatalogEvent event = catalog->events().front();
    event.format = format;
    const FormatScanner scanner(event);
    usable_ = scanner.usable();
    fits_ = scanner.scan(text_, arguments_);
  }

  [[nodiscard]] bool usable() const { return usable_; }
  [[nodiscard]] bool fits() const { return fits_; }
  /// 0xbad if the text does not fit.
  [[nodiscard]] std::uint64_t bits(std::size_t i) const {
    return fits_ ? arguments_.values[i].bits : 0xbad;
  }
  [[nodiscard]] std::string text(std::size_t i) const {
    return fits_ ? std::string(arguments_.values[i].text) : "does not fit";
  }

 private:
  std::string text_;
  bool usable_ = false;
  bool fits_ = false;
  Arguments arguments_;
};

std::uint64_t stored(std::int64_t value) {
  return static_cast<std::uint64_t>(value);
}

TEST(FormatScanner, ExtendsIntegersAsTheirDeclaredTypeDoes) {
  EXPECT_EQ(Scan("int a", "%d", "-5").bits(0), stored(-5));
  EXPECT_EQ(Scan("int a", "0x%x", "0xfffffffb").bits(0), stored(-5));
  EXPECT_EQ(Scan("int a", "%u", "4294967291").bits(0), stored(-5));
  EXPECT_EQ(Scan("uint32_t a", "%d", "-5").bits(0), 0xfffffffbu);
  EXPECT_EQ(Scan("uint8_t a", "%d", "255").bits(0), 255u);
  EXPECT_EQ(Scan("int8_t a", "%d", "-128").bits(0), stored(-128));
  EXPECT_EQ(Scan("int8_t a", "%x", "ffffff80").bits(0), stored(-128));
  EXPECT_EQ(Scan("int16_t a", "%hx", "8000").bits(0), stored(-32768));
  EXPECT_EQ(Scan("uint64_t a", "%ld", "-1").bits(0), ~std::uint64_t{0});
  EXPECT_EQ(Scan("int64_t a", "%lu", "18446744073709551615").bits(0), stored(-1));
  EXPECT_EQ(Scan("int64_t a", "%ld", "-9223372036854775808").bits(0), stored(INT64_MIN));
  EXPECT_EQ(Scan("ssize_t a", "%zd", "-1").bits(0), stored(-1));
  EXPECT_EQ(Scan("bool a", "%d", "1").bits(0), 1u);
  EXPECT_EQ(Scan("unsigned a", "%o", "37777777777").bits(0), 0xffffffffu);
  EXPECT_EQ(Scan("uint64_t a", "%llX", "FFFFFFFFFFFFFFFF").bits(0), ~std::uint64_t{0});
}

TEST(FormatScanner, GivesBackOnlyWhatWasPrinted) {
  EXPECT_EQ(Scan("int a", "%hhx", "fb").bits(0), 0xfbu);
  EXPECT_EQ(Scan("int a", "%hhd", "-5").bits(0), stored(-5));
  EXPECT_EQ(Scan("int a", "%c", "\xe9").bits(0), 0xe9u);
}

TEST(FormatScanner, RefusesWhatTheDeclaredTypeCannotHold) {
  EXPECT_FALSE(Scan("bool a", "%d", "2").fits());
  EXPECT_FALSE(Scan("uint8_t a", "%d", "256").fits());
  EXPECT_FALSE(Scan("uint8_t a", "%d", "-1").fits());
  EXPECT_FALSE(Scan("int a", "%d", "2147483648").fits());
  EXPECT_FALSE(Scan("int a", "%d", "-2147483649").fits());
  EXPECT_FALSE(Scan("unsigned a", "%u", "4294967296").fits());
  EXPECT_FALSE(Scan("unsigned a", "%u", "-1").fits());
  EXPECT_FALSE(Scan("unsigned a", "%x", "123456789").fits());
  EXPECT_FALSE(Scan("uint64_t a", "%lu", "18446744073709551616").fits());
  EXPECT_FALSE(Scan("uint64_t a", "%lx", "12345678901234567").fits());
  EXPECT_FALSE(Scan("int8_t a", "%x", "80").fits());
}

TEST(FormatScanner, KnowsFlagsWidthsAndPrecisions) {
  EXPECT_EQ(Scan("int a", "%04x|", "00ff|").bits(0), 255u);
  EXPECT_EQ(Scan("int a", "%2.2x", "0f").bits(0), 15u);
  EXPECT_EQ(Scan("int a", "%8.8x", "0000000f").bits(0), 15u);
  EXPECT_EQ(Scan("int a", "%6.3d|", "  -007|").bits(0), stored(-7));
  EXPECT_EQ(Scan("int a", "%4d|", "  -7|").bits(0), stored(-7));
  EXPECT_EQ(Scan("int a", "%04d|", "-007|").bits(0), stored(-7));
  EXPECT_EQ(Scan("int a", "%4d|", "12345|").bits(0), 12345u);
  EXPECT_EQ(Scan("int a", "%-4d|", "7   |").bits(0), 7u);
  EXPECT_EQ(Scan("int a", "%+d", "+7").bits(0), 7u);
  EXPECT_EQ(Scan("int a", "% d", " 7").bits(0), 7u);
  EXPECT_EQ(Scan("int a", "%#x", "0xff").bits(0), 255u);
  EXPECT_EQ(Scan("int a", "%#x", "0").bits(0), 0u);
  EXPECT_EQ(Scan("int a", "%#o", "0777").bits(0), 0777u);
  EXPECT_EQ(Scan("char a", "%3c|", "  x|").bits(0), std::uint64_t{'x'});
  EXPECT_EQ(Scan("char a", "%-3c|", "x  |").bits(0), std::uint64_t{'x'});
  EXPECT_EQ(Scan("void *a", "%20p|", "               (nil)|").bits(0), 0u);
}

TEST(FormatScanner, RefusesWrongPadding) {
  EXPECT_FALSE(Scan("int a", "%4d|", "  7|").fits());
  EXPECT_FALSE(Scan("int a", "%4d|", "    7|").fits());
  EXPECT_FALSE(Scan("int a", "%4d|", " 12345|").fits());
  EXPECT_FALSE(Scan("int a", "%04x|", "ff|").fits());
  EXPECT_FALSE(Scan("int a", "%.8x|", "ff|").fits());
  EXPECT_FALSE(Scan("int a", "%d", " 7").fits());
  EXPECT_FALSE(Scan("int a", "%d", "+7").fits());
}

TEST(FormatScanner, ReadsPointersOfEveryLibc) {
  EXPECT_EQ(Scan("void *a", "%p", "0x7f9b98605a80").bits(0), 0x7f9b98605a80u);
  EXPECT_EQ(Scan("void *a", "%p", "(nil)").bits(0), 0u);
  EXPECT_EQ(Scan("void *a", "%p", "0x0").bits(0), 0u);
  EXPECT_EQ(Scan("void *a", "%p", "0").bits(0), 0u);
  EXPECT_FALSE(Scan("void *a", "%p", "0x").fits());
  EXPECT_FALSE(Scan("void *a", "%p", "(null)").fits());
  EXPECT_FALSE(Scan("void *a", "%p", "0x12345678901234567").fits());
}

TEST(FormatScanner, ReadsCharactersOfAnyValue) {
  const std::uint64_t high = std::is_signed_v<char> ? stored(-23) : 0xe9;
  EXPECT_EQ(Scan("char a", "'%c'", "'\xe9'").bits(0), high);
  EXPECT_EQ(Scan("uint8_t a", "'%c'", "'\xe9'").bits(0), 0xe9u);
  EXPECT_EQ(Scan("char a", "'%c'", "' '").bits(0), std::uint64_t{' '});
  EXPECT_EQ(Scan("char a", "%c", std::string(1, '\0')).bits(0), 0u);
  EXPECT_FALSE(Scan("char a", "%c", "").fits());
}

TEST(FormatScanner, SeparatesNumbersFromTextGluedToThem) {
  // gicv3_icc_generate_sgi, console_putchar_csi, led_set_intensity, slavio_timer_get_out,
  // npcm_gmac_debug_desc_data, s390_pci_bar, vfio_get_dev_region of QEMU.
  EXPECT_EQ(Scan("uint64_t a", "0x%lxxx", "0xffxx").bits(0), 255u);
  EXPECT_EQ(Scan("int a, int b", "%dx%d", "640x480").bits(1), 480u);
  EXPECT_EQ(Scan("uint8_t a", "%u%% on", "50% on").bits(0), 50u);
  const Scan timer("uint32_t a, uint32_t b", "0x%x0x%08x", "0x123400000x00000005");
  EXPECT_EQ(timer.bits(0), 0x12340000u);
  EXPECT_EQ(timer.bits(1), 5u);
  EXPECT_EQ(Scan("uint32_t a", "0x%04XDescriptor", "0x00DDDescriptor").bits(0), 0xddu);
  EXPECT_EQ(Scan("uint64_t a, int b", "0x%lxbarsize 0x%x", "0xbabarsize 0x1").bits(0), 0xbau);
  EXPECT_EQ(Scan("unsigned a", "/%0x8", "/888").bits(0), 0x88u);
  EXPECT_EQ(Scan("uint8_t a, uint8_t b", "%02x%02x", "1234").bits(1), 0x34u);
  EXPECT_EQ(Scan("int a, char b", "%d%c", "12B").bits(1), std::uint64_t{'B'});
}

TEST(FormatScanner, ReadsStringsUpToWhatFollows) {
  const Scan quoted("const char *a, int b", "name '%s' size %d", "name 'it's a' size' size 3");
  EXPECT_EQ(quoted.text(0), "it's a' size");
  EXPECT_EQ(quoted.bits(1), 3u);
  const Scan open("void *bs, const char *a, int b, const char *c",
                  "bs %p filename \"%s\" flags 0x%x format_name \"%s\"",
                  "bs 0x1 filename \"a\" flags b\" flags 0x2 format_name \"raw\"");
  EXPECT_EQ(open.text(1), "a\" flags b");
  EXPECT_EQ(open.text(3), "raw");
  const Scan numbered("const char *a, int b, const char *c", "set %s%d to: %s",
                      "set FPR31 to: a: b");
  EXPECT_EQ(numbered.text(0), "FPR");
  EXPECT_EQ(numbered.bits(1), 31u);
  EXPECT_EQ(numbered.text(2), "a: b");
  EXPECT_EQ(Scan("const char *a, int b", "%s: %d", "x: 1: 2").text(0), "x: 1");
  EXPECT_EQ(Scan("const char *a, int b", "%s: %d", "x: 1: y").text(0), "does not fit");
  EXPECT_EQ(Scan("const char *a", "%s", "").text(0), "");
  EXPECT_EQ(Scan("const char *a", " (%s)", " (()())").text(0), "()()");
}

TEST(FormatScanner, LeavesAllToTheLastOfStringsWithNothingBetween) {
  const Scan scan("const char *a, const char *b", "Set%s%s", "Set ATN ACK");
  EXPECT_EQ(scan.text(0), "");
  EXPECT_EQ(scan.text(1), " ATN ACK");
}

TEST(FormatScanner, StripsThePaddingOfStrings) {
  EXPECT_EQ(Scan("const char *a, int b", "%6s/%d", "  READ/1").text(0), "READ");
  EXPECT_EQ(Scan("const char *a, int b", "%-6s/%d", "READ  /1").text(0), "READ");
  EXPECT_EQ(Scan("const char *a, int b", "%6s/%d", "LONGER/1").text(0), "LONGER");
  EXPECT_EQ(Scan("const char *a, int b", "%6s/%d", "LONG/ER/1").text(0), "LONG/ER");
  EXPECT_FALSE(Scan("const char *a, int b", "%6s/%d", "READ/1").fits());
  EXPECT_FALSE(Scan("const char *a", "%.3s", "READ").fits());
  EXPECT_EQ(Scan("const char *a, const char *b", "%s %10s/", "SD       READ/").text(1), "READ");
}

TEST(FormatScanner, ReadsNullStringsAsEmpty) {
  EXPECT_EQ(Scan("const char *a, int b", "%s %d", "(null) 3").text(0), "");
  EXPECT_EQ(Scan("const char *a", "%10s", "    (null)").text(0), "");
}

TEST(FormatScanner, GivesBackAStarWidthAsWhatWasPrinted) {
  const Scan scan("int w, uint64_t v, unsigned s", "data:0x%0*lx size %u", "data:0x00ff size 2");
  EXPECT_EQ(scan.bits(0), 4u);
  EXPECT_EQ(scan.bits(1), 255u);
  EXPECT_EQ(scan.bits(2), 2u);
  EXPECT_EQ(Scan("int w, int v", "%*d", "    7").bits(0), 5u);
  EXPECT_EQ(Scan("int p, const char *s", "[%.*s]", "[abc]").bits(0), 3u);
}

TEST(FormatScanner, TakesPercentSignsAndBlanksAndNewlinesAsTheyAre) {
  EXPECT_TRUE(Scan("void", "", "").fits());
  EXPECT_FALSE(Scan("void", "", " ").fits());
  EXPECT_TRUE(Scan("void", "100%%", "100%").fits());
  EXPECT_EQ(Scan("int a", "  %d ", "  1 ").bits(0), 1u);
  EXPECT_FALSE(Scan("int a", "  %d ", "  1").fits());
  EXPECT_EQ(Scan("int a, int b", "a %d\n\tb %d", "a 1\n\tb 2").bits(1), 2u);
}

TEST(FormatScanner, RefusesTextThatIsTooShortOrTooLongAtEveryPlace) {
  const std::string arguments = "void *p, const char *s, int d, uint8_t x, char c";
  const std::string format = "p %p s '%s' d %d x 0x%02x c %c.";
  const std::string text = "p 0x12 s 'a' d -1 x 0x0f c y.";
  ASSERT_TRUE(Scan(arguments, format, text).fits());

  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(Scan(arguments, format, text.substr(0, size)).fits()) << size;
  EXPECT_FALSE(Scan(arguments, format, text + ".").fits());
}

TEST(FormatScanner, IsUnusableForFormatsThatNoEventHas) {
  for (const char* format : {"", "%d %d", "%", "%l", "%f", "%n", "%p", "%s", "%m", "%1$d", "%2000d",
                             "%.2000d", "%99999999999d", "%*d", "%.*d", "%y", "100%"}) {
    const Scan scan("int a", format, "1");
    EXPECT_FALSE(scan.usable()) << format;
    EXPECT_FALSE(scan.fits()) << format;
  }
  EXPECT_FALSE(Scan("const char *a", "%p", "0x1").usable());
  EXPECT_FALSE(Scan("void *a", "%s", "a").usable());
  EXPECT_FALSE(Scan("const char *a", "%d", "1").usable());
}

TEST(FormatScanner, NeedsTimeProportionalToHostileText) {
  const std::size_t size = 1024 * 1024;
  std::string almost;
  while (almost.size() < size) almost += " 1: ";

  // More than that would take hours, which the test does not have.
  const std::string five = "const char *a, const char *b, const char *c, const char *d, int e";
  EXPECT_FALSE(Scan(five, "%s %s %s %s %d.", std::string(size, ' ')).fits());
  EXPECT_FALSE(Scan(five, "%s %s %s %s %d.", almost).fits());
  EXPECT_FALSE(Scan(five, "%s: %s: %s: %s: %d", almost).fits());
  EXPECT_FALSE(Scan("const char *a, uint64_t b", "%s%lx.", std::string(size, 'a')).fits());
  EXPECT_FALSE(Scan("const char *a, int b", "%s%1000d.", std::string(size, ' ')).fits());
  EXPECT_FALSE(Scan("const char *a, int b", "%saaaaaaaaaaaaaaab%d", std::string(size, 'a')).fits());
}

}  // namespace
}  // namespace qemon::trace
