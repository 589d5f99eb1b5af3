"""`vaemark decode`: what it writes, and what it answers to files and options that are wrong."""
import json
import os
import re
import stat
import struct
import unittest

from support_cli import BINARY, SOURCE, CommandLine, floats, latents, pack, vaemark

KL = {"_class_name": "AutoencoderKL", "block_out_channels": [32, 64, 64, 64], "latent_channels": 4,
      "layers_per_block": 1, "norm_num_groups": 8, "in_channels": 3, "out_channels": 3, "act_fn": "silu"}


class Decode(CommandLine):
    def decode(self, *more, latents_file=None, out="x.safetensors", model=("--model", "taesd-mini")):
        file = latents_file or self.write("z.safetensors", pack(latents()))
        return vaemark("decode", *model, "--latents", file, "--out", self.path(out), *more)

    # ---- what it writes ----

    def test_safetensors_npy_and_png_tell_the_same(self):
        for out in ("x.safetensors", "x.npy", "x.png"):
            self.assert_exit(self.decode(out=out), 0)
        with open(self.path("x.safetensors"), "rb") as f:
            n = struct.unpack("<Q", f.read(8))[0]
            header = json.loads(f.read(n))
            raw = f.read()
        self.assertEqual(header["image"]["dtype"], "F32")
        self.assertEqual(header["image"]["shape"], [1, 3, 32, 32])
        with open(self.path("x.npy"), "rb") as f:
            npy = f.read()
        self.assertTrue(npy.startswith(b"\x93NUMPY\x01\x00"))
        self.assertTrue(npy.endswith(raw) and len(npy) - len(raw) < 256)
        self.assertEqual((len(npy) - len(raw)) % 64, 0)
        with open(self.path("x.png"), "rb") as f:
            png = f.read()
        self.assertEqual(struct.unpack(">II", png[16:24]), (32, 32))

    def test_fp64_of_the_reference_is_f64(self):
        self.assert_exit(self.decode("--backend", "reference", "--precision", "fp64"), 0)
        with open(self.path("x.safetensors"), "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        self.assertEqual(header["image"]["dtype"], "F64")

    def test_noise_is_wanted_and_taken(self):
        model = ("--model", "consistency-mini")
        without = self.decode(model=model)
        self.assert_exit(without, 2)
        self.assertIn("noise.0", without.stderr)
        tensors = latents()
        for name in ("noise.0", "noise.1"):
            tensors[name] = ("F32", [1, 3, 32, 32], floats(3 * 32 * 32, 0.25))
        self.assert_exit(self.decode(model=model, latents_file=self.write("n.safetensors", pack(tensors))), 0)
        tensors["noise.1"] = ("F32", [1, 3, 16, 32], floats(3 * 16 * 32, 0.25))
        misshapen = self.decode(model=model, latents_file=self.write("m.safetensors", pack(tensors)))
        self.assert_exit(misshapen, 2)
        self.assertIn("noise.1", misshapen.stderr)

    # ---- what it must not write over ----

    def test_no_file_of_the_command_is_written_over(self):
        latents_file = self.write("in.safetensors", pack(latents()))
        with open(latents_file, "rb") as f:
            before = f.read()
        for out, more in (("in.safetensors", ()), ("./in.safetensors", ()), ("x.png", ("--trace", latents_file)),
                          ("x.png", ("--trace", self.path("./x.png")))):
            process = self.decode(*more, latents_file=latents_file, out=out)
            self.assert_exit(process, 2)
            self.assertIn("choose another name", process.stderr)
            self.assertEqual(os.listdir(self.folder), ["in.safetensors"])
        with open(latents_file, "rb") as f:
            self.assertEqual(f.read(), before)

    def test_a_pipe_is_not_replaced(self):
        pipe = self.path("pipe.png")
        os.mkfifo(pipe)
        for out, more in (("pipe.png", ()), ("x.png", ("--trace", pipe))):
            process = self.decode(*more, out=out)
            self.assert_exit(process, 2)
            self.assertIn("pipe.png: is a device or pipe", process.stderr)
        self.assertTrue(stat.S_ISFIFO(os.stat(pipe).st_mode))
        self.assertFalse(os.path.exists(self.path("x.png")))

    def test_a_place_that_cannot_be_written_any_more_is_no_wrong_usage(self):
        """Exit code 4, so that a script tells a full disk from its own mistake; here the folder goes during the decode."""
        for out, more in (("sub/x.safetensors", ()), ("x.npy", ("--trace", self.path("sub/trace")))):
            os.mkdir(self.path("sub"))
            script = self.write("worker.sh", f"rmdir '{self.path('sub')}'\nexec '{BINARY}' serve --backend cpu\n")
            process = self.decode("--backend", f"exec:sh {script}", *more, out=out)
            self.assert_exit(process, 4)
            self.assertIn("cannot write beside it", process.stderr)

    def test_a_cache_that_cannot_be_used_is_no_wrong_usage(self):
        process = vaemark("decode", "--model", "taesd-mini", "--latents", self.write("z.safetensors", pack(latents())),
                          "--out", self.path("y.png"), env={"VAEMARK_CACHE": self.path("z.safetensors")})
        self.assert_exit(process, 4)
        self.assertIn("VAEMARK_CACHE", process.stderr)
        self.assertEqual(os.listdir(self.folder), ["z.safetensors"])

    # ---- tiles and slices ----

    def kl(self, **config):
        """A checkpoint's folder: the committed flux1-mini with some keys of its configuration changed."""
        source = os.path.join(SOURCE, "tests", "data", "flux1-mini")
        with open(os.path.join(source, "config.json")) as f:
            folder = os.path.dirname(self.write("kl/config.json", json.dumps({**json.load(f), **config})))
        weights = os.path.join(folder, "diffusion_pytorch_model.safetensors")
        if not os.path.exists(weights):
            os.symlink(os.path.join(source, "diffusion_pytorch_model.safetensors"), weights)
        return ("--weights", folder)

    def shape(self):
        with open(self.path("x.safetensors"), "rb") as f:
            return json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))["image"]["shape"]

    def test_tiles_have_the_frameworks_size_and_the_right_one(self):
        file = self.write("z.safetensors", pack(latents((2, 16, 5, 7))))
        model = self.kl(sample_size=40)  # five latents a tile: three apart, 30 pixels kept
        for how, size in (("--tiling", [46, 68]), ("--tiling=on", [46, 68]), ("--tiling=corrected", [40, 56]),
                          ("--tiling=off", [40, 56])):
            for more in ((), ("--slicing",), ("--fuse-qkv",)):
                with self.subTest(how=how, more=more):
                    self.assert_exit(self.decode(how, *more, model=model, latents_file=file), 0)
                    self.assertEqual(self.shape(), [2, 3, *size])

    def test_what_the_framework_cannot_tile_names_the_remedy(self):
        file = self.write("z.safetensors", pack(latents((1, 16, 9, 3))))
        for sample_size in ([64, 64], 8):
            with self.subTest(sample_size=sample_size):
                model = self.kl(sample_size=sample_size)
                refused = self.decode("--tiling", model=model, latents_file=file)
                self.assert_exit(refused, 2)
                self.assertIn("--tiling=corrected", refused.stderr)
                self.assertFalse(os.path.exists(self.path("x.safetensors")))
                self.assert_exit(self.decode("--tiling=corrected", model=model, latents_file=file), 0)
                self.assertEqual(self.shape(), [1, 3, 72, 24])
                os.remove(self.path("x.safetensors"))

    def test_tiling_is_refused_where_it_would_do_nothing(self):
        for option in ("--tiling", "--tiling=corrected", "--slicing"):
            refused = self.decode(option, model=("--model", "consistency-mini"))
            self.assert_exit(refused, 2)
            self.assertIn("ConsistencyDecoderVAE", refused.stderr)
            self.assertIn(option.lstrip("-").split("=")[0], refused.stderr)

    def test_another_way_to_tile_is_no_way(self):
        wrong = self.decode("--tiling=corected")
        self.assert_exit(wrong, 2)
        self.assertIn("did you mean corrected?", wrong.stderr)

    def test_a_trace_tells_why_a_convolution_got_its_algorithm(self):
        reasons = {}
        for precision in ("fp32", "fp32-strict"):
            trace = self.path("trace.jsonl")
            self.assert_exit(self.decode("--backend", "cpu", "--precision", precision, "--trace", trace,
                                         model=("--model", "taesd-mini")), 0)
            with open(trace) as f:
                steps = [json.loads(line) for line in f]
            reasons[precision] = {step["module"]: (step["kernel"], step["why"]) for step in steps if step["op"] == "conv2d"}
        for kernel, why in reasons["fp32"].values():
            chosen = re.search(r"winograd(\d)", kernel)
            wanted = rf"^F\({chosen[1]},3\) costs least: direct 1, F\(2,3\) \d" if chosen else "^(direct|narrow)(: | costs least)"
            self.assertRegex(why, wanted, kernel)
        self.assertTrue(any("winograd" in kernel for kernel, _ in reasons["fp32"].values()))
        self.assertFalse(any("winograd" in kernel for kernel, _ in reasons["fp32-strict"].values()))
        self.assertTrue(any("fp32-strict" in why for _, why in reasons["fp32-strict"].values()))

    # ---- fuse-QKV ----

    def trace(self, *more, model, backend):
        trace = self.path("trace.jsonl")
        process = self.decode("--backend", backend, "--trace", trace, *more, model=("--model", model))
        self.assert_exit(process, 0)
        with open(trace) as f:
            entries = [json.loads(line) for line in f]
        return [e["module"].rsplit(".", 1)[-1] for e in entries
                if e["op"] == "linear" and re.search(r"\.to_(q|k|v|qkv)$", e["module"])], process

    def test_fused_has_one_projection_in_place_of_three(self):
        for backend in ("reference", "cpu"):
            with self.subTest(backend=backend):
                plain, _ = self.trace(model="sd15-mini", backend=backend)
                fused, process = self.trace("--fuse-qkv", model="sd15-mini", backend=backend)
                self.assertEqual(sorted(plain), ["to_k", "to_q", "to_v"])
                self.assertEqual(fused, ["to_qkv"])
                self.assertIn("1 module fused", process.stderr)

    def test_no_attention_is_zero_modules(self):
        for backend in ("reference", "cpu"):
            with self.subTest(backend=backend):
                projections, process = self.trace("--fuse-qkv", model="kl-noattn-mini", backend=backend)
                self.assertEqual(projections, [])
                self.assertIn("0 modules fused", process.stderr)

    def test_refusal_names_type_and_option_and_leaves_nothing(self):
        for model, vae_type in (("taesd-mini", "AutoencoderTiny"), ("consistency-mini", "ConsistencyDecoderVAE")):
            for backend in ("reference", "cpu"):
                with self.subTest(model=model, backend=backend):
                    process = self.decode("--fuse-qkv", "--backend", backend, model=("--model", model), out="y.png")
                    self.assert_exit(process, 2)
                    self.assertIn(vae_type, process.stderr)
                    self.assertIn("fuse_qkv", process.stderr)
                    self.assertFalse(os.path.exists(self.path("y.png")))

    # ---- bad latents ----

    def test_bad_latents_are_refused(self):
        z = latents()
        raw = z["latents"][2]
        bad = {
            "missing": (pack({"other": ("F32", [1], floats(1))}), "latents"),
            "rank 3": (pack({"latents": ("F32", [4, 4, 4], raw)}), "found 4x4x4"),
            "channels": (pack({"latents": ("F32", [1, 2, 8, 4], raw)}), "found 1x2x8x4"),
            "integers": (pack({"latents": ("I32", [1, 4, 4, 4], raw)}), "I32"),
            "zero size": (pack({"latents": ("F32", [1, 4, 0, 4], b"")}), "no elements"),
            "NaN": (pack(latents(value=float("nan"))), "NaN"),
            "Inf": (pack(latents(value=float("inf"))), "infinite"),
            "truncated": (pack(z)[:-8], ""),
            "no file at all": (None, ""),
            "empty": (b"", ""),
            "text": (b"hello, world, I am not a tensor file", ""),
        }
        for what, (content, word) in bad.items():
            with self.subTest(what=what):
                file = self.write("bad.safetensors", content) if content is not None else self.path("absent.safetensors")
                process = self.decode(latents_file=file)
                self.assert_exit(process, 2)
                self.assertIn(os.path.basename(file), process.stderr)
                self.assertIn(word, process.stderr)
                self.assertFalse(os.path.exists(self.path("x.safetensors")))

    def test_nan_decodes_when_allowed(self):
        file = self.write("nan.safetensors", pack(latents(value=float("nan"))))
        self.assert_exit(self.decode("--allow-nonfinite", latents_file=file), 0)

    # ---- bad checkpoints ----

    def checkpoint(self, config, weights):
        if config is not None:
            self.write("model/config.json", config)
        if weights is not None:
            self.write("model/diffusion_pytorch_model.safetensors", weights)
        os.makedirs(self.path("model"), exist_ok=True)
        return ("--weights", self.path("model"))

    def test_bad_checkpoints_are_refused(self):
        good = json.dumps(KL)
        some = pack({"decoder.conv_in.weight": ("F32", [1], floats(1))})
        header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[%s]}}'
        bad = {
            "no config.json": (None, some, "config.json"),
            "no weights": (good, None, "safetensors"),
            "no _class_name": (json.dumps({**KL, "_class_name": None}), some, "_class_name"),
            "unknown class": (json.dumps({**KL, "_class_name": "AutoencoderKI"}), some, "AutoencoderKL"),
            "wrong type": (json.dumps({**KL, "latent_channels": "four"}), some, "latent_channels"),
            "absurd size": (json.dumps({**KL, "block_out_channels": [10 ** 12]}), some, "block_out_channels"),
            "negative": (json.dumps({**KL, "layers_per_block": -3}), some, "layers_per_block"),
            "groups": (json.dumps({**KL, "norm_num_groups": 7}), some, "norm_num_groups"),
            "deep JSON": ("[" * 100000, some, "config.json"),
            "rubbish JSON": ("{nonsense", some, "config.json"),
            "missing tensor": (good, some, "decoder."),
            "header of 2^63": (good, struct.pack("<Q", 1 << 63) + b"{}", "model.safetensors"),
            "deep header": (good, struct.pack("<Q", 100000) + b"[" * 100000, "model.safetensors"),
            "negative offsets": (good, self.with_header(header % b"-4,0", 4), "a"),
            "overrunning": (good, self.with_header(header % b"0,400", 4), "a"),
            "unknown dtype": (good, self.with_header(b'{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}', 4), "F31"),
            "overlapping": (good, self.with_header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                                                   b'"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 8), "b"),
            "duplicate": (good, self.with_header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
                                                 b'"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}', 8), "a"),
        }
        for what, (config, weights, word) in bad.items():
            with self.subTest(what=what):
                self.setUp()
                process = self.decode(model=self.checkpoint(config, weights), out="x.png")
                self.assert_exit(process, 2)
                self.assertIn(word, process.stderr)
                self.assertFalse(os.path.exists(self.path("x.png")))

    @staticmethod
    def with_header(text, data_bytes):
        return struct.pack("<Q", len(text)) + text + b"\0" * data_bytes

    # ---- the command line ----

    def test_wrong_command_lines_say_what_to_do(self):
        wrong = {
            ("--fuse-qvk",): "--fuse-qkv",
            ("--backend", "cpuu"): "cpu",
            ("--precision", "fp31"): "fp32",
            ("--threads", "many"): "threads",
            ("--option", "nonsense=1"): "nonsense",
            ("--model", "sd15-mino"): "sd15-mini",
        }
        for more, word in wrong.items():
            with self.subTest(more=more):
                process = self.decode(*more)
                self.assert_exit(process, 2)
                self.assertIn(word, process.stderr)

    def test_bad_places_for_the_image_are_refused(self):
        for out, word in (("x.jpeg", ".png"), ("absent/folder/x.png", "absent"), (".", "folder")):
            with self.subTest(out=out):
                process = self.decode(out=out)
                self.assert_exit(process, 2)
                self.assertIn(word, process.stderr)

    def test_an_existing_file_survives_a_failed_decode(self):
        kept = self.write("x.safetensors", "precious")
        self.assert_exit(self.decode("--fuse-qkv"), 2)
        self.assert_exit(self.decode(latents_file=self.write("bad", b"rubbish")), 2)
        with open(kept) as f:
            self.assertEqual(f.read(), "precious")
        self.assertEqual(sorted(os.listdir(self.folder)), ["bad", "x.safetensors", "z.safetensors"])

    def test_help_is_no_error(self):
        for command in ("run", "list", "show", "decode", "report", "serve"):
            process = vaemark(command, "--help")
            self.assert_exit(process, 0)
            self.assertIn("Usage: vaemark " + command, process.stdout)


if __name__ == "__main__":
    unittest.main()
