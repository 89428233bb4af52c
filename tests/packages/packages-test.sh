#!/usr/bin/env bash
# Builds the Debian packages from the release preset, and checks them as far as that goes without a systemd to install them
# under, which tests/systemd/boot-test.sh has: lintian, what is in them and where, names, dependencies, sizes.
#   packages-test.sh [FOLDER]   leaves the packages in FOLDER
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck source=tests/tools/lib.sh
source tests/tools/lib.sh
# shellcheck source=tests/packages/lib.sh
source tests/packages/lib.sh

folder=
scratch=
qemon=
usdt=
passed=0 failed=0

main() {
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  folder=${1:-$scratch/packages}
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  rm -f "$folder"/qemon*.deb "$folder"/next/qemon*.deb
  make_packages "$folder"
  qemon=$(echo "$folder"/qemon_*.deb)
  usdt=$(echo "$folder"/qemon-usdt_*.deb)

  check 'lintian has neither errors nor warnings' lintian_is_content
  check 'the files are where Debian has them' files_are_in_place
  check 'the configuration is the administrator'\''s' has_conffiles
  check 'the units name the programs of the package' units_fit
  check 'the dependencies come from the libraries' depends_on_libraries
  check 'the programs are stripped, and run' programs_run
  check 'another prefix is served by cmake --install' installs_elsewhere
  check 'an upgrade is newer' next_is_newer
  printf '%s passed, %s failed\n' "$passed" "$failed"
  ((failed == 0))
}

check() {
  local output status
  # Not as a condition, in which `set -e` is off.
  set +e
  output=$( (set -e; "$2") 2>&1)
  status=$?
  set -e
  if ((status == 0)); then
    printf 'ok %s\n' "$1"
    passed=$((passed + 1))
  else
    printf 'failed %s:\n%s\n' "$1" "$output"
    failed=$((failed + 1))
  fi
}

# same WHAT EXPECTED ACTUAL
same() {
  [[ $2 == "$3" ]] || {
    printf '%s: expected\n%s\nbut it is\n%s\n' "$1" "$2" "$3"
    exit 1
  }
}

lintian_is_content() {
  local options=(--fail-on 'error,warning' --tag-display-limit 0)
  ((EUID != 0)) || options+=(--allow-root)
  lintian "${options[@]}" "$folder"/qemon*.deb
}

paths_of() { dpkg-deb --fsys-tarfile "$1" | tar -t | sed 's/^\.//'; }

files_are_in_place() {
  local paths path
  paths=$(paths_of "$qemon")
  for path in /usr/bin/qemond /usr/bin/qemon /usr/lib/systemd/system/{qemond.service,qemond-restore.service,run-qemond-trace.mount,qemond.socket,qemond-http.socket} \
    /usr/lib/sysusers.d/qemon.conf /usr/lib/tmpfiles.d/qemon.conf /usr/share/man/man1/qemon.1.gz /usr/share/man/man8/qemond.8.gz \
    /usr/share/man/man5/{qemond.yaml,qemon-packs}.5.gz /usr/share/bash-completion/completions/{qemon,qemond} \
    /usr/share/zsh/vendor-completions/_qemon /usr/share/fish/vendor_completions.d/qemon.fish \
    /usr/share/doc/qemon/{copyright,changelog.gz,changelog.Debian.gz,examples/qemond.yaml,docs/packs.md} /usr/share/qemon/packs/virtio-blk.yaml /usr/lib/qemon/libqemon-plugin.so; do
    grep -qxF "$path" <<<"$paths" || { echo "$path is missing"; exit 1; }
  done
  same "packs" "$(find packs -name "*.yaml" | wc -l)" "$(grep -c '^/usr/share/qemon/packs/.*\.yaml$' <<<"$paths")"
  same "what does not belong" '' "$(grep -vE '^/(etc|usr)?/|^/$' <<<"$paths" || true)"
  same "owners" root/root "$(dpkg-deb -c "$qemon" | awk '{ print $2 }' | sort -u)"
  local other
  for other in "$folder"/qemon-grafana_*_all.deb; do
    same "of qemon-grafana" '' "$(paths_of "$other" | grep -E '^/etc|/bin/' || true)"
    same "dashboards" "$(ls grafana/dashboards | wc -l)" "$(paths_of "$other" | grep -c '/dashboards/.*\.json$')"
  done
  paths=$(paths_of "$usdt")
  for path in /usr/lib/qemon/modules/qemon-usdt.so /usr/share/doc/qemon-usdt/examples/usdt.conf; do
    grep -qxF "$path" <<<"$paths" || { echo "$path is missing"; exit 1; }
  done
  same "of qemon-usdt" '' "$(grep -E '^/etc|/bin/' <<<"$paths" || true)"
  for other in "$folder"/qemon-lttng_*.deb; do
    [[ ! -e $other ]] || same "of qemon-lttng" /usr/lib/qemon/qemon-lttng "$(paths_of "$other" | grep -E '^/usr/(lib|bin)/.*[^/]$' | grep -vx '/usr/lib/qemon')"
  done
}

