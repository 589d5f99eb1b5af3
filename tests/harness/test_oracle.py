"""`vaemark oracle` and what `run` makes of the store: kept, damaged, foreign, full, and used by several at once."""
import glob
import hashlib
import json
import os
import resource
import struct
import subprocess
import unittest

from support_cli import BINARY, SOURCE, CommandLine, pack, vaemark

SUITE = """suite: tiny
description: two models with weights of their own, so that a cache is needed for oracles alone
version: 1
decoders: [cpu]
timeout_s: 60
measure: {launches: 1, warmups: 2, min_samples: 2, max_samples: 2, budget_s: 0.01, min_sample_ms: 1, ring: 2}
cases:
  - models: [taesd-mini, kl-noattn-mini]
    latents: ["4x4"]
    options: [plain, fuse_qkv]
    min_psnr_db: 90
"""
WEIGHTS = [word for name in ("taesd-mini", "kl-noattn-mini")
           for word in ("--weights", f"{name}={SOURCE}/tests/data/{name}")]
TIMES = ("_ns", "_s", "throughput", "achieved", "rss", "latency", "repro")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def unpack(raw):
    """Header and data of a safetensors file."""
    length, = struct.unpack("<Q", raw[:8])
    return json.loads(raw[8:8 + length]), raw[8 + length:]


