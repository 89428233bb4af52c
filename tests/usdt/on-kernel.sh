#!/usr/bin/env bash
# Runs the tests of the BPF program (usdt_test) on another kernel than this machine's, in a QEMU without KVM: a minute or two.
#   on-kernel.sh PACKAGE... [BUILD_FOLDER]
# PACKAGE: Debian packages of a kernel and of busybox-static, for instance what
#   apt-get download linux-image-6.1.0-56-cloud-amd64 busybox-static
# leaves. BUILD_FOLDER is build/dev if it is not said.
set -euo pipefail
export LC_ALL=C
# shellcheck source=tests/tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/../tools/lib.sh"

build=build/dev
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root

(($# > 0)) || die "give the packages of a kernel and of busybox-static; see $0"
for argument in "$@"; do
  if [[ -d $argument ]]; then
    build=$argument
  else
    dpkg-deb -x "$argument" "$scratch/packages"
  fi
done
kernel=$(find "$scratch/packages/boot" -name 'vmlinuz-*' 2>/dev/null) && [[ -n $kernel ]] || die "no kernel in these packages: $*"
busybox=$scratch/packages/bin/busybox
[[ -x $busybox ]] || die "no busybox in these packages: $*"
program=$build/tests/usdt_test module=$build/lib/qemon/modules/qemon-usdt.so
[[ -x $program && -e $module ]] || die "$program or $module is missing: ninja -C $build usdt_test"

mkdir -p "$root"/{bin,proc,sys,tmp,dev,qemon/tests,qemon/lib/qemon/modules}
cp "$busybox" "$root/bin/busybox"
cp /bin/true "$root/bin/true"
ln -s busybox "$root/bin/sh"
cp "$program" "$root/qemon/tests"
cp "$module" "$root/qemon/lib/qemon/modules"
# Each library where the program looks for it.
ldd "$program" "$module" | sed -n 's/^[^:]*[[:space:]]\(\/[^ :]*\) (0x.*/\1/p' | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
cat >"$root/init" <<'END'
#!/bin/sh
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t tmpfs none /tmp
echo "Linux $(/bin/busybox uname -r)"
# Not what takes long and has nothing to do with the kernel.
/qemon/tests/usdt_test --gtest_color=no --gtest_filter='-*Survive*' && echo "all passed"
/bin/busybox poweroff -f
END
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$scratch/initrd"

timeout 600 qemu-system-x86_64 -accel tcg -smp 2 -m 1024 -nodefaults -nographic -serial stdio -no-reboot -kernel "$kernel" -initrd "$scratch/initrd" \
  -append 'console=ttyS0 quiet panic=-1' </dev/null | tee "$scratch/log"
grep -q '^all passed' "$scratch/log"
