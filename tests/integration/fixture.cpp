#include "tests/integration/fixture.hpp"

#include <sys/stat.h>

#include <filesystem>

namespace qemon::test {

OnQemu::OnQemu() {
  // A QEMU that runs as another user has to come through to its own directory.
  ::chmod(directory.path().c_str(), 0711);
}

QemondOptions OnQemu::watching(const Qemu& vm) {
  return watching({{"vm", vm.address()}});
}

QemondOptions OnQemu::watching(std::initializer_list<std::pair<std::string, std::string>> vms) {
  QemondOptions options;
  options.vms = vms;
  if (!GetParam().catalog.empty()) options.arguments = {"--trace-events", GetParam().catalog};
  return options;
}

std::vector<std::string> OnQemu::journal_files() const {
  std::vector<std::string> files;
  for (const auto& file : std::filesystem::directory_iterator(directory / "run/journal"))
    // A hidden one was not finished, and is nobody's.
    if (file.path().extension() == ".json" && !file.path().filename().string().starts_with('.'))
      files.push_back(file.path().string());
  return files;
}

std::string build_label(const testing::TestParamInfo<QemuBuild>& info) {
  return info.param.label;
}

double enabled_metric(const Qemond& daemon, std::string_view vm, std::string_view event) {
  const auto name = series("qemu_trace_event_enabled", {{"vm", vm}, {"event", event}});
  return daemon.scrape().get(name).value_or(-1);
}

double up_metric(const Qemond& daemon, std::string_view vm) {
  return daemon.scrape().get(series("qemu_up", {{"vm", vm}})).value_or(-1);
}

bool becomes(const Qemond& daemon, std::string_view name, Labels labels, double value) {
  const auto wanted = series(name, labels);
  return wait_until([&] { return daemon.scrape().get(wanted) == value; });
}

// Without a QEMU there is no instance of any suite; this says so instead of a silent success.
TEST(QemuList, IsNotEmpty) {
  if (qemu_builds().empty()) {
    GTEST_SKIP() << "no qemu-system-x86_64 here: install qemu-system-x86 or set QEMON_TEST_QEMUS";
  }
}

}  // namespace qemon::test
