#!/bin/sh
# Installs what vaemark needs and this machine lacks, with apt (Debian 12 or a relative of it). Nothing missing: nothing done.
#
#   scripts/setup.sh          what is needed to build, run and test
#   scripts/setup.sh --ci     also what .ci/run checks the sources with
set -eu

usage() {
    echo "usage: scripts/setup.sh [--ci]"
    echo "Installs with apt what vaemark needs and this machine lacks; --ci adds the tools of .ci/run."
}

# A line a package: what satisfies the need (the first is installed, any of them will do), then what it is for.
needed() {
    cat <<'LIST'
gcc                           compiles vaemark
g++                           compiles the public header as C++, in a test
libc6-dev                     the C library's headers
cmake                         configures the build
ninja-build|make              runs the build
pkgconf|pkg-config            tells CMake where the libraries are
libhdf5-dev                   result files
libjansson-dev                JSON: safetensors headers, model configurations, worker messages
libcyaml-dev                  suites in YAML
libyaml-dev                   what libcyaml links with, which its package does not bring
libpng-dev                    decoded pictures
libxml2-dev                   JUnit files for CI servers
libxml2-utils                 tests that hold them against a schema
libssl-dev                    SHA-256 of weights and files
libcriterion-dev              unit tests
gnuplot-nox|gnuplot-qt|gnuplot-x11  plots
fonts-dejavu-core             letters in the plots
python3                       tests of files and of the command line
python3-numpy                 tests that read arrays
python3-h5py                  tests that read result files as others will
git                           names the version in a result file
LIST
    [ "$1" = yes ] || return 0
    cat <<'LIST'
clang-format                  checks the layout of the sources
clang-tidy                    checks the sources for mistakes
cppcheck                      checks them for other mistakes
clang                         a second compiler
libomp-dev                    OpenMP's header for clang-tidy
gcc-aarch64-linux-gnu         compiles backend cpu for another architecture
libc6-dev-arm64-cross         that architecture's C library
qemu-user                     runs its tests there
libdnnl-dev                   oneDNN, beside which bench_conv puts our convolutions
valgrind                      finds misuse of memory
chromium                      renders the page of vaemark report, in a test
LIST
}

ci=no
for argument in "$@"; do
    case $argument in
    --ci) ci=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "setup: unknown argument '$argument'" >&2
        usage >&2
        exit 2
        ;;
    esac
done

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

# Sets `missing` (names for apt) and `reasons` (lines for people).
find_missing() {
    missing=
    reasons=
    while read -r choices why; do
        found=no
        for choice in $(echo "$choices" | tr '|' ' '); do
            if is_installed "$choice"; then
                found=yes
                break
            fi
        done
        [ "$found" = no ] || continue
        missing="$missing ${choices%%|*}"
        reasons="$reasons$(printf '  %-20s %s' "${choices%%|*}" "$why")
"
    done <<LIST
$(needed "$ci")
LIST
}

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    {
        echo "setup: this system has no apt; please install the equivalents of these Debian packages:"
        needed "$ci" | while read -r choices why; do printf '  %-20s %s\n' "${choices%%|*}" "$why"; done
        echo "setup: then build with: cmake -S . -B build && cmake --build build"
    } >&2
    exit 1
fi

find_missing
if [ -z "$missing" ]; then
    echo "setup: nothing to install"
    exit 0
fi

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    {
        echo "setup: these packages are missing:"
        printf '%s' "$reasons"
        echo "setup: installing them takes root, and there is no sudo. As root, run:"
        echo "  apt-get update && apt-get install --no-install-recommends$missing"
    } >&2
    exit 1
fi

echo "setup: installing with apt${as_root:+ (through sudo)}:"
printf '%s' "$reasons"

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
run_apt() {
    # apt talks at length; it is shown only where it fails.
    if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1 </dev/null; then
        tail -n 25 "$log" >&2
        echo "setup: 'apt-get $*' failed; its last words are above" >&2
        exit 1
    fi
}
run_apt update
# shellcheck disable=SC2086 # a list of names, split on purpose
run_apt install -y --no-install-recommends $missing

find_missing
if [ -n "$missing" ]; then
    echo "setup: apt reported success, and yet these are missing:$missing" >&2
    exit 1
fi
echo "setup: done"
