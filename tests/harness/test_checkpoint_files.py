"""Checkpoints as files and folders: what is found, what is passed over and said, what is refused and how."""
import json
import os
import shutil
import unittest

from support_checkpoints import golden, save, save_shards, to_ldm, to_taesd
from support_cli import SOURCE, CommandLine, floats, latents, pack, vaemark

STANDARD = "diffusion_pytorch_model.safetensors"
SUITE = ("suite: s\ndescription: d\nversion: 1\ndecoders: [cpu]\ntimeout_s: 60\nmeasure: {launches: 1, warmups: 1, "
         "min_samples: 2, max_samples: 2, budget_s: 0.05, min_sample_ms: 1, ring: 2}\ncases:\n"
         "  - {models: [taesd-mini], latents: ['4x4'], options: [plain], min_psnr_db: 90}\n")


def config_of(model, **changes):
    with open(os.path.join(SOURCE, "models", model, "config.json"), encoding="utf-8") as f:
        return {**json.load(f), **changes}


class Files(CommandLine):
    def setUp(self):
        super().setUp()
        self.tensors = golden("taesd-mini")
        self.latents = self.write("z.safetensors", pack(latents()))

    def decode(self, *where):
        return vaemark("decode", *where, "--latents", self.latents, "--out", self.path("x.npy"), "--threads", 1)

    def make(self, name, files=(), config=None):
        """A folder with the configuration and copies of the checkpoint under these names."""
        folder = self.path(name)
        os.makedirs(folder, exist_ok=True)
        if config != {}:
            self.write(f"{name}/config.json", json.dumps(config or config_of("taesd-mini")))
        for file in files:
            os.makedirs(os.path.dirname(os.path.join(folder, file)), exist_ok=True)
            save(os.path.join(folder, file), self.tensors)
        return folder

    def expect_decoded(self, *where, told=()):
        process = self.decode(*where)
        self.assert_exit(process, 0)
        with open(self.path("x.npy"), "rb") as f:
            picture = f.read()
        if not hasattr(self, "picture"):
            self.picture = picture
        self.assertEqual(picture, self.picture)
        for words in told:
            self.assertIn(words, process.stderr)

    def expect_refused(self, *where, told=()):
        process = self.decode(*where)
        self.assert_exit(process, 2)
        for words in told:
            self.assertIn(words, process.stderr)

    # ---- what is found ----

    def test_weights_that_no_case_uses_are_refused(self):
        """Else the run would pass with other weights than its user believes."""
        for command in (("run", "--out", self.path("run.h5")), ("list", "cases"), ("oracle", "list")):
            process = vaemark(*command, "--suite", self.suite(SUITE), "--weights", "taesd-nini=nowhere")
            self.assert_exit(process, 2)
            self.assertIn("no model 'taesd-nini'; did you mean 'taesd-mini'?", process.stderr)
        self.assertFalse(os.path.exists(self.path("run.h5")))

    def test_files_and_folders(self):
        self.expect_decoded("--weights", self.make("plain", [STANDARD]), told=[f"{STANDARD} (diffusers names)"])
        self.expect_decoded("--model", "taesd-mini", "--weights", self.path("plain/" + STANDARD))
        self.expect_decoded("--weights", self.path("plain/" + STANDARD), told=["config.json beside the file is taken"])
        self.expect_decoded("--weights", self.make("one", ["vae-ft.safetensors"]))
        half = "diffusion_pytorch_model.fp16.safetensors"
        self.expect_decoded("--weights", self.make("fp16", [half]), told=[half])
        self.expect_decoded("--weights", self.make("both", [STANDARD, half]), told=[f"not {half}"])
        self.expect_decoded("--weights", self.make("own", ["x.safetensors", "x.fp16.safetensors"]),
                            told=["x.safetensors is taken, not x.fp16.safetensors"])
        self.expect_decoded("--weights", self.make("latents", [STANDARD, "portrait.safetensors"]))
        self.expect_decoded("--model", "taesd-mini", "--weights", self.make("bare", [STANDARD], config={}))

    def test_a_pipelines_folder(self):
        folder = self.make("pipeline/vae", [STANDARD])
        self.expect_decoded("--weights", os.path.dirname(folder), told=["its vae/ is taken"])
        self.write("pipeline/model_index.json", "{}")
        self.write("pipeline/config.json", json.dumps({"_class_name": "UNet2DConditionModel"}))
        self.expect_decoded("--weights", os.path.dirname(folder), told=["its vae/ is taken"])
        self.write("novae/model_index.json", "{}")
        self.expect_refused("--weights", self.path("novae"), told=["without vae/config.json"])

    def test_shards(self):
        self.expect_decoded("--weights", self.make("plain", [STANDARD]))
        folder = self.make("shards")
        index = save_shards(folder, self.tensors)
        told = ["diffusion_pytorch_model.safetensors.index.json (diffusers names, 3 shards)"]
        self.expect_decoded("--weights", folder, told=told)
        self.expect_decoded("--weights", index, told=told)
        self.expect_decoded("--model", "taesd-mini", "--weights", index, told=told)
        foreign = save_shards(self.make("foreign", config={}), to_taesd(self.tensors, "vae.decoder."), stem="taesd")
        self.expect_decoded("--model", "taesd-mini", "--weights", foreign,
                            told=["taesd.safetensors.index.json (original TAESD names, prefix vae., 3 shards)"])
        os.remove(os.path.join(folder, "diffusion_pytorch_model-00002-of-00003.safetensors"))
        self.expect_refused("--weights", folder, told=["names the shard 'diffusion_pytorch_model-00002-of-00003"])
        os.remove(index)
        self.expect_refused("--weights", folder, told=["no index of them"])

    def test_the_digest_covers_every_shard(self):
        suite, facts = self.suite(SUITE), []
        index = save_shards(self.make("shards"), self.tensors)
        shard = index.replace(".safetensors.index.json", "-00001-of-00003.safetensors")
        for i in range(3):
            if i == 2:  # one bit of the encoder, or whatever lies last
                with open(shard, "r+b") as f:
                    f.seek(-4, os.SEEK_END)
                    byte = f.read(1)
                    f.seek(-4, os.SEEK_END)
                    f.write(bytes([byte[0] ^ 1]))
            out = self.path(f"{i}.h5")
            self.assert_exit(vaemark("run", "--suite", suite, "--weights", f"taesd-mini={index}", "--out", out), 0)
            facts.append(self.record(out)["models"][0])
        self.assertEqual(facts[0]["weights_sha256"], facts[1]["weights_sha256"])
        self.assertNotEqual(facts[0]["weights_sha256"], facts[2]["weights_sha256"])
        folder = os.path.dirname(index)
        size = sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder) if n != "config.json")
        self.assertEqual(facts[0]["weights_file_bytes"], size)

    # ---- what is refused ----

    def test_ambiguous_and_foreign_folders(self):
        two = self.make("two", ["a.safetensors", "b.safetensors"])
        self.expect_refused("--weights", two, told=["a.safetensors, b.safetensors", f"--weights {two}/a.safetensors"])
        self.expect_decoded("--weights", two + "/a.safetensors")
        both = self.make("single-and-shards", [STANDARD])
        save_shards(both, self.tensors)
        self.expect_refused("--weights", both, told=[STANDARD + ", " + STANDARD + ".index.json"])
        pickle = self.make("pickle")
        self.write("pickle/diffusion_pytorch_model.bin", b"\x80\x02}q\x00.")
        self.expect_refused("--weights", pickle, told=["diffusion_pytorch_model.bin", "python3 -c", "torch.load"])
        self.expect_refused("--weights", pickle + "/diffusion_pytorch_model.bin", told=["Python pickle", "torch.load"])
        self.expect_refused("--weights", self.make("nothing"), told=["no other *.safetensors"])
        self.expect_refused("--weights", self.path("nowhere"), told=["no such folder or file"])
        bare = self.make("bare", ["x.safetensors"], config={})
        self.expect_refused("--weights", bare, told=["no config.json", "--model NAME"])
        self.expect_refused("--weights", bare + "/x.safetensors", told=["--model NAME --weights FILE"])

    def test_configurations_of_something_else(self):
        for config, words in (({"_class_name": "UNet2DConditionModel"}, "a diffusion UNet, not a VAE"),
                              ({"_class_name": "FluxTransformer2DModel"}, "a diffusion transformer"),
                              ({"_class_name": "AutoencoderKl"}, "did you mean AutoencoderKL?"),
                              ({"model_type": "clip_text_model"}, "transformers model")):
            folder = self.make("other", [STANDARD], config=config)
            self.expect_refused("--weights", folder, told=[words, "other/config.json"])

    def test_run_refuses_likewise(self):
        lfs = self.write("lfs.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
        process = vaemark("run", "--suite", self.suite(SUITE), "--weights", f"taesd-mini={lfs}", "--out",
                          self.path("r.h5"))
        self.assert_exit(process, 2)
        self.assertIn("git lfs pull", process.stderr)

    def test_the_trained_original(self):
        file = os.path.join(SOURCE, "..", "shared", "weights", "taef2", "taef2_decoder.safetensors")
        if not os.path.exists(file):
            self.skipTest("the shared folder with the original file is not here")
        z = self.write("z32.safetensors", pack(latents((1, 32, 4, 4), 0.25)))
        pictures = []
        for where in ((), ("--weights", file)):
            out = self.path("p.npy")
            process = vaemark("decode", "--model", "taef2", *where, "--latents", z, "--out", out, "--threads", 1)
            self.assert_exit(process, 0)
            with open(out, "rb") as f:
                pictures.append(f.read())
        self.assertEqual(*pictures)
        encoder = file.replace("decoder", "encoder")
        self.expect_refused("--model", "taef2", "--weights", encoder, told=["holds an encoder (it has '0.weight')"])


class Contradictions(CommandLine):
    """The configuration says one thing, the tensors another: both are named."""

    def expect_refused(self, model, tensors, told, **changes):
        folder = self.path("vae")
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        config = config_of(model, **changes)
        self.write("vae/config.json", json.dumps(config))
        save(os.path.join(folder, STANDARD), tensors)
        z = self.write("z.safetensors", pack(latents((1, config["latent_channels"], 4, 4))))
        process = vaemark("decode", "--weights", folder, "--latents", z, "--out", self.path("x.npy"))
        self.assert_exit(process, 2)
        for words in told:
            self.assertIn(words, process.stderr, f"{changes}")

    def test_kl_says_less_than_there_is(self):
        tensors = golden("flux1-mini")
        post_quant = {"post_quant_conv.weight": ("F32", [16, 16, 1, 1], floats(256)),
                      "post_quant_conv.bias": ("F32", [16], floats(16))}
        no_place = "the configuration has no place for it"
        self.expect_refused("flux1-mini", {**tensors, **post_quant},
                            ["'post_quant_conv.", no_place, '"use_post_quant_conv" is false'])
        self.expect_refused("flux1-mini", to_ldm({**tensors, **post_quant}, "vae."),
                            ["stored as 'vae.post_quant_conv.", '"use_post_quant_conv" is false'])
        self.expect_refused("flux1-mini", tensors, ["'decoder.mid_block.attentions.0.", no_place,
                                                    '"mid_block_add_attention" is false'],
                            mid_block_add_attention=False)
        self.expect_refused("flux1-mini", tensors, ["resnets.1.", no_place, '"layers_per_block" is 0'],
                            layers_per_block=0)
        more = {**tensors, "decoder.up_blocks.4.resnets.0.conv1.weight": ("F32", [2], floats(2))}
        self.expect_refused("flux1-mini", more, ["'decoder.up_blocks.4.", no_place, '"block_out_channels" is ['])
        more = {**tensors, "decoder.condition_encoder.layers.0.weight": ("F32", [2], floats(2))}
        self.expect_refused("flux1-mini", more, ["condition_encoder", no_place, '"_class_name" is "AutoencoderKL"'])

    def test_kl_says_more_than_there_is(self):
        tensors = golden("flux1-mini")
        self.expect_refused("flux1-mini", tensors, ["'post_quant_conv.weight'", "is missing",
                                                    '"use_post_quant_conv" is true'], use_post_quant_conv=True)
        self.expect_refused("kl-noattn-mini", golden("kl-noattn-mini"),
                            ["attentions.0", "is missing", '"mid_block_add_attention" is true'],
                            mid_block_add_attention=True)
        layers = config_of("flux1-mini")["layers_per_block"] + 1
        self.expect_refused("flux1-mini", tensors, [f"resnets.{layers}.", "is missing", f'"layers_per_block" is {layers}'],
                            layers_per_block=layers)
        partly = {n: t for n, t in tensors.items() if ".to_k." not in n}
        self.expect_refused("flux1-mini", partly, ["to_k.", "is missing"])

    def test_shapes(self):
        self.expect_refused("flux1-mini", golden("flux1-mini"), ["'decoder.conv_in.weight'", '"latent_channels" is 4'],
                            latent_channels=4)
        widths = config_of("flux1-mini")["block_out_channels"]
        self.expect_refused("flux1-mini", golden("flux1-mini"), ["has shape", '"block_out_channels" is ['],
                            block_out_channels=[2 * w for w in widths])
        self.expect_refused("flux1-mini", golden("flux1-mini"), ["'decoder.conv_out", '"out_channels" is 4'],
                            out_channels=4)

    def test_tiny_and_consistency(self):
        tiny = golden("taesd-mini")
        blocks = config_of("taesd-mini")["num_decoder_blocks"]
        self.expect_refused("taesd-mini", tiny, ['"num_decoder_blocks" is ['], num_decoder_blocks=[b + 1 for b in blocks])
        self.expect_refused("taesd-mini", to_taesd(tiny), ['"num_decoder_blocks" is ['],
                            num_decoder_blocks=[b + 1 for b in blocks])
        last = {**tiny, "decoder.layers.99.weight": ("F32", [2], floats(2))}
        self.expect_refused("taesd-mini", last, ["'decoder.layers.99.weight'", "no place for it"])
        consistency = golden("consistency-mini")
        self.expect_refused("consistency-mini", consistency, ["decoder_unet.", '"decoder_layers_per_block" is 1'],
                            decoder_layers_per_block=1)
        self.expect_refused("consistency-mini", consistency, ["decoder_unet.", '"decoder_layers_per_block" is 3'],
                            decoder_layers_per_block=3)

    def test_weights_of_another_type(self):
        self.expect_refused("flux1-mini", golden("taesd-mini"), ["holds the weights of AutoencoderTiny",
                                                                 "says AutoencoderKL"])
        self.expect_refused("taesd-mini", to_ldm(golden("flux1-mini"), "first_stage_model."),
                            ["holds the weights of AutoencoderKL", "'first_stage_model.decoder.mid.block_1"])
        self.expect_refused("flux1-mini", to_taesd(golden("taesd-mini")), ["holds the weights of AutoencoderTiny"])


if __name__ == "__main__":
    unittest.main()
