"""Suite `conformance`: what it asks of whom, and that the part of it which must be refused is."""
import unittest

from support_cli import CommandLine, vaemark

TYPES = {"sd15-mini": "KL", "flux1-mini": "KL", "kl-noattn-mini": "KL", "taesd-mini": "Tiny", "consistency-mini": "Consistency",
         "asymmetric-mini": "Asymmetric", "movq-mini": "VQ", "amused-mini": "VQ", "dc-mini": "DC", "flux2-mini": "Flux2",
         "hunyuanimage-mini": "HunyuanImage", "qwenimage-mini": "QwenImage", "wan22-mini": "Wan"}


class Conformance(CommandLine):
    def test_every_topology_meets_every_option(self):
        process = vaemark("list", "cases", "--suite", "conformance")
        self.assert_exit(process, 0)
        ids = {word for line in process.stdout.splitlines() for word in line.split() if word.count("/") == 4}
        self.assertEqual(len(ids), 342)
        for model in TYPES:
            for backend in ("reference", "cpu"):
                asked = {case.split("/")[3] for case in ids if case.startswith(f"{model}/{backend}/")}
                self.assertLessEqual({"plain", "fuse_qkv", "slicing"}, asked, model)
                for tiling in ("tiling", "tiling=corrected"):
                    self.assertTrue(any(options.startswith(tiling) for options in asked), f"{model} {tiling}")
        shapes = {case.split("/")[4] for case in ids if case.startswith("sd15-mini/cpu/fp32/plain/")}
        self.assertEqual(shapes, {"1x4x8x8", "1x4x4x12", "1x4x7x5", "1x4x1x1", "2x4x4x4", "3x4x4x4"})

    def test_what_must_be_refused_is(self):
        out = self.path("run.h5")
        process = vaemark("run", "--suite", "conformance", "--backend", "cpu", "--case", "consistency-mini/*ing*/*",
                          "--case", "taesd-mini/*/fuse_qkv*/*", "--out", out)
        self.assert_exit(process, 0)
        outcomes = {case["id"]: case["outcome"] for case in self.record(out)["cases"]}
        self.assertEqual(len(outcomes), 9)
        self.assertEqual(set(outcomes.values()), {"refused"})


if __name__ == "__main__":
    unittest.main()
