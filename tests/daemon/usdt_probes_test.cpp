#include "daemon/usdt_probes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qemon::daemon {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(UsdtProbes, AreLookedForInTheModulesOfQemuThatAreLoaded) {
  constexpr std::string_view maps =
      "55d0c0000000-55d0c0556000 r--p 00000000 08:01 1 /usr/bin/qemu-system-x86_64\n"
      "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
      "7f1000000000-7f1000001000 r--p 00000000 08:01 2 "
      "/usr/lib/x86_64-linux-gnu/qemu/block-curl.so\n"
      "7f1000001000-7f1000002000 r-xp 00001000 08:01 2 "
      "/usr/lib/x86_64-linux-gnu/qemu/block-curl.so\n"
      "7f2000000000-7f2000001000 r-xp 00000000 08:01 3 /usr/lib64/qemu-kvm/block-blkio.so\n"
      "7f3000000000-7f3000001000 r-xp 00000000 08:01 4 /usr/lib/x86_64-linux-gnu/libc.so.6\n"
      "7f4000000000-7f4000001000 r-xp 00000000 08:01 5 /var/lib/qemu/disk.img\n"
      "7f5000000000-7f5000001000 r--s 00000000 08:01 6 /usr/lib/qemu/gone.so (deleted)\n"
      "7ffd00000000-7ffd00001000 rw-p 00000000 00:00 0 [stack]\n";

  EXPECT_THAT(qemu_modules_in(maps), ElementsAre("/usr/lib/x86_64-linux-gnu/qemu/block-curl.so",
                                                 "/usr/lib64/qemu-kvm/block-blkio.so"));
  EXPECT_THAT(qemu_modules_in(""), IsEmpty());
}

}  // namespace
}  // namespace qemon::daemon
