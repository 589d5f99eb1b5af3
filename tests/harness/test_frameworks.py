"""The frameworks' adapter: what it says without a framework, that a broken one costs its case only, and, where there is the
virtual environment of scripts/setup-frameworks.sh, that it decodes as the framework did when the goldens were made."""

import array
import json
import os
import struct
import sys
import unittest

import test_protocol
from support_cli import SOURCE, CommandLine, vaemark

ADAPTERS = os.path.join(SOURCE, "scripts", "adapters")
WORKER = os.path.join(ADAPTERS, "frameworks_worker.py")
FAULTY = os.path.join(SOURCE, "tests", "harness", "support_frameworks.py")
sys.dont_write_bytecode = True
sys.path.insert(0, ADAPTERS)

import environment  # noqa: E402

VENV = next((folder for folder in environment.candidates() if os.access(os.path.join(folder, "bin", "python"), os.X_OK)), None)
NO_VENV = "no virtual environment of the frameworks; ./scripts/setup-frameworks.sh makes it"
SUITE = """suite: two
description: a model that goes wrong, and one that does not
version: 1
decoders: [cpu]
timeout_s: {timeout}
measure: {{launches: 1, warmups: 2, min_samples: 3, max_samples: 3, budget_s: 0.05, min_sample_ms: 1, ring: 3}}
cases:
  - models: [taesd-mini, kl-noattn-mini]
    latents: ["4x4"]
    min_psnr_db: 90
"""


def exec_decoder(*words):
    return "exec:'" + " ".join(f'"{word}"' for word in words) + "',name=other"


