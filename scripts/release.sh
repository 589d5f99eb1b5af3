#!/bin/sh
# Makes the files of a release from what is committed: sources, the installed program, checksums, notes.
#
#   scripts/release.sh VERSION [--out DIR] [--check] [--no-tests] [--tag]
#     --out DIR     where the files go (default: dist)
#     --check       only look whether VERSION can be released
#     --no-tests    build and try the program, but leave the tests out
#     --tag         tag the commit vVERSION when all went well
#
# The program is built from the source archive, not from the checkout: what is missing there fails here.
# Exit status: 0 released, 1 something failed, 2 wrong use, or VERSION cannot be released.
set -eu
usage() { sed -n '2,9p' "$0" | sed 's/^# \{0,1\}//'; }
refuse() {
    echo "release: $1" >&2
    exit 2
}

version='' out=dist check=no tests=yes tag=no
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --out)
        [ $# -ge 2 ] || refuse "--out takes a folder"
        out=$2
        shift
        ;;
    --check) check=yes ;;
    --no-tests) tests=no ;;
    --tag) tag=yes ;;
    -*) refuse "unknown option '$1'; see scripts/release.sh --help" ;;
    *)
        [ -z "$version" ] || refuse "one VERSION, '$1' is one too many"
        version=$1
        ;;
    esac
    shift
done
[ -n "$version" ] || refuse "which VERSION? e.g. scripts/release.sh 0.2.0"
echo "$version" | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+' || refuse "'$version' is no version; MAJOR.MINOR.PATCH is wanted"
case $out in /*) ;; *) out=$PWD/$out ;; esac
cd "$(dirname "$0")/.."

# The lines of CHANGELOG.md under '## VERSION', up to the next heading.
notes() { awk -v heading="## $version" 'index($0, "## ") == 1 { on = ($0 == heading || index($0, heading " ") == 1); next } on' CHANGELOG.md; }

git rev-parse --git-dir >/dev/null 2>&1 || refuse "this is no git checkout; a release is made from a commit"
[ -z "$(git status --porcelain)" ] || refuse "there are uncommitted changes; commit or stash them ('git status' lists them)"
configured=$(sed -n 's/^project(vaemark VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
[ "$configured" = "$version" ] || refuse "CMakeLists.txt: the project's VERSION is $configured, not $version; change it there and commit"
[ -n "$(notes | tr -d '[:space:]')" ] ||
    refuse "CHANGELOG.md: no entries under a heading '## $version'; rename '## Unreleased' and commit"
! git rev-parse -q --verify "refs/tags/v$version" >/dev/null || refuse "the tag v$version is there already; raise the version"
if [ "$check" = yes ]; then
    echo "release: $version can be released from $(git rev-parse --short HEAD)"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
name=vaemark-$version
mkdir -p "$out"

git archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$work/$name.tar.gz"
tar -xzf "$work/$name.tar.gz" -C "$work"
source=$work/$name
if [ "$tests" = yes ]; then
    "$source/scripts/test.sh" --build "$work/build" -DVAEMARK_WERROR=ON
else
    "$source/scripts/setup.sh"
    BUILD_TARGET=vaemark "$source/scripts/build.sh" "$work/build" -DVAEMARK_WERROR=ON -DVAEMARK_TESTS=OFF
fi

program=$name-linux-$(uname -m)
cmake --install "$work/build" --prefix "$work/$program" --strip >/dev/null
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -C "$work" -cf - "$program" |
    gzip -9n >"$work/$program.tar.gz"

# Tried as its users will: unpacked somewhere, without the checkout and the build.
mkdir "$work/elsewhere"
tar -xzf "$work/$program.tar.gz" -C "$work/elsewhere"
mv "$source" "$source.away"
(
    cd "$work/elsewhere"
    export VAEMARK_CACHE="$work/cache"
    "$program/bin/vaemark" --version
    "$program/bin/vaemark" run --suite smoke --model taesd-mini,sd15-mini --out run.h5 >run.txt || {
        cat run.txt
        exit 1
    }
    "$program/bin/vaemark" report run.h5 --out page >/dev/null
)

notes >"$work/$name.md"
mv "$work/$name.tar.gz" "$work/$program.tar.gz" "$work/$name.md" "$out"
(cd "$out" && sha256sum "$name.tar.gz" "$program.tar.gz" >SHA256SUMS)
[ "$tag" = no ] || git tag -a "v$version" -F "$out/$name.md"
echo "release: in $out: $name.tar.gz (sources), $program.tar.gz (program, data, pages), $name.md (notes), SHA256SUMS"
[ "$tag" = yes ] || echo "release: not tagged; 'git tag -a v$version -F $out/$name.md' does that"
