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

# Whatever program a line was compiled into: a header's functions are most often run by others than the object beside it.
report() {
  local filter
  filter="($(IFS='|' && printf %s "${folders[*]}"))/"
  gcovr --root . --filter "$filter" --exclude-unreachable-branches --exclude-throw-branches -j 2 --txt "$build/coverage.txt" --csv "$build/coverage.csv" "$build"
  grep -E "^$filter" "$build/coverage.txt"
  # filename,line_total,line_covered,...
  awk -F, 'NR > 1 { split($1, path, "/"); total[path[1]] += $2; covered[path[1]] += $3 }
    END { for (folder in total) printf "%s: %.1f%% of its lines (%d out of %d)\n", folder, 100 * covered[folder] / total[folder], covered[folder], total[folder] }' \
    "$build/coverage.csv" | sort
}

main "$@"
