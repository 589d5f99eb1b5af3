#!/bin/sh
# Holds backend cpu against the reference on another architecture: builds both with an aarch64 cross compiler and runs the tests of
# tests/kernels in an emulator. tests/minimal stands in for Criterion, and what is linked needs no other library either: jansson's
# header is enough. Left out are the goldens, whose files take jansson and OpenSSL to read.
#
#   scripts/test_aarch64.sh [--build DIR] [SUITE...]     e.g.  scripts/test_aarch64.sh kernels plan_ops
#     --build DIR     where to build, anew each time (default: build/aarch64)
#     SUITE           these suites of tests, as Test(SUITE, name) names them (default: all but `threads`, which holds decodes
#                     against each other and takes an emulator longer than all the rest)
#
# Needs gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user, which scripts/setup.sh --ci installs. Ends with the line
# 'N passed, N failed'. Exit status: 0 only if some passed and none failed.
set -eu
dir=build/aarch64
# shellcheck source=scripts/emulation.sh
. "$(dirname "$0")/emulation.sh"
compiler=aarch64-linux-gnu-gcc
for program in $compiler aarch64-linux-gnu-gcc-ar qemu-aarch64; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "test_aarch64: there is no $program here; scripts/setup.sh --ci installs it" >&2
        exit 1
    fi
done

# The definitions of the CMakeLists.txt of each room; what a build of CMake warns of is an error here.
flags="-std=c11 -O2 -DNDEBUG -g1 -D_GNU_SOURCE -I. -Iinclude -fopenmp -fno-math-errno -ffp-contract=off -Wall -Wextra -Wconversion
-Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Werror"
objects=$dir/objects
rm -rf "$objects"
mkdir -p "$objects"

# compile_sources PREFIX FLAGS SOURCE...: as many at a time as there are processors.
compile_sources() {
    prefix=$1
    more=$2
    shift 2
    # shellcheck disable=SC2016 # the inner shell expands
    printf '%s\n' "$@" | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I '{}' sh -c \
        'exec $1 $2 -c "$4" -o "$3$(echo "$4" | tr / _).o"' compile "$compiler" "$flags $more" "$objects/$prefix" '{}'
}

started=$(date +%s)
echo "build: backend cpu and its tests for aarch64 in $dir"
mkdir "$objects/tests"
for source in base/*.c; do # but hash.c, which is OpenSSL's: nothing here needs it
    [ "$source" = base/hash.c ] || compile_sources "" '-DVAEMARK_SOURCE_DIR=""' "$source"
done
compile_sources "" "" reference/*.c reference/models/*.c kernels/cpu/*.c
compile_sources fp32_ -DREFERENCE_BITS=32 reference/ops/*.c
compile_sources fp64_ -DREFERENCE_BITS=64 reference/ops/*.c
compile_sources isa_ '-ffp-contract=fast -DKERNEL_VARIANT=portable -DKERNEL_DESCRIPTION="portable"' kernels/cpu/isa/*.c
aarch64-linux-gnu-gcc-ar rcs "$objects/vaemark.a" "$objects"/*.o
# Vectors wider than the machine's: a note about passing them by value, which inlined functions never do.
for_tests="-Itests/minimal -Wno-psabi"
compile_sources tests/ "$for_tests" tests/minimal/main.c tests/kernels/support_graphs.c tests/kernels/support_kernels.c \
    tests/kernels/support_tiles.c tests/kernels/support_wide.c
compile_sources tests/ "$for_tests" tests/kernels/test_[!g]*.c # not test_goldens.c
# Static, so that the emulator needs no libraries of the target; the linker's word on dlopen() is of OpenMP's profiling.
$compiler -fopenmp -static -o "$dir/tests" "$objects"/tests/*.o "$objects/vaemark.a" -lm 2>"$objects/linker" || {
    cat "$objects/linker" >&2
    exit 1
}
echo "build: done in $(($(date +%s) - started)) s"
[ $# -gt 0 ] || set -- arena decoder kernels peak plan plan_ops storage tiling
OMP_WAIT_POLICY=passive exec qemu-aarch64 "$dir/tests" "$@"
