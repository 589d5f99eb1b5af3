"""What the tests of the command line share: running vaemark, small suites, safetensors files good and bad."""
import json
import os
import struct
import subprocess
import tempfile
import unittest

BINARY = os.environ["VAEMARK_BINARY"]
SOURCE = os.environ["VAEMARK_SOURCE"]
FAULTY = os.environ.get("VAEMARK_FAULTY", "")

SUITE = """suite: tiny
description: one model a type, hardly any timing
version: 1
decoders: [cpu]
timeout_s: 60
measure: {launches: 1, warmups: 2, min_samples: 4, max_samples: 4, budget_s: 0.05, min_sample_ms: 1, ring: 3}
cases:
  - models: [sd15-mini, kl-noattn-mini, taesd-mini, consistency-mini]
    latents: ["4x4"]
    options: [plain, fuse_qkv]
    min_psnr_db: 90
    pictures: true
"""


def vaemark(*arguments, env=None, timeout=300, **kwargs):
    """Runs vaemark; returns the finished process with texts."""
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(env or {})}, **kwargs)


def pack(tensors):
    """The bytes of a safetensors file: {name: (dtype, shape, bytes)}."""
    header, offset, data = {}, 0, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def floats(count, value=0.5):
    return struct.pack(f"<{count}f", *([value] * count))


def latents(shape=(1, 4, 4, 4), value=0.5):
    count = 1
    for d in shape:
        count *= d
    return {"latents": ("F32", list(shape), floats(count, value))}


def processes_with(variable):
    """Processes that have it in their environment."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if variable.encode() in f.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass
    return found


class CommandLine(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="vaemark-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb" if isinstance(content, bytes) else "w") as f:
            f.write(content)
        return path

    def suite(self, text=SUITE):
        return self.write("tiny.yaml", text)

    def assert_exit(self, process, code):
        self.assertEqual(process.returncode, code, f"stdout:\n{process.stdout}\nstderr:\n{process.stderr}")
        self.assertNotIn("AddressSanitizer", process.stderr)
        self.assertNotIn("runtime error", process.stderr)

    def record(self, path):
        """What a run recorded, by way of `show --json`."""
        process = vaemark("show", path, "--json")
        self.assert_exit(process, 0)
        return json.loads(process.stdout)
