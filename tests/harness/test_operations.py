"""Suite `kernels`: single operations as models. They are judged as decoders are, and are no VAE type."""
import json
import os
import unittest

from support_cli import SOURCE, SUITE, CommandLine, floats, latents, pack, vaemark

OPERATIONS = sorted(name for name in os.listdir(os.path.join(SOURCE, "operations")) if "." not in name)
TINY = SUITE.replace("sd15-mini, kl-noattn-mini, taesd-mini, consistency-mini", "conv3x3-64-relu, linear-attention-256")\
    .replace("decoders: [cpu]", "decoders: [cpu, reference]").replace("    min_psnr_db: 90\n", "")\
    .replace("    options", "    precisions: [fp32]\n    options")


class Operations(CommandLine):
    def decode(self, config, shape):
        folder = os.path.dirname(self.write("operation/config.json", json.dumps({"_class_name": "VaemarkOperation", **config})))
        self.write("operation/diffusion_pytorch_model.safetensors", pack({"operation.weight": ("F32", [1], floats(1))}))
        inputs = self.write("latents.safetensors", pack(latents(shape)))
        return vaemark("decode", "--weights", folder, "--latents", inputs, "--out", self.path("image.safetensors"))

    def test_the_suite_has_every_operation(self):
        listed = vaemark("list", "cases", "--suite", "kernels")
        self.assert_exit(listed, 0)
        named = {line.split("/")[0].split()[-1] for line in listed.stdout.splitlines() if "/cpu/" in line}
        self.assertEqual(sorted(named), OPERATIONS)

    def test_they_are_judged_as_decoders_are_and_refuse_what_no_row_allows(self):
        process = vaemark("run", "--suite", self.suite(TINY), "--out", self.path("run.h5"))
        self.assert_exit(process, 0)
        record = self.record(self.path("run.h5"))
        outcomes = {(row["backend"], row["id"].split("/")[3]): row["outcome"] for row in record["cases"]}
        self.assertEqual(outcomes, {(backend, option): outcome for backend in ("cpu", "reference")
                                    for option, outcome in (("plain", "passed"), ("fuse_qkv", "refused"))})
        self.assertTrue({"quality", "nan-shows", "threads"} <= {row["name"] for row in record["checks"]})

    def test_they_are_no_vae_type_and_no_preset(self):
        for listed in (vaemark("list", "models"), vaemark("list", "models", "--json")):
            self.assert_exit(listed, 0)
            self.assertNotIn("VaemarkOperation", listed.stdout)
            self.assertNotIn("conv3x3", listed.stdout)

    def test_configurations_that_do_not_fit_are_named(self):
        for config, words in (({"groups": 3}, '"groups" must divide'),
                              ({"norm": "group", "norm_groups": 7}, '"norm_groups" must divide'),
                              ({"operation": "linear_attention", "head_channels": 7}, '"head_channels" must divide'),
                              ({"residual": True, "upsample": 2}, '"residual" needs as many'),
                              ({"operation": "fft"}, "operation"), ({"kernel_size": 0}, "kernel_size")):
            with self.subTest(config=config):
                process = self.decode(config, (1, 64, 4, 4))
                self.assertIn(process.returncode, (2, 4, 5), process.stderr)
                self.assertIn(words, process.stderr)
                self.assertIn("config.json", process.stderr)


if __name__ == "__main__":
    unittest.main()
