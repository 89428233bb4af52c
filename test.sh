#!/usr/bin/env bash
# Installs what is missing, builds, checks and tests, and ends with ctest's summary.
#   ./test.sh          style, header and clang-tidy checks; every test
#   ./test.sh --fast   builds and tests only, with the packages and QEMUs that are there
#   ./test.sh --asan   also the tests under ASan and UBSan (so does CI=true)
#   ./test.sh --all    also those, the tests under TSan, a build by clang, and the Debian packages: lintian, and a machine with
#                      systemd that is booted in a QEMU, in which they are installed, run, upgraded and purged
# Other arguments go to ctest, for instance: ./test.sh --fast -R Session
# To put another QEMU under test, set QEMON_TEST_QEMUS: see tests/tools/prepare-qemu.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

fast=false asan=false all=false
ctest_arguments=()

main() {
  [[ ${CI:-} != true ]] || asan=true
  while (($#)); do
    case $1 in
      --fast) fast=true ;;
      --asan) asan=true ;;
      --all) all=true ;;
      *) ctest_arguments+=("$1") ;;
    esac
    shift
  done
  ! $all || asan=true
  say "test: installs what is missing, builds qemon in build/, checks the sources and runs the tests"
  trap 'hand_back build "$(cache_dir)"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  use_ccache
  export PYTHONDONTWRITEBYTECODE=1 UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
  prepare

  # All builds come before all tests, so that the last lines are the tests' summary.
  build_preset dev -DCMAKE_VERIFY_INTERFACE_HEADER_SETS=ON
  $fast || check_sources
  ! $asan || build_preset asan
  ! $all || build_preset tsan
  ! $all || build_with_clang
  ! $all || test_packages
  run_tests dev
  ! $asan || run_tests asan
  ! $all || run_tests tsan
}

prepare() {
  local environment
  if $fast; then
    environment=$(cache_dir)/test-env
  else
    tests/tools/install-packages.sh "$($all && echo all || echo test)"
    environment=$(tests/tools/prepare-qemu.sh)
  fi
  # shellcheck source=/dev/null
  [[ ! -f $environment ]] || source "$environment"
}

check_sources() {
  say "checking style"
  tests/tools/check-style.sh
  say "checking that each header compiles alone"
  run_build dev --target all_verify_interface_header_sets
  tests/tools/tidy.py build/dev "$(cache_dir)/tidy"
}

build_preset() {
  say "building ($1)"
  configure "$@"
  run_build "$1"
}

# The second compiler, warnings as errors; what it builds is not run.
build_with_clang() {
  local compiler
  compiler=$(command -v clang++-14 || command -v clang++) || die "no clang++; install it with tests/tools/install-packages.sh test"
  say "building (dev, by $compiler)"
  configure dev -B build/clang "-DCMAKE_CXX_COMPILER=$compiler"
  run_build clang
}

# Builds them (release) before anything is booted.
test_packages() {
  say "testing the packages"
  tests/packages/packages-test.sh build/packages
  say "testing the service in a machine of its own"
  tests/systemd/boot-test.sh build/packages
}

# run_build NAME [cmake arguments]: quiet unless it fails.
run_build() {
  local name=$1
  shift
  if ! same_addresses cmake --build "build/$name" "$@" >"build/$name/build.log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Automatic|Assembling)' "build/$name/build.log" | tail -n 100 >&2
    die "the build ($name) failed; its output is in build/$name/build.log"
  fi
}

run_tests() {
  say "testing ($1)"
  same_addresses ctest --preset "$1" --parallel 2 --no-tests=error "${ctest_arguments[@]}"
}

# Sanitizers of GCC 12 cannot cope with kernels that place a program's mappings too randomly, and then fail now and then
# before main. Containers may forbid to ask for the same addresses; then it is left to luck.
same_addresses() {
  if setarch "$(uname -m)" -R true 2>/dev/null; then
    setarch "$(uname -m)" -R "$@"
  else
    "$@"
  fi
}

main "$@"
