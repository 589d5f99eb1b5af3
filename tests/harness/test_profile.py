"""`vaemark run --profile`: what each step takes, held against the machine's measured ceilings."""
import json
import os
import statistics
import unittest

from support_cli import FAULTY, SUITE, CommandLine, vaemark

STEP = ("profile_ns", "flops_per_s", "bytes_per_s", "flops_per_byte", "roof_share")


class Profile(CommandLine):
    def profile(self, *more, env=None, suite=SUITE):
        out = self.path("run.h5")
        process = vaemark("run", "--suite", self.suite(suite), "--out", out, "--profile", *more, env=env)
        return process, self.record(out), out

    def test_every_step_is_held_against_the_ceilings(self):
        process, record, out = self.profile("--model", "sd15-mini,taesd-mini", "--backend", "reference,cpu", "--threads", "1")
        self.assert_exit(process, 0)
        self.assertEqual(record["environment"]["profile"], "yes")
        passed = [row for row in record["cases"] if row["outcome"] == "passed"]
        self.assertEqual([row["id"] for row in passed], [row["case_id"] for row in record["profiles"]],
                         "each passed case, and no refusal")
        for case, profile in zip(passed, record["profiles"]):
            self.assertEqual((profile["note"], profile["threads"]), ("", 1))
            self.assertIn(profile["decodes"], range(1, 6))
            compute, bandwidth = profile["peak_flops_per_s"], profile["peak_bytes_per_s"]
            self.assertGreater(compute, 1e8)
            self.assertGreater(bandwidth, 1e8)
            steps = [row for row in record["trace"] if row["case_id"] == case["id"]]
            self.assertAlmostEqual(profile["steps_ns"], sum(step["profile_ns"] for step in steps), delta=1)
            self.assertLess(profile["steps_ns"], 3 * profile["decode_ns"], "medians of parts may be more than that of the whole")
            for step in steps:
                least_ns = 1e9 * max(step["flops"] / compute, step["bytes"] / bandwidth)
                wanted = "compute" if step["flops"] / compute >= step["bytes"] / bandwidth else "bandwidth"
                self.assertEqual(step["limit"], wanted if step["bytes"] else "")
                if step["profile_ns"] > 0 and step["bytes"] > 0:
                    self.assertAlmostEqual(step["flops_per_s"], step["flops"] / step["profile_ns"] * 1e9, delta=1)
                    self.assertAlmostEqual(step["bytes_per_s"], step["bytes"] / step["profile_ns"] * 1e9, delta=1)
                    self.assertAlmostEqual(step["flops_per_byte"], step["flops"] / step["bytes"])
                    self.assertAlmostEqual(step["roof_share"], least_ns / step["profile_ns"])
        # The timed samples are those of a run without a profile: as many, and none of them one of the profile's decodes.
        for case in passed:
            timed = [row for row in record["samples"] if row["case_id"] == case["id"] and row["phase"] == "timed"]
            self.assertEqual(len(timed), case["sample_count"])
            self.assertEqual(case["latency_median_ns"], statistics.median(row["wall_ns"] / row["decodes"] for row in timed))
        self.assert_shown(out, passed[-1]["id"])

    def assert_shown(self, out, case):
        process = vaemark("show", out, case)
        self.assert_exit(process, 0)
        for words in ("profile: ", "ceilings, measured: compute ", "of roof  op\n", "of roof  kernel\n", "of roof  step\n"):
            self.assertIn(words, process.stdout)
        shown = json.loads(vaemark("show", out, case, "--json").stdout)
        self.assertEqual([row["case_id"] for row in shown["profiles"]], [case])
        self.assertTrue(all(step["profile_ns"] is not None for step in shown["trace"]))

    def test_without_it_nothing_is_profiled(self):
        out = self.path("plain.h5")
        self.assert_exit(vaemark("run", "--suite", self.suite(), "--model", "taesd-mini", "--out", out), 0)
        record = self.record(out)
        self.assertEqual((record["profiles"], record["environment"]["profile"]), ([], "no"))
        self.assertTrue(record["trace"])
        self.assertTrue(all(step[key] is None for step in record["trace"] for key in STEP))

    @unittest.skipUnless(FAULTY, "the plug-in with planted faults is not built")
    def test_a_trace_that_is_no_profile_is_called_so(self):
        for fault, note in (("untimed_trace", "the decoder's trace has no times"),
                            ("changing_trace", "the decoder's trace changes from decode to decode")):
            with self.subTest(fault):
                process, record, out = self.profile("--decoder", f"plugin:{FAULTY},name=faulty", "--case", "taesd-mini/*/plain/*",
                                                    env={"VAEMARK_FAULT": fault})
                self.assert_exit(process, 0)
                self.assertEqual([row["note"] for row in record["profiles"]], [note])
                self.assertTrue(all(step[key] is None for step in record["trace"] for key in STEP))
                shown = vaemark("show", out, record["cases"][0]["id"]).stdout
                self.assertIn(f"profile: none, {note}\n", shown)

    @unittest.skipUnless(FAULTY, "the plug-in with planted faults is not built")
    def test_a_step_takes_the_median_of_five_decodes(self):
        suite = SUITE.replace("budget_s: 0.05, min_sample_ms: 1", "budget_s: 60, min_sample_ms: 0.001")  # always as many decodes
        process, record, _ = self.profile("--decoder", f"plugin:{FAULTY},name=faulty", "--case", "taesd-mini/*/plain/*",
                                          env={"VAEMARK_FAULT": "five_times"}, suite=suite)
        self.assert_exit(process, 0)
        self.assertEqual([row["decodes"] for row in record["profiles"]], [5])
        self.assertEqual({step["profile_ns"] for step in record["trace"]}, {4000})

    @unittest.skipUnless(FAULTY, "the plug-in with planted faults is not built")
    def test_a_decoder_that_is_wrong_has_no_profile(self):
        process, record, _ = self.profile("--decoder", f"plugin:{FAULTY},name=faulty", "--case", "taesd-mini/*/plain/*",
                                          env={"VAEMARK_FAULT": "bias"})
        self.assert_exit(process, 1)
        self.assertEqual(record["profiles"], [])

    def test_ceilings_are_those_of_the_threads_that_a_decoder_has(self):
        process, record, _ = self.profile("--model", "taesd-mini", "--decoder", "cpu,threads=1", "--decoder", "cpu")
        self.assert_exit(process, 0)
        decoders = {row["id"]: row["decoder"] for row in record["cases"]}
        threads = {decoders[row["case_id"]]: row["threads"] for row in record["profiles"]}
        self.assertEqual(threads["cpu,threads=1"], 1)
        self.assertEqual(threads["cpu"], len(os.sched_getaffinity(0)))


if __name__ == "__main__":
    unittest.main()
