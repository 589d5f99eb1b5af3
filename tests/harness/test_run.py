"""`vaemark run` and `list`: verdicts, exit codes, what lands in the file, and what is left behind."""
import json
import os
import signal
import statistics
import subprocess
import time
import unittest

from support_cli import BINARY, SOURCE, SUITE, CommandLine, processes_with, vaemark


class Run(CommandLine):
    def run_suite(self, *more, suite=None):
        out = self.path("out/run.h5")
        return vaemark("run", "--suite", suite or self.suite(), "--out", out, *more), out

    def test_a_clean_run_is_green_and_complete(self):
        process, out = self.run_suite("--backend", "reference,cpu")
        self.assert_exit(process, 0)
        record = self.record(out)
        outcomes = {row["id"]: row["outcome"] for row in record["cases"]}
        self.assertEqual(len(outcomes), 16)
        for case, outcome in outcomes.items():
            refused = "fuse_qkv" in case and case.startswith(("taesd", "consistency"))
            self.assertEqual(outcome, "refused" if refused else "passed", case)
        self.assertGreaterEqual(len(record["environment"]), 30)
        self.assertEqual({row["name"] for row in record["models"]},
                         {"sd15-mini", "kl-noattn-mini", "taesd-mini", "consistency-mini"})
        fused = {row["id"]: row["fused_modules"] for row in record["cases"] if row["outcome"] == "passed"
                 and "fuse_qkv" in row["id"]}
        judged = {row["case_id"] for row in record["oracle"]}
        self.assertEqual(judged, {case for case, outcome in outcomes.items() if outcome == "passed"},
                         "a refusal needs no oracle, everything else does")
        self.assertEqual({1 if case.startswith("sd15") else 0: modules for case, modules in fused.items()}, {1: 1, 0: 0})
        for row in record["cases"]:
            if row["outcome"] == "passed":
                self.assertGreater(row["latency_median_ns"], 0)
                self.assertGreaterEqual(row["psnr_db"], 90)
                self.assertGreater(row["memory_planned_bytes"], 0)
                self.assertGreater(row["memory_rss_peak_bytes"], 0)
        self.assertTrue(all(row["bound"] is None or row["derivation"] for row in record["checks"]))
        self.assertIn("AutoencoderTiny", process.stdout)

    def test_several_launches_are_several_workers_and_their_medians_make_the_figure(self):
        suite = self.suite(SUITE.replace("launches: 1", "launches: 3"))
        process, out = self.run_suite("--backend", "reference,cpu", "--model", "sd15-mini", suite=suite)
        self.assert_exit(process, 0)
        record = self.record(out)
        for row in record["cases"]:
            launches = 1 if row["backend"] == "reference" else 3
            timed = [sample for sample in record["samples"] if sample["case_id"] == row["id"] and sample["phase"] == "timed"]
            self.assertEqual({sample["launch"] for sample in timed}, set(range(launches)), row["id"])
            self.assertEqual((row["launch_count"], row["sample_count"]), (launches, len(timed)))
            medians = [statistics.median(sample["wall_ns"] / sample["decodes"] for sample in timed if sample["launch"] == launch)
                       for launch in range(launches)]
            self.assertAlmostEqual(row["latency_median_ns"], statistics.median(medians), delta=1)
            if launches > 1:
                self.assertAlmostEqual(row["latency_low_ns"], min(medians), delta=1)
                self.assertAlmostEqual(row["latency_high_ns"], max(medians), delta=1)
        checks = [row["case_id"] for row in record["checks"] if row["name"] == "launches"]
        self.assertEqual(checks, [row["id"] for row in record["cases"] if row["backend"] == "cpu"], "one a case, fused, too")

    def test_nothing_selected_is_an_error(self):
        process, out = self.run_suite("--case", "no/such/*")
        self.assert_exit(process, 2)
        self.assertFalse(os.path.exists(out))

    def test_shards_share_the_cases_and_say_which_they_are(self):
        cases = []
        for shard in ("1/2", "2/2"):
            process, out = self.run_suite("--shard", shard, "--case", "taesd-mini/*")
            self.assert_exit(process, 0)
            record = self.record(out)
            self.assertEqual(record["environment"]["shard"], shard)
            self.assertTrue(record["cases"])
            cases += [row["id"] for row in record["cases"]]
        listed = vaemark("list", "cases", "--suite", self.suite(), "--case", "taesd-mini/*").stdout.split()
        self.assertEqual(sorted(cases), sorted(listed))

    def test_isa_keeps_the_cpu_decoder_to_these_instructions(self):
        process, out = self.run_suite("--isa", "portable", "--backend", "cpu", "--case", "taesd-mini/*/fp32/isa=portable/*")
        self.assert_exit(process, 0)
        record = self.record(out)
        self.assertTrue(record["trace"])
        self.assertEqual([row["kernel"] for row in record["trace"] if not row["kernel"].endswith("_portable")], [])
        process, _ = self.run_suite("--isa", "sse9", "--backend", "cpu")
        self.assert_exit(process, 2)
        self.assertIn("portable", process.stderr, "it says which there are")

    def test_nothing_compared_is_not_green(self):
        """fp16 is declared unsupported by cpu: a run of that alone proves nothing."""
        process, out = self.run_suite("--decoder", "cpu,precision=fp16")  # also where an option would have to be refused
        self.assert_exit(process, 3)
        self.assertEqual({row["outcome"] for row in self.record(out)["cases"]}, {"unsupported"})

    def test_other_seeds_are_other_weights_and_pictures(self):
        hashes = set()
        for seed in (0, 1):
            process, out = self.run_suite("--seed", seed, "--case", "taesd-mini/*/plain/*")
            self.assert_exit(process, 0)
            hashes.add(self.record(out)["models"][0]["weights_sha256"])
        self.assertEqual(len(hashes), 2)

    def test_unwritable_places_are_found_before_the_work(self):
        process = vaemark("run", "--suite", self.suite(), "--out", "/proc/absent/run.h5")
        self.assert_exit(process, 2)
        self.assertIn("/proc/absent", process.stderr)

    def test_where_the_framework_cannot_tile_nobody_is_judged(self):
        source = os.path.join(SOURCE, "tests", "data", "flux1-mini")
        with open(os.path.join(source, "config.json")) as f:
            folder = os.path.dirname(self.write("kl/config.json", json.dumps({**json.load(f), "sample_size": [64, 64]})))
        os.symlink(os.path.join(source, "diffusion_pytorch_model.safetensors"),
                   os.path.join(folder, "diffusion_pytorch_model.safetensors"))
        suite = self.write("tiled.yaml", SUITE.replace("[sd15-mini, kl-noattn-mini, taesd-mini, consistency-mini]", "[flux1-mini]")
                           .replace('"4x4"', '"9x3"').replace("plain, fuse_qkv", "tiling, tiling=corrected"))
        process, out = self.run_suite("--weights", f"flux1-mini={folder}", suite=suite)
        self.assert_exit(process, 0)
        rows = {row["options"]: row for row in self.record(out)["cases"]}
        self.assertEqual((rows["tiling"]["outcome"], rows["tiling=corrected"]["outcome"]), ("unsupported", "passed"))
        self.assertIn("--tiling=corrected", rows["tiling"]["reason"])

    def test_an_interrupt_ends_everything(self):
        out = self.path("run.h5")
        suite = self.suite(SUITE.replace("budget_s: 0.05", "budget_s: 60").replace("max_samples: 4", "max_samples: 9999")
                           .replace("4x4", "32x32"))
        for signal_number, code in ((signal.SIGINT, 130), (signal.SIGKILL, -9)):
            with self.subTest(signal=signal_number):
                mark = f"VAEMARK_TEST_MARK={os.getpid()}.{signal_number}"
                name, value = mark.split("=")
                run = subprocess.Popen([BINARY, "run", "--suite", suite, "--out", out], stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, env={**os.environ, name: value})
                self.wait_until(lambda: len(processes_with(mark)) >= 2, "no worker came up")
                time.sleep(0.3)
                run.send_signal(signal_number)
                self.assertEqual(run.wait(30), code)
                self.wait_until(lambda: not processes_with(mark), "workers were left behind")
                self.assertFalse(os.path.exists(out))

    def wait_until(self, condition, message):
        for _ in range(300):
            if condition():
                return
            time.sleep(0.1)
        self.fail(message)

    def test_the_binary_finds_its_data_from_anywhere(self):
        process = vaemark("list", "models", cwd="/")
        self.assert_exit(process, 0)
        self.assertIn("sd15-mini", process.stdout)


class List(CommandLine):
    def test_models_show_classes_counts_and_capabilities(self):
        process = vaemark("list", "models")
        self.assert_exit(process, 0)
        for word in ("AutoencoderKL", "49490199", "2514.519", "10470.393", "ConsistencyDecoderVAE", "621277702",
                     "67264.379", "must-refuse"):
            self.assertIn(word, process.stdout)

    def test_every_topic_has_lines(self):
        for topic, word in (("backends", "reference"), ("suites", "smoke"), ("checks", "fuse-qkv/refused"),
                            ("cases", "taef2/cpu/fp32/plain/1x32x32x32")):
            process = vaemark("list", topic)
            self.assert_exit(process, 0)
            self.assertIn(word, process.stdout)

    def test_slips_get_a_proposal(self):
        process = vaemark("list", "model")
        self.assert_exit(process, 2)
        self.assertIn("'models'", process.stderr)
        process = vaemark("lits")
        self.assert_exit(process, 2)
        self.assertIn("'list'", process.stderr)


if __name__ == "__main__":
    unittest.main()
