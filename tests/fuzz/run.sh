#!/usr/bin/env bash
# Builds the fuzzers (clang's libFuzzer, ASan and UBSan) and runs each for so long, one after the other; prints a line for each.
#   tests/fuzz/run.sh [SECONDS] [TARGET...]     60 seconds each; all targets
# An input that breaks a promise ends that target, is kept in build/fuzz/findings/, and makes the exit status 1. What is new is kept in
# build/fuzz/found/TARGET/, from which the next run goes on.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

readonly targets=(simple_decoder log_decoder catalog monitor_session hmp_prompt pack config control journal)
readonly findings=build/fuzz/findings
# The longest input. Most of what there is to find fits into a few records, and short inputs are tried more often.
declare -rA max_len=([simple_decoder]=8192 [log_decoder]=8192 [catalog]=4096 [monitor_session]=16384 [hmp_prompt]=8192 [pack]=8192 [config]=4096
  [control]=4096 [journal]=8192)

main() {
  local seconds=60 failed=0 target
  if [[ ${1:-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
  fi
  local wanted=("$@")
  ((${#wanted[@]})) || wanted=("${targets[@]}")
  for target in "${wanted[@]}"; do
    [[ -v max_len[$target] ]] || die "there is no target '$target': there is ${targets[*]}"
  done
  build "${wanted[@]}"
  mkdir -p "$findings"
  printf '%-16s %12s %8s %8s %8s %8s  %s\n' TARGET EXECUTIONS PER-S COV FT NEW FINDINGS
  for target in "${wanted[@]}"; do
    fuzz "$target" "$seconds" || failed=1
  done
  return $failed
}

build() {
  local compiler
  compiler=$(command -v clang++-14 || command -v clang++) || die "no clang++; install it with tests/tools/install-packages.sh test"
  use_ccache
  configure fuzz "-DCMAKE_CXX_COMPILER=$compiler"
  cmake --build build/fuzz --target "${@/%/_fuzz}" >build/fuzz/build.log 2>&1 || {
    tail -n 50 build/fuzz/build.log >&2
    die "the build failed; its output is in build/fuzz/build.log"
  }
}

fuzz() {
  local target=$1 seconds=$2 log=build/fuzz/$1.log status=0 scratch
  mkdir -p "build/fuzz/found/$target"
  # Of programs that end by a finding, too.
  scratch=$(mktemp -d)
  TMPDIR=$scratch ASAN_OPTIONS=malloc_context_size=4:quarantine_size_mb=32 UBSAN_OPTIONS=print_stacktrace=1 \
    "build/fuzz/tests/${target}_fuzz" "build/fuzz/found/$target" "tests/fuzz/corpus/$target" -dict="tests/fuzz/dictionaries/$target.dict" \
    -artifact_prefix="$findings/$target-" -max_total_time="$seconds" -max_len="${max_len[$target]}" -timeout=60 -rss_limit_mb=1500 \
    -print_final_stats=1 >"$log" 2>&1 || status=$?
  rm -rf "$scratch"
  local found=none
  ((status == 0)) || found="see $log"
  printf '%-16s %12s %8s %8s %8s %8s  %s\n' "$target" "$(stat_of number_of_executed_units)" "$(stat_of average_exec_per_sec)" \
    "$(last_of cov)" "$(last_of ft)" "$(stat_of new_units_added)" "$found"
  return $status
}

# What libFuzzer says at the end, and with each new input.
stat_of() { sed -n -E "s/^stat::$1: *//p" "$log" | tail -n 1; }
last_of() { sed -n -E "s/^#.* $1: ([0-9]+).*/\1/p" "$log" | tail -n 1; }

main "$@"
