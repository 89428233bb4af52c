#!/usr/bin/env bash
# Records the traces in tests/data/packs that the packs are tested on, from real QEMUs that run small guests under TCG:
#   record-pack-traces.sh                 records all, about 7 minutes
#   record-pack-traces.sh NAME...         records these (NAME as in --list)
#   record-pack-traces.sh --list          prints the names
# After it, make the expected figures anew: tests/tools/pack_witness.py --all
# Needs an amd64 Debian 12, the QEMUs of prepare-qemu.sh, and a mirror: kernels, busybox and the QEMUs of other targets are
# downloaded (200 MB) and unpacked in QEMON_RECORD_DIR, which is kept with what the guests said, or else in a temporary
# folder that is removed at the end; nothing is installed.
# Which events are switched on is read from packs/*.yaml, so that a recording holds what its pack reads and no more.
# shellcheck disable=SC2016  # What stands in single quotes is for the guest's shell.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

readonly data=$PWD/tests/data/packs
readonly x86_modules=(virtio_pci virtio_blk nvme ahci ata_piix sd_mod virtio_scsi usb-storage uas xhci-pci 9p 9pnet_virtio i6300esb)
readonly records_max=3000

work=           # Folder of downloads, kept if the user names it.
run=            # Folder of the VM that runs: its pipes, log and disks.
vm_pid=         # The VM that runs, if any.
catalog=        # trace-events-all of the QEMU in use.
qmp_in='' qmp_out='' serial_in='' serial_out=''

