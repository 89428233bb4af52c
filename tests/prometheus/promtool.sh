#!/bin/sh
# Runs promtool, the one of QEMON_PROMTOOL if that is set: promtool.sh ARGUMENTS. Exits with 77 (skipped) if there is none.
set -eu
promtool=${QEMON_PROMTOOL:-promtool}
if ! command -v "$promtool" >/dev/null; then
  echo "no promtool: install prometheus or set QEMON_PROMTOOL"
  exit 77
fi
exec "$promtool" "$@"