def read_tensors(path):
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    return {name: (entry["dtype"], entry["shape"], data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items()}


class Absent(CommandLine):
    """Nothing is installed, or not everything."""

    def hello(self, *arguments, **variables):
        saved = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            worker = test_protocol.Worker([sys.executable, "-B", WORKER, *arguments])
        finally:
            for name, value in saved.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
        self.addCleanup(worker.close)
        return worker.hello()

    def test_each_framework_names_the_command_that_changes_it(self):
        for framework in ("torch", "onnxruntime", "openvino"):
            answer = self.hello("--framework", framework, VAEMARK_FRAMEWORKS_VENV=self.path("nowhere"))
            self.assertIs(answer["ok"], True)
            self.assertIs(answer["available"], False)
            self.assertIn(framework, answer["reason"])
            self.assertIn("./scripts/setup-frameworks.sh", answer["reason"])

    def test_an_environment_that_lacks_a_package_is_named(self):
        python = self.path("venv/bin/python")
        os.makedirs(os.path.dirname(python))
        with open(python, "w", encoding="utf-8") as file:
            file.write(f'#!/bin/sh\nexec "{sys.executable}" -S -E "$@"\n')
        os.chmod(python, 0o755)
        answer = self.hello("--framework", "openvino", VAEMARK_FRAMEWORKS_VENV=self.path("venv"))
        self.assertIs(answer["available"], False)
        self.assertIn(self.path("venv") + " lacks torch, diffusers, safetensors, openvino;", answer["reason"])

    def test_a_run_reports_it_as_unsupported_with_the_command(self):
        out = self.path("run.h5")
        process = vaemark("run", "--suite", self.suite(SUITE.format(timeout=60)), "--decoder", "cpu", "--decoder",
                          exec_decoder("python3", WORKER, "--framework", "torch"), "--out", out,
                          env={"VAEMARK_FRAMEWORKS_VENV": self.path("nowhere")})
        rows = {row["id"]: row for row in self.record(out)["cases"]}
        self.assertEqual(rows["taesd-mini/other/fp32/plain/1x4x4x4"]["outcome"], "unsupported")
        self.assertIn("setup-frameworks.sh", rows["taesd-mini/other/fp32/plain/1x4x4x4"]["reason"])
        self.assertEqual(rows["taesd-mini/cpu/fp32/plain/1x4x4x4"]["outcome"], "passed")
        self.assert_exit(process, 0)


class Conversation(unittest.TestCase):
    """protocol.py with a stub for a framework, asked what a worker may be asked."""

    def setUp(self):
        self.worker = test_protocol.Worker([sys.executable, FAULTY, "stub", "none", "none"])
        self.addCleanup(self.worker.close)
        self.assertTrue(self.worker.hello()["ok"])

    def prepared(self):
        self.assertTrue(self.worker.open()["ok"])

    def test_a_ring_of_samples_hashes_and_kept_images(self):
        self.prepared()
        sets = []
        for index in range(3):
            offset = 4096 + 1024 * index
            self.worker.memory[offset:offset + 512] = array.array("f", [index] * 128).tobytes()
            sets.append([{**test_protocol.LATENTS, "offset": offset}])
        answer = self.worker.decode(count=5, decodes_per_sample=2, sets=sets,
                                    keep=[{"sample": 1, "offset": test_protocol.KEEP_OFFSET}])
        self.assertTrue(answer["ok"], answer)
        hashes = [sample["output_hash"] for sample in answer["samples"]]
        self.assertEqual(len(set(hashes)), 3, "a set, an image")
        self.assertEqual(hashes[:2], hashes[3:])
        kept = array.array("f", self.worker.memory[test_protocol.KEEP_OFFSET:test_protocol.KEEP_OFFSET + 3072])
        self.assertEqual(set(kept), {1.0}, "sample 1 ends with set 1")

    def test_what_breaks_the_protocol_is_refused_and_costs_nothing(self):
        for message, code in [({"type": "nonsense"}, "invalid_argument"), ({"type": "open"}, "invalid_argument"),
                              ({"type": "prepare", "inputs": [test_protocol.LATENTS]}, "invalid_argument"),
                              ({"type": "open", "config": "/missing", "weights": "/x"}, "io_error")]:
            answer = self.worker.ask(**message)
            self.assertEqual((answer["ok"], answer["error"]["code"]), (False, code), message)
        self.prepared()
        huge = {**test_protocol.LATENTS, "offset": 1 << 40}
        ragged = {**test_protocol.LATENTS, "offset": 4097}
        no_shape = {"name": "latents", "dtype": "F32", "shape": [], "offset": 4096}
        for tensor in (huge, ragged, no_shape, {"name": "latents"}):
            self.assertEqual(self.worker.decode(sets=[[tensor]])["error"]["code"], "invalid_argument", tensor)
        self.assertEqual(self.worker.ask(type="option", key="fuse_qkv", value=True)["error"]["code"], "unsupported_option")
        self.assertTrue(self.worker.decode()["ok"])
        self.assertEqual(self.worker.ask(type="memory", reset=True)["current_bytes"]["weights"], 0)
        self.assertTrue(self.worker.ask(type="trace")["entries"])
        self.assertTrue(self.worker.ask(type="close")["ok"])
        self.assertTrue(self.worker.ask(type="bye")["ok"])


class Broken(CommandLine):
    """A framework that is killed, hangs or prints rubbish in the middle costs its case only."""

    def judge(self, kind, fault, timeout=60):
        out = self.path(f"{kind}-{fault}.h5")
        suite = self.path("suite.yaml")
        with open(suite, "w", encoding="utf-8") as file:
            file.write(SUITE.format(timeout=timeout))
        process = vaemark("run", "--suite", suite, "--decoder", "cpu", "--decoder",
                          exec_decoder("python3", FAULTY, kind, fault, "taesd-mini"), "--out", out)
        self.assertIn(process.returncode, (0, 1), process.stderr)
        rows = {"/".join(row["id"].split("/")[:2]): row for row in self.record(out)["cases"]}
        self.assertEqual(rows["taesd-mini/cpu"]["outcome"], "passed")
        self.assertEqual(rows["kl-noattn-mini/cpu"]["outcome"], "passed")
        return rows["taesd-mini/other"], rows["kl-noattn-mini/other"]

    def test_each_way_to_break_costs_its_case_only(self):
        """The stub's images are wrong, so that its other case fails too, but by the check that looks at images."""
        faults = {"kill": ("crashed", "signal 9", 60), "hang": ("timed_out", "no answer to decode", 2),
                  "answer_rubbish": ("failed", "", 60), "answer_twice": ("failed", "", 60),
                  "out_of_memory": ("out_of_memory", "can't allocate memory", 60), "print_rubbish": ("failed", "quality", 60)}
        for fault, (outcome, reason, timeout) in faults.items():
            with self.subTest(fault=fault):
                broken, other = self.judge("stub", fault, timeout)
                self.assertEqual(broken["outcome"], outcome, broken["reason"])
                self.assertIn(reason.lower(), broken["reason"].lower())
                self.assertEqual(other["outcome"], "failed")
                self.assertTrue(other["reason"].startswith("quality"), other["reason"])

    @unittest.skipUnless(VENV, NO_VENV)
    def test_the_real_framework_broken_in_one_case_passes_the_other(self):
        for fault, outcome in {"kill": "crashed", "print_rubbish": "passed"}.items():
            with self.subTest(fault=fault):
                broken, other = self.judge("torch", fault)
                self.assertEqual(broken["outcome"], outcome, broken["reason"])
                self.assertEqual(other["outcome"], "passed", other["reason"])


@unittest.skipUnless(VENV, NO_VENV)
class Real(unittest.TestCase):
    """Against the goldens, which the same framework made."""

    def decode(self, worker, folder, options):
        folder = os.path.join(SOURCE, "tests", "data", folder)
        tensors = read_tensors(os.path.join(folder, "square.safetensors"))
        answer = worker.ask(type="open", model="golden", config=os.path.join(folder, "config.json"),
                            weights=os.path.join(folder, "diffusion_pytorch_model.safetensors"), options=options)
        self.assertTrue(answer["ok"], answer)
        inputs, offset = [], 4096
        for name in sorted((name for name in tensors if name != "image_fp64"), key=lambda name: (name != "latents", name)):
            dtype, shape, data = tensors[name]
            worker.memory[offset:offset + len(data)] = data
            inputs.append({"name": name, "dtype": dtype, "shape": shape, "offset": offset})
            offset += (len(data) + 4095) // 4096 * 4096
        plan = worker.ask(type="prepare", inputs=inputs)
        self.assertTrue(plan["ok"], plan)
        wanted = array.array("d", tensors["image_fp64"][2])
        self.assertEqual(plan["image"]["shape"], tensors["image_fp64"][1])
        answer = worker.ask(type="decode", count=1, sets=[inputs], image={**plan["image"], "offset": offset})
        self.assertTrue(answer["ok"], answer)
        image = array.array("f", worker.memory[offset:offset + 4 * len(wanted)])
        return max(abs(a - b) for a, b in zip(wanted, image)), max(map(abs, wanted))

    def start(self, framework):
        worker = test_protocol.Worker([sys.executable, "-B", WORKER, "--framework", framework])
        self.addCleanup(worker.close)
        answer = worker.hello()
        self.assertIs(answer["available"], True, answer["reason"])
        return worker

    def test_torch_is_the_framework_that_made_the_goldens(self):
        worker = self.start("torch")
        for folder in ("flux1-mini", "kl-noattn-mini", "taesd-mini", "consistency-mini"):
            with self.subTest(folder=folder):
                error, largest = self.decode(worker, folder, {"precision": "fp32"})
                self.assertLess(error, 2e-5 * largest)
                memory = worker.ask(type="memory")
                self.assertGreater(memory["current_bytes"]["weights"], 100000)
                self.assertGreater(sum(entry["flops"] for entry in worker.ask(type="trace")["entries"]), 1e8)
                self.assertEqual(worker.ask(type="close")["current_bytes"]["weights"], 0)
        error, largest = self.decode(worker, "flux1-mini", {"precision": "bf16", "threads": 1})
        self.assertLess(error, 0.1 * largest)
        self.assertGreater(error, 1e-4 * largest, "bf16 that is as exact as fp32 is not bf16")

    def test_options_are_told_to_the_framework_and_its_words_come_back(self):
        worker = self.start("torch")
        self.decode(worker, "flux1-mini", {"precision": "fp32", "fuse_qkv": True})
        self.assertEqual(worker.ask(type="property", key="fuse_qkv.modules")["value"], 1)
        names = {entry["module"].rsplit(".", 1)[-1] for entry in worker.ask(type="trace")["entries"] if entry["op"] == "linear"}
        self.assertEqual(names, {"to_qkv", "0"}, "the joined projection and to_out.0")
        self.assertTrue(worker.ask(type="option", key="fuse_qkv", value=False)["ok"])
        self.assertEqual(worker.ask(type="property", key="fuse_qkv.modules")["value"], 0)
        worker.ask(type="close")
        self.decode(worker, "taesd-mini", {"precision": "fp32"})
        answer = worker.ask(type="option", key="fuse_qkv", value=True)
        self.assertEqual(answer["error"]["code"], "unsupported_option")
        self.assertIn("AutoencoderTiny does not take fuse_qkv: AttributeError:", answer["error"]["message"])
        for key, value, code in [("tiling", "sideways", "unknown_option"), ("nonsense", 1, "unknown_option"),
                                 ("tile", 64, None), ("precision", "bf16", "unsupported_option")]:
            answer = worker.ask(type="option", key=key, value=value)
            self.assertEqual(answer.get("error", {}).get("code"), code, answer)

    def test_exported_graphs_decode_the_same(self):
        for framework in ("onnxruntime", "openvino"):
            with self.subTest(framework=framework):
                worker = self.start(framework)
                error, largest = self.decode(worker, "taesd-mini", {"precision": "fp32"})
                self.assertLess(error, 2e-5 * largest)
                answer = worker.ask(type="option", key="tiling", value=True)
                self.assertEqual(answer["error"]["code"], "unsupported_option")
                self.assertEqual(worker.ask(type="close")["current_bytes"]["weights"], 0)


if __name__ == "__main__":
    unittest.main()
