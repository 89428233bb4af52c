#include "trace/catalog.hpp"

#include <algorithm>
#include <utility>

#include "base/file.hpp"
#include "trace/catalog_line.hpp"

namespace qemon::trace {
namespace {

// QEMU 11.1's file has 570 kB and 6,335 events; its longest line has 400 bytes.
constexpr std::size_t file_bytes_max = 64 * 1024 * 1024;
constexpr std::size_t events_max = 100'000;
constexpr std::size_t line_bytes_max = 64 * 1024;
constexpr std::size_t problems_max = 20;

constexpr std::string_view blanks = " \t\r\f\v";

std::string_view strip(std::string_view text) {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Collects what was wrong, without growing with the number of bad lines.
class Problems {
 public:
  void add(std::size_t line_number, std::string_view what) {
    if (++count_ > problems_max) return;
    kept_.push_back("line " + std::to_string(line_number) + ": " + std::string(what));
  }

  [[nodiscard]] std::vector<std::string> take() && {
    if (count_ > problems_max)
      kept_.push_back("and " + std::to_string(count_ - problems_max) + " more lines");
    return std::move(kept_);
  }

 private:
  std::vector<std::string> kept_;
  std::size_t count_ = 0;
};

}  // namespace

Result<Catalog> Catalog::parse(std::string_view text) {
  Catalog catalog;
  Problems problems;
  // Room for all, so that the index can hold views of their names at once. A line is two events at
  // most.
  catalog.events_.reserve(
      2 * std::min(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1,
                   events_max));
  std::size_t line_number = 0;
  while (!text.empty() && catalog.events_.size() < events_max) {
    ++line_number;
    const auto end = text.find('\n');
    const auto line = strip(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty() || line.front() == '#') continue;
    if (line.size() > line_bytes_max) {
      problems.add(line_number, "longer than 64 KiB");
      continue;
    }
    auto events = parse_catalog_line(line);
    if (!events) {
      problems.add(line_number, events.error().detail);
      continue;
    }
    for (auto& event : *events) {
      if (!catalog.index_.contains(event.name)) {
        catalog.events_.push_back(std::move(event));
        catalog.index_.emplace(catalog.events_.back().name, catalog.events_.size() - 1);
      } else {
        problems.add(line_number, "event " + excerpt(event.name) + " is described twice");
      }
    }
  }
  if (!text.empty())
    problems.add(line_number + 1, "more than 100,000 events; the rest is left out");
  catalog.problems_ = std::move(problems).take();
  if (catalog.events_.empty()) {
    const auto why = catalog.problems_.empty() ? "" : " (" + catalog.problems_.front() + ")";
    return Error{"no event described; name the trace-events-all file of this QEMU" + why};
  }
  return catalog;
}

Result<Catalog> Catalog::load(const std::string& path) {
  const auto text = read_file(path, file_bytes_max);
  if (!text) {
    auto error = wrap(text.error(), path);
    if (!error.code) error.detail += "; name the trace-events-all file of this QEMU";
    return error;
  }
  auto catalog = parse(*text);
  if (!catalog) return wrap(catalog.error(), path);
  return catalog;
}

const CatalogEvent* Catalog::find(std::string_view name) const {
  const auto known = index_.find(name);
  return known == index_.end() ? nullptr : &events_[known->second];
}

}  // namespace qemon::trace
