#!/usr/bin/env bash
# Shows qemon at work on a small VM of its own: counters that move, once a second, until Ctrl-C.
#   ./demo.sh         on a terminal, until Ctrl-C
#   ./demo.sh --once  a few seconds; prints the metrics and exits 0 only if the counters moved
# Progress goes to standard error. Nothing that it starts is left behind, whichever way it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

readonly vm=demo
readonly packs=(virtio-blk irq)
readonly bin=build/release/bin

folder=      # Sockets, disk image, logs: everything that the demo writes outside build/.
qemu_pid=
qemond_pid=
child_pid=   # The step that we are waiting for.
address=     # Where the metrics are.

main() {
  local once=false
  case ${1:-} in
    '') ;;
    --once) once=true ;;
    *) die "unknown argument '$1': use --once or none" ;;
  esac
  say "demo: builds qemon, boots a small VM under QEMU, watches its disk and interrupts with qemond, and removes everything again"
  tests/tools/install-packages.sh demo

  trap clean_up EXIT
  trap 'end 130' INT
  trap 'end 143' TERM
  trap 'end 129' HUP
  trap 'end 141' PIPE
  build
  make_folder
  start_vm
  start_daemon
  switch_events_on
  if $once; then
    show_once
  else
    show_for_ever
  fi
}

# ---- Steps

build() {
  say "building (release)"
  use_ccache
  configure release
  wait_for ninja -C build/release >build/release/build.log 2>&1 || {
    tail -n 30 build/release/build.log >&2
    die "the build failed; its output is in build/release/build.log"
  }
}

