#!/usr/bin/env bash
# Checks what a reader would trip over in the project's files, and says where: formatting, length, `#pragma once`, unfinished
# work, paths of somebody's machine. Run alone or as the test style.format; changes nothing.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh

readonly source_lines_max=400 test_lines_max=600
failures=0

main() {
  local files sources headers
  mapfile -t files < <(list_files)
  ((${#files[@]})) || die "no files found to check"
  mapfile -t sources < <(printf '%s\n' "${files[@]}" | grep -E '\.(cpp|hpp)$' || true)
  mapfile -t headers < <(printf '%s\n' "${files[@]}" | grep -E '\.hpp$' || true)

  check_format "${sources[@]}"
  check_length "${sources[@]}"
  check_headers "${headers[@]}"
  check_words "${files[@]}"
  check_python
  ((failures == 0)) || die "$failures problem(s), listed above"
}

# Tracked files and new ones, but nothing that git ignores. A tree that belongs to another user (sudo, containers) is no
# reason to refuse.
list_files() {
  if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
    git -c safe.directory='*' ls-files --cached --others --exclude-standard | while read -r file; do
      [[ ! -f $file ]] || printf '%s\n' "$file"
    done
  else
    find . -path ./build -prune -o -type f -printf '%P\n'
  fi
}

problem() {
  printf '%s\n' "$*"
  failures=$((failures + 1))
}

# Another version of clang-format formats otherwise, so only the one that the project is formatted with can tell.
check_format() {
  local tool file
  for tool in clang-format-14 clang-format; do
    if command -v "$tool" >/dev/null && [[ $("$tool" --version) == *'version 14.'* ]]; then
      while read -r file; do
        problem "$file: not formatted; use: $tool -i ${file%%:*}"
      done < <({ "$tool" --dry-run -Werror "$@" 2>&1 || true; } | sed -n -E 's/^([^ :]+:[0-9]+):[0-9]+: error: .*/\1/p' | sort -u -t : -k 1,1)
      return
    fi
  done
  say "clang-format 14 is not to be had here: formatting not checked"
}

# Names that are not there, and imports that nobody uses: tests in Python are not compiled.
check_python() {
  local scripts line
  command -v pyflakes3 >/dev/null || return 0
  mapfile -t scripts < <(list_files | grep -E '\.py$' || true)
  while read -r line; do problem "$line"; done < <(pyflakes3 "${scripts[@]}" 2>&1 || true)
}

check_length() {
  local file lines limit
  while read -r lines file; do
    limit=$source_lines_max
    [[ $file != tests/* ]] || limit=$test_lines_max
    [[ $file == total ]] || ((lines <= limit)) || problem "$file:1: $lines lines, at most $limit: would it be easier to find one's way in as two?"
  done < <(wc -l "$@")
}

check_headers() {
  local file
  for file in "$@"; do
    grep -q '^#pragma once$' "$file" || problem "$file:1: no #pragma once"
    [[ $(head -n 1 "$file") == '// '* ]] || problem "$file:1: the first line does not say what the header is for"
  done
}

check_words() {
  local hits
  # The pattern is written so that it does not match itself.
  hits=$(grep -nIE '\b(TOD[O]|FIXM[E]|XX[X])\b|/(hom[e]|User[s])/[a-z]|/roo[t]/' -- "$@" /dev/null | grep -v '^LICENSE:' || true)
  [[ -z $hits ]] || problem "unfinished work, or a path of one machine:"$'\n'"$hits"
}

main "$@"
