// Table: rows of text in aligned columns.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace qemon::cli {

/// Columns are two blanks apart and as wide as they must be; no line ends in blanks. Cells are made
/// printable.
class Table {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };

  explicit Table(std::vector<Column> its_columns) : columns_(std::move(its_columns)) {}
  /// One cell per column.
  void add(std::vector<std::string> row);
  /// The titles, then the rows.
  void print(std::ostream& out) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace qemon::cli
