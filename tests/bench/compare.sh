#!/usr/bin/env bash
# Measures `qemon replay` beside other programs that do the same, and prints a table of ratios.
#   tests/bench/compare.sh [MEGABYTES [FOLDER]]   traces of so many megabytes each (default 600), made in FOLDER (default: a temporary one)
# The peers are `cat` (the floor), QEMU's simpletrace.py, mtail and a regular expression in Python. Installs mtail if it is missing; where
# systemd runs, Debian's package may start it as a service.
# Nothing else should run on the machine. Takes some ten minutes, most of them for the peers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

main() {
  local megabytes=${1:-600} folder=${2:-}
  say "compare: builds qemon in build/release, makes two traces of $megabytes MB, and measures"
  tests/tools/install-packages.sh bench
  local environment
  environment=$(tests/tools/prepare-qemu.sh)
  # shellcheck source=/dev/null
  source "$environment"
  use_ccache
  configure release
  cmake --build build/release --target qemon >build/release/build.log 2>&1 || die "the build failed; see build/release/build.log"
  if [[ -z $folder ]]; then
    folder=$(mktemp -d)
    # shellcheck disable=SC2064  # As it is now.
    trap "rm -rf '$folder'" EXIT
  fi
  tests/bench/repeat_trace.py tests/data/simple-7.2.bin.gz "$megabytes" "$folder/repeated.simple"
  tests/bench/repeat_trace.py tests/data/packs/pair.log.gz "$megabytes" "$folder/repeated.log"
  tests/bench/compare.py build/release/bin/qemon "$QEMON_SIMPLETRACE" "$folder"
}

main "$@"