def repack(header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


class Oracle(CommandLine):
    def setUp(self):
        super().setUp()
        self.env = {"VAEMARK_CACHE": self.path("cache")}
        self.suite_path = self.suite(SUITE)

    def oracle(self, verb, *arguments, env=None, **kwargs):
        selects = verb in ("build", "export") or "--recompute" in arguments
        selection = ["--suite", self.suite_path, *WEIGHTS] if selects else []
        return vaemark("oracle", verb, *selection, *arguments, env={**self.env, **(env or {})}, **kwargs)

    def run_suite(self, *arguments, env=None, out="run.h5", **kwargs):
        return vaemark("run", "--suite", self.suite_path, *WEIGHTS, "--out", self.path(out), *arguments,
                       env={**self.env, **(env or {})}, **kwargs)

    def build(self):
        process = self.oracle("build")
        self.assert_exit(process, 0)
        return process

    def entries(self, folder="cache"):
        return sorted(glob.glob(self.path(f"{folder}/oracles/") + "?" * 64 + ".safetensors"))

    def listed(self, *arguments):
        process = self.oracle("list", "--json", *arguments)
        self.assert_exit(process, 0)
        return json.loads(process.stdout)["oracles"]

    def sources(self, out="run.h5"):
        return {row["source"] for row in self.record(self.path(out))["oracle"]}

    def damage(self, path, at=-5):
        raw = bytearray(read(path))
        raw[at] ^= 1
        with open(path, "wb") as f:
            f.write(raw)

    def test_help_and_slips(self):
        for verb in ("list", "build", "verify", "export", "import"):
            process = vaemark("oracle", verb, "--help")
            self.assert_exit(process, 0)
            self.assertIn("Examples:", process.stdout)
            self.assertIn("Exit codes:", process.stdout)
        for words, said in ((["lits"], "did you mean 'list'"), ([], "oracle what?"), (["list", "x"], "--suite x"),
                            (["build", "x"], "--suite x"), (["import"], "wants a file"), (["export"], "--out FILE"),
                            (["verify", "--siute", "x"], "oracle verify --help"),
                            (["verify", "--suite", "smoke"], "--recompute")):
            process = vaemark("oracle", *words, env=self.env)
            self.assert_exit(process, 2)
            self.assertIn(said, process.stderr)

    def test_an_empty_store(self):
        self.assertEqual(self.listed(), [])
        self.assertIn("0 oracles", self.oracle("list").stdout)
        self.assert_exit(self.oracle("verify"), 0)
        missing = self.listed("--suite", self.suite_path, *WEIGHTS)
        self.assertEqual([row["state"] for row in missing], ["missing"] * 4)
        process = self.oracle("export", "--out", self.path("all.safetensors"))
        self.assert_exit(process, 2)
        self.assertIn("4 of 4 oracles of suite tiny", process.stderr)
        self.assertIn(f"'vaemark oracle build --suite {self.suite_path} --weights", process.stderr)
        self.assertFalse(os.path.exists(self.path("all.safetensors")))

    def test_build_list_verify(self):
        self.assertIn("4 were computed", self.build().stdout)
        self.assertIn("4 were there, 0 were computed", self.build().stdout)
        rows = self.listed("--suite", self.suite_path, *WEIGHTS)
        self.assertEqual({row["state"] for row in rows}, {"present"})
        self.assertEqual(len({row["key"] for row in rows}), 4)
        self.assertEqual([row["key"] for row in self.listed()], sorted(row["key"] for row in rows))
        for row in rows:
            self.assertEqual(row["key"], hashlib.sha256(row["recipe"].encode()).hexdigest())
        other = self.listed("--suite", self.suite_path, *WEIGHTS, "--seed", "1")
        self.assertEqual({row["state"] for row in other}, {"missing"}, "other latents, other oracles")
        process = self.oracle("verify", "--recompute", "--threads", "1")
        self.assert_exit(process, 0)
        self.assertEqual(process.stderr.count("equal"), 4, process.stderr)

    def test_a_tiled_decode_has_an_oracle_of_its_own(self):
        """Slicing and fuse-QKV do not change what is right; tiling does."""
        self.suite_path = self.suite(SUITE.replace("[plain, fuse_qkv]", "[plain, slicing, tiling, tiling=corrected]"))
        only = ("--case", "kl-noattn-mini/*")
        self.assertIn("6 oracles", self.oracle("build", *only).stdout)
        rows = self.listed("--suite", self.suite_path, *WEIGHTS, *only)
        self.assertEqual([row["tiling"] for row in rows], ["off"] * 2 + ["on"] * 2 + ["corrected"] * 2)
        self.assert_exit(self.run_suite(*only), 0)
        self.assertEqual(self.sources(), {"store"})
        keys = {row["case_id"].split("/")[3]: row["key"] for row in self.record(self.path("run.h5"))["oracle"]}
        self.assertEqual(keys["plain"], keys["slicing"])
        self.assertEqual(len(set(keys.values())), 3)

    def test_a_case_that_cannot_be_tiled_wants_no_oracle(self):
        self.suite_path = self.suite(SUITE.replace("[plain, fuse_qkv]", "[plain, tiling]").replace("4x4", "12x12"))
        folder = f"{SOURCE}/tests/data/kl-noattn-mini"
        config = json.loads(read(f"{folder}/config.json"))
        config["sample_size"] = [64, 64]  # with which the framework stops
        self.write("vae/config.json", json.dumps(config))
        self.write("vae/diffusion_pytorch_model.safetensors", read(f"{folder}/diffusion_pytorch_model.safetensors"))
        process = self.oracle("build", "--case", "kl-noattn-mini/*", "--weights", f"kl-noattn-mini={self.path('vae')}")
        self.assert_exit(process, 0)
        self.assertIn("2 oracles", process.stdout)

    def test_verify_finds_images_that_the_reference_would_not_make(self):
        """A forger who knows the format can sign anything; only computing again tells."""
        self.build()
        path = self.entries()[0]
        self.forge(path, lambda label: None, lambda data: data[:-4] + struct.pack("<f", 0.25))
        self.assert_exit(self.oracle("verify"), 0)
        process = self.oracle("verify", "--recompute")
        self.assert_exit(process, 1)
        self.assertIn("not what the reference says", process.stderr)

    def test_a_run_from_the_store_equals_one_that_computes(self):
        self.assert_exit(self.run_suite("--no-oracle-store", out="a.h5"), 0)
        self.assertEqual(self.entries(), [])
        self.assert_exit(self.run_suite(out="b.h5"), 0)
        self.assertEqual(len(self.entries()), 4)
        self.assert_exit(self.run_suite(out="c.h5"), 0)
        self.assertEqual([self.sources(f"{name}.h5") for name in "abc"],
                         [{"computed in this run"}, {"computed in this run"}, {"store"}])
        records = [self.record(self.path(f"{name}.h5")) for name in "abc"]
        for table in ("cases", "checks", "oracle"):
            kept = [[{k: v for k, v in row.items() if k != "source" and not any(t in k for t in TIMES)}
                     for row in record[table]] for record in records]
            self.assertEqual(kept[0], kept[1])
            self.assertEqual(kept[0], kept[2])
            self.assertGreater(len(kept[0]), 2)

    def test_a_damaged_entry_is_found_said_and_computed_anew(self):
        self.build()
        kept = {path: read(path) for path in self.entries()}
        for path in kept:
            self.damage(path)
        process = self.oracle("verify")
        self.assert_exit(process, 1)
        self.assertEqual(process.stdout.count("damaged: "), 4)
        self.assert_exit(self.oracle("export", "--out", self.path("all.safetensors")), 2)
        process = self.run_suite()
        self.assert_exit(process, 0)
        self.assertEqual(self.sources(), {"computed in this run"})
        for path, raw in kept.items():
            key = os.path.basename(path)[:12]
            lines = [line for line in process.stderr.splitlines() if f"oracle {key} (" in line]
            self.assertEqual(len(lines), 1, process.stderr)
            self.assertIn("computed anew", lines[0])
            self.assertTrue(os.path.exists(path + ".damaged"))
            self.assertEqual(unpack(read(path))[1], unpack(raw)[1], "the same images again")
        self.assert_exit(self.oracle("verify"), 0)

    def test_anything_may_have_an_entrys_name(self):
        self.build()
        empty, foreign, cut, folder = self.entries()
        open(empty, "w").close()
        with open(foreign, "wb") as f:
            f.write(pack({"latents": ("F32", [1], b"\0\0\0\0")}))
        os.truncate(cut, os.path.getsize(cut) // 2)
        os.remove(folder)
        os.mkdir(folder)
        rows = {row["key"]: row["state"] for row in self.listed()}
        self.assertEqual(rows[os.path.basename(cut)[:64]], "damaged")
        self.assertEqual(set(rows.values()), {"damaged"})
        process = self.oracle("verify", "--repair")
        self.assert_exit(process, 0)
        self.assertEqual(self.entries(), [])
        self.assertIn("4 were computed", self.build().stdout)
        self.assert_exit(self.oracle("verify"), 0)

    def test_several_at_once(self):
        command = [BINARY, "oracle", "build", "--suite", self.suite_path, *WEIGHTS]
        several = [subprocess.Popen(command, env={**os.environ, **self.env}, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE, text=True) for _ in range(3)]
        while any(process.poll() is None for process in several):
            self.assert_exit(self.oracle("verify"), 0)  # a half-written entry would be damaged
        for process in several:
            self.assertEqual(process.returncode, 0, process.communicate()[1])
            process.stderr.close()
        self.assertEqual(len(self.entries()), 4)
        self.assertEqual(len(os.listdir(self.path("cache/oracles"))), 4, "nothing is left behind")
        self.assert_exit(self.oracle("verify"), 0)

    def test_a_cache_that_cannot_be_written(self):
        file = self.write("file", "x")
        for cache in (file, "/proc/absent"):
            env = {"VAEMARK_CACHE": cache}
            process = self.run_suite(env=env)
            self.assert_exit(process, 0)
            self.assertEqual(process.stderr.count("oracles cannot be kept"), 1, process.stderr)
            self.assertIn("VAEMARK_CACHE", process.stderr)
            self.assertEqual(self.sources(), {"computed in this run"})
            for verb in ("build", "list", "verify"):
                process = self.oracle(verb, env=env)
                self.assert_exit(process, 4)
                self.assertIn("VAEMARK_CACHE", process.stderr)

    def test_a_disk_that_is_full(self):
        """Files may not grow beyond a limit that is enough for anything but an entry of 2.3 MiB."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_200_000, 2_200_000))
        self.suite_path = self.suite(SUITE.replace("4x4", "32x32"))
        only = ("--case", "taesd-mini/*/plain/*")
        process = self.run_suite(*only, preexec_fn=limit)
        self.assert_exit(process, 0)
        self.assertEqual(process.stderr.count("oracles cannot be kept"), 1, process.stderr)
        process = self.oracle("build", *only, preexec_fn=limit)
        self.assert_exit(process, 4)
        self.assertIn("oracles cannot be kept", process.stderr)
        self.assertEqual(os.listdir(self.path("cache/oracles")), [], "no half entry")
        self.assert_exit(self.oracle("build", *only), 0)

    # ---- Export and import ----

    def export(self):
        self.build()
        out = self.path("all.safetensors")
        self.assert_exit(self.oracle("export", "--out", out), 0)
        return out

    def forge(self, path, change_label, change_data=lambda data: data):
        """Changes a file's first entry and signs it anew, as another version of the program might have."""
        header, data = unpack(read(path))
        data = change_data(data)
        texts = header["__metadata__"]
        key = next(k for k in texts if len(k) == 64)
        label = json.loads(texts.pop(key))
        change_label(label)
        new_key = hashlib.sha256(label["recipe"].encode()).hexdigest()
        digest = hashlib.sha256(new_key.encode() + b"\0")
        for name in ("recipe", "model", "shape", "latents", "tiling", "made_by", "made_at"):
            digest.update(label[name].encode() + b"\0")
        for precision in ("fp32", "fp64"):
            tensor = header.pop(f"{key}/{precision}")
            shape = "x".join(map(str, tensor["shape"]))
            digest.update(f"{tensor['dtype']} {shape}".encode() + b"\0")
            digest.update(data[slice(*tensor["data_offsets"])])
            header[f"{new_key}/{precision}"] = tensor
        label["sha256"] = digest.hexdigest()
        texts[new_key] = json.dumps(label)
        with open(path, "wb") as f:
            f.write(repack(header, data))

    def test_oracles_travel(self):
        out = self.export()
        there = {"VAEMARK_CACHE": self.path("elsewhere")}
        process = self.oracle("import", out, env=there)
        self.assert_exit(process, 0)
        self.assertIn("4 oracles read, 4 added", process.stdout)
        self.assertIn("0 added, 4 were there", self.oracle("import", out, env=there).stdout)
        for a, b in zip(self.entries(), self.entries("elsewhere")):
            self.assertEqual(read(a), read(b))
        self.assert_exit(self.run_suite(env=there), 0)
        self.assertEqual(self.sources(), {"store"})
        one = self.entries()[0]
        self.assertIn("1 oracles read, 1 added",
                      self.oracle("import", one, env={"VAEMARK_CACHE": self.path("third")}).stdout,
                      "an entry of a store is such a file, too")

    def test_import_puts_damaged_entries_right(self):
        out = self.export()
        self.damage(self.entries()[0])
        self.assertIn("1 added, 3 were there", self.oracle("import", out).stdout)
        self.assert_exit(self.oracle("verify"), 0)

    def test_import_believes_nothing(self):
        out = self.export()
        whole = read(out)
        header, data = unpack(whole)
        texts = header["__metadata__"]
        label = next(k for k in texts if len(k) == 64)
        bad = {
            "nothing": b"",
            "garbage": b"\xff" * 4096,
            "other weights": pack({"latents": ("F32", [1], b"\0\0\0\0")}),
            "cut": whole[:len(whole) // 2],
            "longer": whole + b"\0",
            "one image changed": whole[:-1] + bytes([whole[-1] ^ 1]),
            "other version": repack({**header, "__metadata__": {**texts, "version": "2"}}, data),
            "strange text": repack({**header, "__metadata__": {**texts, "x": "y"}}, data),
            "no label": repack({**header, "__metadata__": {k: v for k, v in texts.items() if k != label}}, data),
            "no oracle": repack({"__metadata__": {"format": "vaemark-oracles", "version": "1"}}, b""),
            "label not an object": repack({**header, "__metadata__": {**texts, label: "[]"}}, data),
            "more in a label than is signed": repack({**header, "__metadata__": {
                **texts, label: json.dumps({**json.loads(texts[label]), "x": "y"})}}, data),
            "long label": repack({**header, "__metadata__": {
                **texts, label: json.dumps({**json.loads(texts[label]), "model": "m" * 5000})}}, data),
        }
        there = {"VAEMARK_CACHE": self.path("elsewhere")}
        for name, content in bad.items():
            with self.subTest(name):
                path = self.write("bad.safetensors", content)
                process = self.oracle("import", path, env=there)
                self.assert_exit(process, 2)
                self.assertIn("bad.safetensors", process.stderr)
                self.assertEqual(self.entries("elsewhere"), [], "all or nothing")
        self.assert_exit(self.oracle("import", self.path("absent"), env=there), 2)

    def test_import_refuses_another_reference(self):
        out = self.export()
        self.forge(out, lambda label: None)
        self.assertIn("4 were there", self.oracle("import", out).stdout, "the test signs as the program does")

        def age(label):
            label["recipe"] = label["recipe"].replace("reference 1,", "reference 0,")
        self.forge(out, age)
        process = self.oracle("import", out, env={"VAEMARK_CACHE": self.path("elsewhere")})
        self.assert_exit(process, 2)
        self.assertIn("another version of the reference", process.stderr)
        self.assertEqual(self.entries("elsewhere"), [])

    def test_entries_of_another_reference_are_named_and_left_alone(self):
        self.build()
        path = self.entries()[0]

        def age(label):
            label["recipe"] = label["recipe"].replace("reference 1,", "reference 0,")
        self.forge(path, age)
        key = next(k for k in unpack(read(path))[0]["__metadata__"] if len(k) == 64)
        os.rename(path, self.path(f"cache/oracles/{key}.safetensors"))
        self.assertEqual({row["key"]: row["state"] for row in self.listed()}[key], "other version")
        process = self.oracle("verify")
        self.assert_exit(process, 0)
        self.assertIn("1 of them were made by another version", process.stdout)
        self.assertIn("3 were there, 1 were computed", self.build().stdout)

    def test_export_says_when_it_cannot_write(self):
        self.build()
        process = self.oracle("export", "--out", "/proc/absent/all.safetensors")
        self.assert_exit(process, 4)
        self.assertIn("/proc/absent", process.stderr)


if __name__ == "__main__":
    unittest.main()
