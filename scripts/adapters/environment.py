"""Where the frameworks are installed, how to get there, and what to say if they are not. Standard library only."""

import importlib.metadata
import importlib.util
import os
import shutil
import sys

INSIDE = "VAEMARK_FRAMEWORKS_INSIDE"  # set for what was re-executed, lest it go round in circles
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SETUP = "./scripts/setup-frameworks.sh"
# PyPI's names; torch and diffusers hold the modules, the others run what is exported of them.
PACKAGES = {"torch": ["torch", "diffusers", "safetensors"],
            "onnxruntime": ["torch", "diffusers", "safetensors", "onnx", "onnxscript", "onnxruntime"],
            "openvino": ["torch", "diffusers", "safetensors", "openvino"]}


def candidates():
    """Folders that may hold the virtual environment, best first; scripts/setup-frameworks.sh writes to one of them."""
    named = os.environ.get("VAEMARK_FRAMEWORKS_VENV")
    if named:
        return [named]
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [os.path.join(ROOT, ".venv-frameworks"), os.path.join(cache, "vaemark", "venv-frameworks")]


def enter():
    """Goes on in the virtual environment, if there is one and this is not it."""
    if os.environ.get(INSIDE):
        return
    for folder in candidates():
        python = os.path.join(folder, "bin", "python")
        if os.access(python, os.X_OK):
            os.environ[INSIDE] = folder
            try:
                os.execv(python, [python, "-B", *sys.argv])
            except OSError as failure:
                print(f"{python} does not start: {failure}", file=sys.stderr)
                del os.environ[INSIDE]


def setup_command():
    """As one types it: from the checkout, or with its path where this file was installed."""
    return SETUP if os.path.exists(os.path.join(ROOT, "CMakeLists.txt")) else os.path.join(ROOT, SETUP[2:])


def why_unavailable(framework, with_compiler):
    """An empty text if the framework's packages are there."""
    missing = [package for package in PACKAGES[framework] if importlib.util.find_spec(package) is None]
    if missing and not os.environ.get(INSIDE):
        return f"{framework} is not installed (no {', '.join(missing)} in {sys.executable}); {setup_command()} does it"
    if missing:
        return f"{os.environ[INSIDE]} lacks {', '.join(missing)}; {setup_command()} adds it"
    if with_compiler and not any(map(shutil.which, [os.environ.get("CXX") or "g++", "c++"])):
        return "torch.compile needs a C++ compiler; apt-get install g++ brings one"
    return ""


def versions(framework):
    """Facts for the record: package by package, and the interpreter."""
    facts = {"python": sys.version.split()[0]}
    for package in PACKAGES[framework]:
        facts[package] = importlib.metadata.version(package)
    return facts
