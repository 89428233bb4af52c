// Whole files in and out, for tests.
#pragma once

#include <string>
#include <string_view>

namespace qemon::test {

/// The file's whole content; throws std::system_error when it cannot be read, which fails the test
/// that asked.
std::string read_file(const std::string& path);

/// Replaces the file's content, and makes the file if there is none.
void write_file(const std::string& path, std::string_view content);

/// Adds to the file's end, and makes the file if there is none.
void append_file(const std::string& path, std::string_view content);

}  // namespace qemon::test
