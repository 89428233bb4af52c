// Every event of every catalog at hand: formatted by printf from random arguments, then scanned
// back.
#include <gtest/gtest.h>

#include <cstdarg>
#include <cstdio>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "tests/trace/test_catalogs.hpp"
#include "trace/format_scanner.hpp"

namespace qemon::trace {
namespace {

struct Given {
  std::uint64_t bits = 0;
  std::string text;
};

/// The conversions and literals of a format, split independently of the code under test.
struct Piece {
  std::string spec;  ///< From '%' to the conversion, or a literal.
  char conversion = 0;
  bool star = false;
};

std::vector<Piece> split(const std::string& format) {
  std::vector<Piece> pieces;
  for (std::size_t at = 0; at < format.size();) {
    std::size_t end = format.find('%', at);
    if (end != at) {
      end = std::min(end, format.size());
      pieces.push_back({format.substr(at, end - at), 0, false});
    } else {
      end = format.find_first_of("diuxXocsp%", at + 1) + 1;
      const auto spec = format.substr(at, end - at);
      pieces.push_back({spec, spec.back(), spec.find('*') != std::string::npos});
    }
    at = end;
  }
  return pieces;
}

template <typename T>
std::string print(const Piece& piece, int width, T value) {
  char buffer[4096];
  const int size = piece.star
                       ? std::snprintf(buffer, sizeof buffer, piece.spec.c_str(), width, value)
                       : std::snprintf(buffer, sizeof buffer, piece.spec.c_str(), value);
  return {buffer, static_cast<std::size_t>(size)};
}

/// What QEMU would print: the stored bits taken back to the declared type, promoted as C does.
std::string print_all(const std::vector<Piece>& pieces, const std::vector<Given>& given) {
  std::string text;
  std::size_t next = 0;
  for (const auto& piece : pieces) {
    if (piece.conversion == 0) {
      text += piece.spec;
    } else if (piece.conversion == '%') {
      text += '%';
    } else {
      const int width = piece.star ? static_cast<int>(given[next++].bits) : 0;
      const Given& one = given[next++];
      if (piece.conversion == 's') {
        text += print(piece, width, one.text.c_str());
      } else if (piece.conversion == 'p') {
        text += print(piece, width, reinterpret_cast<void*>(one.bits));
      } else if (piece.spec.find_first_of("lzjt") != std::string::npos) {
        text += print(piece, width, static_cast<long>(one.bits));
      } else {
        text += print(piece, width, static_cast<int>(one.bits));
      }
    }
  }
  return text;
}

class Random {
 public:
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }

  std::uint64_t integer(const Argument& argument) {
    const unsigned bits = argument.bits;
    std::uint64_t value = engine_() >> below(64);
    if (below(4) == 0) {
      const std::uint64_t edges[] = {0, 1, ~std::uint64_t{0}, std::uint64_t{1} << (bits - 1),
                                     (std::uint64_t{1} << (bits - 1)) - 1};
      value = edges[below(5)];
    }
    if (bits == 64) return value;
    value &= (std::uint64_t{1} << bits) - 1;
    const bool negative =
        argument.kind == ArgumentKind::signed_integer && (value >> (bits - 1)) != 0;
    return negative ? value - (std::uint64_t{1} << bits) : value;
  }

  /// Letters that are no digits of any base, and nothing that formats have between strings.
  std::string word() {
    std::string word(1 + below(12), ' ');
    for (char& c : word) c = static_cast<char>('g' + below(20));
    return word;
  }

  std::string anything() {
    std::string text = word();
    for (auto size = below(40); size > 0; --size) text += static_cast<char>(' ' + below(95));
    return text;
  }

 private:
  std::mt19937_64 engine_{20260101};
};

struct Statistics {
  std::size_t events = 0, records = 0, arguments = 0;
  std::map<std::string, std::string> differing;  ///< Event and a text of it.
};

void check(const CatalogEvent& event, Random& random, Statistics& statistics) {
  const FormatScanner scanner(event);
  ASSERT_TRUE(scanner.usable()) << event.name;
  const auto pieces = split(event.format);
  ++statistics.events;
  for (int round = 0; round < 20; ++round) {
    std::vector<Given> given;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto& piece = pieces[i];
      if (piece.conversion == 0 || piece.conversion == '%') continue;
      // Wide enough for all digits, so that what is printed tells the width.
      if (piece.star) given.push_back({16 + random.below(5), {}});
      const Argument& argument = event.arguments.at(given.size());
      if (argument.kind == ArgumentKind::string) {
        given.push_back({0, i + 1 == pieces.size() ? random.anything() : random.word()});
      } else if (piece.conversion == 'c') {
        given.push_back({'g' + random.below(20), {}});
      } else {
        given.push_back({random.integer(argument), {}});
      }
    }
    ASSERT_EQ(given.size(), event.arguments.size()) << event.name;

    const std::string text = print_all(pieces, given);
    Arguments got;
    bool equal = scanner.scan(text, got) && got.count == given.size();
    for (std::size_t i = 0; equal && i < given.size(); ++i)
      equal = got.values[i].bits == given[i].bits && got.values[i].text == given[i].text;
    if (!equal) statistics.differing.emplace(event.name, text);
    ++statistics.records;
    statistics.arguments += given.size();
  }
}

/// Not determined by the text: strings with nothing between them.
const std::set<std::string> ambiguous = {
    "aes_dump_data",                // "%s%s"
    "lsi_execute_script_io_clear",  // "Clear%s%s%s%s"
    "lsi_execute_script_io_set",    // "Set%s%s%s%s"
    "sh_intc_sources",              // "%s%s%s"
    "xen_netdev_tx",                // "%s%s%s%s"
};

TEST(FormatScanner, GivesBackEveryArgumentOfEveryEventThatPrintfPrints) {
  auto paths = test::whole_catalogs();
  paths.push_back(test::catalog_excerpt());
  for (const auto& path : paths) {
    const auto catalog = Catalog::load(path);
    ASSERT_TRUE(catalog) << catalog.error().detail;
    Random random;
    Statistics statistics;

    for (const auto& event : catalog->events()) check(event, random, statistics);

    std::cout << path << ": " << statistics.events << " events, " << statistics.records
              << " records, " << statistics.arguments
              << " arguments; ambiguous: " << statistics.differing.size() << '\n';
    for (const auto& [name, text] : statistics.differing)
      EXPECT_TRUE(ambiguous.contains(name)) << name << ": " << text;
  }
}

}  // namespace
}  // namespace qemon::trace
