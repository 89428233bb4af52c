// qemond: the daemon's entry.
#include <malloc.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <exception>
#include <iostream>

#include "daemon/config.hpp"
#include "daemon/daemon.hpp"

int main(int argc, char** argv) {
  // Pages and long replies are freed soon, and their memory is to go back to the system. glibc
  // would raise this limit after the first of them, and keep what lies between small blocks.
  ::mallopt(M_MMAP_THRESHOLD, 128 * 1024);
  const auto parsed = qemon::daemon::parse_command_line(argc, argv);
  if (parsed.exit_status) return *parsed.exit_status;
  // Standard error without times: the journal adds its own.
  spdlog::set_default_logger(spdlog::stderr_logger_st("qemond"));
  spdlog::set_pattern("%l: %v");
  spdlog::set_level(spdlog::level::from_str(parsed.config.log_level));
  spdlog::flush_on(spdlog::level::info);
  try {
    const auto done = qemon::daemon::run_daemon(parsed.config);
    if (done) return 0;
    std::cerr << "qemond: " << done.error().detail << '\n';
  } catch (const std::exception& failure) {
    std::cerr << "qemond: " << failure.what() << '\n';
  }
  return 1;
}
