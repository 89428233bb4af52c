# How the tests of the packages get them. To be sourced by bash after tests/tools/lib.sh, in the root of the sources; defines
# functions only.
# shellcheck shell=bash

# make_packages FOLDER: the packages of the release build as they are to be published in FOLDER, and in FOLDER/next the
# same of the next version, to upgrade to.
make_packages() {
  local log=build/release/package.log next
  use_ccache
  configure release
  next=$(next_version)
  # As one condition, since `set -e` is off in what comes before a `||`. The next version has the same programs, so nothing
  # has to be built again.
  {
    cmake --build build/release --target package &&
      cp build/release/packages/qemon*.deb "$1" &&
      mkdir -p "$1/next" &&
      (cd build/release && cpack -D "CPACK_PACKAGE_VERSION=$next" -B "$1/next/build") &&
      mv "$1"/next/build/*.deb "$1/next" &&
      rm -rf "$1/next/build"
  } >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    die "the packages could not be built; see $log"
  }
}

next_version() { printf '%s+next\n' "$(sed -n 's/^QEMON_PACKAGE_VERSION:STRING=//p' build/release/CMakeCache.txt)"; }
