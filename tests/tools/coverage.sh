#!/usr/bin/env bash
# Which lines of qemon its tests run: installs what is missing, builds with gcov's counters in build/coverage, runs the tests, and prints a
# line for each file with the lines that were not run.
#   tests/tools/coverage.sh [ctest arguments]      for instance -R Session; all tests without any
#   tests/tools/coverage.sh --report               what the last run counted
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

readonly build=build/coverage
readonly folders=(base qmp trace plugin exporters daemon cli)

main() {
  tests/tools/install-packages.sh coverage
  if [[ ${1:-} != --report ]]; then
    trap 'hand_back build "$(cache_dir)"' EXIT
    use_ccache
    count_lines "$@"
  fi
  report
}

count_lines() {
  local environment
  environment=$(tests/tools/prepare-qemu.sh)
  # shellcheck source=/dev/null
  source "$environment"
  say "building (coverage)"
  configure coverage
  cmake --build "$build" >"$build/build.log" 2>&1 || die "the build failed; its output is in $build/build.log"
  find "$build" -name '*.gcda' -delete
  say "testing (coverage)"
  # A test that fails has run its lines all the same.
  PYTHONDONTWRITEBYTECODE=1 ctest --preset coverage --parallel 2 --no-tests=error "$@" >"$build/ctest.log" 2>&1 ||
    say "not all tests passed: their output is in $build/ctest.log"
}

# Of the product's own objects: a header's lines are those that it brought into them.
report() {
  local folder
  for folder in "${folders[@]}"; do
    gcovr --root . --filter "$folder/" --exclude-unreachable-branches --exclude-throw-branches -j 2 --print-summary "$build/$folder" |
      sed -nE "/^(base|qmp|trace|plugin|exporters|daemon|cli)\\//p; s/^lines: ([0-9.]+%) \\((.*)\\)/$folder: \\1 of its lines (\\2)/p"
  done
}

main "$@"
