#!/usr/bin/env bash
# Prepares the QEMUs and tools that the tests on real QEMU use, in a cache outside the source tree, and prints the path of
# a file of shell assignments (test-env) to be sourced:
#   QEMON_TEST_QEMUS     QEMU binaries under test, separated by `;`, each `label|binary|datadirs|catalog`: datadirs is a
#                        list of -L folders separated by `:` (may be empty), catalog is that binary's trace-events-all.
#                        Set it yourself to put any other QEMU under test, for instance
#                        QEMON_TEST_QEMUS='mine|/opt/qemu/bin/qemu-system-x86_64||/opt/qemu/share/qemu/trace-events-all' ./test.sh
#   QEMON_TEST_CATALOGS  trace-events-all files, separated by `:`
#   QEMON_BACKENDS_QEMU  one more entry of that form: a QEMU with the backends dtrace, ftrace, ust and syslog, none of which
#                        writes a file by itself; for the tests of the sources that read them
#   QEMON_DTRACE_QEMU    and one with dtrace alone, as Fedora and RHEL build theirs: it lists few of its events
#   QEMON_SIMPLETRACE    QEMU's own scripts/simpletrace.py, of the build with the `simple` backend
#   QEMON_MEM_PLUGIN     QEMU's own TCG plugin that counts memory accesses, for plugin API 1
#   QEMON_PROMETHEUS, QEMON_PROMTOOL   binaries
# What is made, each once, in ${QEMON_CACHE_DIR:-${XDG_CACHE_HOME:-~/.cache}/qemon}:
#   qemu-simple-VERSION     Debian 12's QEMU source with the backends simple and log (about 5 minutes on 2 cores)
#   qemu-backends-VERSION   the same source with the backends dtrace, ftrace, ust and syslog (about as long)
#   qemu-dtrace-VERSION     and once more with dtrace alone
#   qemu-backports-VERSION  Debian's QEMU from bookworm-backports, which cannot be installed beside Debian 12's own
#   qemu-mem-plugin-VERSION that plugin, from Debian 12's QEMU source
#   prometheus-VERSION      Prometheus, unpacked because installing the package would start a service
# A filled cache is used without a look at the network. A new version of the installed QEMU package builds anew;
# `--refresh` also asks the mirror for newer versions of the other two.
# Everything is fetched with an apt configuration of our own: the machine's package sources stay as they are.
set -euo pipefail
export LC_ALL=C
# shellcheck source=tests/tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

readonly suite=bookworm
readonly keyring=/usr/share/keyrings/debian-archive-keyring.gpg
refresh=false
cache=   # The cache folder.
work=    # Temporary folder of this run, inside it.
result=  # Folder that the last prepare_* function found or made.
apt_options=()

main() {
  case ${1:-} in
    '') ;;
    --refresh) refresh=true ;;
    *) die "unknown argument '$1': use --refresh or none" ;;
  esac
  umask 022
  cache=$(cache_dir)
  mkdir -p "$cache" || die "cannot make the cache folder $cache: set QEMON_CACHE_DIR to a folder that can be written"
  cache=$(cd "$cache" && pwd)
  exec 9>"$cache/lock"
  if ! flock -n 9; then
    say "waiting for another run that prepares $cache"
    flock 9
  fi
  trap clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  rm -rf "$cache"/tmp.*  # Of a run that was killed: we hold the lock, so nobody uses them.
  work=$(mktemp -d "$cache/tmp.XXXXXX")

  local simple='' backends='' dtrace='' mem_plugin='' backports='' prometheus=''
  # shellcheck source=/dev/null
  if [[ $(source /etc/os-release && printf %s "${VERSION_CODENAME:-}") == "$suite" ]]; then
    prepare_built qemu-simple simple,log
    simple=$result
    prepare_built qemu-backends dtrace,ftrace,ust,syslog
    backends=$result
    prepare_built qemu-dtrace dtrace
    dtrace=$result
    prepare_mem_plugin
    mem_plugin=$result
    prepare_backports
    backports=$result
    prepare_prometheus
    prometheus=$result
  else
    say "not Debian 12: the tests use the installed QEMU only; set QEMON_TEST_QEMUS to test others"
  fi
  write_env "$simple" "$backends" "$dtrace" "$mem_plugin" "$backports" "$prometheus"
  printf '%s\n' "$cache/test-env"
}

