# Shared by the scripts beside it; source it, do not run it.
# shellcheck shell=bash

set -euo pipefail

# The folder that the person is in, and the script they called; from here on we are at the root.
# shellcheck disable=SC2034  # used by the scripts that source this
here=$PWD
script=$(realpath -- "$0")
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

# The same source in another checkout is found in the cache too, and a precompiled header does not
# keep anything out of it.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros

# One line of progress: the time of day, and the minutes and seconds since the script began.
say() {
  printf '[%(%H:%M:%S)T +%02d:%02d] %s\n' -1 $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Prints the comment at the top of the calling script as its help.
usage() {
  sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$script"
}

# configure PRESET [on|off]: runs cmake if the build directory is not there yet, was made without the
# tests and now needs them, or may not know a folder that has come since. Of what it knows, ninja
# runs cmake by itself when it changes.
configure() {
  local preset=$1 tests=${2:-on} dir=build/$1
  if [[ -f $dir/build.ninja ]] &&
    [[ -z $(find . \( -name build -o -name node_modules \) -prune -o \
      -name CMakeLists.txt -newer "$dir/build.ninja" -print -quit) ]]; then
    [[ $tests == off ]] && return
    grep -q '^BUILD_TESTING:BOOL=ON$' "$dir/CMakeCache.txt" && return
  fi
  # A build directory that has its tests keeps them.
  local options=()
  [[ $tests == off && -f $dir/CMakeCache.txt ]] || options=(-DBUILD_TESTING="${tests^^}")
  cmake --preset "$preset" "${options[@]}" >/dev/null ||
    die "cmake --preset $preset failed; what it said is above"
}

# Prints the C++ files that people write, one a line: those that git knows, without generated ones.
# Arguments narrow them to files and folders.
written_files() {
  git ls-files -- "$@" | grep -E '\.(cc|h)$' | grep -vE '_generated\.(cc|h)$' |
    while IFS= read -r file; do
      if [[ -f $file ]]; then printf '%s\n' "$file"; fi
    done
}
