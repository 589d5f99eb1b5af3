"""Each check is seen failing: a decoder with one planted fault must be caught, by the right check and with the right
outcome, while the clean decoder beside it passes."""
import subprocess
import time
import unittest

from support_cli import FAULTY, SUITE, CommandLine, vaemark

PLAIN, FUSED, REFUSED = "sd15-mini/*/plain/*", "sd15-mini/*/fuse_qkv/*", "taesd-mini/*/fuse_qkv/*"

TILED, TILING_REFUSED = "sd15-mini/*/tiling/*", "consistency-mini/*/tiling/*"
TILED_SUITE = SUITE.replace('"4x4"', '"4x11"').replace("plain, fuse_qkv", "tiling, slicing, tiling+fuse_qkv")\
    .replace('    options:', '    precisions: [fp32-strict]  # whose bound is the narrow one\n    options:')

BATCH_SUITE = SUITE.replace('latents: ["4x4"]', 'latents: ["4x4"]\n    batches: [2]')

# fault -> case, outcome, the check that must fail ("" where the outcome says it all)
FAULTS = {
    "bias": (PLAIN, "failed", "quality"),
    "wrong_tile": (PLAIN, "failed", "worst-tile"),
    "nan_pixel": (PLAIN, "failed", "finite"),
    "last_row_unwritten": (PLAIN, "failed", "written"),
    "range_01": (PLAIN, "failed", "psnr"),
    "bgr": (PLAIN, "failed", "largest-error"),
    "writes_past_end": (PLAIN, "failed", "in-bounds"),
    "writes_before_start": (PLAIN, "failed", "in-bounds"),
    "writes_input": (PLAIN, "failed", "in-bounds"),
    "writes_weights": (PLAIN, "failed", "in-bounds"),
    "guard_overrun": (PLAIN, "failed", "in-bounds"),
    "nondeterministic": (PLAIN, "failed", "deterministic"),
    "state_leaks": (PLAIN, "failed", "deterministic"),
    "cached_output": (PLAIN, "failed", "not-cached"),
    "skips_every_second": (PLAIN, "failed", "deterministic"),
    "leak_mib_per_decode": (PLAIN, "failed", "memory-planned"),
    "accepts_fuse_on_tiny": (REFUSED, "failed", "fuse-qkv/refused-at-open"),
    "refuses_fuse_on_kl": (FUSED, "failed", "fuse-qkv/accepted"),
    "silent_noop_fuse": (FUSED, "failed", "fuse-qkv/projections"),
    "forged_trace": (FUSED, "failed", "fuse-qkv/weights-shown"),
    "half_fused_refusal": (REFUSED, "failed", "fuse-qkv/unchanged"),
    "wrong_error_code": (REFUSED, "failed", "fuse-qkv/refused"),
    "accepts_second_time": (REFUSED, "failed", "fuse-qkv/refused-again"),
    "refused_then_broken": (REFUSED, "failed", "fuse-qkv/unchanged"),
    "refusal_allocates": (REFUSED, "failed", "fuse-qkv/unchanged"),
    "unfuse_unfused_fails": (FUSED, "failed", "fuse-qkv/unfuse-unfused"),
    "unfuse_stays_fused": (FUSED, "failed", "fuse-qkv/unfuse"),
    "second_unfuse_fails": (FUSED, "failed", "fuse-qkv/second-unfuse"),
    "two_fuses_stay_fused": (FUSED, "failed", "fuse-qkv/unfuse-after-two"),
    "memory_kept_after_unfuse": (FUSED, "failed", "fuse-qkv/unfuse-memory"),
    "unfuse_not_exact": (FUSED, "failed", "fuse-qkv/unfuse"),
    "second_fuse_changes": (FUSED, "failed", "fuse-qkv/second-fuse"),
    "crash_at_open": (PLAIN, "crashed", ""),
    "crash_in_decode": (PLAIN, "crashed", ""),
    "killed_in_decode": (PLAIN, "crashed", ""),
    "exit_in_decode": (PLAIN, "crashed", ""),
    "rubbish_on_socket": (PLAIN, "failed", ""),
    "typed_error_in_decode": (PLAIN, "out_of_memory", ""),
}