main() {
  local recordings name
  mapfile -t recordings < <(declare -F | sed -n 's/^declare -f record_//p')
  if [[ ${1:-} == --list ]]; then
    printf '%s\n' "${recordings[@]}"
    return
  fi
  (($# == 0)) || recordings=("$@")
  umask 022
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  if [[ -n ${QEMON_RECORD_DIR:-} ]]; then
    mkdir -p "$QEMON_RECORD_DIR"
    work=$(cd "$QEMON_RECORD_DIR" && pwd)
  else
    work=$(mktemp -d)
  fi
  # shellcheck source=/dev/null
  source "$(tests/tools/prepare-qemu.sh)"
  fetch
  mkdir -p "$data"
  for name in "${recordings[@]}"; do
    declare -F "record_$name" >/dev/null || die "no recording '$name': see --list"
    say "recording $name"
    run=$work/run-$name
    rm -rf "$run"
    mkdir -p "$run"
    "record_$name"
    [[ -n ${QEMON_RECORD_DIR:-} ]] || rm -rf "$run"
  done
}

clean_up() {
  stop_vm
  [[ -n ${QEMON_RECORD_DIR:-} || -z $work ]] || rm -rf "$work"
}

# ---- What the guests are made of

# Downloads and unpacks, each once: x86, arm64 and ppc hold a kernel and a busybox, tools the QEMUs and assemblers.
fetch() {
  [[ ! -e $work/fetched ]] || return 0
  local mirror kernel folder package architecture
  mirror=$(apt-get indextargets --format '$(ORIGIN) $(COMPONENT) $(CREATED_BY) $(CODENAME) $(REPO_URI)' |
    sed -n 's/^Debian main Packages bookworm //p' | sort -u | head -n 1)
  [[ -n $mirror ]] || die "no Debian mirror with bookworm in this machine's apt sources"
  mkdir -p "$work"/apt/{lists,cache/archives}/partial
  : >"$work/apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bookworm main" >"$work/apt/sources.list"
  # A configuration of our own, because the machine's lacks the other architectures.
  cat >"$work/apt/apt.conf" <<END
Dir::Etc::SourceList "$work/apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::State::Lists "$work/apt/lists";
Dir::State::Status "$work/apt/status";
Dir::Cache "$work/apt/cache";
APT::Sandbox::User "$(id -un)";
APT::Architectures {"amd64";"arm64";"ppc64el";};
Acquire::Languages "none";
END
  export APT_CONFIG=$work/apt/apt.conf
  apt-get -qq update
  unpack tools qemu-system-arm qemu-system-misc qemu-system-ppc qemu-user binutils-arm-none-eabi binutils-riscv64-unknown-elf
  for kernel in x86:linux-image-amd64:amd64 arm64:linux-image-arm64:arm64 ppc:linux-image-powerpc64le:ppc64el; do
    IFS=: read -r folder package architecture <<<"$kernel"
    # The package of that name is empty and depends on the newest kernel.
    package=$(apt-cache depends "$package:$architecture" | sed -n 's/.*Depends: \(linux-image-[^:]*\).*/\1/p' | head -n 1)
    unpack "$folder" "$package:$architecture" "busybox-static:$architecture"
  done
  unset APT_CONFIG
  initramfs x86 "${x86_modules[@]}"
  initramfs arm64 virtio_pci virtio_blk
  initramfs ppc
  : >"$work/fetched"
}

# unpack FOLDER PACKAGE...
unpack() {
  local folder=$work/$1 package
  shift
  mkdir -p "$folder" "$folder.debs"
  (cd "$folder.debs" && apt-get -qq download "$@")
  for package in "$folder.debs"/*.deb; do
    dpkg-deb -x "$package" "$folder"
  done
  rm -rf "$folder.debs"
}

# initramfs FOLDER [MODULE...]: makes FOLDER.cpio.gz. Its init is a shell that does what comes in over the serial line,
# line by line, and says @done after each.
initramfs() {
  local folder=$work/$1 root=$work/$1.root busybox=$work/x86/bin/busybox
  shift
  rm -rf "$root"
  mkdir -p "$root"/{bin,dev,proc,sys,mnt,modules}
  cp "$folder/bin/busybox" "$root/bin/"
  add_modules "$folder" "$root" "$@"
  cat >"$root/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod "/modules/$module"; done
stty -echo
echo 0 >/proc/sys/kernel/printk
echo @ready
while read -r line; do
  eval "$line"
  echo "@done $?"
done
END
  chmod +x "$root/init"
  (cd "$root" && find . | "$busybox" cpio -o -H newc 2>/dev/null | gzip -1) >"$folder.cpio.gz"
  rm -rf "$root"
}

# add_modules FOLDER ROOT MODULE...: copies them and what they need, and notes an order in which they can be loaded.
add_modules() {
  local folder=$1 root=$2 module
  shift 2
  : >"$root/modules/order"
  for module in "$@"; do
    add_module "$folder" "$root" "$module"
  done
}

add_module() {
  local file needs need
  file=$(find "$1/lib/modules" -name "${3//[-_]/[-_]}.ko" | head -n 1)
  [[ -n $file ]] || return 0  # Built in.
  [[ ! -e $2/modules/${file##*/} ]] || return 0
  needs=$(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p')
  cp "$file" "$2/modules/"
  for need in ${needs//,/ }; do
    add_module "$1" "$2" "$need"
  done
  echo "${file##*/}" >>"$2/modules/order"
}

# ---- A VM: start_vm, then guest, qmp and hmp, then stop_vm

# use LABEL: sets `qemu` and `catalog` to a QEMU of prepare-qemu.sh: debian, simple or backports.
use() {
  local entry label binary folders path
  IFS=';' read -ra entries <<<"$QEMON_TEST_QEMUS"
  for entry in "${entries[@]}"; do
    IFS='|' read -r label binary folders catalog <<<"$entry"
    [[ $label == "$1"-* ]] || continue
    qemu=("$binary")
    for path in ${folders//:/ }; do
      qemu+=(-L "$path")
    done
    return
  done
  die "prepare-qemu.sh has no QEMU '$1'"
}

# use_tool TARGET: a QEMU of another target, of the same Debian version as the installed x86 one.
use_tool() {
  use debian
  qemu=("$work/tools/usr/bin/qemu-system-$1" -L /usr/share/qemu)
}

# start_vm ARGUMENT...: $qemu with monitor and serial line on pipes, the log in $run/log.
start_vm() {
  local pipe
  for pipe in qmp.in qmp.out serial.in serial.out; do
    mkfifo "$run/$pipe"
  done
  exec {qmp_in}<>"$run/qmp.in" {qmp_out}<>"$run/qmp.out" {serial_in}<>"$run/serial.in" {serial_out}<>"$run/serial.out"
  nice "${qemu[@]}" -accel tcg -display none -nodefaults -no-user-config -D "$run/log" -msg timestamp=on \
    -chardev "pipe,id=qmp,path=$run/qmp" -mon chardev=qmp,mode=control \
    -chardev "pipe,id=serial,path=$run/serial" -serial chardev:serial "$@" >"$run/output" 2>&1 &
  vm_pid=$!
  qmp '{"execute": "qmp_capabilities"}' >/dev/null
}

stop_vm() {
  [[ -n $vm_pid ]] || return 0
  if kill -0 "$vm_pid" 2>/dev/null; then
    printf '%s\n' '{"execute": "quit"}' >&"$qmp_in"
    for _ in {1..50}; do
      kill -0 "$vm_pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$vm_pid" 2>/dev/null || true
  fi
  wait "$vm_pid" 2>/dev/null || true
  vm_pid=
  exec {qmp_in}>&- {qmp_out}>&- {serial_in}>&- {serial_out}>&-
  rm -f "$run"/{qmp,serial}.{in,out}
}

# qmp JSON: sends it and prints the answer.
qmp() {
  local line
  printf '%s\n' "$1" >&"$qmp_in"
  while read -r -t 60 line <&"$qmp_out"; do
    if [[ $line == '{"return"'* || $line == '{"error"'* ]]; then
      printf '%s\n' "$line"
      return
    fi
  done
  die "the monitor does not answer to $1; QEMU said: $(tail -n 3 "$run/output")"
}

hmp() { qmp "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"$1\"}}" >/dev/null; }

# guest COMMAND: runs a line in the guest's shell and waits for its end. Without an argument, waits for the shell.
guest() {
  local line wanted=@ready
  if (($#)); then
    wanted='@done 0'
    printf '%s\n' "$1" >&"$serial_in"
  fi
  while read -r -t 240 line <&"$serial_out"; do
    printf '%s\n' "${line%$'\r'}" >>"$run/serial"
    # Not at the line's beginning where the kernel or firmware left a line unfinished.
    [[ $line != *"$wanted"* ]] || return 0
    (($# == 0)) || [[ $line != *@done* ]] || die "the guest failed to do: $1; see $run/serial"
  done
  die "the guest does not answer to '${1:-boot}': $(tail -n 3 "$run/serial")"
}

# linux_x86: sets `linux`, the arguments that boot Debian's kernel with the shell for `guest`.
linux_x86() {
  linux=(
    -m 256 -kernel "$(echo "$work"/x86/boot/vmlinuz-*)" -initrd "$work/x86.cpio.gz"
    -append "console=ttyS0 quiet loglevel=1 panic=-1 ${1:-}"
  )
}

disk() {
  truncate -s "${2:-64M}" "$run/$1"
  printf '%s\n' "$run/$1"
}

# ---- Events

# events_of PACK...: the events that these packs name and QEMU's catalog knows.
events_of() {
  local pack
  for pack in "$@"; do
    sed -E 's/(^|[[:space:]])#.*//; s/^[[:space:]-]*help:.*//' "packs/$pack.yaml"
  done | grep -oE '[A-Za-z0-9_]+' | sort -u | grep -xFf <(sed -n -E 's/^(disable |vcpu )*([A-Za-z0-9_]+)\(.*/\2/p' "$catalog") || true
}

# events on|off PACK...
events() {
  local enable=false event
  [[ $1 == off ]] || enable=true
  shift
  for event in $(events_of "$@"); do
    # An event of another target is unknown: no harm.
    qmp "{\"execute\": \"trace-event-set-state\", \"arguments\": {\"name\": \"$event\", \"enable\": $enable}}" >/dev/null
  done
}

# early_events PACK...: for events that are on from QEMU's start: sets `early`, arguments for start_vm.
early_events() {
  events_of "$@" >"$run/events"
  early=(-trace "events=$run/events")
}

# keep NAME [RECORDS [FROM]]: the log's first lines (or RECORDS from line FROM on) become the recording NAME.
keep() {
  local from=${3:-1}
  sed -n "$from,$((from + ${2:-$records_max} - 1))p" "$run/log" | gzip -9n >"$data/$1.log.gz"
  say "  $1.log.gz: $(zcat "$data/$1.log.gz" | wc -l) lines, $(stat -c %s "$data/$1.log.gz") bytes"
}

# ---- The recordings

# One run of the build with both backends: the same records as `log` text and as a `simple` file.
record_pair() {
  use simple
  linux_x86
  start_vm "${linux[@]}" -trace "file=$run/simple" \
    -object iothread,id=io \
    -blockdev "driver=file,filename=$(disk raw),node-name=raw-file,aio=threads" -blockdev driver=raw,file=raw-file,node-name=raw \
    -device virtio-blk-pci,drive=raw,share-rw=on \
    -blockdev "driver=file,filename=$(disk second),node-name=second" -device virtio-blk-pci,drive=second,iothread=io \
    -blockdev "$(failing_disk)" -device virtio-blk-pci,drive=failing
  guest
  events on block virtio-blk irq virtio
  guest 'dd if=/dev/vda of=/dev/null bs=4k count=40 iflag=direct'
  guest 'dd if=/dev/zero of=/dev/vda bs=64k count=20 seek=3 oflag=direct; sync'
  guest 'dd if=/dev/vdb of=/dev/null bs=8k count=20 skip=7 iflag=direct & dd if=/dev/zero of=/dev/vdb bs=12k count=20 oflag=direct; wait'
  guest 'dd if=/dev/vda of=/dev/null bs=1M count=3 & dd if=/dev/zero of=/dev/vda bs=1M count=2 seek=8 conv=fsync; wait'
  guest 'dd if=/dev/zero of=/dev/vdc bs=4k count=4 oflag=direct; true'
  guest 'blkdiscard -o 1048576 -l 65536 /dev/vda; true'
  hmp 'qemu-io raw \"write -z 1M 96k\"'
  guest 'echo virtio1 >/sys/bus/virtio/drivers/virtio_blk/unbind'
  events off block virtio-blk irq virtio
  hmp 'trace-file flush'
  hmp 'trace-file off'
  stop_vm
  keep pair 1000000
  shrink_simple "$run/simple" | gzip -9n >"$data/pair.simple.gz"
  say "  pair.simple.gz: $(stat -c %s "$data/pair.simple.gz") bytes"
}

# A disk whose sectors 8 to 15 cannot be written.
failing_disk() {
  printf '%s' "driver=blkdebug,node-name=failing,image.driver=file,image.filename=$(disk failing 1M)," \
    inject-error.0.event=none,inject-error.0.iotype=write,inject-error.0.errno=5,inject-error.0.sector=8
}

# Tells the guest which of its two disks is `failing`: which comes first depends on who is found first.
find_disks() {
  guest 'for disk in /sys/block/nvme* /sys/block/sd*; do case $(cat $disk/size) in 2048) failing=${disk##*/} ;; 131072) good=${disk##*/} ;; esac; done'
}

# shrink_simple FILE: the trace file without the names of events that do not occur in it. QEMU writes those of all 4,000.
shrink_simple() {
  python3 - "$1" <<'END'
import struct, sys

trace = open(sys.argv[1], "rb").read()
position, names, records = 24, {}, []
while position < len(trace):
    kind, event = struct.unpack_from("=QQ", trace, position)
    if kind == 0:
        length = 20 + struct.unpack_from("=I", trace, position + 16)[0]
        names[event] = trace[position:position + length]
    else:
        length = 8 + struct.unpack_from("=I", trace, position + 24)[0]
        records.append((event, trace[position:position + length]))
    position += length
used = {event for event, _ in records}
sys.stdout.buffer.write(trace[:24])
for event in sorted(used & names.keys()):
    sys.stdout.buffer.write(names[event])
for _, record in records:
    sys.stdout.buffer.write(record)
END
}

# Without I/O APIC and local APIC: the 8259s. The disk is on the second.
record_irq_pic() {
  use debian
  linux_x86 'noapic nolapic'
  start_vm "${linux[@]}" -drive "file=$(disk disk),format=raw,if=ide"
  guest
  events on irq
  guest 'dd if=/dev/sda of=/dev/null bs=4k count=40 iflag=direct; dd if=/dev/zero of=/dev/sda bs=16k count=30 oflag=direct'
  events off irq
  stop_vm
  keep irq-pic
}

record_irq_10() {
  use backports
  linux_x86
  start_vm "${linux[@]}" -smp 2 -object iothread,id=io \
    -drive "file=$(disk disk),format=raw,if=none,id=disk" -device virtio-blk-pci,drive=disk \
    -drive "file=$(disk second),format=raw,if=none,id=second" -device virtio-blk-pci,drive=second,iothread=io \
    -drive "file=$(disk third),format=raw,if=ide"
  guest
  events on irq virtio
  guest 'dd if=/dev/vda of=/dev/null bs=4k count=30 iflag=direct; dd if=/dev/zero of=/dev/sda bs=4k count=30 oflag=direct'
  guest 'dd if=/dev/vdb of=/dev/null bs=4k count=30 iflag=direct; dd if=/dev/vdb of=/dev/null bs=1M count=8'
  events off irq virtio
  stop_vm
  keep irq-virtio-10.0
}

record_block_10() {
  use backports
  linux_x86
  start_vm "${linux[@]}" -drive "file=$(disk disk),format=raw,if=none,id=disk,aio=threads" -device virtio-blk-pci,drive=disk
  guest
  events on block virtio-blk
  guest 'dd if=/dev/vda of=/dev/null bs=16k count=60 iflag=direct; dd if=/dev/zero of=/dev/vda bs=4k count=80 oflag=direct; sync'
  events off block virtio-blk
  stop_vm
  keep block-10.0
}

record_nvme() {
  use debian
  linux_x86
  early_events nvme dma
  start_vm "${linux[@]}" "${early[@]}" -blockdev "$(failing_disk)" \
    -drive "file=$(disk disk),format=raw,if=none,id=disk" -device nvme,drive=disk,serial=1 -device nvme,drive=failing,serial=2
  guest
  find_disks
  guest 'dd if=/dev/$good of=/dev/null bs=4k count=50 iflag=direct'
  guest 'dd if=/dev/zero of=/dev/$good bs=64k count=30 oflag=direct; sync'
  guest 'blkdiscard -o 1048576 -l 65536 /dev/$good; dd if=/dev/zero of=/dev/$failing bs=4k count=4 oflag=direct; true'
  guest 'dd if=/dev/$good of=/dev/null bs=1M count=8 & dd if=/dev/zero of=/dev/$good bs=1M count=4 seek=16 conv=fsync; wait'
  stop_vm
  keep nvme
}

# The same controller without MSI-X.
record_nvme_pin() {
  use debian
  linux_x86 pci=nomsi
  start_vm "${linux[@]}" -drive "file=$(disk disk),format=raw,if=none,id=disk" -device nvme,drive=disk,serial=1
  guest
  events on nvme dma
  guest 'dd if=/dev/nvme0n1 of=/dev/null bs=4k count=20 iflag=direct; dd if=/dev/zero of=/dev/nvme0n1 bs=8k count=10 oflag=direct'
  events off nvme dma
  stop_vm
  keep nvme-pin
}

record_scsi() {
  use debian
  linux_x86
  early_events scsi dma
  start_vm "${linux[@]}" "${early[@]}" -device virtio-scsi-pci,id=scsi \
    -drive "file=$(disk disk),format=raw,if=none,id=disk" -device scsi-hd,drive=disk,bus=scsi.0 \
    -blockdev "$(failing_disk)" -device scsi-hd,drive=failing,bus=scsi.0,scsi-id=3 \
    -device scsi-cd,bus=scsi.0,scsi-id=5
  guest
  guest 'while [ ! -e /dev/sdb ]; do sleep 1; done'
  find_disks
  guest 'dd if=/dev/$good of=/dev/null bs=4k count=50 iflag=direct; dd if=/dev/zero of=/dev/$good bs=64k count=30 oflag=direct; sync'
  guest 'dd if=/dev/$good of=/dev/null bs=1M count=8 & dd if=/dev/zero of=/dev/$good bs=1M count=4 seek=16 conv=fsync; wait'
  guest 'dd if=/dev/zero of=/dev/$failing bs=4k count=4 oflag=direct; true'
  stop_vm
  keep scsi
}

# First by DMA and queued commands, from the start so that the CD drive's packet commands are there; then by programmed I/O.
record_ide_ahci() {
  use debian
  linux_x86
  early_events ide-ahci dma
  start_vm "${linux[@]}" "${early[@]}" -drive "file=$(disk disk),format=raw,if=ide" -drive if=ide,media=cdrom,index=2 \
    -device ich9-ahci,id=ahci -drive "file=$(disk second),format=raw,if=none,id=second" -device ide-hd,drive=second,bus=ahci.1
  guest
  guest 'while [ ! -e /dev/sdb ]; do sleep 1; done; ls -l /sys/block'
  for disk in sda sdb; do
    guest "dd if=/dev/$disk of=/dev/null bs=4k count=30 iflag=direct; dd if=/dev/zero of=/dev/$disk bs=64k count=20 oflag=direct; sync"
    guest "dd if=/dev/$disk of=/dev/null bs=1M count=4 & dd if=/dev/zero of=/dev/$disk bs=1M count=4 seek=16 conv=fsync; wait"
  done
  # Which disk is which depends on who is found first; that of IDE refuses.
  guest 'for disk in sda sdb; do echo 1 >/sys/block/$disk/device/queue_depth && queued=$disk; done; true'
  guest 'dd if=/dev/$queued of=/dev/null bs=4k count=20 iflag=direct; dd if=/dev/zero of=/dev/$queued bs=64k count=9 oflag=direct'
  guest 'rmmod ata_piix; rmmod ahci; rmmod libahci; rmmod libata; insmod /modules/libata.ko dma=0; insmod /modules/ata_piix.ko'
  guest 'while [ ! -e /dev/sda ]; do sleep 1; done'
  guest 'dd if=/dev/sda of=/dev/null bs=4k count=10 iflag=direct; dd if=/dev/zero of=/dev/sda bs=16k count=10 oflag=direct'
  stop_vm
  keep ide-ahci 4000
}

# The serial adapter stalls when it is asked what it could do at high speed.
record_usb() {
  use debian
  linux_x86
  early_events usb
  start_vm "${linux[@]}" "${early[@]}" -device qemu-xhci,id=usb,p2=8,p3=8 -blockdev "$(failing_disk)" \
    -drive "file=$(disk disk),format=raw,if=none,id=disk" -device usb-storage,drive=disk,bus=usb.0 \
    -device usb-tablet,bus=usb.0 -chardev null,id=null -device usb-serial,chardev=null,bus=usb.0,always-plugged=on
  guest
  guest 'while [ ! -e /dev/sda ]; do sleep 1; done'
  guest 'dd if=/dev/sda of=/dev/null bs=4k count=30 iflag=direct; dd if=/dev/zero of=/dev/sda bs=16k count=20 oflag=direct; sync'
  hmp 'device_add usb-storage,id=stick,drive=failing,bus=usb.0'
  guest 'while [ ! -e /dev/sdb ]; do sleep 1; done; dd if=/dev/zero of=/dev/sdb bs=4k count=4 oflag=direct; true'
  hmp 'device_del stick'
  guest 'sleep 1'
  stop_vm
  keep usb
}

record_9p() {
  use debian
  shared_folder 9p
}

record_9p_10() {
  use backports
  shared_folder 9p-10.0
}

shared_folder() {
  linux_x86
  mkdir "$run/shared"
  start_vm "${linux[@]}" -fsdev "local,id=shared,path=$run/shared,security_model=mapped-xattr" \
    -device virtio-9p-pci,fsdev=shared,mount_tag=shared
  guest
  events on 9p
  guest 'mount -t 9p -o trans=virtio,version=9p2000.L,msize=65536 shared /mnt'
  guest 'mkdir /mnt/folder'
  guest 'for i in 1 2 3 4 5; do dd if=/dev/zero of=/mnt/folder/file$i bs=8k count=3; cat /mnt/folder/file$i >/dev/null; done'
  guest 'ls -l /mnt/folder; mv /mnt/folder/file1 /mnt/file; ln -s file /mnt/link; ls -l /mnt'
  guest 'rm /mnt/folder/file2; cat /mnt/none || true; rmdir /mnt/folder || true; sync'
  guest 'chmod 600 /mnt/file; mknod /mnt/pipe p; dd if=/dev/zero of=/mnt/file bs=100 count=5 conv=fsync; umount /mnt'
  events off 9p
  stop_vm
  keep "$1"
}

# Device accesses of a guest that prints, and reads a disk and the clock.
record_mmio() {
  use debian
  linux_x86
  start_vm "${linux[@]}" -drive "file=$(disk disk),format=raw,if=none,id=disk" -device virtio-blk-pci,drive=disk
  guest
  events on mmio
  guest 'dd if=/dev/vda of=/dev/null bs=4k count=30 iflag=direct; hwclock -u || true'
  events off mmio
  stop_vm
  keep mmio
}

record_tcg() {
  use debian
  linux_x86
  early_events tcg
  start_vm "${linux[@]}" "${early[@]}" -S
  hmp cont
  sleep 1
  stop_vm
  keep tcg
}

record_runstate() {
  use debian
  run_states runstate
}

record_runstate_10() {
  use backports
  run_states runstate-10.0
}

# Stops, resets, sleep and wake-up, a watchdog that expires, the power button, power off.
run_states() {
  linux_x86
  early_events runstate
  start_vm "${linux[@]}" "${early[@]}" -no-shutdown -device i6300esb -action watchdog=pause
  guest
  for _ in 1 2 3; do
    hmp stop
    hmp stop
    sleep 0.02
    hmp cont
  done
  hmp 'watchdog_action pause'
  guest 'rmmod i6300esb; insmod /modules/i6300esb.ko heartbeat=1; echo 1 >/dev/watchdog'
  sleep 4
  hmp cont
  hmp system_reset
  guest
  printf 'echo mem >/sys/power/state\n' >&"$serial_in"
  sleep 3
  hmp system_wakeup
  sleep 1
  hmp stop
  hmp system_reset
  hmp cont
  guest
  hmp system_powerdown
  printf 'poweroff -f\n' >&"$serial_in"
  sleep 3
  stop_vm
  keep "$1"
}

record_migration() {
  use debian
  migrations migration
}

record_migration_10() {
  use backports
  migrations migration-10.0
}

# A migration to a command that fails, one that is cancelled, one that auto-converge has to help, to a file; then a VM that
# is started from the file.
migrations() {
  linux_x86
  local vm=("${linux[@]}" -m 128 -drive "file=$(disk disk),format=raw,if=none,id=disk" -device "virtio-blk-pci,drive=disk")
  early_events migration
  start_vm "${vm[@]}" "${early[@]}"
  guest
  hmp 'migrate \"exec:exit 1\"'
  sleep 1
  hmp 'migrate_set_parameter max-bandwidth 100k'
  hmp 'migrate -d \"exec:cat >/dev/null\"'
  sleep 1
  hmp migrate_cancel
  sleep 1
  hmp 'migrate_set_parameter max-bandwidth 8M'
  hmp 'migrate_set_capability auto-converge on'
  guest 'dd if=/dev/urandom of=/random bs=1M count=12; while :; do cat /random >/copy; done &'
  hmp "migrate -d \\\"exec:cat >$run/state\\\""
  sleep 16
  hmp 'migrate_set_parameter downtime-limit 5000'
  hmp 'migrate_set_parameter max-bandwidth 10G'
  sleep 3
  stop_vm
  keep "$1-source" 4000
  start_vm "${vm[@]}" "${early[@]}" -incoming "exec:cat $run/state"
  sleep 4
  stop_vm
  keep "$1-destination" 4000
}

# A Linux kernel at work, and its boot in the firmware: with `-d exec`, `-d cpu`, both; 32 bits, and aarch64 in user mode.
record_exec_log() {
  use debian
  linux_x86
  start_vm "${linux[@]}"
  guest
  hmp 'log exec,nochain'
  guest 'ls /proc >/dev/null'
  hmp 'log none'
  stop_vm
  keep exec-log-x86_64 1500 500
}

record_exec_log_cpu() {
  use debian
  linux_x86
  start_vm "${linux[@]}"
  guest
  hmp 'log cpu,nochain'
  guest 'true'
  hmp 'log none'
  stop_vm
  keep_dumps exec-log-x86_64-cpu 'RIP='
}

# The firmware. A block has a line and a dump.
record_exec_log_i386() {
  use debian
  qemu[0]=${qemu[0]%x86_64}i386
  start_vm -d exec,cpu,nochain
  sleep 0.5
  stop_vm
  keep_dumps exec-log-i386 'EIP='
}

record_exec_log_aarch64() {
  use debian
  nice "$work/tools/usr/bin/qemu-aarch64" -d cpu,nochain -D "$run/log" "$work/arm64/bin/busybox" ls / >/dev/null
  keep_dumps exec-log-aarch64-cpu ' PC='
}

# keep_dumps NAME PATTERN: the log up to the 1,500th dump, which has the pattern.
keep_dumps() {
  local end
  end=$(grep -n -m 1501 -e "$2" "$run/log" | sed -n '1501s/:.*//p')
  keep "$1" "$((${end:-1000000} - 3))"
}

# The 10.0 HPET has events.
record_timer_10() {
  use backports
  linux_x86 'clocksource=hpet hpet=force'
  start_vm "${linux[@]}" -machine pc,hpet=on
  guest
  events on timer
  guest 'cat /sys/devices/system/clocksource/clocksource0/current_clocksource; for i in 1 2 3; do usleep 50000; done'
  events off timer
  stop_vm
  keep timer-10.0
}

# ---- Interrupts on other targets

record_irq_gicv2() {
  arm_interrupts irq-gicv2 2
}

record_irq_gicv3() {
  arm_interrupts irq-gicv3 3
}

# arm_interrupts NAME GIC: an arm64 Linux that sleeps, prints, wakes its other CPU and reads a disk (by LPIs, if the GIC is a v3).
arm_interrupts() {
  use_tool aarch64
  start_vm -machine "virt,gic-version=$2" -cpu cortex-a53 -smp 2 -m 256 \
    -kernel "$(echo "$work"/arm64/boot/vmlinuz-*)" -initrd "$work/arm64.cpio.gz" -append 'console=ttyAMA0 quiet loglevel=1 panic=-1' \
    -drive "file=$(disk disk),format=raw,if=none,id=disk" -device virtio-blk-pci,drive=disk
  guest
  events on irq timer
  guest 'usleep 200000; ls / >/dev/null & taskset 2 ls /proc; wait'
  guest 'dd if=/dev/vda of=/dev/null bs=4k count=20 iflag=direct'
  events off irq timer
  stop_vm
  keep "$1"
}

# A Cortex-M3 with SysTick, a timer interrupt and a supervisor call.
record_irq_nvic() {
  use_tool arm
  cat >"$run/guest.s" <<'END'
  .syntax unified
  .cpu cortex-m3
  .thumb
  .word 0x20001000, reset + 1
  .rept 9
  .word hang + 1
  .endr
  .word supervisor_call + 1, hang + 1, hang + 1, pending_supervisor + 1, tick + 1
  .rept 8
  .word hang + 1
  .endr
  .word timer + 1
  .global _start
_start:
reset:
  ldr r0, =0xe000e010       // SysTick: every 20 ms.
  ldr r1, =500000
  str r1, [r0, #4]
  movs r1, #7
  str r1, [r0]
  ldr r0, =0xe000e100       // Interrupt 8 of the board is enabled: exception 24.
  mov r1, #0x100
  str r1, [r0]
  ldr r0, =0xe000ed20       // SysTick and PendSV give way to the others, also to SVCall.
  ldr r1, =0xc0c00000
  str r1, [r0]
  ldr r0, =0x40000000       // TIMER0: every 50 ms.
  ldr r1, =1250000
  str r1, [r0, #8]
  movs r1, #9
  str r1, [r0]
wait:
  wfi
  b wait
tick:
  svc 1
  bx lr
supervisor_call:
  ldr r0, =0xe000ed04       // Pend PendSV.
  ldr r1, =0x10000000
  str r1, [r0]
  bx lr
timer:
  ldr r0, =0x40000000
  movs r1, #1
  str r1, [r0, #12]
  bx lr
pending_supervisor:
  bx lr
hang:
  b hang
END
  "$work/tools/usr/bin/arm-none-eabi-as" -o "$run/guest.o" "$run/guest.s"
  "$work/tools/usr/bin/arm-none-eabi-ld" -Ttext 0 -o "$run/guest" "$run/guest.o"
  early_events irq timer
  start_vm -machine mps2-an385 -kernel "$run/guest" "${early[@]}"
  sleep 3
  stop_vm
  keep irq-nvic
}

# Two RISC-V harts that take timer and software interrupts and environment calls in machine mode.
record_irq_riscv() {
  use_tool riscv64
  cat >"$run/guest.s" <<'END'
  .global _start
_start:
  csrr s0, mhartid
  la t0, trap
  csrw mtvec, t0
  li s1, 0x2004000 # mtimecmp of this hart
  slli t0, s0, 3
  add s1, s1, t0
  li s2, 0x200bff8 # mtime
  li s3, 0x2000000 # msip of this hart
  slli t0, s0, 2
  add s3, s3, t0
  li s4, 0
  call next
  li t0, 0x88      # Timer and software interrupts.
  csrw mie, t0
  csrsi mstatus, 8
wait:
  wfi
  ecall
  j wait
next:              # In 10 ms.
  ld t0, 0(s2)
  li t1, 100000
  add t0, t0, t1
  sd t0, 0(s1)
  ret
  .balign 4
trap:
  csrr t2, mcause
  bltz t2, interrupt
  csrr t0, mepc
  addi t0, t0, 4
  csrw mepc, t0
  mret
interrupt:
  slli t2, t2, 1
  li t0, 6         # 3 twice: a software interrupt.
  beq t2, t0, software
  call next
  addi s4, s4, 1   # Every fourth tick interrupts itself by software.
  andi t0, s4, 3
  bnez t0, 1f
  li t0, 1
  sw t0, 0(s3)
1:
  mret
software:
  sw zero, 0(s3)
  mret
END
  "$work/tools/usr/bin/riscv64-unknown-elf-as" -march=rv64i_zicsr -o "$run/guest.o" "$run/guest.s"
  "$work/tools/usr/bin/riscv64-unknown-elf-ld" -Ttext 0x80000000 -o "$run/guest" "$run/guest.o"
  early_events irq
  start_vm -machine virt -smp 2 -bios none -kernel "$run/guest" "${early[@]}"
  sleep 4
  stop_vm
  keep irq-riscv
}

record_irq_xics() {
  ppc_interrupts irq-xics xics
}

record_irq_xive() {
  ppc_interrupts irq-xive xive
}

# ppc_interrupts NAME CONTROLLER: a ppc64el Linux that prints, and wakes its other CPU.
ppc_interrupts() {
  use_tool ppc64
  start_vm -machine "pseries,ic-mode=$2" -cpu power9 -smp 2 -m 512 \
    -kernel "$(echo "$work"/ppc/boot/vmlinux-*)" -initrd "$work/ppc.cpio.gz" -append 'console=hvc0 quiet loglevel=1 panic=-1'
  guest
  events on irq timer
  guest 'for i in 1 2 3 4 5; do ls / >/dev/null & taskset 2 ls /proc; wait; done'
  events off irq timer
  stop_vm
  keep "$1"
}

main "$@"
