# shellcheck shell=bash
# The test of qemond as a service, inside the machine that boot-test.sh boots. Standard output is what boot-test.sh reads:
# a line `ok NAME (SECONDS s)`, `failed NAME: WHY` or `note TEXT` for each thing, and `end` last.
set -uo pipefail
cd /opt/test || exit 1

readonly leased=(virtio_blk_handle_read virtio_blk_handle_write)
readonly left_on=virtio_set_status  # Somebody else's: on before qemond came. It occurs seldom.

# ---- What it is made of

uptime_seconds() { cut -d . -f 1 /proc/uptime; }

# check NAME FUNCTION: what the function prints, or gives as `why` to fail, is told if it fails.
check() {
  local begin=$SECONDS output status
  # What systemd counts of its starts is of the check before.
  systemctl reset-failed qemond.service 2>/dev/null
  # Not as a condition, in which `set -e` is off.
  output=$( (set -e; "$2") 2>&1)
  status=$?
  if ((status == 0)); then
    echo "ok $1 ($((SECONDS - begin)) s)"
  else
    output=${output//$'\n'/ | }
    echo "failed $1: ${output:0:1500}"
  fi
}

# From within a check, whose output is kept.
tell() { echo "note $*" >>/dev/ttyS1; }

fail() {
  echo "$*"
  exit 1
}

# same WHAT EXPECTED ACTUAL
same() { [[ $2 == "$3" ]] || fail "$1: expected '$2', is '$3'"; }

# How many times slower than on a free host everything is, by what booting took.
patience=${QEMON_PATIENCE:-$((1 + $(uptime_seconds) / 60))}

# until_true SECONDS WHAT COMMAND...: so many on a free host.
until_true() {
  local end=$((SECONDS + $1 * patience)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "gave up waiting until $what; the log ends with: $(journalctl -q -n 6 -o cat -u qemond)"
    sleep 0.3
  done
}

property() { systemctl show -P "$2" "$1"; }
main_pid() { property qemond.service MainPID; }
is_active() { [[ $(property qemond.service ActiveState) == active ]]; }
metrics() { curl -fsS --max-time $((30 * patience)) http://127.0.0.1:9749/metrics; }

# Through the second monitor of the VM, which qemond knows nothing of.
on_in_qemu() { python3 qmp.py /run/check/web.qmp on 'virtio_blk_*' exec_tb "$left_on"; }
is_on() { on_in_qemu | grep -x "$1" >/dev/null; }
is_off() { ! is_on "$1"; }
all_on() { [[ $(on_in_qemu | grep -cxE "${leased[0]}|${leased[1]}") == 2 ]]; }
# Nothing but what was on before.
as_found() { [[ $(on_in_qemu) == "$left_on" ]]; }

is_attached() { qemon status | grep "^$1: attached" >/dev/null; }
lease_of() { qemon --output json lease list | tr -d ' \n' | grep -o '"id":[0-9]*' | head -n 1; }
has_lease() { [[ -n $(lease_of) ]]; }
has_no_lease() { [[ -z $(lease_of) ]]; }
# A qemond that systemd started after the one of this process id.
is_another() { is_active && [[ $(main_pid) != "$1" && $(main_pid) != 0 ]]; }
serves_again() { is_another "$1" && qemon status >/dev/null && is_attached web; }
lease_on() { qemon event on "${leased[@]}" --vm web --for "$1"; }
is_inactive() { [[ $(property "$1" ActiveState) == inactive ]]; }

# ---- Packages

# In a root folder of its own, where no systemd runs: what an image builder does.
installs_in_a_chroot() {
  local root=/tmp/root
  mkdir -p "$root" /tmp/over
  mount -t tmpfs tmpfs /tmp/over
  mkdir /tmp/over/{upper,work}
  mount -t overlay overlay -o lowerdir=/,upperdir=/tmp/over/upper,workdir=/tmp/over/work "$root"
  mount -t tmpfs tmpfs "$root/run"
  mount --bind /proc "$root/proc"
  chroot "$root" dpkg -i "/opt/test/$first" >/tmp/chroot.log 2>&1 || fail "$(tail -n 5 /tmp/chroot.log)"
  [[ -L $root/etc/systemd/system/multi-user.target.wants/qemond.service ]] || fail "qemond.service is not enabled"
  [[ ! -e $root/etc/systemd/system/sockets.target.wants/qemond.socket ]] || fail "qemond.socket is enabled"
  chroot "$root" getent passwd qemon >/dev/null || fail "there is no user qemon"
  chroot "$root" dpkg -P qemon >/tmp/chroot.log 2>&1 || fail "$(tail -n 5 /tmp/chroot.log)"
  same "left in /etc" '' "$(find "$root/etc" -iname '*qemon*' | paste -s -d ' ')"
  same "left in the system" '' "$(find "$root"/usr "$root"/var/lib/systemd -iname '*qemon*' 2>/dev/null | paste -s -d ' ')"
  umount "$root/proc" "$root/run" "$root" /tmp/over
}

installs() {
  apt-get -qq -y install "./$first" >/tmp/install.log 2>&1 || fail "$(tail -n 5 /tmp/install.log)"
  until_true 60 "qemond.service is active" is_active
  ! grep -iE 'warn|error|fail' /tmp/install.log || fail "the installation complains"
}

# ---- VMs, of a user who is not qemon

starts_vms() {
  useradd --system vmuser
  # What an administrator does who lets a user make monitors there.
  echo 'a+ /run/vms - - - - user:vmuser:rwx' >/etc/tmpfiles.d/vms.conf
  systemd-tmpfiles --create qemon.conf vms.conf
  install -o vmuser -m 600 disk.img /var/lib/web.img
  cat >/run/systemd/system/vm@.service <<'END'
[Service]
User=vmuser
UMask=0002
RuntimeDirectory=check
RuntimeDirectoryPreserve=yes
EnvironmentFile=/run/vm-%i
ExecStart=qemu-system-x86_64 -name %i -accel tcg -display none -nodefaults -msg timestamp=on $VM -qmp unix:/run/vms/%i.qmp,server=on,wait=off -qmp unix:/run/check/%i.qmp,server=on,wait=off
END
  # Blocks that are not chained all pass where exec_tb is: a flood.
  echo 'VM="-d nochain -m 32 -drive file=/var/lib/web.img,if=virtio,format=raw"' >/run/vm-web
  echo 'VM="-machine none"' >/run/vm-idle
  systemctl daemon-reload
  systemctl start vm@web vm@idle
  until_true 120 "the VMs have monitors" test -S /run/vms/web.qmp -a -S /run/vms/idle.qmp -a -S /run/check/web.qmp
  python3 qmp.py /run/check/web.qmp set "$left_on"
}

# ---- What systemd sees

is_a_service() {
  same ActiveState active "$(property qemond.service ActiveState)"
  same SubState running "$(property qemond.service SubState)"
  same Type notify "$(property qemond.service Type)"
  same "user of the process" qemon "$(ps -o user= -p "$(main_pid)")"
  until_true 60 "systemctl status shows the figures" shows_status
}
shows_status() { systemctl status qemond | grep -E 'Status: "2 VMs, [0-9]+ tracing, '; }

is_exposed_little() {
  local line
  line=$(systemd-analyze security --no-pager qemond.service | grep 'Overall exposure level')
  echo "$line"
  awk '{ for (i = 1; i <= NF; ++i) if ($i ~ /^[0-9.]+$/) exit !($i <= 2.0) }' <<<"$line" || exit 1
  tell "${line#*Overall }"
}

traces_to_a_bounded_mount() {
  same "type of /run/qemond/trace" tmpfs "$(findmnt -n -o FSTYPE /run/qemond/trace)"
  same "size of /run/qemond/trace" 2097152 "$(df -k --output=size /run/qemond/trace | tail -n 1 | tr -d ' ')"
  same "owner of /run/qemond/trace" 'qemon 711' "$(stat -c '%U %a' /run/qemond/trace)"
}

counts_a_pack() {
  until_true 120 "web is attached" is_attached web
  until_true 120 "idle is attached" is_attached idle
  qemon pack on virtio-blk --vm web --for 10m
  local before
  before=$(blk_bytes)
  until_true 60 "the counters move" more_than "$before"
  qemon pack off virtio-blk --vm web
  until_true 60 "the VM is as it was found" as_found
}
blk_bytes() { metrics | awk '/^qemu_virtio_blk_bytes_total{vm="web"/ { sum += $2 } END { printf "%d", sum }'; }
more_than() { (($(blk_bytes) > $1)); }

knows_the_cgroup() {
  local shown real
  until_true 60 "the cgroup is in /metrics" has_cgroup
  shown=$(metrics | sed -n 's/^qemu_cgroup_memory_bytes{vm="web"} //p')
  real=$(cat "/sys/fs/cgroup$(property vm@web ControlGroup)/memory.current")
  awk -v shown="$shown" -v real="$real" 'BEGIN { exit !(shown > real * 0.8 && shown < real * 1.25) }' ||
    fail "qemu_cgroup_memory_bytes is $shown, memory.current is $real"
}
has_cgroup() {
  local text
  text=$(metrics)
  grep -q '^qemu_cgroup_memory_bytes{vm="web"} ' <<<"$text" && grep -q '^qemu_cgroup_pressure_seconds_total{vm="web",' <<<"$text"
}

reloads() {
  local pid
  pid=$(main_pid)
  systemctl reload qemond
  same "the process" "$pid" "$(main_pid)"
  until_true 10 "the log says so" logs 'reloaded packs='
}
logs() { journalctl -q -u qemond -o cat | grep "$1" >/dev/null; }

# ---- Crashes

goes_on_after_a_crash() {
  local pid begin
  local length=$((30 + 15 * patience))
  begin=$(uptime_seconds)
  lease_on "${length}s"
  until_true 30 "the events are on" all_on
  pid=$(main_pid)
  kill -KILL "$pid"
  until_true 40 "another qemond serves" serves_again "$pid"
  has_lease || fail "the lease is gone"
  all_on || fail "the events are off before the lease's end"
  until_true 90 "the lease has ended" as_found
  (($(uptime_seconds) - begin >= length)) || fail "the events went off before the lease's end"
}

is_ended_by_the_watchdog() {
  local pid begin
  # Small, so that it may be full before the watchdog bites.
  mount -o remount,size=4M /run/qemond/trace
  # And a budget that every flood is beyond.
  cp /etc/qemon/qemond.yaml /tmp/qemond.yaml
  printf '\nsettings:\n  - {match: web, budget: {records: 100, grace: 10s}}\n' >>/etc/qemon/qemond.yaml
  qemon reload
  qemon event on exec_tb --vm web --for 10m
  until_true 30 "exec_tb is on" is_on exec_tb
  pid=$(main_pid)
  begin=$(uptime_seconds)
  kill -STOP "$pid"
  until_true 60 "systemd has started another" is_another "$pid"
  tell "the watchdog ended it after $(($(uptime_seconds) - begin)) s"
  logs 'Watchdog timeout' || fail "it was not the watchdog"
  tell "the trace had come to $(df -k --output=used /run/qemond/trace | tail -n 1 | tr -d ' ') KiB"
  same "size of the trace's file system" 4096 "$(df -k --output=size /run/qemond/trace | tail -n 1 | tr -d ' ')"
  systemctl -q is-active vm@web || fail "QEMU did not survive"
  until_true 60 "the VM is attached again" serves_again "$pid"
  mount -o remount,size=2G /run/qemond/trace
  # The lease goes on, the event does not.
  has_lease || fail "the lease is gone"
  until_true 90 "the event that costs too much is off" is_off exec_tb
  qemon event list exec_tb --vm web | grep . >/dev/null || fail "exec_tb is not listed"
  until_true 30 "the trace is read and given back" trace_is_small
  qemon restore
  until_true 30 "the VM is as it was found" as_found
  cp /tmp/qemond.yaml /etc/qemon/qemond.yaml
  qemon reload
}
trace_is_small() { (($(df -k --output=used /run/qemond/trace | tail -n 1) < 2048)); }

keeps_time_when_the_clock_jumps() {
  local begin took length=$((20 + 10 * patience))
  begin=$(uptime_seconds)
  lease_on "${length}s"
  until_true 30 "the events are on" all_on
  date -s '+1 day' >/dev/null
  # Long enough for qemond to have looked at its leases.
  sleep 3
  all_on || fail "the events went off when the clock went ahead"
  date -s '-1 day' >/dev/null
  until_true 100 "the lease has ended" as_found
  took=$(($(uptime_seconds) - begin))
  tell "a lease of $length s ended after $took s, with the clock a day ahead and back meanwhile"
  ((took >= length && took <= length + 15 * patience)) || fail "a lease of $length s took $took s"
}

# Restarts that fail: qemond-restore.service does what qemond cannot.
is_restored_when_dead_for_good() {
  lease_on 30m
  until_true 30 "the events are on" all_on
  mkdir -p /run/systemd/system/qemond.service.d
  printf '[Service]\nExecStart=\nExecStart=/bin/false\n' >/run/systemd/system/qemond.service.d/fail.conf
  systemctl daemon-reload
  kill -KILL "$(main_pid)"
  until_true 120 "qemond.service has failed" systemctl -q is-failed qemond.service
  until_true 120 "the VM is as it was found" as_found
  until_true 60 "qemond-restore.service has ended" is_inactive qemond-restore.service
  same "result of qemond-restore.service" success "$(property qemond-restore.service Result)"
  same "user of qemond-restore.service" qemon "$(property qemond-restore.service User)"
  same "capabilities of qemond-restore.service" 'cap_dac_read_search cap_sys_ptrace' "$(property qemond-restore.service CapabilityBoundingSet)"
  journalctl -q -u qemond-restore -o cat | grep 'web: as it was found, 2 events off' >/dev/null || fail "$(journalctl -q -u qemond-restore -o cat | tail -n 4)"
}

starts_again() {
  rm -r /run/systemd/system/qemond.service.d
  systemctl daemon-reload
  systemctl reset-failed qemond.service
  systemctl start qemond.service
  until_true 60 "web is attached" is_attached web
}

# ---- Sockets

is_started_by_its_sockets() {
  systemctl stop qemond.service
  systemctl start qemond.socket qemond-http.socket
  same "mode of the control socket" 666 "$(stat -c %a /run/qemond/control.sock)"
  is_inactive qemond.service || fail "it is active already"
  metrics | grep '^qemond_' >/dev/null || fail "no metrics"
  is_active || fail "it was not started"
  qemon status | grep 'control   /run/qemond/control.sock' >/dev/null || fail "$(qemon status | head -n 4)"
  until_true 60 "web is attached" is_attached web
  # Nobody is refused while it starts again.
  local pid
  pid=$(main_pid)
  kill -KILL "$pid"
  metrics >/dev/null || fail "the scrape was refused"
  until_true 60 "another serves" serves_again "$pid"
  systemctl stop qemond.socket qemond-http.socket qemond.service
  [[ ! -e /run/qemond/control.sock ]] || fail "the socket is still there"
  systemctl start qemond.service
  until_true 60 "web is attached" is_attached web
}

# ---- Trace backends that take more rights than the service has

# A VM that is called probed, of the user $1. Its QEMU has more trace backends than Debian's.
starts_probed_vm() {
  mkdir -p /run/systemd/system/vm@probed.service.d
  cat >/run/systemd/system/vm@probed.service.d/qemu.conf <<END
[Service]
User=$1
ExecStart=
ExecStart=/opt/test/qemu-probed -L /usr/share/seabios -L /usr/share/qemu -name probed -accel tcg -display none -nodefaults -drive file=/var/lib/probed.img,if=virtio,format=raw -m 32 -qmp unix:/run/vms/probed.qmp,server=on,wait=off
END
  echo >/run/vm-probed
  install -o vmuser -m 600 disk.img /var/lib/probed.img
  systemctl daemon-reload
  systemctl start vm@probed
  until_true 120 "probed is attached" is_attached probed
}
stops_probed_vm() {
  systemctl stop vm@probed
  rm -rf /run/systemd/system/vm@probed.service.d /run/vms/probed.qmp
  systemctl daemon-reload
}

# follows_probed BACKEND: the events of its disk are counted.
follows_probed() {
  qemon event on 'virtio_blk_handle_*' --vm probed --for 10m
  same "backend" "$1" "$(qemon --output json status | python3 -c '
import json, sys
print(next(vm["trace"]["backend"] for vm in json.load(sys.stdin)["vms"] if vm["name"] == "probed"))')"
  until_true 60 "events of probed are counted" probed_is_counted
  qemon event off 'virtio_blk_handle_*' --vm probed
}
probed_is_counted() { metrics | grep -E '^qemu_trace_events_total\{vm="probed",event="virtio_blk_handle_(read|write)"\} [1-9]' >/dev/null; }

# with_drop_in FILE UNIT...: as docs/sources.md says; without_drop_ins ends that.
with_drop_in() {
  local file=$1 unit
  shift
  for unit; do
    install -D -m 644 "$file" "/etc/systemd/system/$unit.service.d/$(basename "$file")"
  done
  restarts
}
without_drop_ins() {
  rm -rf /etc/systemd/system/qemond.service.d /etc/systemd/system/qemond-restore.service.d
  restarts
}
restarts() {
  systemctl daemon-reload
  systemctl restart qemond.service
  until_true 60 "web is attached" is_attached web
}

attaches_to_probes() {
  starts_probed_vm vmuser
  local refused
  refused=$(qemon event on 'virtio_blk_handle_*' --vm probed 2>&1) && fail "it works without the package"
  [[ $refused == *"install the package qemon-usdt"* ]] || fail "without the package: $refused"
  apt-get -qq -y install ./first/qemon-usdt_*.deb >/tmp/usdt.log 2>&1 || fail "$(tail -n 5 /tmp/usdt.log)"
  refused=$(qemon event on 'virtio_blk_handle_*' --vm probed 2>&1) && fail "it works without the drop-in"
  [[ $refused == *CAP_* && $refused == *"systemctl edit qemond"* ]] || fail "without the drop-in: $refused"
  with_drop_in /usr/share/doc/qemon-usdt/examples/usdt.conf qemond
  until_true 60 "probed is attached" is_attached probed
  follows_probed usdt
  apt-get -qq -y purge qemon-usdt >/tmp/usdt.log 2>&1 || fail "$(tail -n 5 /tmp/usdt.log)"
  stops_probed_vm
  without_drop_ins
}

# Only root may write to the kernel's trace.
follows_ftrace() {
  sed -i 's/^QEMOND_OPTIONS=.*/QEMOND_OPTIONS="--backend probed=ftrace"/' /etc/default/qemond
  with_drop_in /usr/share/doc/qemon/examples/ftrace.conf qemond qemond-restore
  starts_probed_vm root
  follows_probed ftrace
  same "instances of the kernel's trace" '' "$(ls /sys/kernel/tracing/instances)"
  stops_probed_vm
  sed -i 's/^QEMOND_OPTIONS=.*/QEMOND_OPTIONS=""/' /etc/default/qemond
  without_drop_ins
}

# ---- The end

stops_with_everything_as_found() {
  lease_on 30m
  until_true 30 "the events are on" all_on
  systemctl stop qemond.service
  as_found || fail "on are: $(on_in_qemu | paste -s -d ' ')"
  systemctl start qemond.service
  until_true 60 "web is attached" is_attached web
}

is_upgraded_under_a_lease() {
  local pid lease
  lease_on 30m
  until_true 30 "the events are on" all_on
  lease=$(lease_of)
  pid=$(main_pid)
  apt-get -qq -y install "./$second" >/tmp/upgrade.log 2>&1 || fail "$(tail -n 5 /tmp/upgrade.log)"
  serves_again "$pid" || until_true 60 "the new one serves" serves_again "$pid"
  same "the version" "$(dpkg-deb -f "$second" Version)" "$(dpkg-query -W -f '${Version}' qemon)"
  same "the lease" "$lease" "$(lease_of)"
  all_on || fail "the events are off"
  [[ ! -e /run/systemd/system/qemond.service.d ]] || fail "the drop-in of the upgrade is still there"
  same "failed units" '' "$(systemctl --failed --plain --no-legend | paste -s -d ' ')"
  same "KillSignal" 15 "$(property qemond.service KillSignal)"
}

leaves_nothing_when_purged() {
  apt-get -qq -y purge qemon >/tmp/purge.log 2>&1 || fail "$(tail -n 5 /tmp/purge.log)"
  as_found || fail "on are: $(on_in_qemu | paste -s -d ' ')"
  same "processes" '' "$(pgrep -x -l 'qemond|qemon' | paste -s -d ' ')"
  same "mounts" '' "$(findmnt -n -o TARGET | grep qemond | paste -s -d ' ')"
  same "units" '' "$(systemctl list-units --all --plain --no-legend 'qemond*' 'run-qemond*' | paste -s -d ' ')"
  same "files" '' "$(find /etc /run /usr /var/lib -xdev \( -iname '*qemon*' -o -iname '*qemond*' \) -not -path '/run/user/*' | paste -s -d ' ')"
  same "the user" qemon "$(getent passwd qemon | cut -d : -f 1)"
  systemctl -q is-active vm@web vm@idle || fail "a VM has ended"
}

main() {
  first=$(echo first/qemon_*.deb)
  second=$(echo second/qemon_*.deb)
  tell "booted in $(uptime_seconds) s"
  check 'a package is installed and purged in a chroot without systemd' installs_in_a_chroot
  check 'the package is installed' installs
  check 'systemctl reload' reloads
  check 'VMs of another user start' starts_vms
  check 'qemond.service is active, tells its status, and runs as user qemon' is_a_service
  check 'systemd-analyze security: at most 2.0' is_exposed_little
  check '/run/qemond/trace is a tmpfs of bounded size' traces_to_a_bounded_mount
  check 'a VM is attached, a pack switched on, its counters move' counts_a_pack
  check 'metrics of the cgroup' knows_the_cgroup
  check 'a crash: restarted, leases go on and end in time' goes_on_after_a_crash
  check 'the watchdog ends a qemond that is stuck, under a flood' is_ended_by_the_watchdog
  check 'a clock that jumps changes no lease' keeps_time_when_the_clock_jumps
  check 'dead for good: qemond-restore.service puts all back' is_restored_when_dead_for_good
  check 'it starts again' starts_again
  check 'sockets of systemd start it' is_started_by_its_sockets
  if [[ -e qemu-probed ]]; then
    check 'USDT: the package and its drop-in are all that it takes' attaches_to_probes
    check 'ftrace: its drop-in is all that it takes' follows_ftrace
  else
    tell "no QEMU with the backends dtrace and ftrace"
  fi
  check 'systemctl stop leaves everything as found' stops_with_everything_as_found
  check 'an upgrade: the lease goes on' is_upgraded_under_a_lease
  check 'purged: nothing is left' leaves_nothing_when_purged
  echo end
}

main
sync
journalctl -q -b -o short-monotonic -u qemond -u qemond-restore -u 'vm@*' --no-pager >/dev/ttyS0
systemctl poweroff --force --force
