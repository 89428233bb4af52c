#include "tests/support/daemon.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <array>
#include <memory>
#include <stdexcept>

#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

bool sanitizer_complained(const std::string& log) {
  constexpr std::array<std::string_view, 5> marks{"Sanitizer: ", "runtime error: ", "LeakSanitizer",
                                                  "DEADLYSIGNAL", "Assertion"};
  for (const std::string_view mark : marks) {
    if (log.find(mark) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

Finished run_qemon(const std::string& directory, const std::string& control_socket,
                   const std::vector<std::string>& arguments) {
  std::vector<std::string> command{QEMON_TEST_BIN_DIR "/qemon", "--socket", control_socket};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_program(command, directory);
}

Qemond::Qemond(std::string directory, const QemondOptions& options)
    : directory_(std::move(directory)) {
  ProcessOptions process;
  process.command = options.before;
  process.command.insert(process.command.end(),
                         {QEMON_TEST_BIN_DIR "/qemond", "--listen", "127.0.0.1:0",
                          "--control-socket", control_socket(), "--runtime-dir", runtime_dir()});
  for (const auto& [name, address] : options.vms) {
    process.command.insert(process.command.end(), {"--vm", name + "=" + address});
  }
  process.command.insert(process.command.end(), options.arguments.begin(), options.arguments.end());
  process.environment = options.environment;
  process.out = directory_ + "/qemond.out";
  process.err = directory_ + "/qemond.err";
  process_ = std::make_unique<Process>(std::move(process));
  wait_serving();
}

Qemond::~Qemond() {
  try {
    if (!stopped_) {
      EXPECT_EQ(stop(), ExitStatus{}) << "qemond did not end well";
    }
  } catch (const std::exception& failure) {
    ADD_FAILURE() << failure.what();
  }
  // What the daemon said is the first thing that one wants to know about a failed test.
  if (testing::Test::HasFailure()) std::fprintf(stderr, "qemond said:\n%s\n", log().c_str());
}

std::string Qemond::log() const {
  return read_file(directory_ + "/qemond.err");
}

nlohmann::json Qemond::status() const {
  return nlohmann::json::parse(http_get(control_socket(), "/v1/status").body);
}

nlohmann::json Qemond::vm(std::string_view name) const {
  const nlohmann::json all = status();
  for (const auto& each : all.at("vms")) {
    if (each.at("name") == name) return each;
  }
  throw std::runtime_error("the status has no VM " + std::string(name) + ": " + all.dump());
}

std::string Qemond::vm_state(std::string_view name) const {
  return vm(name).at("state");
}

bool Qemond::wait_for_state(std::string_view name, std::string_view state) const {
  return wait_until([&] { return vm_state(name) == state; });
}

Metrics Qemond::scrape() const {
  const HttpResponse response = http_get(tcp_address_, "/metrics");
  if (response.status != 200) throw std::runtime_error("/metrics: " + response.body);
  return Metrics(response.body);
}

double Qemond::counted(std::string_view vm_name, std::string_view event) const {
  const auto name = series("qemu_trace_events_total", {{"vm", vm_name}, {"event", event}});
  return scrape().get(name).value_or(0);
}

bool Qemond::wait_counted(std::string_view vm_name, std::string_view event, double expected) const {
  double last = 0;
  const bool reached = wait_until([&] {
    last = counted(vm_name, event);
    return last >= expected;
  });
  if (last != expected) {
    ADD_FAILURE() << vm_name << ": " << event << " counted " << last << " times, not " << expected
                  << "; status: " << vm(vm_name).dump();
  }
  return reached && last == expected;
}

Finished Qemond::qemon(const std::vector<std::string>& arguments) const {
  return run_qemon(directory_, control_socket(), arguments);
}

std::vector<std::string> Qemond::qemon_command(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command{QEMON_TEST_BIN_DIR "/qemon", "--socket", control_socket()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

void Qemond::crash() {
  stopped_ = true;
  process_->kill();
  if (sanitizer_complained(log())) throw std::runtime_error("a sanitizer complained: " + log());
}

void Qemond::events_on(const std::vector<std::string>& globs, std::string_view vm_name) const {
  switch_events("on", globs, vm_name);
}

void Qemond::events_off(const std::vector<std::string>& globs, std::string_view vm_name) const {
  switch_events("off", globs, vm_name);
}

void Qemond::switch_events(std::string_view on_or_off, const std::vector<std::string>& globs,
                           std::string_view vm_name) const {
  std::vector<std::string> arguments{"event", std::string(on_or_off)};
  arguments.insert(arguments.end(), globs.begin(), globs.end());
  if (!vm_name.empty()) arguments.insert(arguments.end(), {"--vm", std::string(vm_name)});
  const Finished finished = qemon(arguments);
  if (finished.status != ExitStatus{}) {
    throw std::runtime_error("qemon event " + arguments[1] + ": " + finished.err);
  }
}

ExitStatus Qemond::stop() {
  return stop(SIGTERM);
}

ExitStatus Qemond::stop(int signal) {
  stopped_ = true;
  if (!process_->running()) throw std::runtime_error("qemond had ended by itself: " + log());
  process_->signal(signal);
  const auto status = process_->wait();
  if (!status) {
    process_->kill();
    throw std::runtime_error("qemond did not end after signal " + std::to_string(signal) + ": " +
                             log());
  }
  if (sanitizer_complained(log())) throw std::runtime_error("a sanitizer complained: " + log());
  return *status;
}

void Qemond::wait_serving() {
  const bool serving = wait_until([this] {
    if (!process_->running()) return true;
    try {
      tcp_address_ = status().at("listen").get<std::string>();
      return true;
    } catch (const std::runtime_error&) {
      return false;  // Not listening yet.
    }
  });
  if (!serving || !process_->running()) throw std::runtime_error("qemond does not serve: " + log());
}

}  // namespace qemon::test
