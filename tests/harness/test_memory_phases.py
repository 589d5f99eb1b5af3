"""Memory by phase and the samples of warming up, as recorded by real runs."""
import unittest

from support_cli import FAULTY, CommandLine, vaemark

CLASSES = ("weights", "activations", "workspace", "tensors")
PHASES = ["start", "open", "prepare", "decode", "close"]


class MemoryPhases(CommandLine):
    def run_cases(self, case, *more, env=None):
        out = self.path("run.h5")
        process = vaemark("run", "--suite", self.suite(), "--case", case, "--out", out, *more, env=env)
        return process, self.record(out)

    def phases(self, record, case_id):
        return {row["phase"]: row for row in record["memory"] if row["case_id"] == case_id}

    def test_the_cpu_backend_holds_what_it_planned_and_gives_all_back(self):
        process, record = self.run_cases("*-mini/cpu/fp32/plain/*")
        self.assert_exit(process, 0)
        self.assertEqual(len(record["cases"]), 4)
        for case in record["cases"]:
            with self.subTest(case=case["id"]):
                rows = [row for row in record["memory"] if row["case_id"] == case["id"]]
                self.assertEqual([row["phase"] for row in rows], PHASES)
                phase = self.phases(record, case["id"])
                self.assertIsNone(phase["start"]["weights_bytes"])
                self.assertEqual(phase["open"]["weights_bytes"], case["memory_weights_bytes"])
                self.assertGreater(phase["open"]["weights_bytes"], 0)
                self.assertEqual(phase["open"]["activations_bytes"], 0, "nothing is known of the shape yet")
                decode = phase["decode"]
                self.assertEqual(decode["activations_peak_bytes"] + decode["workspace_peak_bytes"],
                                 case["memory_planned_bytes"])
                self.assertEqual(decode["scratch_peak_bytes"], case["memory_peak_bytes"])
                for name in CLASSES:
                    self.assertEqual(phase["close"][f"{name}_bytes"], 0, name)
                    self.assertIsNone(phase["close"][f"{name}_peak_bytes"], name)
                for row in rows[1:]:
                    self.assertGreater(row["rss_bytes"], 0)
                    self.assertGreaterEqual(row["rss_peak_bytes"], row["rss_bytes"])
                self.assertLessEqual(rows[-1]["rss_peak_bytes"], case["memory_rss_peak_bytes"])

    def test_fused_weights_show_in_the_decode(self):
        process, record = self.run_cases("sd15-mini/cpu/fp32/*")
        self.assert_exit(process, 0)
        plain, fused = (self.phases(record, f"sd15-mini/cpu/fp32/{option}/1x4x4x4") for option in ("plain", "fuse_qkv"))
        self.assertEqual(plain["open"]["weights_bytes"], fused["open"]["weights_bytes"])
        self.assertNotEqual(plain["decode"]["weights_bytes"], fused["decode"]["weights_bytes"])

    @unittest.skipUnless(FAULTY, "the plug-in with planted faults is not built")
    def test_what_a_dead_worker_told_before_stays(self):
        process, record = self.run_cases("sd15-mini/*/plain/*", "--decoder", f"plugin:{FAULTY},name=faulty",
                                         env={"VAEMARK_FAULT": "crash_in_decode"})
        self.assert_exit(process, 1)
        self.assertEqual([row["phase"] for row in record["memory"]], ["start", "open", "prepare"])

    def test_decodes_to_warm_up_are_recorded_and_count_for_nothing(self):
        process, record = self.run_cases("taesd-mini/cpu/fp32/plain/*")
        self.assert_exit(process, 0)
        case = record["cases"][0]
        phases = [sample["phase"] for sample in record["samples"]]
        self.assertEqual(phases[:2], ["warm-up", "warm-up"])
        self.assertEqual(set(phases[2:]), {"timed"})
        self.assertEqual(len(phases) - 2, case["sample_count"])
        for sample in record["samples"][:2]:
            self.assertEqual(sample["decodes"], 1)
            self.assertGreaterEqual(sample["outside_ns"], sample["wall_ns"])


if __name__ == "__main__":
    unittest.main()