has_conffiles() {
  same conffiles $'/etc/default/qemond\n/etc/qemon/qemond.yaml' "$(dpkg-deb -I "$qemon" conffiles)"
  dpkg-deb --fsys-tarfile "$qemon" | tar -xO ./etc/qemon/qemond.yaml | cmp - systemd/qemond.yaml
}

units_fit() {
  local unit
  for unit in qemond qemond-restore; do
    dpkg-deb --fsys-tarfile "$qemon" | tar -xO "./usr/lib/systemd/system/$unit.service" | grep -q '^ExecStart=/usr/bin/qemon'
  done
}

depends_on_libraries() {
  local depends
  depends=$(dpkg-deb -f "$qemon" Depends)
  for name in libc6 libstdc++6 libsystemd0 libacl1 libspdlog; do
    grep -q "$name" <<<"$depends" || { echo "no $name in: $depends"; exit 1; }
  done
  ! grep -q libbpf <<<"$depends" || { echo "libbpf is optional, but in: $depends"; exit 1; }
  depends=$(dpkg-deb -f "$usdt" Depends)
  for name in libbpf1 "qemon (= $(dpkg-deb -f "$qemon" Version))"; do
    grep -qF "$name" <<<"$depends" || { echo "no $name in: $depends"; exit 1; }
  done
  same "what only qemon-lttng needs" '' "$(grep -oE 'lttng|babeltrace' <<<"$depends" || true)"
}

programs_run() {
  dpkg-deb -x "$qemon" "$scratch/tree"
  same "sections with symbols" '' "$(readelf -S "$scratch"/tree/usr/bin/{qemon,qemond} | grep -o '\.symtab' || true)"
  same "what the plugin needs" libc.so.6 "$(readelf -d "$scratch/tree/usr/lib/qemon/libqemon-plugin.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')"
  "$scratch/tree/usr/bin/qemond" --check --config "$scratch/tree/etc/qemon/qemond.yaml"
  "$scratch/tree/usr/bin/qemon" --version
}

installs_elsewhere() {
  cmake --install build/release --prefix "$scratch/opt" >/dev/null
  grep -q "^ExecStart=$scratch/opt/bin/qemond " "$scratch/opt/lib/systemd/system/qemond.service"
  [[ -f $scratch/opt/share/qemon/packs/irq.yaml && ! -e $scratch/opt/etc ]]
  # What is in /etc already is the user's.
  mkdir -p "$scratch/staged/etc/qemon"
  echo mine >"$scratch/staged/etc/qemon/qemond.yaml"
  DESTDIR=$scratch/staged cmake --install build/release --prefix /usr >/dev/null
  same qemond.yaml mine "$(cat "$scratch/staged/etc/qemon/qemond.yaml")"
  [[ -f $scratch/staged/etc/default/qemond ]]
}

next_is_newer() {
  dpkg --compare-versions "$(dpkg-deb -f "$folder"/next/qemon_*.deb Version)" gt "$(dpkg-deb -f "$qemon" Version)"
}

main "$@"
