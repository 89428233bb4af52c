#!/usr/bin/env bash
# Boots a Debian 12 with systemd in a QEMU of its own (TCG: neither root nor KVM is needed), installs the package there, and
# sees the service run, crash, hang, be upgraded and purged: guest.sh, which runs inside, says what is looked at.
#   boot-test.sh FOLDER   FOLDER has the packages, as tests/packages/packages-test.sh leaves them
# With QEMON_BACKENDS_QEMU (tests/tools/prepare-qemu.sh tells what that is) also the drop-ins for other trace backends.
# Ends with a line `N passed, N failed`. The machine is made once and kept in the cache folder: make-base.sh.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

# Seconds. On two free processors all of it takes a quarter of that.
readonly boot_max=${QEMON_BOOT_TEST_BOOT_MAX:-900} test_max=${QEMON_BOOT_TEST_MAX:-2400}
# What the test does without: all devices that it needs are there when the kernel has booted.
readonly masked=(
  systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service
  modprobe@{drm,configfs,fuse,efi_pstore,dm_mod,loop}.service systemd-modules-load.service
  getty.target e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer
)
scratch=
qemu_pid=

main() {
  (($# == 1)) || die "usage: boot-test.sh FOLDER-WITH-PACKAGES"
  local base depends
  # Without versions and alternatives: only what comes first is put into the machine.
  depends=$(dpkg-deb -f "$1"/qemon_*.deb Depends | tr ',' '\n' | sed -E 's/\|.*//; s/\(.*//; s/ //g' | while read -r name; do real_package "$name"; done)
  # shellcheck disable=SC2086  # A list of names.
  base=$(tests/systemd/make-base.sh $depends)
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  scratch=$(mktemp -d "${TMPDIR:-/tmp}/qemon-boot.XXXXXX")
  make_test_disk "$1"
  boot "$base"
  watch
}

# real_package NAME: itself, or what provides it, since debootstrap knows no virtual packages.
real_package() {
  local provider
  provider=$(apt-cache showpkg "$1" 2>/dev/null | awk '/^Versions:/ { getline; if (NF) exit } /^Reverse Provides:/ { getline; print $1; exit }')
  printf '%s\n' "${provider:-$1}"
}

make_test_disk() {
  mkdir -p "$scratch"/files/{first,second}
  cp tests/systemd/guest.sh tests/systemd/qmp.py "$scratch/files"
  cp "$1"/qemon_*.deb "$1"/qemon-usdt_*.deb "$scratch/files/first"
  cp "$1"/next/qemon_*.deb "$scratch/files/second"
  local probed
  IFS='|' read -r _ probed _ <<<"${QEMON_BACKENDS_QEMU:-}"
  [[ -z $probed ]] || strip -o "$scratch/files/qemu-probed" "$probed"
  sh tests/tools/build-guest.sh tests/guest/demo.S "$scratch/files/disk.img"
  tar -cf "$scratch/test.tar" -C "$scratch/files" .
  truncate -s %1M "$scratch/test.tar"
}

# no_timer_check: on a busy host the kernel would take late timer interrupts for broken hardware. The disk stays as it is.
boot() {
  : >"$scratch/results"
  qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 2G -display none -nodefaults -no-reboot -nic none \
    -kernel "$1/vmlinuz" -initrd "$1/initrd.img" \
    -append "root=/dev/vda rw console=ttyS0 panic=-1 no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1 ${masked[*]/#/systemd.mask=}" \
    -drive "file=$1/disk.img,if=virtio,format=raw,snapshot=on,cache=unsafe" \
    -drive "file=$scratch/test.tar,if=virtio,format=raw,readonly=on" -device virtio-rng-pci \
    -serial "file:$scratch/console" -serial "file:$scratch/results" </dev/null >"$scratch/qemu.log" 2>&1 &
  qemu_pid=$!
}

# Prints what the machine reports as it comes, and judges.
watch() {
  local shown=0 lines
  until grep -q '^end' "$scratch/results"; do
    kill -0 "$qemu_pid" 2>/dev/null || break
    ((SECONDS < (shown > 0 ? test_max : boot_max))) || break
    sleep 1
    lines=$(wc -l <"$scratch/results")
    ((lines == shown)) || sed -n "$((shown + 1)),${lines}p" "$scratch/results"
    shown=$lines
  done
  sed -n "$((shown + 1)),\$p" "$scratch/results"

  local passed failed
  passed=$(grep -c '^ok ' "$scratch/results" || true)
  failed=$(grep -c '^failed ' "$scratch/results" || true)
  if ! grep -q '^end' "$scratch/results"; then
    printf 'failed the machine did not come to the end of the test in %s s; its console: %s\n' "$SECONDS" "$(keep_logs)"
    failed=$((failed + 1))
  elif ((failed > 0)); then
    wait_for_log
    printf 'the log of the services is at the end of %s\n' "$(keep_logs)"
  fi
  printf '%s passed, %s failed\n' "$passed" "$failed"
  ((failed == 0))
}

# The machine writes its log to the console and switches itself off.
wait_for_log() {
  local end=$((SECONDS + 60))
  while kill -0 "$qemu_pid" 2>/dev/null && ((SECONDS < end)); do
    sleep 1
  done
}

keep_logs() {
  cp "$scratch/console" build/boot-console.log
  printf '%s\n' build/boot-console.log
}

clean_up() {
  if [[ -n $qemu_pid ]]; then
    kill -KILL "$qemu_pid" 2>/dev/null || true
    wait "$qemu_pid" 2>/dev/null || true
  fi
  [[ -z $scratch ]] || rm -rf "$scratch"
}

main "$@"
