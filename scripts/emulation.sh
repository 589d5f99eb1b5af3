#!/bin/sh
# shellcheck disable=SC2034 # dir is theirs
# What the scripts that run tests in an emulator share; they source it. Takes --help and --build DIR off the arguments, $dir being DIR,
# or what it was, and goes to the root of the source.
if [ "${1:-}" = -h ] || [ "${1:-}" = --help ]; then
    sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p;}' "$0"
    exit 0
fi
if [ "${1:-}" = --build ]; then
    if [ $# -lt 2 ]; then
        echo "$(basename "$0" .sh): --build takes a value" >&2
        exit 2
    fi
    mkdir -p "$2"
    dir=$(cd "$2" && pwd)
    shift 2
fi
cd "$(dirname "$0")/.." || exit 1
