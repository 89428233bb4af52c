#!/usr/bin/env bash
# Installs the Debian packages that are missing, and nothing if none is. What for is the argument:
#   install-packages.sh [build]   to build qemon (default)
#   install-packages.sh demo      to build it and run demo.sh
#   install-packages.sh test      to build it and run test.sh
#   install-packages.sh all       to build it and run test.sh --all
#   install-packages.sh bench     to build it and run tests/bench/compare.sh and its neighbours
#   install-packages.sh coverage   to build it and run tests/tools/coverage.sh
#   install-packages.sh --list build|demo|test|all|bench|coverage   prints the list and installs nothing
# Needs root or sudo only if something is missing.
set -euo pipefail
export LC_ALL=C
# shellcheck source=tests/tools/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# `a|b` is satisfied by either; the first one that the distribution has is installed.
build_packages=(
  g++ cmake ninja-build ccache pkg-config
  nlohmann-json3-dev libspdlog-dev libfmt-dev prometheus-cpp-dev libcli11-dev libacl1-dev libsystemd-dev libssl-dev libyaml-cpp-dev zlib1g-dev
  libelf-dev libpng-dev
)
demo_packages=(qemu-system-x86 binutils curl)
test_packages=(
  git python3 curl wrk acl systemd binutils libgtest-dev libgmock-dev
  'clang-format-14|clang-format' 'clang-tidy-14|clang-tidy' 'clang-14|clang'
  man-db mandoc zsh fish valgrind pyflakes3 libbenchmark-dev rsyslog
  # Debian's QEMU is tested as it is, and once more built from its source package with the `simple` backend, and once with `dtrace`,
  # `ftrace`, `ust` and `syslog`.
  qemu-system-x86 qemu-user dpkg-dev meson libglib2.0-dev libpixman-1-dev libfdt-dev systemtap-sdt-dev liblttng-ust-dev libbpf-dev
  # For qemon-lttng, and its tests.
  liblttng-ctl-dev libbabeltrace2-dev lttng-tools babeltrace2
)
# Node.js is often there from elsewhere than Debian, whose packages would get in its way.
command -v node >/dev/null || test_packages+=(nodejs)
command -v npm >/dev/null || test_packages+=(npm)
# Of the Debian packages: to check them, and to make a machine that they are installed in.
all_packages=(lintian debootstrap e2fsprogs)
# Of tests/bench: to compare with, and to measure.
bench_packages=(python3 mtail)
coverage_packages=(gcovr)

main() {
  local list=false
  if [[ ${1:-} == --list ]]; then
    list=true
    shift
  fi
  local wanted=("${build_packages[@]}")
  case ${1:-build} in
    build) ;;
    demo) wanted+=("${demo_packages[@]}") ;;
    test) wanted+=("${test_packages[@]}") ;;
    all) wanted+=("${test_packages[@]}" "${all_packages[@]}") ;;
    bench) wanted+=("${test_packages[@]}" "${bench_packages[@]}") ;;
    coverage) wanted+=("${test_packages[@]}" "${coverage_packages[@]}") ;;
    *) die "unknown argument '$1': use build, demo, test, all, bench or coverage" ;;
  esac
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "this is not a Debian system; install the equivalents of: ${wanted[*]} libboost-dev (1.81 or newer)"
  fi
  if $list; then
    printf '%s\n' "${wanted[@]}" 'libboost1.81-dev|libboost-dev'
    return
  fi

  local missing=()
  find_missing "${wanted[@]}"
  ((${#missing[@]})) || return 0
  as_root true 2>/dev/null || die "packages are missing, and this is not root, nor does sudo help; install them as root with: apt-get install ${missing[*]}"
  install_missing
}

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

# apt-cache lists virtual packages too, which have no version to install. Read to its end: `grep -q` would end it early,
# which counts as a failure of the pipe.
is_available() { [[ -n $(apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n '/^Version:/p') ]]; }

# Sets `missing` of the caller.
find_missing() {
  local entry name names
  missing=()
  for entry in "$@"; do
    IFS='|' read -ra names <<<"$entry"
    for name in "${names[@]}"; do
      is_installed "$name" && continue 2
    done
    missing+=("$entry")
  done
  has_boost || missing+=('libboost1.81-dev|libboost-dev')
}

# Boost's development packages carry the version in their names, and Debian 12's libboost-dev is 1.74, which lacks what we need.
has_boost() {
  local name version
  while read -r name version; do
    if [[ $name =~ ^libboost[0-9.]+-dev$ ]] && dpkg --compare-versions "$version" ge 1.81; then
      return 0
    fi
  done < <(dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' 'libboost*-dev' 2>/dev/null | sed -n 's/^installed //p')
  return 1
}

# Prints one name for each entry of `missing`: the first of its alternatives that can be installed. Fails if there is none
# for some entry, which is then the last line.
choose() {
  local entry name names
  for entry in "${missing[@]}"; do
    IFS='|' read -ra names <<<"$entry"
    for name in "${names[@]}"; do
      if is_available "$name"; then
        printf '%s\n' "$name"
        continue 2
      fi
    done
    printf '%s\n' "$entry"
    return 1
  done
}

install_missing() {
  local log chosen
  log=$(mktemp)
  # shellcheck disable=SC2064  # The path is to be expanded now: the variable is gone when the trap runs.
  trap "rm -f '$log'" EXIT
  # Lists that are missing or old do not know a package, or know a version that the mirror no longer has: only then are
  # they fetched. A third-party source that fails is no reason to stop: the installation decides.
  if chosen=$(choose) && say "installing packages: ${chosen//$'\n'/ }" && apt_install "$chosen" >"$log" 2>&1; then
    return
  fi
  say "fetching the package lists"
  as_root apt-get -qq -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || true
  chosen=$(choose) || die "this machine's package sources do not have ${chosen##*$'\n'}; apt-get update said: $(tail -n 1 "$log")"
  say "installing packages: ${chosen//$'\n'/ }"
  if ! apt_install "$chosen" >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    die "apt-get could not install: ${chosen//$'\n'/ }"
  fi
}

# Never removes a package to make room for one of ours (Boost's versions exclude each other): that is for the user to decide.
apt_install() {
  local names
  mapfile -t names <<<"$1"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    install --no-install-recommends --no-remove "${names[@]}" </dev/null
}

main "$@"
