"""`vaemark decode --from diffusion-space`: the image of x is that of z, with z from formulas written out here in double precision;
and what is refused. What the framework's own pipelines make of x is tests/reference/test_latent_space.c."""
import json
import math
import os
import shutil
import struct
import unittest

from support_cli import SOURCE, CommandLine, floats, latents, pack, vaemark


def pixels(shape):
    """x of a shape, by index tuple: numbers that differ from place to place."""
    found = [()]
    for size in shape:
        found = [index + (i,) for index in found for i in range(size)]
    return {index: math.sin(1.7 * k + 0.3) * 2 for k, index in enumerate(found)}


def raw(values):
    """F32, in row-major order."""
    return struct.pack(f"<{len(values)}f", *(values[index] for index in sorted(values)))


def as_f32(x):
    return {index: struct.unpack("<f", struct.pack("<f", value))[0] for index, value in x.items()}


def unpack(x, width):
    """Tokens (n, y * width/2 + x, 4c + 2a + b) -> (n, c, 2y + a, 2x + b)."""
    half = width // 2
    return {(n, k // 4, 2 * (t // half) + k // 2 % 2, 2 * (t % half) + k % 2): v for (n, t, k), v in x.items()}


def unpatchify(x):
    """(n, 4c + 2a + b, y, x) -> (n, c, 2y + a, 2x + b)."""
    return {(n, k // 4, 2 * i + k // 2 % 2, 2 * j + k % 2): v for (n, k, i, j), v in x.items()}


def scaled(factor, shift=0.0):
    return lambda x: {index: value / factor + shift for index, value in x.items()}


class Latents(CommandLine):
    def model(self, name):
        with open(os.path.join(SOURCE, "models", name, "config.json")) as f:
            return json.load(f)

    def decode(self, model, tensors, *more, out="image.npy"):
        file = self.write("latents.safetensors", pack(tensors))
        where = ("--model", model) if isinstance(model, str) else model
        return vaemark("decode", *where, "--backend", "cpu", "--latents", file, "--out", self.path(out), *more)

    def image_of(self, model, tensors, *more):
        self.assert_exit(self.decode(model, tensors, *more), 0)
        with open(self.path("image.npy"), "rb") as f:
            return f.read()

    def expect_same(self, model, x_shape, formula, z_shape=None, more=(), others=None):
        x = as_f32(pixels(x_shape))
        z = formula(x)
        others = others or {}
        z_shape = z_shape or x_shape
        converted = self.image_of(model, {"latents": ("F32", list(x_shape), raw(x)), **others}, "--from", "diffusion-space", *more)
        by_hand = self.image_of(model, {"latents": ("F32", list(z_shape), raw(z)), **others}, "--from", "vae-space")
        self.assertEqual(converted, by_hand)
        if x_shape == z_shape and z != x:
            plain = self.image_of(model, {"latents": ("F32", list(x_shape), raw(x)), **others})
            self.assertNotEqual(converted, plain, "the conversion did nothing")

    # ---- what is converted ----

    def test_scaling_and_shift(self):
        self.expect_same("sd15-mini", (2, 4, 4, 3), scaled(0.18215))
        self.expect_same("flux1-mini", (1, 16, 4, 6), scaled(0.3611, 0.1159))
        self.expect_same("taesd-mini", (1, 4, 5, 4), scaled(1.0))

    def test_consistency_decoder_divides_too_and_noise_stays(self):
        noise = {name: ("F32", [1, 3, 16, 16], floats(768, value)) for name, value in (("noise.0", 0.25), ("noise.1", -0.5))}
        self.expect_same("consistency-mini", (1, 4, 2, 2), scaled(0.18215), others=noise)

    def test_codes_and_vectors_of_vq_models_stay(self):
        self.expect_same("movq-mini", (1, 4, 3, 2), scaled(1.0))
        codes = {"latents": ("I32", [1, 2, 2], struct.pack("<4i", 0, 127, 5, 64))}
        self.assertEqual(self.image_of("amused-mini", codes, "--from", "diffusion-space"), self.image_of("amused-mini", codes))

    def test_scaling_of_the_other_types(self):
        self.expect_same("asymmetric-mini", (1, 4, 2, 3), scaled(0.18215))
        self.expect_same("hunyuanimage-mini", (1, 16, 2, 3), scaled(0.75289))

    def test_autoencoder_dc_is_scaled(self):
        self.expect_same("dc-mini", (1, 8, 2, 3), scaled(0.41407))

    def test_types_of_films_have_statistics_a_channel(self):
        for name in ("qwenimage-mini", "wan21-mini"):
            mean, std = (self.model(name)[key] for key in ("latents_mean", "latents_std"))
            with self.subTest(name):
                self.expect_same(name, (1, 16, 1, 2, 3), lambda x: {i: v * std[i[1]] + mean[i[1]] for i, v in x.items()})

    def synthetic_checkpoint(self, name, **changes):
        """A preset's synthetic weights beside its configuration, some keys of it changed."""
        channels = self.model(name)["latent_channels"]
        file = self.write("any.safetensors", pack(latents((1, channels, 2, 2))))
        process = vaemark("decode", "--model", name, "--latents", file, "--out", self.path("any.npy"), env={"VAEMARK_CACHE": self.path("cache")})
        self.assert_exit(process, 0)
        found, = os.listdir(self.path("cache/weights"))
        os.makedirs(self.path("vae"), exist_ok=True)
        shutil.move(self.path("cache/weights/" + found), self.path("vae/diffusion_pytorch_model.safetensors"))
        self.write("vae/config.json", json.dumps({**self.model(name), **changes}))
        return ("--weights", self.path("vae"))

    def test_flux2_s_statistics_come_from_the_checkpoint(self):
        checkpoint = self.synthetic_checkpoint("flux2-mini", batch_norm_eps=0.25)
        with open(self.path("vae/diffusion_pytorch_model.safetensors"), "rb") as f:
            size, = struct.unpack("<Q", f.read(8))
            header, data = json.loads(f.read(size)), f.read()

        def statistic(name):
            first, end = header[name]["data_offsets"]
            return struct.unpack("<32f", data[first:end])
        mean, variance = statistic("bn.running_mean"), statistic("bn.running_var")
        self.assertNotEqual(len(set(mean + variance)), 1)

        def restored(x, axis):
            return {i: v * math.sqrt(variance[i[axis]] + 0.25) + mean[i[axis]] for i, v in x.items()}
        self.expect_same(checkpoint, (2, 32, 2, 1), lambda x: unpatchify(restored(x, 1)), (2, 8, 4, 2))
        self.expect_same(checkpoint, (1, 2, 32), lambda x: unpack(restored(x, 2), 2), (1, 8, 4, 2), ("--latents-size", "4x2"))
        self.refuse(checkpoint, (1, 8, 4, 4), "(N,32,H/2,W/2) or tokens (N,tokens,32)", "found 1x8x4x4", "VAE space already")

    def test_synthetic_statistics_are_those_of_the_synthetic_weights(self):
        x = {"latents": ("F32", [1, 32, 1, 1], raw(pixels((1, 32, 1, 1))))}
        by_preset = self.image_of("flux2-mini", x, "--from", "diffusion-space")
        self.assertEqual(self.image_of(self.synthetic_checkpoint("flux2-mini"), x, "--from", "diffusion-space"), by_preset)

    def test_hunyuanimage_without_its_factor_is_refused(self):
        checkpoint = self.synthetic_checkpoint("hunyuanimage-mini", scaling_factor=None)
        self.refuse(checkpoint, (1, 16, 2, 2), "vae/config.json: ", '"scaling_factor" is null', "TypeError", "published number")

    def test_flux1_tokens(self):
        def formula(width):
            return lambda x: scaled(0.3611, 0.1159)(unpack(x, width))
        self.expect_same("flux1-mini", (2, 9, 64), formula(6), (2, 16, 6, 6))
        self.expect_same("flux1-mini", (1, 6, 64), formula(6), (1, 16, 4, 6), ("--latents-size", "4x6"))
        self.expect_same("flux1-mini", (1, 6, 64), formula(4), (1, 16, 6, 4), ("--latents-size", "6x4"))
        self.expect_same("flux1-mini", (1, 4, 64), formula(8), (1, 16, 2, 8), ("--latents-size", "2x8"))

    def test_taef2_takes_flux2_s_latents_packed(self):
        """Trained weights in the original's names, by which it is known that they pool."""
        self.expect_same("taef2", (1, 128, 2, 3), unpatchify, (1, 32, 4, 6))
        self.expect_same("taef2", (1, 32, 4, 2), scaled(1.0))
        self.expect_same("taef2", (1, 6, 128), lambda x: unpack(x, 4), (1, 32, 6, 4), ("--latents-size", "6x4"))

    def checkpoint(self, name, **changes):
        """A golden's checkpoint with another configuration."""
        shutil.copytree(os.path.join(SOURCE, "tests/data", name), self.path("vae"), dirs_exist_ok=True)
        with open(self.path("vae/config.json")) as f:
            config = json.load(f)
        self.write("vae/config.json", json.dumps({**config, **changes}))
        return ("--weights", self.path("vae"))

    def test_sdxl_s_statistics(self):
        mean, std = [0.5, -1.0, 0.0, 2.0], [1.5, 0.5, 2.0, 1.0]
        self.expect_same(self.checkpoint("kl-noattn-mini", latents_mean=mean, latents_std=std, scaling_factor=0.13025), (1, 4, 2, 3),
                         lambda x: {i: v * std[i[1]] / 0.13025 + mean[i[1]] for i, v in x.items()})
        self.expect_same(self.checkpoint("kl-noattn-mini", latents_mean=mean, latents_std=None), (1, 4, 2, 3), scaled(0.18215))

    def test_what_was_done_is_told(self):
        x = {"latents": ("F32", [1, 6, 64], raw(pixels((1, 6, 64))))}
        process = self.decode("flux1-mini", x, "--from", "diffusion-space", "--latents-size", "4x6")
        self.assertIn("latents: of diffusion space, x / 0.3611 + 0.1159, tokens unpacked; decoded as 1x16x4x6\n", process.stderr)
        self.assertNotIn("diffusion space", self.decode("flux1-mini", {"latents": ("F32", [1, 16, 2, 2], floats(64))}).stderr)

    # ---- what is refused ----

    def refuse(self, model, shape, *words, more=(), value=0.5, dtype="F32"):
        count = math.prod(shape)
        tensors = {"latents": (dtype, list(shape), floats(count, value))}
        process = self.decode(model, tensors, "--from", "diffusion-space", *more, out="none.npy")
        self.assert_exit(process, 2)
        for word in words:
            self.assertIn(word, process.stderr)
        self.assertFalse(os.path.exists(self.path("none.npy")))
        return process.stderr

    def test_latents_that_do_not_fit_are_refused(self):
        file = "latents.safetensors: "
        self.refuse("sd15-mini", (4, 4, 4), file, "'latents'", "(N,4,H,W)", "found 4x4x4")
        self.refuse("sd15-mini", (1, 16, 4, 4), file, "(N,4,H,W)", "found 1x16x4x4")
        self.refuse("sd15-mini", (1, 4, 1, 4, 4), file, "(N,4,H,W)", "found 1x4x1x4x4")
        self.refuse("flux1-mini", (1, 4, 16), file, "tokens (N,tokens,64)", "found 1x4x16")
        self.refuse("flux1-mini", (1, 6, 64), file, "6 tokens", "no square", "H/2 * W/2 = 6")
        self.refuse("flux1-mini", (1, 6, 64), file, "6 tokens", "4x4", more=("--latents-size", "4x4"))
        self.refuse("flux1-mini", (1, 16, 4, 4), file, "4x4", "6x4", more=("--latents-size", "6x4"))
        self.refuse("taesd-mini", (1, 16, 4, 4), file, "(N,4,H,W)")
        self.refuse("taef2", (1, 64, 4, 4), file, "(N,32,H,W) or (N,128,H/2,W/2) or tokens (N,tokens,128)")
        self.refuse("sd15-mini", (1, 4, 2, 2), file, "'latents'", "NaN", value=float("nan"))
        self.refuse("sd15-mini", (1, 4, 2, 2), file, "infinite", value=3e38)
        self.refuse("sd15-mini", (1, 4, 2, 2), file, "I32", "floating point", dtype="I32")
        self.refuse("sd15-mini", (1, 4, 0, 2), file, "no elements")

    def test_packed_latents_are_known_without_the_option(self):
        for model, shape, word in (("flux1-mini", (1, 4, 64), "tokens"), ("taef2", (1, 128, 2, 2), "patches")):
            process = self.decode(model, {"latents": ("F32", list(shape), floats(math.prod(shape)))})
            self.assert_exit(process, 2)
            self.assertIn(f"looks like the {word} of a diffusion pipeline: 'decode --from diffusion-space'", process.stderr)

    def test_nan_is_found_where_it_is_in_the_file(self):
        values = [0.5] * 256
        values[3] = float("nan")
        process = self.decode("flux1-mini", {"latents": ("F32", [1, 4, 64], struct.pack("<256f", *values))}, "--from", "diffusion-space")
        self.assert_exit(process, 2)
        self.assertIn("1 values that are NaN or infinite, the first at element 3;", process.stderr)

    def test_configurations_that_do_not_tell_are_refused(self):
        for changes, words in (({"scaling_factor": None}, ('"scaling_factor" is null', "published number")),
                               ({"scaling_factor": 0}, ('"scaling_factor" is 0', "other than 0")),
                               ({"latents_mean": [1], "latents_std": [1]}, ('"latents_mean" has 1 entries', "4 finite numbers"))):
            with self.subTest(changes):
                self.refuse(self.checkpoint("kl-noattn-mini", **changes), (1, 4, 2, 2), "vae/config.json: ", *words)
        self.refuse(self.checkpoint("flux1-mini", shift_factor=None), (1, 4, 64), "vae/config.json: ", '"shift_factor"', "0.1159")

    def test_wrong_options_say_what_to_do(self):
        x = {"latents": ("F32", [1, 4, 2, 2], floats(16))}
        for more, words in ((("--from", "difusion-space"), ("did you mean diffusion-space?",)),
                            (("--from", "pixels"), ("vae-space or diffusion-space",)),
                            (("--latents-size", "4x4"), ("--from diffusion-space",)),
                            (("--from", "diffusion-space", "--latents-size", "4"), ("as 64x96, not '4'",)),
                            (("--from", "diffusion-space", "--latents-size", "0x4"), ("not '0x4'",)),
                            (("--from", "diffusion-space", "--latents-size", "4x4x4"), ("not '4x4x4'",))):
            with self.subTest(more):
                process = self.decode("sd15-mini", x, *more)
                self.assert_exit(process, 2)
                for word in words:
                    self.assertIn(word, process.stderr)


if __name__ == "__main__":
    unittest.main()
