#!/bin/sh
# Installs what is missing, builds vaemark into build/, runs the suite `smoke`, and leaves the results in out/.
#
#   scripts/run.sh [ARGUMENT OF vaemark run...]     e.g.  scripts/run.sh --backend cpu
#
# Exit status: that of `vaemark run` (see docs/user-guide.md), or 4 where everything passed but the report could not be made.
set -eu
case ${1:-} in
-h | --help)
    sed -n '2,6p' "$0" | sed 's/^# \{0,1\}//'
    exit 0
    ;;
esac
source=$(cd "$(dirname "$0")/.." && pwd)
cd "$source"

scripts/setup.sh
BUILD_TARGET=vaemark scripts/build.sh build

mkdir -p out
echo
status=0
case " $* " in
*" --resume "*) fresh= ;;
*) fresh=--fresh ;; # whoever starts this again wants a new run, also where the last one was interrupted
esac
build/vaemark run --suite smoke --out out/run.h5 $fresh "$@" || status=$?
case $status in
0 | 1 | 3) ;; # there are results to show: also of failures, and of a run that decided nothing
*) exit "$status" ;;
esac
if [ ! -e out/run.h5 ]; then
    exit "$status" # an --out among the arguments put them elsewhere
fi

report=0
rm -f out/index.html # an older run's must not be taken for this one's
build/vaemark report out/run.h5 --out out || report=$?
if [ "$report" -ne 0 ]; then
    echo "run: vaemark report failed with exit status $report; the figures are in out/run.h5 all the same" >&2
    [ "$status" -ne 0 ] || status=4
fi

echo
echo "Results in $source/out:"
echo "  run.h5                every figure, sample, check and picture; look closer with: build/vaemark show out/run.h5"
echo "  *.svg, *.png          plots, decoded pictures, and where they differ from the reference"
if [ -e out/index.html ]; then
    echo "  index.html            all of it on one page that needs no network; open it in a browser:"
    echo "$source/out/index.html"
fi
exit "$status"