make_folder() {
  folder=$(mktemp -d "${TMPDIR:-/tmp}/qemon-demo.XXXXXX")
  # A Unix socket's path has at most 107 bytes.
  if ((${#folder} > 80)); then
    rmdir "$folder"
    folder=$(mktemp -d /tmp/qemon-demo.XXXXXX)
  fi
}

start_vm() {
  sh tests/tools/build-guest.sh tests/guest/demo.S "$folder/disk.img"
  # Standard error is a pipe, as under most supervisors; a log on a regular file would be followed in place, and grow.
  start qemu-system-x86_64 -name "$vm" -accel tcg -display none -nodefaults -msg timestamp=on \
    -drive "file=$folder/disk.img,if=virtio,format=raw" -qmp "unix:$folder/qmp,server=on,wait=off" \
    </dev/null >/dev/null 2> >(exec cat >"$folder/qemu.log")
  qemu_pid=$started_pid
}

start_daemon() {
  start "$bin/qemond" --vm "$vm=unix:$folder/qmp" --listen 127.0.0.1:0 --control-socket "$folder/control" \
    --runtime-dir "$folder/run" </dev/null >"$folder/qemond.log" 2>&1
  qemond_pid=$started_pid
  until_true "qemond to answer" find_address
  until_true "qemond to attach to the VM" vm_is_up
}

switch_events_on() {
  say "qemon pack on ${packs[*]} --vm $vm"
  qemon pack on "${packs[@]}" --vm "$vm" >&2 || die "the packs could not be switched on"
}

show_for_ever() {
  local clear=''
  [[ ! -t 1 ]] || clear=$'\e[H\e[2J'
  scrape before
  while true; do
    pause
    scrape after
    printf '%sqemon demo: what a VM does, seen from beside it. Ctrl-C ends.\nhttp://%s/metrics\n\n' "$clear" "$address"
    table
    mv "$folder/after" "$folder/before"
  done
}

show_once() {
  local seconds
  say "watching http://$address/metrics for a few seconds"
  scrape before
  for ((seconds = 1; seconds <= 20; seconds++)); do
    pause
    scrape after
    if ((seconds >= 3)) && moved qemu_virtio_blk_bytes_total && moved qemu_virtio_blk_request_duration_seconds_count && moved qemu_irq_raised_total; then
      cat "$folder/after"
      say "the counters moved"
      return
    fi
  done
  cat "$folder/after"
  die "the counters of block and interrupt events did not both move in 20 seconds; qemond said: $(tail -n 5 "$folder/qemond.log")"
}

# ---- Metrics

qemon() { "$bin/qemon" --socket "$folder/control" "$@"; }

# The port was chosen by the system.
find_address() {
  address=$(qemon --output json status 2>/dev/null | tr -d '\n' | sed -n 's/.*"listen" *: *"\([^"]*\)".*/\1/p')
  [[ -n $address ]]
}

vm_is_up() { scrape before && grep -q "^qemu_up{.*vm=\"$vm\".*} 1$" "$folder/before"; }

# scrape NAME: the metrics, in the file NAME of the folder.
scrape() {
  curl -fsS --max-time 5 --noproxy '*' -o "$folder/$1" "http://$address/metrics" || die "http://$address/metrics did not answer"
}

# totals FILE: a line `SERIES COUNT` for each counter of the packs, without those at 0.
totals() {
  sed -n "s/^\(qemu_\(virtio_blk\|irq\)_[a-z_]*\(_total\|_count\)\){vm=\"$vm\",\([^}]*\)} \([1-9][^ ]*\).*/\1{\4} \5/p" "$folder/$1" | sort
}

# moved PREFIX: the counters whose names begin with PREFIX are higher after than before.
moved() {
  { totals before | sed 's/^/before /'; totals after | sed 's/^/after /'; } |
    awk -v prefix="$1" 'index($2, prefix) == 1 { sum[$1] += $3 } END { exit !(sum["after"] > sum["before"]) }'
}

# One line for each counter: its total, and how much more than a second ago.
table() {
  printf '%-70s %12s %12s\n' COUNTER TOTAL 'PER SECOND'
  join -a 2 -e 0 -o 2.1,2.2,1.2 <(totals before) <(totals after) | awk '{ printf "%-70s %12d %12d\n", $1, $2, $2 - $3 }'
}

# ---- Processes

# start COMMAND...: in a session of its own, so that Ctrl-C reaches only us and we end things in order; and killed by the
# kernel should we be killed without a chance to. Sets `started_pid`.
start() {
  setsid setpriv --pdeathsig KILL "$@" &
  started_pid=$!
}

# Runs a command so that a signal to us does not have to wait for its end.
wait_for() {
  local status=0
  setsid "$@" &
  child_pid=$!
  wait "$child_pid" || status=$?
  child_pid=
  return "$status"
}

pause() {
  alive
  wait_for sleep 1
}

alive() {
  kill -0 "$qemu_pid" 2>/dev/null || die "QEMU ended: $(tail -n 3 "$folder/qemu.log")"
  [[ -z $qemond_pid ]] || kill -0 "$qemond_pid" 2>/dev/null || die "qemond ended: $(tail -n 3 "$folder/qemond.log")"
}

# until_true WHAT COMMAND: polls, for at most 20 seconds.
until_true() {
  local end=$((SECONDS + 20))
  until "$2"; do
    alive
    ((SECONDS < end)) || die "gave up waiting for $1; qemond said: $(tail -n 5 "$folder/qemond.log")"
    wait_for sleep 0.1
  done
}

# end_process PID: asks, and after 10 seconds insists.
end_process() {
  local tries
  [[ -n $1 ]] || return 0
  kill -TERM "$1"
  for ((tries = 0; tries < 100; tries++)); do
    kill -0 "$1" || return 0
    sleep 0.1
  done
  kill -KILL "$1"
  wait "$1"
}

# A closing terminal sends SIGHUP twice, and an impatient user more than one Ctrl-C: the first is enough.
end() {
  trap '' INT TERM HUP PIPE
  exit "$1"
}

# The daemon first, while the VM still answers: it switches its events off. Silent, since the terminal may be gone.
clean_up() {
  trap '' INT TERM HUP PIPE
  set +e
  {
    # The child may not have come to lead a group yet.
    [[ -z $child_pid ]] || kill -TERM -- "-$child_pid" || kill -TERM "$child_pid"
    end_process "$qemond_pid"
    end_process "$qemu_pid"
    [[ -z $folder ]] || rm -rf "$folder"
    hand_back build "$(cache_dir)"
  } >/dev/null 2>&1
}

main "$@"
