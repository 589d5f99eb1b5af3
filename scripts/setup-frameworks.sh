#!/bin/sh
# Makes the virtual environment that suite `frameworks` runs the original framework in: PyTorch, diffusers, ONNX Runtime, OpenVINO, from PyPI.
#
#   scripts/setup-frameworks.sh [FOLDER]
#
# FOLDER is $VAEMARK_FRAMEWORKS_VENV, or .venv-frameworks in the checkout, or, where that cannot be written, a folder in the user's
# cache. Once it is there, a second call does nothing. docs/frameworks.md says how large it is and how long it takes.
set -eu

# Known to work together; what they bring along is chosen by pip.
packages="torch==2.15.0 diffusers==0.42.1 transformers==5.24.0 safetensors==0.8.0 openvino==2026.4.1 onnxruntime==1.32.0
onnx==1.23.2 onnxscript==0.7.2 numpy==2.4.6"
modules="torch diffusers transformers safetensors openvino onnxruntime onnx onnxscript numpy"
needed_mib=10240 # 6 GiB installed, and what is downloaded meanwhile

usage() {
    echo "usage: scripts/setup-frameworks.sh [FOLDER]"
    echo "Installs PyTorch, diffusers, ONNX Runtime and OpenVINO from PyPI into a virtual environment: 6 GiB, about ten minutes."
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
case ${1-} in
-h | --help)
    usage
    exit 0
    ;;
-*)
    echo "setup-frameworks: unknown argument '$1'" >&2
    usage >&2
    exit 2
    ;;
esac
if [ $# -gt 0 ]; then
    venv=$1
elif [ -n "${VAEMARK_FRAMEWORKS_VENV-}" ]; then
    venv=$VAEMARK_FRAMEWORKS_VENV
elif [ -w "$root" ]; then
    venv=$root/.venv-frameworks
else
    venv=${XDG_CACHE_HOME:-$HOME/.cache}/vaemark/venv-frameworks
fi
python=${PYTHON:-python3}

say() { echo "setup-frameworks: $*"; }
fail() {
    echo "setup-frameworks: $*" >&2
    exit 1
}

log=
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
log=$(mktemp)

# Every package in the version above, or there is something to do.
is_complete() {
    # shellcheck disable=SC2086 # a list of packages, split on purpose
    [ -x "$venv/bin/python" ] && "$venv/bin/python" - $packages <<'PYTHON' >"$log" 2>&1
import importlib.metadata as installed, sys
for wanted in sys.argv[1:]:
    name, version = wanted.split("==")
    found = installed.version(name).split("+")[0]
    assert found == version, f"{name} {found}, wanted {version}"
PYTHON
}

# What apt brings: venv's module, and a compiler, which torch.compile writes C++ for.
install_with_apt() {
    missing=
    if ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then missing="python3 python3-venv"; fi
    if ! command -v g++ >/dev/null 2>&1; then missing="$missing g++"; fi
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || fail "this system has no apt; please install the equivalents of: $missing"
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif command -v sudo >/dev/null 2>&1; then
        as_root=sudo
    else
        fail "as root, run: apt-get update && apt-get install --no-install-recommends $missing; then call this again"
    fi
    say "installing with apt: $missing"
    for step in "update" "install -y --no-install-recommends $missing"; do
        # shellcheck disable=SC2086 # words, split on purpose
        if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 $step >"$log" 2>&1 </dev/null; then
            tail -n 25 "$log" >&2
            fail "'apt-get $step' failed; its last words are above"
        fi
    done
}

check_disk() {
    parent=$(dirname -- "$venv")
    mkdir -p "$parent" || fail "cannot make $parent"
    free_mib=$(df -Pm "$parent" | awk 'NR == 2 {print $4}')
    [ "$free_mib" -ge "$needed_mib" ] ||
        fail "$parent has $free_mib MiB free, $needed_mib are needed; name another place: scripts/setup-frameworks.sh FOLDER"
}

# pip talks by the line; the packages it gets and installs are its progress.
install_packages() {
    start=$(date +%s)
    # shellcheck disable=SC2086 # a list of packages, split on purpose
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --progress-bar off $packages >"$log" 2>&1 </dev/null &
    pip=$!
    trap 'kill "$pip" 2>/dev/null; exit 130' INT TERM
    while kill -0 "$pip" 2>/dev/null; do
        sleep 5
        now=$(($(date +%s) - start))
        [ $((now % 30)) -ge 5 ] || say "$now s, $(grep -c '^Collecting' "$log") packages so far; $(tail -n 1 "$log" | cut -c1-90)"
    done
    if ! wait "$pip"; then
        tail -n 25 "$log" >&2
        fail "pip failed; its last words are above. Call this again to go on"
    fi
    trap 'exit 130' INT TERM
}

if is_complete; then
    say "nothing to do: $venv is complete"
    exit 0
fi
check_disk
install_with_apt
say "installing into $venv: 6 GiB on disk, 3 GiB to download, about ten minutes"
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv" || fail "cannot make a virtual environment in $venv"
install_packages
is_complete || fail "pip reported success, and yet: $(tail -n 1 "$log")"
for module in $modules; do
    "$venv/bin/python" -c "import $module" >"$log" 2>&1 || fail "$module is installed, but does not start: $(tail -n 1 "$log")"
done
say "done: $(du -sm "$venv" | cut -f1) MiB in $venv; now: vaemark run --suite frameworks --out frameworks.h5"
