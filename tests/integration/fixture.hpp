// What all tests on real QEMU share: a directory, and one run for each QEMU of the list.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/daemon.hpp"
#include "tests/support/qemu.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/wait.hpp"

namespace qemon::test {

/// Events of the disk of the test guest.
inline constexpr const char* read_event = "virtio_blk_handle_read";
inline constexpr const char* write_event = "virtio_blk_handle_write";
inline constexpr const char* complete_event = "virtio_blk_req_complete";

/// Base of the suites. Everything is in `directory`; a VM in `directory / NAME`.
class OnQemu : public testing::TestWithParam<QemuBuild> {
 protected:
  OnQemu();

  /// Options for a qemond that watches `vm` under the name "vm", with this build's catalog.
  [[nodiscard]] static QemondOptions watching(const Qemu& vm);

  /// The same for several VMs, of this build too.
  [[nodiscard]] static QemondOptions watching(
      std::initializer_list<std::pair<std::string, std::string>> vms);

  [[nodiscard]] std::string home() const { return directory.path().string(); }

  /// The paths of qemond's journal, one for each VM that something of qemond's is in. Throws if it
  /// has made no journal yet.
  [[nodiscard]] std::vector<std::string> journal_files() const;

  TempDir directory;
};

/// What INSTANTIATE_TEST_SUITE_P appends to the names of tests.
std::string build_label(const testing::TestParamInfo<QemuBuild>& info);

/// One instance of the suite for each QEMU.
#define ON_EACH_QEMU(suite)                                                            \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(suite);                                \
  INSTANTIATE_TEST_SUITE_P(Qemu, suite, testing::ValuesIn(qemon::test::qemu_builds()), \
                           qemon::test::build_label)

/// The metric qemu_trace_event_enabled, or -1 where there is none.
double enabled_metric(const Qemond& daemon, std::string_view vm, std::string_view event);

/// The metric qemu_up, or -1 where there is none.
double up_metric(const Qemond& daemon, std::string_view vm);

/// True once the series has the value; false if it has another one at the deadline.
bool becomes(const Qemond& daemon, std::string_view name, Labels labels, double value);

}  // namespace qemon::test
