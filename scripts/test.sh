#!/bin/sh
# Installs what is missing, builds vaemark with its tests, and runs every test.
#
#   scripts/test.sh [--build DIR] [--only REGEX] [CMAKE ARGUMENT...]
#     --build DIR     where to build (default: build)
#     --only REGEX    only the tests whose names match, as ctest -R takes it (names: ROOM/NOUN)
#     e.g.  scripts/test.sh --only reference/ -DCMAKE_BUILD_TYPE=Debug
#
# Ends with the line 'N passed, N failed, N skipped'. Exit status: 0 only if some passed and none failed.
set -eu
source=$(cd "$(dirname "$0")/.." && pwd)
build=
only=
while [ $# -gt 0 ]; do
    case $1 in
    --build | --only)
        if [ $# -lt 2 ]; then
            echo "test: $1 takes a value" >&2
            exit 2
        fi
        [ "$1" = --build ] && build=$2 || only=$2
        shift 2
        ;;
    -h | --help)
        sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'
        exit 0
        ;;
    -D*) break ;;
    *)
        echo "test: unknown argument '$1'; see scripts/test.sh --help" >&2
        exit 2
        ;;
    esac
done
[ -n "$build" ] || build=$source/build

"$source/scripts/setup.sh"
"$source/scripts/build.sh" "$build" -DVAEMARK_TESTS=ON "$@"

build=$(cd "$build" && pwd)
results=$build/tests.xml
rm -f "$results"
status=0
# The summary counts the tests inside each program, so ctest must keep what the programs say.
ctest --test-dir "$build" --output-on-failure --no-tests=error --output-junit "$results" \
    --test-output-size-passed 4194304 --test-output-size-failed 4194304 ${only:+-R "$only"} </dev/null || status=$?
[ "$status" -eq 0 ] || echo "test: ctest ended with exit status $status; all it saw is in $build/Testing/Temporary/LastTest.log"
if ! python3 "$source/scripts/test_summary.py" "$results"; then
    [ "$status" -ne 0 ] || status=1
fi
exit "$status"
