# What the project's scripts share: messages, the cache folder, root rights. To be sourced by bash; defines functions only.
# shellcheck shell=bash

# Progress goes to standard error, so that a script's standard output is its result.
say() { printf '%s\n' "$*" >&2; }

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Where downloads, built QEMUs, compiler output and lint results are kept between runs. Never in the source tree: a clean
# clone profits from an earlier one's cache.
cache_dir() {
  # Tests run QEMU as another user, who must be able to reach it: not below root's home.
  if ((EUID == 0)) && [[ -z ${QEMON_CACHE_DIR:-} ]]; then
    printf '/var/cache/qemon\n'
    return
  fi
  local home=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)}
  printf '%s\n' "${QEMON_CACHE_DIR:-${XDG_CACHE_HOME:-$home/.cache}/qemon}"
}

# Runs a command as root; fails if that cannot be. sudo asks for a password on the terminal; where there is none it must fail at once, not wait.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif { : </dev/tty; } 2>/dev/null; then
    sudo -- "$@"
  else
    sudo -n -- "$@"
  fi
}

# Under sudo, gives folders that we made as root in a user's folder back to that user, so that the next run without sudo
# can write there.
hand_back() {
  ((EUID == 0)) && [[ -n ${SUDO_UID:-} && -n ${SUDO_GID:-} ]] || return 0
  local folder
  for folder in "$@"; do
    [[ -d $folder && $(stat -c %u "$folder/..") == "$SUDO_UID" ]] || continue
    chown -R -h "$SUDO_UID:$SUDO_GID" "$folder"
  done
}

# Compiler output is shared between clones and presets; a path below the source tree counts as relative.
use_ccache() {
  export CCACHE_DIR=${CCACHE_DIR:-$(cache_dir)/ccache}
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$PWD} CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-3G}
}

# configure PRESET [cmake arguments]: quiet unless it fails. A build folder that was moved or copied here from another
# place is configured anew, because CMake refuses it otherwise.
configure() {
  local preset=$1 fresh=() home
  shift
  home=$(sed -n 's/^CMAKE_HOME_DIRECTORY:INTERNAL=//p' "build/$preset/CMakeCache.txt" 2>/dev/null || true)
  [[ -z $home || $home == "$PWD" ]] || fresh=(--fresh)
  mkdir -p "build/$preset"
  if ! cmake --preset "$preset" "${fresh[@]}" "$@" >"build/$preset/configure.log" 2>&1; then
    cat "build/$preset/configure.log" >&2
    die "cmake --preset $preset failed; see above"
  fi
}

# debian_targets SUITE [apt options]: prints `codename uri` of each of Debian's own suites of that name that the machine's apt
# sources have. Asked by origin, since others name their suites as Debian does.
debian_targets() {
  local name=$1
  shift
  # shellcheck disable=SC2016  # The names are apt's, not the shell's.
  apt-get indextargets "$@" --format '$(ORIGIN) $(COMPONENT) $(CREATED_BY) $(CODENAME) $(REPO_URI)' |
    sed -n -E "s/^Debian main Packages ($name|$name-updates|$name-security) /\1 /p" | sort -u
}
