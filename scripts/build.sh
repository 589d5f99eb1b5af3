#!/bin/sh
# Configures and builds vaemark quietly: warnings and errors are shown, the rest is not.
#
#   scripts/build.sh DIR [CMAKE ARGUMENT...]     e.g.  scripts/build.sh build -DVAEMARK_WERROR=ON
#
# BUILD_TARGET (environment) names what to build, all by default. DIR is created; a folder configured before keeps its settings.
set -eu
if [ $# -lt 1 ]; then
    sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//' >&2
    exit 2
fi
source=$(cd "$(dirname "$0")/.." && pwd)
dir=$1
shift
target=${BUILD_TARGET:-all}
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

if [ ! -e "$dir/CMakeCache.txt" ] && command -v ninja >/dev/null 2>&1; then
    set -- -G Ninja "$@"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
started=$(date +%s)
if ! cmake -S "$source" -B "$dir" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    echo "build: CMake could not configure '$dir'; what it said is above" >&2
    exit 1
fi

if grep -q '^CMAKE_GENERATOR:INTERNAL=Ninja$' "$dir/CMakeCache.txt"; then
    quiet=--quiet
else
    quiet=--silent
fi
echo "build: $target in $dir"
if [ -t 1 ] && [ "$quiet" = --quiet ]; then
    # On a terminal ninja keeps to one line of progress of its own.
    cmake --build "$dir" --target "$target" --parallel "$jobs" || status=$?
else
    cmake --build "$dir" --target "$target" --parallel "$jobs" -- "$quiet" || status=$?
fi
if [ "${status:-0}" -ne 0 ]; then
    echo "build: failed; the compiler's words are above" >&2
    exit 1
fi
echo "build: done in $(($(date +%s) - started)) s"
