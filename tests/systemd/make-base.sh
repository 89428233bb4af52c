#!/usr/bin/env bash
# Makes the machine that boot-test.sh boots, once, in the cache folder, and prints its folder: disk.img (Debian 12 with
# systemd, QEMU and the libraries that our packages need), vmlinuz and initrd.img.
#   make-base.sh PACKAGE...    names of Debian packages that are to be in it, beside those below
# It is made again when the list of packages or this script changes. Making it needs root or sudo.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

readonly suite=bookworm
readonly packages=(
  systemd systemd-sysv dbus linux-image-cloud-amd64 initramfs-tools
  qemu-system-x86 python3 curl zstd procps
  libbpf1 liblttng-ust1  # Of qemon-usdt, and of a QEMU with more trace backends.
)
work=

main() {
  local cache stamp base
  umask 022
  cache=$(cache_dir)
  mkdir -p "$cache"
  stamp=$({ printf '%s\n' "${packages[@]}" "$@" | sort -u; cat tests/systemd/make-base.sh; } | sha256sum | cut -c 1-12)
  base=$cache/boot-$stamp
  exec 9>"$cache/boot-lock"
  flock 9
  if [[ ! -d $base ]]; then
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    work=$(mktemp -d "$cache/making-boot.XXXXXX")
    say "making the machine to boot, once: some minutes (log: $cache/boot-base.log)"
    make_tree "$@" >"$cache/boot-base.log" 2>&1 || die "debootstrap failed: $(tail -n 2 "$cache/boot-base.log")"
    make_image >>"$cache/boot-base.log" 2>&1 || die "the disk image could not be made: $(tail -n 2 "$cache/boot-base.log")"
    local old
    for old in "$cache"/boot-????????????; do
      [[ ! -d $old ]] || rm -rf "$old"
    done
    mv -T "$work/base" "$base"
  fi
  printf '%s\n' "$base"
}

clean_up() {
  as_root rm -rf "$work"
  hand_back "$(cache_dir)"
}

make_tree() {
  local mirror
  mirror=$(debian_targets "$suite" | awk -v suite="$suite" '$1 == suite && !found++ { print $2 }')
  [[ -n $mirror ]] || die "no Debian mirror with $suite in this machine's apt sources; try apt-get update"
  as_root debootstrap --variant=minbase --include="$(printf '%s\n' "${packages[@]}" "$@" | sort -u | paste -sd ,)" \
    "$suite" "$work/tree" "$mirror"
}

# The test comes on a second disk, which is a tar file; what it says goes to the second serial port.
make_image() {
  mkdir "$work/base" "$work/files"
  cat >"$work/files/boot-test.service" <<'END'
[Unit]
Description=The test
After=multi-user.target
[Service]
ExecStart=/bin/sh -c 'mkdir -p /opt/test && tar -x -C /opt/test -f /dev/vdb && exec bash /opt/test/guest.sh'
StandardOutput=append:/dev/ttyS1
StandardError=journal+console
Environment=LC_ALL=C DEBIAN_FRONTEND=noninteractive
[Install]
WantedBy=multi-user.target
END
  printf 'MODULES=list\nCOMPRESS=zstd\n' >"$work/files/initramfs.conf"
  printf '%s\n' virtio_pci virtio_blk ext4 >"$work/files/modules"
  tr -d - </proc/sys/kernel/random/uuid >"$work/files/machine-id"
  # shellcheck disable=SC2016  # The inner shell expands it.
  as_root bash -euc '
    tree=$1 files=$2 base=$3
    install -m 644 "$files/boot-test.service" "$tree/etc/systemd/system/"
    mkdir -p "$tree/etc/systemd/system/multi-user.target.wants"
    ln -s ../boot-test.service "$tree/etc/systemd/system/multi-user.target.wants/"
    install -m 644 "$files/initramfs.conf" "$tree/etc/initramfs-tools/conf.d/boot-test.conf"
    install -m 644 "$files/modules" "$tree/etc/initramfs-tools/modules"
    # Without one systemd would take every boot for the first.
    install -m 444 "$files/machine-id" "$tree/etc/machine-id"
    echo boot-test >"$tree/etc/hostname"
    printf "127.0.0.1 localhost boot-test\n" >"$tree/etc/hosts"
    printf "/dev/vda / ext4 defaults 0 0\n" >"$tree/etc/fstab"
    chroot "$tree" update-initramfs -u
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/*
    cp "$tree"/boot/vmlinuz-* "$base/vmlinuz"
    cp "$tree"/boot/initrd.img-* "$base/initrd.img"
    chmod 644 "$base"/*
    mke2fs -q -t ext4 -O ^has_journal -d "$tree" "$base/disk.img" 4G
    chmod 644 "$base/disk.img"
  ' - "$work/tree" "$work/files" "$work/base"
}

main "$@"
