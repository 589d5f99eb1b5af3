#!/bin/sh
# vaemark's cpu decoder against the framework decoders in alternating order: latency ratio with interval, memory ratio, table, plot.
#
#   scripts/bench_frameworks.sh [OPTION...]      --help has them all; docs/frameworks.md says what is measured
#
# Builds vaemark where build/ has none. Frameworks come from scripts/setup-frameworks.sh.
set -eu
scripts=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$scripts")
wants_build=yes
for word in "$@"; do
    case $word in
    -h | --h* | --vaemark*) wants_build= ;;
    esac
done
if [ -n "$wants_build" ] && [ ! -x "$root/build/vaemark" ]; then
    "$scripts/build.sh" "$root/build" >&2
fi
exec "${PYTHON:-python3}" -B "$scripts/bench_frameworks.py" "$@"