@unittest.skipUnless(FAULTY, "the plug-in with planted faults is not built")
class Faults(CommandLine):
    def judge(self, fault, case, *more, suite=SUITE):
        out = self.path("run.h5")
        process = vaemark("run", "--suite", self.suite(suite), "--decoder", f"plugin:{FAULTY},name=faulty", "--case", case,
                          "--out", out, *more, env={"VAEMARK_FAULT": fault})
        return process, self.record(out)

    def test_each_fault_is_caught(self):
        for fault, (case, outcome, check) in FAULTS.items():
            with self.subTest(fault=fault):
                process, record = self.judge(fault, case)
                self.assertEqual([row["outcome"] for row in record["cases"]], [outcome], record["cases"][0]["reason"])
                self.assertTrue(record["cases"][0]["reason"])
                self.assert_exit(process, 1)
                for row in record["checks"]:
                    self.assertNotRegex(row["message"], r"\bnan\b")
                if check:
                    failed = {row["name"] for row in record["checks"] if row["outcome"] == "failed"}
                    self.assertIn(check, failed)
                    self.assertIn(record["cases"][0]["reason"].split(":")[0], failed, "the reason is a check that failed")

    def assert_caught(self, fault, case, check, *more, suite=TILED_SUITE):
        process, record = self.judge(fault, case, *more, suite=suite)
        failed = {row["name"] for row in record["checks"] if row["outcome"] == "failed"}
        self.assertEqual([row["outcome"] for row in record["cases"]], ["failed"], record["cases"][0]["reason"])
        self.assertIn(check, failed)
        self.assert_exit(process, 1)
        return failed

    def test_a_seam_is_caught_though_the_picture_as_a_whole_is_right(self):
        failed = self.assert_caught("tile_seam", TILED, "tile-seams")
        self.assertNotIn("quality", failed)
        self.assertNotIn("largest-error", failed)

    def test_a_tiling_that_does_nothing_is_caught(self):
        self.assert_caught("ignores_tiling", TILED, "quality")
        failed = self.assert_caught("ignores_tiling", TILING_REFUSED, "tiling/refused-at-open")
        self.assertTrue({"tiling/refused", "tiling/refused-again"} <= failed, failed)

    def test_each_defect_of_unfuse_is_a_check_of_its_own(self):
        for fault, check in (("two_fuses_stay_fused", "unfuse-after-two"), ("unfuse_unfused_fails", "unfuse-unfused"),
                             ("second_unfuse_fails", "second-unfuse"), ("memory_kept_after_unfuse", "unfuse-memory")):
            with self.subTest(fault=fault):
                process, record = self.judge(fault, FUSED)
                rows = {row["name"]: row for row in record["checks"] if row["name"].startswith("fuse-qkv/")}
                failed = {name for name, row in rows.items() if row["outcome"] == "failed"}
                self.assertEqual(failed, {f"fuse-qkv/{check}"})
                self.assertIn("fuse-qkv/unfuse-after-two", rows, "the others are judged all the same")
                self.assertIn("quality", {row["name"] for row in record["checks"]}, "and so is the decoder")

    def test_a_refusal_that_allocates_is_caught_though_the_image_is_the_same(self):
        failed = self.assert_caught("refusal_allocates", REFUSED, "fuse-qkv/unchanged", suite=SUITE)
        self.assertFalse(failed - {"fuse-qkv/unchanged", "fuse-qkv/refused-at-open"}, failed)

    def test_an_option_taken_in_silence_is_told_as_such(self):
        _, record = self.judge("accepts_fuse_on_tiny", REFUSED)
        row = next(row for row in record["checks"] if row["name"] == "fuse-qkv/refused")
        self.assertIn("nothing came of it: image and memory are as before", row["message"])

    def test_another_image_in_another_launch_is_caught(self):
        several = SUITE.replace("launches: 1", "launches: 3")
        failed = self.assert_caught("differs_by_process", PLAIN, "launches", suite=several)
        self.assertEqual(failed, {"launches"}, "it is within the bounds of each launch")

    def test_a_tiled_image_of_another_size_is_caught_by_name(self):
        for case in (TILED, "sd15-mini/*/tiling+fuse_qkv/*"):
            with self.subTest(case=case):
                process, record = self.judge("wrong_tiled_size", case, suite=TILED_SUITE)
                self.assert_exit(process, 1)
                row = record["checks"][0]
                self.assertEqual((row["name"], row["outcome"]), ("image-size", "failed"))
                self.assertRegex(row["message"], r"makes an image of F32 \S+, wanted \S+ in F32")
                self.assertIn("image-size: ", record["cases"][0]["reason"])
        self.assert_caught("wrong_tiled_size", TILED, "image-size")

    def test_what_leaks_from_other_latents_is_caught(self):
        failed = self.assert_caught("stale_after_others", PLAIN, "fresh", suite=SUITE)
        self.assertFalse(failed & {"quality", "deterministic"}, failed)

    def test_mixed_up_members_of_a_batch_are_caught(self):
        for fault in ("batch_members_swapped", "second_member_wrong"):
            for model in ("sd15-mini", "consistency-mini"):
                with self.subTest(fault=fault, model=model):
                    self.assert_caught(fault, f"{model}/*/plain/*", "batch", suite=BATCH_SUITE)

    def test_what_depends_on_the_number_of_threads_is_caught(self):
        self.assert_caught("wrong_with_many_threads", PLAIN, "threads", "--threads", "2", suite=SUITE)
        failed = self.assert_caught("wrong_with_one_thread", PLAIN, "threads", "--threads", "2", suite=SUITE)
        self.assertEqual(failed, {"threads"})

    def test_checks_are_made_where_they_can_be(self):
        for threads, suite, made in (("2", SUITE, {"fresh", "threads"}), ("1", SUITE, {"fresh"}),
                                     ("2", BATCH_SUITE, {"fresh", "threads", "batch"})):
            with self.subTest(threads=threads, made=made):
                process, record = self.judge("", "*/plain/*", "--threads", threads, suite=suite)
                self.assert_exit(process, 0)
                for case in record["cases"]:
                    names = {row["name"] for row in record["checks"] if row["case_id"] == case["id"]}
                    self.assertEqual(names & {"fresh", "threads", "batch"}, made, case["id"])

    def test_the_clean_decoder_passes_tiled_and_sliced(self):
        cases = {"sd15-mini/*/tiling/*": "passed", "sd15-mini/*/tiling+fuse_qkv/*": "passed",
                 "sd15-mini/*/slicing/*": "passed", "consistency-mini/*": "refused"}
        for case, outcome in cases.items():
            with self.subTest(case=case):
                process, record = self.judge("", case, suite=TILED_SUITE)
                self.assertEqual({row["outcome"] for row in record["cases"]}, {outcome}, record["cases"][0]["reason"])
                self.assert_exit(process, 0)
                names = {row["name"] for row in record["checks"]}
                self.assertEqual("tile-seams" in names, "sd15-mini/*/tiling" in case, case)
                self.assertEqual("slicing/unchanged" in names, outcome == "refused")

    def test_the_clean_decoder_passes(self):
        for case, outcome in ((PLAIN, "passed"), (FUSED, "passed"), (REFUSED, "refused")):
            with self.subTest(case=case):
                process, record = self.judge("", case)
                self.assertEqual([row["outcome"] for row in record["cases"]], [outcome], record["cases"][0]["reason"])
                self.assert_exit(process, 0)

    def test_a_hang_costs_its_case_only(self):
        process, record = self.judge("hang_in_decode", PLAIN, "--timeout", "3")
        self.assertEqual(record["cases"][0]["outcome"], "timed_out")
        self.assert_exit(process, 1)

    def test_a_broken_worker_costs_its_case_only(self):
        out = self.path("run.h5")
        process = vaemark("run", "--suite", self.suite(), "--decoder", f"plugin:{FAULTY},name=faulty", "--decoder",
                          "cpu", "--case", "sd15-mini/*", "--out", out, env={"VAEMARK_FAULT": "crash_in_decode"})
        self.assert_exit(process, 1)
        outcomes = {row["id"]: row["outcome"] for row in self.record(out)["cases"]}
        self.assertEqual(set(v for k, v in outcomes.items() if "/faulty/" in k), {"crashed"})
        self.assertEqual(set(v for k, v in outcomes.items() if "/cpu/" in k), {"passed"})

    def test_a_failing_case_prints_the_line_that_repeats_it(self):
        process, record = self.judge("bias", PLAIN)
        repro = record["cases"][0]["repro"]
        self.assertIn(record["cases"][0]["id"], repro)
        self.assertIn(repro, process.stdout)

    def test_killed_workers_leave_the_others_alone(self):
        """Workers are killed from outside while a run goes on: each costs at most its own case."""
        out = self.path("run.h5")
        suite = self.suite(SUITE.replace("budget_s: 0.05", "budget_s: 1").replace("max_samples: 4", "max_samples: 400"))
        with subprocess.Popen([__import__("os").environ["VAEMARK_BINARY"], "run", "--suite", suite, "--case", "*/plain/*",
                               "--out", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            killed = 0
            while run.poll() is None and killed < 2:
                time.sleep(0.4)
                killed += subprocess.run(["pkill", "-9", "-P", str(run.pid)], check=False).returncode == 0
            _, errors = run.communicate(timeout=120)
        self.assertIn(run.returncode, (0, 1), errors)
        rows = self.record(out)["cases"]
        self.assertEqual(len(rows), 4)
        # A kill may also hit the worker that computes the oracle, the second one the retry: then the case has no oracle.
        lost = [row for row in rows if row["outcome"] == "crashed"
                or row["reason"].startswith("the oracle could not be computed")]
        self.assertLessEqual(len(lost), killed)
        self.assertEqual([row["outcome"] for row in rows].count("passed"), 4 - len(lost), rows)


if __name__ == "__main__":
    unittest.main()
