// What the tests of the trace sources share: this process in the place of a QEMU, and what it is
// seen to have traced.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <fstream>
#include <string>
#include <vector>

#include "daemon/trace_source.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {

inline void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::app) << text;
}

/// Records as "NAME [PAYLOAD]", losses as "lost N".
class SourceTest : public testing::Test, public trace::RecordSink {
 protected:
  SourceTest() : buffer(2 * trace::decode_bytes_max) {
    for (const auto* const name : {"one", "two"}) events.add(name);
  }

  void on_record(const trace::Record& record) override {
    seen.push_back(events.name(record.event) + " [" + std::string(record.payload) + "]");
    last_ns = record.has_time ? record.time_ns : -1;
  }
  void on_loss(std::uint64_t count) override { seen.push_back("lost " + std::to_string(count)); }

  daemon::TraceSourceOptions options() {
    auto process = daemon::inspect_process(::getpid());
    EXPECT_TRUE(process);
    return {context.get_executor(), "unit-test", {}, process.value(), events};
  }
  /// Pumps until that much was seen.
  bool sees(daemon::TraceSource& source, std::size_t count) {
    return wait_until([&] {
      source.pump(buffer, *this);
      return seen.size() >= count;
    });
  }
  static std::string all(const std::vector<std::string>& lines) {
    std::string text;
    for (const auto& line : lines) text += line + "\n";
    return text;
  }

  boost::asio::io_context context;
  trace::EventTable events;
  std::vector<char> buffer;
  std::vector<std::string> seen;
  std::int64_t last_ns = 0;
  TempDir folder;
};

}  // namespace qemon::test