clean_up() {
  rm -rf "$work"
  hand_back "$cache"
}

# ---- What is prepared. Each function sets `result` to its folder.

# prepare_built KIND BACKENDS: QEMU from Debian's source, with these trace backends.
prepare_built() {
  local version
  version=$(dpkg-query -W -f '${source:Version}' qemu-system-x86 2>/dev/null || true)
  # Where a newer QEMU is installed (from backports), the suite's own newest is built instead.
  [[ $version == 1:7.2+* ]] || version=
  find_cached "$1" "$version" && return

  say "building QEMU with the trace backends $2, once: about 5 minutes on 2 cores (log: $cache/build-$1.log)"
  need_mirror
  [[ -d $work/source ]] || fetch_source "$work/source" "$version"
  [[ -n $version ]] || version=$(sed -n 's/^Version: //p' "$work"/source/qemu_*.dsc)
  run_logged "$cache/build-$1.log" build_qemu "$work/source/qemu" "$2" "$work/$1"
  rm -rf "$work/source/qemu/qemon-build"
  keep "$work/$1" "$1" "$version"
}

# QEMU's own plugin that counts memory accesses, as a witness for ours: Debian ships none.
prepare_mem_plugin() {
  local version
  version=$(dpkg-query -W -f '${source:Version}' qemu-user 2>/dev/null || true)
  [[ $version == 1:7.2+* ]] || version=
  find_cached qemu-mem-plugin "$version" && return

  say "building QEMU's plugin mem"
  need_mirror
  [[ -d $work/source ]] || fetch_source "$work/source" "$version"
  [[ -n $version ]] || version=$(sed -n 's/^Version: //p' "$work"/source/qemu_*.dsc)
  mkdir "$work/mem-plugin"
  local flags
  read -ra flags < <(pkg-config --cflags glib-2.0)
  cc -shared -fPIC -O2 "${flags[@]}" -I "$work/source/qemu/include/qemu" -o "$work/mem-plugin/libmem.so" "$work/source/qemu/tests/plugin/mem.c" >&2 ||
    die "QEMU's plugin mem could not be built"
  keep "$work/mem-plugin" qemu-mem-plugin "$version"
}

prepare_backports() {
  local version
  ! $refresh && find_cached qemu-backports '' && return
  need_mirror
  version=$(version_in "$suite-backports" qemu-system-x86)
  find_cached qemu-backports "$version" && return

  say "fetching QEMU $version from $suite-backports"
  local packages=(qemu-system-x86 qemu-system-common qemu-system-data seabios) libraries
  # What else apt would install or upgrade for it on this machine: libraries that the machine lacks.
  mapfile -t libraries < <(
    apt_get -s --no-install-recommends install "${packages[@]/%//$suite-backports}" |
      sed -n 's/^Inst \(lib[^ ]*\) .*(\([^ ]*\) .*/\1=\2/p'
  )
  unpack "$work/backports" "${packages[@]/%//$suite-backports}" "${libraries[@]}"
  add_launcher "$work/backports"
  keep "$work/backports" qemu-backports "$version"
}

prepare_prometheus() {
  local version
  ! $refresh && find_cached prometheus '' && return
  need_mirror
  version=$(version_in "$suite" prometheus)
  find_cached prometheus "$version" && return

  say "fetching Prometheus $version"
  unpack "$work/prometheus" "prometheus/$suite"
  keep "$work/prometheus" prometheus "$version"
}

# ---- The cache

# find_cached KIND VERSION: sets `result`. With an empty version, the one that is there will do.
find_cached() {
  local folders=("$cache/$1-"*)
  result=${folders[-1]}
  [[ -z $2 ]] || result=$cache/$1-$(plain "$2")
  [[ -d $result ]]
}

# keep FOLDER KIND VERSION: a rename, so that a folder in the cache is always a complete one. Older ones of its kind go.
keep() {
  result=$cache/$2-$(plain "$3")
  local old
  for old in "$cache/$2-"*; do
    [[ ! -d $old ]] || rm -rf "$old"
  done
  mv -T "$1" "$result"
}

