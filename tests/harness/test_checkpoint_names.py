"""One checkpoint, every naming that people have: the pictures must be the same, bit for bit."""
import glob
import json
import os
import struct
import unittest

from support_checkpoints import (golden, read_checkpoint, save, to_ldm, to_old_attention, to_openai, to_qkv, to_taesd)
from support_cli import SOURCE, CommandLine, pack, vaemark


def ramp(shape, scale=1.0):
    count = 1
    for d in shape:
        count *= d
    return "F32", list(shape), struct.pack(f"<{count}f", *(scale * ((7 * i % 23) / 11 - 1) for i in range(count)))


class Names(CommandLine):
    def setUp(self):
        super().setUp()
        self.count = 0

    def latents(self, channels=4, noise=False):
        tensors = {"latents": ramp((1, channels, 4, 4))}
        for name in ("noise.0", "noise.1") if noise else ():
            tensors[name] = ramp((1, 3, 32, 32))
        return self.write("z.safetensors", pack(tensors))

    def picture(self, *where, latents, env=None):
        """What is decoded, and what is told."""
        self.count += 1
        out = self.path(f"{self.count}.npy")
        process = vaemark("decode", *where, "--latents", latents, "--out", out, "--threads", 1, env=env)
        self.assert_exit(process, 0)
        with open(out, "rb") as f:
            return f.read(), process.stderr

    def expect_same(self, preset, wanted, layouts, latents):
        for told, tensors in layouts:
            with self.subTest(layout=told):
                file = save(self.path("foreign.safetensors"), tensors)
                found, summary = self.picture("--model", preset, "--weights", file, latents=latents)
                self.assertEqual(found, wanted)
                self.assertIn(f"foreign.safetensors ({told})", summary)

    def test_latent_diffusion_and_old_attention(self):
        cache, z = {"VAEMARK_CACHE": self.path("cache")}, self.latents()
        wanted, _ = self.picture("--model", "sd15-mini", latents=z, env=cache)
        tensors = read_checkpoint(glob.glob(os.path.join(self.path("cache"), "weights", "*.safetensors"))[0])
        self.assertIn("post_quant_conv.weight", tensors)
        stranger = {"model.diffusion_model.out.2.weight": ramp((4, 4)), "cond_stage_model.logit_scale": ramp((1,)),
                    "encoder.conv_in.weight": ramp((2, 3)), "quant_conv.weight": ramp((8, 8, 1, 1)),
                    "loss.logvar": ramp((1,)), "model_ema.decay": ramp((1,)),
                    "model_ema.num_updates": ("I32", [1], bytes(4)), "bn.num_batches_tracked": ("I64", [1], bytes(8))}
        ldm = to_ldm(tensors)
        flux2 = {("decoder." + n if n.startswith("post_quant_conv") else n): t for n, t in ldm.items()}
        first = to_ldm(tensors, "first_stage_model.")
        wrong = {n: (t[0], t[1], bytes(len(t[2]))) for n, t in first.items()}
        self.expect_same("sd15-mini", wanted, [
            ("diffusers names", tensors),
            ("diffusers names", {**tensors, **stranger}),
            ("diffusers names", to_qkv(tensors, keep_parts=True)),
            ("diffusers names, to_qkv split", to_qkv(tensors, keep_parts=False)),
            ("old diffusers attention names", to_old_attention(tensors)),
            ("LDM names", ldm),
            ("LDM names", to_ldm(tensors, trailing=(1,))),
            ("LDM names", flux2),
            ("LDM names, prefix first_stage_model.", {**first, **stranger}),
            ("LDM names, prefix vae.", {**to_ldm(tensors, "vae."), **stranger}),
            ("LDM names, prefix vae. (not first_stage_model.)", {**wrong, **to_ldm(tensors, "vae.")}),
            ("diffusers names, prefix vae.", {"vae." + n: t for n, t in tensors.items()}),
        ], z)

    def test_original_taesd(self):
        tensors, z = golden("taesd-mini"), self.latents()
        folder = os.path.join(SOURCE, "tests", "data", "taesd-mini")
        wanted, _ = self.picture("--weights", folder, latents=z)
        self.expect_same("taesd-mini", wanted, [
            ("original TAESD names", to_taesd(tensors)),
            ("original TAESD names", {**to_taesd(tensors, "decoder."), "encoder.0.weight": ramp((2, 2))}),
            ("original TAESD names, prefix vae.", to_taesd(tensors, "vae.decoder.")),
        ], z)

    def test_original_consistency_decoder(self):
        tensors, z = golden("consistency-mini"), self.latents(noise=True)
        folder = os.path.join(SOURCE, "tests", "data", "consistency-mini")
        wanted, _ = self.picture("--weights", folder, latents=z)
        self.expect_same("consistency-mini", wanted, [
            ("original OpenAI names", to_openai(tensors, levels=2)),
            ("original OpenAI names", to_openai(tensors, levels=2, blocks="")),
        ], z)

    def test_two_layouts_in_one_file(self):
        tensors, z = golden("flux1-mini"), self.latents(16)
        ldm = to_ldm(tensors)
        half = dict(list(to_ldm(tensors, "vae.").items())[::2])
        for words, mixed in (
                (("'decoder.mid.attn_1.q.weight'", "'decoder.mid_block.attentions.0.to_q.weight'"),
                 {**tensors, "decoder.mid.attn_1.q.weight": ldm["decoder.mid.attn_1.q.weight"]}),
                (("'decoder.conv_in.weight'", "'vae.decoder.conv_in.weight'"),
                 {**tensors, "vae.decoder.conv_in.weight": tensors["decoder.conv_in.weight"]}),
                (("prefix vae.", "first_stage_model.", "two layouts"),
                 {**half, **{n: t for n, t in to_ldm(tensors, "first_stage_model.").items()
                             if n.replace("first_stage_model.", "vae.") not in half}})):
            file = save(self.path("mixed.safetensors"), mixed)
            process = vaemark("decode", "--model", "flux1-mini", "--weights", file, "--latents", z, "--out",
                              self.path("x.npy"))
            self.assert_exit(process, 2)
            for word in words:
                self.assertIn(word, process.stderr)

    def test_run_records_the_layout(self):
        file = save(self.path("ae.safetensors"), to_ldm(golden("flux1-mini")))
        suite = self.suite("suite: s\ndescription: d\nversion: 1\ndecoders: [cpu]\ntimeout_s: 60\n"
                           "measure: {launches: 1, warmups: 1, min_samples: 2, max_samples: 2, budget_s: 0.05, "
                           "min_sample_ms: 1, ring: 2}\ncases:\n  - {models: [flux1-mini], latents: ['4x4'], "
                           "options: [plain], min_psnr_db: 90}\n")
        out = self.path("r.h5")
        self.assert_exit(vaemark("run", "--suite", suite, "--weights", f"flux1-mini={file}", "--out", out), 0)
        self.assertEqual(self.record(out)["models"][0]["weights_origin"], "ae.safetensors (LDM names)")


if __name__ == "__main__":
    unittest.main()
