"""taesana has no golden: diffusers' class cannot express levels of unequal width. Its formula, written out in NumPy in double
precision from the definition of the network, is held against `reference` in FP64 and `cpu` in FP32."""
import json
import os
import struct
import subprocess
import tempfile
import unittest

try:
    import numpy as np
except ImportError:
    np = None

ROOT = os.environ.get("VAEMARK_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))
BINARY = os.environ.get("VAEMARK_BINARY", os.path.join(ROOT, "build", "vaemark"))
WIDTHS, BLOCKS = [32, 16, 8, 8, 8, 8], [1, 2, 1, 1, 1, 1]


def write(path, tensors):
    header, data = {}, b""
    for name, values in tensors.items():
        raw = np.ascontiguousarray(values, dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text + data)


def read_image(path):
    with open(path, "rb") as stream:
        size = struct.unpack("<Q", stream.read(8))[0]
        entry = json.loads(stream.read(size))["image"]
        kind = {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]
        return np.frombuffer(stream.read(), kind).reshape(entry["shape"]).astype(float)


def convolve(x, weight, bias=None):
    """3x3, zeros around; x (C,H,W)."""
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    y = np.zeros((weight.shape[0], height, width))
    for u in range(3):
        for v in range(3):
            y += np.tensordot(weight[:, :, u, v], padded[:, u : u + height, v : v + width], 1)
    return y if bias is None else y + bias[:, None, None]


def relu(x):
    return np.maximum(x, 0)


class Network:
    """Names as TAESD's originals have them: numbered layers, the clamp being number 0."""

    def __init__(self, seed):
        self.random, self.tensors = np.random.default_rng(seed), {}

    def conv(self, name, out, into, bias=True, gain=1.4):
        self.tensors[name + ".weight"] = (self.random.standard_normal((out, into, 3, 3)) * gain / np.sqrt(9 * into)).astype("f4")
        if bias:
            self.tensors[name + ".bias"] = (0.05 * self.random.standard_normal(out)).astype("f4")

    def build(self):
        self.conv("1", WIDTHS[0], 32)
        layer = 3
        for level, width in enumerate(WIDTHS):
            for _ in range(BLOCKS[level]):
                for part, gain in ((0, 1.4), (2, 1.4), (4, 0.35)):
                    self.conv(f"{layer}.conv.{part}", width, width, gain=gain)
                layer += 1
            if level < 5:
                self.conv(str(layer + 1), WIDTHS[level + 1], width, bias=False)
                layer += 2
        self.conv(str(layer), 3, WIDTHS[5], gain=0.6)
        return self.tensors

    def apply(self, name, x):
        bias = self.tensors.get(name + ".bias")
        return convolve(x, self.tensors[name + ".weight"].astype(float), None if bias is None else bias.astype(float))

    def decode(self, z):
        x = relu(self.apply("1", 3 * np.tanh(z / 3)))
        layer = 3
        for level in range(6):
            for _ in range(BLOCKS[level]):
                y = relu(self.apply(f"{layer}.conv.0", x))
                y = relu(self.apply(f"{layer}.conv.2", y))
                x = relu(self.apply(f"{layer}.conv.4", y) + x)
                layer += 1
            if level < 5:
                x = self.apply(str(layer + 1), x.repeat(2, axis=1).repeat(2, axis=2))
                layer += 2
        return 2 * self.apply(str(layer), x) - 1


@unittest.skipIf(np is None, "NumPy is not there (python3-numpy)")
class Taesana(unittest.TestCase):
    def check(self, backend, precision, bound):
        network = Network(7)
        with tempfile.TemporaryDirectory() as folder:
            weights, latents, out = (os.path.join(folder, n) for n in ("w.safetensors", "z.safetensors", "y.safetensors"))
            write(weights, network.build())
            z = np.random.default_rng(8).standard_normal((2, 32, 2, 3)).astype("f4")
            write(latents, {"latents": z})
            command = [BINARY, "decode", "--model", "taesana-mini", "--weights", weights, "--latents", latents, "--backend", backend,
                       "--precision", precision, "--out", out, "--quiet"]
            subprocess.run(command, check=True)
            image = read_image(out)
        wanted = np.stack([network.decode(sample.astype(float)) for sample in z])
        self.assertEqual(image.shape, (2, 3, 64, 96))
        self.assertGreater(wanted.std(), 0.1)
        error = np.abs(image - wanted).max()
        self.assertTrue(error <= bound * np.abs(wanted).max(), f"{backend} {precision}: off by {error}")

    def test_reference_is_the_formula(self):
        self.check("reference", "fp64", 1e-12)
        self.check("reference", "fp32", 2e-5)

    def test_cpu_is_the_formula(self):
        self.check("cpu", "fp32", 2e-5)


if __name__ == "__main__":
    unittest.main()