# A version as part of a path: no epoch, and no character that separates paths in the variables that we set.
plain() {
  local version=${1#*:}
  printf '%s\n' "${version//[^A-Za-z0-9.+~-]/_}"
}

# run_logged LOG FUNCTION...: a shell of its own, because `set -e` is off inside a condition.
run_logged() {
  local log=$1 status=0
  shift
  set +e
  (set -e; "$@") >"$log" 2>&1
  status=$?
  set -e
  ((status == 0)) || die "$1 failed; its output is in $log, and ends with: $(tail -n 1 "$log")"
}

# ---- Debian's archive

apt_get() { apt-get "${apt_options[@]}" "$@"; }

# Makes an apt configuration of our own in $work/apt, with the suites of the mirror that this machine uses, once.
need_mirror() {
  [[ ! -d $work/apt ]] || return 0
  mkdir -p "$work"/apt/{lists,cache}/partial "$work"/apt/cache/archives/partial
  local targets mirror
  targets=$(debian_targets "$suite")
  # Lists may be missing altogether (container images drop them): then they are fetched, but not into the machine's folder.
  if [[ -z $targets ]]; then
    local own=(-o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o "APT::Sandbox::User=$(id -un)")
    apt-get -qq "${own[@]}" update >&2 || true
    targets=$(debian_targets "$suite" "${own[@]}")
  fi
  mirror=$(awk -v suite="$suite" '$1 == suite && !found++ { print $2 }' <<<"$targets")
  [[ -n $mirror ]] || die "no Debian mirror with $suite in this machine's apt sources, or it cannot be reached"
  [[ -r $keyring ]] || die "$keyring is missing; install debian-archive-keyring"

  local codename uri
  while read -r codename uri; do
    printf '%s [signed-by=%s] %s %s main\n' deb "$keyring" "$uri" "$codename" deb-src "$keyring" "$uri" "$codename"
  done <<<"$targets" >"$work/apt/sources.list"
  printf 'deb [signed-by=%s] %s %s main\n' "$keyring" "$mirror" "$suite-backports" >>"$work/apt/sources.list"
  apt_options=(
    -qq
    -o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache"
    -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=3
  )
  apt_get update >&2 || die "the package lists of $mirror could not be fetched"
}

# version_in SUITE PACKAGE
version_in() {
  local version
  version=$(apt-cache "${apt_options[@]}" madison "$2" | awk -F ' *[|] *' -v suite=" $1/" 'index($3, suite) && !found++ { print $2 }')
  [[ -n $version ]] || die "the mirror has no $2 in $1"
  printf '%s\n' "$version"
}

# fetch_source FOLDER VERSION: QEMU's source, unpacked in FOLDER/qemu. A version that the mirror no longer has is
# replaced by its newest one.
fetch_source() {
  mkdir "$1"
  (
    cd "$1"
    if [[ -z $2 ]] || ! apt_get source --download-only "qemu=$2" >&2; then
      apt_get source --download-only "qemu/$suite" >&2 || die "the mirror's source package of QEMU could not be fetched"
    fi
    # apt has checked the files against the signed lists.
    dpkg-source --no-check -x qemu_*.dsc qemu >/dev/null
  )
}

# unpack FOLDER PACKAGE...
unpack() {
  local folder=$1 package
  shift
  mkdir -p "$folder" "$folder.debs"
  (cd "$folder.debs" && apt_get download "$@" >&2) || die "could not be fetched: $*"
  for package in "$folder".debs/*.deb; do
    dpkg-deb -x "$package" "$folder"
  done
  rm -rf "$folder.debs"
}

# ---- QEMU

# build_qemu SOURCE BACKENDS FOLDER: only what the tests need. The layout lets a catalog be found from the binary's own path.
build_qemu() {
  mkdir "$1/qemon-build"
  cd "$1/qemon-build"
  # Debian's python, not one that happens to be first in PATH: meson is installed for that one.
  export PATH=/usr/bin:/bin:$PATH
  ../configure --meson=/usr/bin/meson --target-list=x86_64-softmmu --enable-trace-backends="$2" \
    --without-default-features --enable-system --enable-tcg --enable-fdt=system --disable-werror --disable-docs
  ninja -j "$(nproc)" qemu-system-x86_64 trace/trace-events-all
  mkdir -p "$3/bin" "$3/share/qemu" "$3/scripts"
  # Of the debugging data only: the notes that name the probes of `dtrace` stay.
  strip -g -o "$3/bin/qemu-system-x86_64" qemu-system-x86_64
  cp trace/trace-events-all "$3/share/qemu/"
  cp -r ../scripts/simpletrace.py ../scripts/tracetool "$3/scripts/"
  "$3/bin/qemu-system-x86_64" --version
}

# add_launcher FOLDER: makes FOLDER/qemu-system-x86_64, a link to the binary; or a script, if the binary needs libraries
# that this machine lacks and that were unpacked with it.
add_launcher() {
  local binary=usr/bin/qemu-system-x86_64 folder missing
  folder=usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
  if [[ -z $(missing_libraries "$1/$binary") ]]; then
    ln -s "$binary" "$1/qemu-system-x86_64"
    return
  fi
  missing=$(LD_LIBRARY_PATH=$1/$folder missing_libraries "$1/$binary")
  [[ -z $missing ]] || die "QEMU of $suite-backports needs libraries that are not to be had here: $missing"
  cat >"$1/qemu-system-x86_64" <<END
#!/bin/sh
here=\$(dirname "\$(readlink -f "\$0")")
LD_LIBRARY_PATH=\$here/$folder exec "\$here/$binary" "\$@"
END
  chmod +x "$1/qemu-system-x86_64"
}

# Prints the shared libraries that BINARY needs and the machine lacks.
missing_libraries() { ldd "$1" | sed -n 's/^[[:space:]]*\(.*\) => not found$/\1/p' | paste -s -d ' '; }

# write_env SIMPLE BACKENDS DTRACE MEM_PLUGIN BACKPORTS PROMETHEUS: folders, or empty. A variable that the user has set stays as it is.
write_env() {
  local installed=/usr/bin/qemu-system-x86_64 data=/usr/share/seabios:/usr/share/qemu qemus=() catalogs=() catalog
  entry_of() {  # LABEL BINARY DATADIRS CATALOG
    printf '%s\n' "$1-$("$2" --version | sed -n 's/^QEMU emulator version \([0-9]*\.[0-9]*\).*/\1/p')|$2|$3|$4"
  }
  add_qemu() {
    [[ ! -x $2 ]] || qemus+=("$(entry_of "$@")")
  }
  catalog=/usr/share/qemu/trace-events-all
  add_qemu debian "$installed" '' "$catalog"
  [[ -z $1 ]] || add_qemu simple "$1/bin/qemu-system-x86_64" "$data" "$1/share/qemu/trace-events-all"
  [[ -z $5 ]] || add_qemu backports "$5/qemu-system-x86_64" "$5/usr/share/seabios:$5/usr/share/qemu" "$5/usr/share/qemu/trace-events-all"
  local entry
  for entry in "${qemus[@]}"; do
    catalogs+=("${entry##*|}")
  done
  {
    printf '# Made by prepare-qemu.sh, which says what these are. To be sourced by bash.\n'
    assign QEMON_TEST_QEMUS "$(IFS=';' && printf %s "${qemus[*]}")"
    assign QEMON_TEST_CATALOGS "$(IFS=: && printf %s "${catalogs[*]}")"
    assign QEMON_BACKENDS_QEMU "${2:+$(entry_of backends "$2/bin/qemu-system-x86_64" "$data" "$2/share/qemu/trace-events-all")}"
    assign QEMON_DTRACE_QEMU "${3:+$(entry_of dtrace "$3/bin/qemu-system-x86_64" "$data" "$3/share/qemu/trace-events-all")}"
    assign QEMON_SIMPLETRACE "${1:+$1/scripts/simpletrace.py}"
    assign QEMON_MEM_PLUGIN "${4:+$4/libmem.so}"
    assign QEMON_PROMETHEUS "${6:+$6/usr/bin/prometheus}"
    assign QEMON_PROMTOOL "${6:+$6/usr/bin/promtool}"
  } >"$work/test-env"
  mv -T "$work/test-env" "$cache/test-env"
}

assign() { printf '[[ -v %s ]] || %s=%q\nexport %s\n' "$1" "$1" "$2" "$1"; }

main "$@"
