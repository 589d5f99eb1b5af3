"""bench_conv, where the build found oneDNN: outputs that agree, figures for programs, and that it says so where outputs do not agree."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

BENCH = os.environ.get("VAEMARK_BENCH_CONV")
if not BENCH:
    print("skipped: this build found no oneDNN (Debian: apt-get install libdnnl-dev)")
    sys.exit(77)


def bench(*arguments, **environment):
    return subprocess.run([BENCH, "--threads", "2", "--rounds", "2", *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, **environment})


class BenchConv(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def measure(self, *layers):
        path = os.path.join(self.folder, "conv.json")
        selection = [word for layer in layers for word in ("--layer", layer)]
        result = bench(*selection, "--json", path, TMPDIR=self.folder)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(os.listdir(self.folder), ["conv.json"], "a layer's files were left behind")
        with open(path, encoding="utf-8") as file:
            return json.load(file)

    def test_both_libraries_compute_the_same_and_say_what_it_took(self):
        layers = self.measure("conv3x3-4-64@64x64", "conv3x3-64-64-x2@128x128", "conv1x1-320-100@37x53", "conv4x4-64-64-stride2@65x65")["layers"]
        self.assertEqual(len(layers), 4)
        for layer in layers:
            for name in ("cpu_fp32", "cpu_fp32_strict", "onednn_direct"):
                form = layer["forms"][name]
                self.assertTrue(form["agrees"], (layer["layer"], name, form))
                self.assertEqual(len(form["samples_ns"]), 2)
                self.assertGreater(min(form["samples_ns"]), 0)
                self.assertGreater(form["activation_bytes"], 0)
        # Not the same code twice: sums in another order differ somewhere.
        self.assertGreater(max(layer["forms"]["cpu_fp32_strict"]["difference"] for layer in layers), 0)

    def test_the_planner_chooses_winograd_in_fp32_and_never_in_strict(self):
        forms = self.measure("conv3x3-64-64@64x64")["layers"][0]["forms"]
        self.assertIn("winograd", forms["cpu_fp32"]["kernel"])
        self.assertNotIn("winograd", forms["cpu_fp32_strict"]["kernel"])

    def test_outputs_beyond_the_bound_are_named_and_fail(self):
        result = bench("--layer", "conv3x3-64-64@64x64", "--bound", "0")
        self.assertEqual(result.returncode, 1)
        self.assertIn("cpu fp32 DISAGREES", result.stdout)
        self.assertIn("cpu fp32-strict DISAGREES", result.stdout)

    def test_what_it_cannot_take_is_usage(self):
        for wrong in (["--layer", "none-such"], ["--rounds", "0"], ["--threads", "many"], ["--bound", "nan"], ["--no-such"], ["word"]):
            self.assertEqual(bench(*wrong).returncode, 2, wrong)


if __name__ == "__main__":
    unittest.main()
