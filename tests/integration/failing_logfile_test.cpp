// A `logfile` that fails leaves QEMU with a name that it opens at the next `log` command,
// truncating what is there by then. With a name like /proc/self/fd/N that could be a disk image.
// These tests make it fail and put an image there.
#include <signal.h>
#include <sys/resource.h>

#include <filesystem>
#include <set>
#include <system_error>

#include "tests/integration/fixture.hpp"
#include "tests/support/files.hpp"

namespace qemon::test {
namespace {

namespace fs = std::filesystem;

class FailingLogfile : public OnQemu {};
ON_EACH_QEMU(FailingLogfile);

std::set<int> descriptors(pid_t pid) {
  std::set<int> numbers;
  for (const auto& entry : fs::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    numbers.insert(std::stoi(entry.path().filename().string()));
  }
  return numbers;
}

int lowest_free_descriptor(pid_t pid) {
  const auto used = descriptors(pid);
  int number = 0;
  while (used.contains(number)) ++number;
  return number;
}

void limit_descriptors(pid_t pid, rlim_t count) {
  const rlimit limit{count, 4096};
  if (::prlimit(pid, RLIMIT_NOFILE, &limit, nullptr) != 0) {
    throw std::system_error(errno, std::generic_category(), "prlimit");
  }
}

std::string target(pid_t pid, int descriptor) {
  std::error_code ignored;
  const std::string link = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(descriptor);
  return fs::read_symlink(link, ignored).string();
}

/// An image that would show it if anybody wrote to it or cut it short.
std::string make_image(const std::string& path) {
  std::string content;
  for (int line = 0; content.size() < 1 << 20; ++line)
    content += "line " + std::to_string(line) + "\n";
  content.resize(1 << 20);
  write_file(path, content);
  return content;
}

/// False if QEMU refuses.
bool hot_add(Qemu& vm, const std::string& image) {
  try {
    const nlohmann::json node{{"driver", "file"}, {"node-name", "second"}, {"filename", image}};
    vm.monitor().execute("blockdev-add", node);
    return true;
  } catch (const std::runtime_error&) {
    return false;
  }
}

TEST_P(FailingLogfile, TouchesNoDiskThatTakesTheDescriptorsNumber) {
  Qemu vm(GetParam(), directory / "vm");
  if (vm.has_simple_backend()) GTEST_SKIP() << "this QEMU is not given descriptors: it has simple";
  const pid_t pid = vm.process().pid();
  const std::string image = directory / "second.img";
  const std::string content = make_image(image);
  const Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));

  // QEMU may open one more file: the descriptor that it is passed. The log that it should then open
  // is one too many.
  const int number = lowest_free_descriptor(pid);
  limit_descriptors(pid, static_cast<rlim_t>(number) + 1);
  const Finished refused = daemon.qemon({"event", "on", "virtio_blk_handle_read"});
  EXPECT_NE(refused.status, ExitStatus{}) << refused.out;
  EXPECT_NE(refused.err, "");
  EXPECT_FALSE(daemon.vm("vm").at("degraded").empty());
  // While the log is in no safe place, the number must not become free for anybody.
  EXPECT_FALSE(hot_add(vm, image)) << "descriptor " << number << " is " << target(pid, number);
  vm.monitor().human("log int");
  EXPECT_EQ(read_file(image), content);

  limit_descriptors(pid, 1024);
  ASSERT_TRUE(wait_until([&] { return target(pid, number).find(".trace") == std::string::npos; }))
      << "descriptor " << number << " is still " << target(pid, number);
  ASSERT_TRUE(hot_add(vm, image));
  // QEMU's log itself may have been faster.
  ASSERT_THAT(target(pid, number), testing::AnyOf(image, "/dev/null"));
  vm.monitor().human("log int");
  vm.monitor().human("log none");
  EXPECT_EQ(read_file(image), content);

  // It heals, and still nothing touches the image.
  EXPECT_TRUE(wait_until([&] {
    return daemon.qemon({"event", "on", "virtio_blk_handle_read"}).status == ExitStatus{};
  }));
  const double before = daemon.counted("vm", "virtio_blk_handle_read");
  vm.guest().read(21);
  EXPECT_TRUE(daemon.wait_counted("vm", "virtio_blk_handle_read", before + 21));
  vm.monitor().human("log int");
  EXPECT_EQ(read_file(image), content);
}

TEST_P(FailingLogfile, TouchesNoDiskWhenTheDaemonEndsMeanwhile) {
  Qemu vm(GetParam(), directory / "vm");
  if (vm.has_simple_backend()) GTEST_SKIP() << "this QEMU is not given descriptors: it has simple";
  const pid_t pid = vm.process().pid();
  const std::string image = directory / "second.img";
  const std::string content = make_image(image);
  Qemond daemon(home(), watching(vm));
  ASSERT_TRUE(daemon.wait_attached("vm"));
  limit_descriptors(pid, static_cast<rlim_t>(lowest_free_descriptor(pid)) + 1);
  EXPECT_NE(daemon.qemon({"event", "on", "virtio_blk_handle_read"}).status, ExitStatus{});

  daemon.process().signal(SIGTERM);
  limit_descriptors(pid, 1024);
  EXPECT_EQ(daemon.stop(), ExitStatus{});
  EXPECT_TRUE(hot_add(vm, image));
  vm.monitor().human("log int");
  vm.monitor().human("log none");

  EXPECT_EQ(read_file(image), content);
  EXPECT_FALSE(vm.monitor().event_enabled("virtio_blk_handle_read"));
}

}  // namespace
}  // namespace qemon::test
