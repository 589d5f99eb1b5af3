"""The journal: a run that is ended at any instant goes on with --resume and ends in the file it would have written.

The kills are a seeded few; VAEMARK_TEST_KILLS=50 makes them fifty, VAEMARK_TEST_SEED another sequence.
"""
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest

try:
    import h5py
except ImportError:
    print("skipped: h5py is not installed (Debian: apt-get install python3-h5py)")
    sys.exit(77)

from support_cli import BINARY, FAULTY, SOURCE, SUITE, CommandLine, latents, pack, processes_with, vaemark
from support_same_run import differences

KILLS = int(os.environ.get("VAEMARK_TEST_KILLS", "3"))
SEED = int(os.environ.get("VAEMARK_TEST_SEED", "1"))

# Every case takes the same samples whatever the machine does: as many as there are at most, one decode each.
STEADY = SUITE.replace("budget_s: 0.05, min_sample_ms: 1", "budget_s: 600, min_sample_ms: 0.001")
# The long form takes all eight cases, the short one half of them.
NARROWED, CASES = (["--model", "sd15-mini,taesd-mini"], 4) if KILLS <= 3 else ([], 8)
MARK = "VAEMARK_TEST_MARK"


class Resume(CommandLine):
    def setUp(self):
        super().setUp()
        self.suite_path = self.suite(STEADY)
        self.out = self.path("out/run.h5")
        self.journal = self.out + ".journal"

    def arguments(self, *more):
        return ["run", "--suite", self.suite_path, "--out", self.out, *map(str, more)]

    def run_suite(self, *more, **kwargs):
        return vaemark(*self.arguments(*more), **kwargs)

    def start(self, *more, mark=None):
        return subprocess.Popen([BINARY, *self.arguments(*more)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, MARK: mark or self.folder})

    def end_after_cases(self, count, signal_number, *more):
        """Starts a run and ends it once `count` cases are finished; returns its exit code and stderr."""
        run = self.start(*more)
        said = ""
        while f"[{count}/" not in said:
            line = run.stderr.readline()
            self.assertTrue(line, f"ended too early: {said}")
            said += line
        run.send_signal(signal_number)
        said += run.stderr.read()
        run.stderr.close()
        return run.wait(60), said

    def assert_refused(self, process, *words):
        self.assert_exit(process, 2)
        for word in words:
            self.assertIn(word, process.stderr)

    def assert_nothing_left(self):
        for _ in range(200):
            left = processes_with(f"{MARK}={self.folder}")
            if not left:
                return
            time.sleep(0.05)
        self.fail(f"left running: {left}")


class Kill(Resume):
    def test_killed_at_random_instants_it_ends_in_the_same_file(self):
        draw = random.Random(SEED)
        whole = self.path("whole.h5")
        start = time.monotonic()
        self.assert_exit(vaemark("run", "--suite", self.suite_path, *NARROWED, "--out", whole), 0)
        duration_s = time.monotonic() - start
        kills = rounds = 0
        while kills < KILLS:
            rounds += 1
            killed_in_round = self.run_with_kills(draw, duration_s, KILLS - kills)
            kills += killed_in_round
            self.assertEqual(differences(whole, self.out), [])
            with h5py.File(self.out) as f:
                resumed = int(f.attrs.get("resumed_count", "0"))
            self.assertLessEqual(resumed, killed_in_round)
            self.assertEqual(os.listdir(self.path("out")), ["run.h5"])
            os.unlink(self.out)
        print(f"{kills} kills in {rounds} runs of {duration_s:.1f} s, each ended in the same file")

    def run_with_kills(self, draw, duration_s, most):
        """One run from its start to its file, killed up to `most` times. Returns how often."""
        kills = finished = 0
        while True:
            run = self.start("--resume", *NARROWED)
            try:
                run.wait(draw.uniform(0, duration_s * draw.choice((0.3, 1))) if kills < most else 300)
            except subprocess.TimeoutExpired:
                run.kill()
                kills += 1
            said = run.stderr.read()
            run.stderr.close()
            code = run.wait()
            resumed = re.search(rf"resuming: (\d+) of {CASES} cases? (is|are) done", said)
            if resumed:
                self.assertGreaterEqual(int(resumed[1]), finished, f"a finished case was lost: {said}")
                finished = int(resumed[1])
            finished = max([finished, *(int(n) for n in re.findall(rf"\[(\d+)/{CASES}\]", said))])
            self.assert_nothing_left()
            if code == 0:
                return kills
            self.assertEqual(code, -signal.SIGKILL, said)


class Interrupt(Resume):
    def test_the_journal_stays_and_the_message_says_how_to_go_on(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                code, said = self.end_after_cases(3, number, "--fresh")
                self.assertEqual(code, 130)
                self.assertIn(self.journal, said)
                self.assertIn("--resume", said)
                self.assert_nothing_left()
                self.assertEqual(os.listdir(self.path("out")), ["run.h5.journal"])
        process = self.run_suite("--resume")
        self.assert_exit(process, 0)
        self.assertRegex(process.stderr, r"resuming: [3-8] of 8 cases are done")
        self.assertEqual(os.listdir(self.path("out")), ["run.h5"])

    def test_what_is_unfinished_is_not_thrown_away_unasked(self):
        self.end_after_cases(2, signal.SIGKILL)
        with open(self.journal, "rb") as f:
            before = f.read()
        self.assert_refused(self.run_suite(), self.journal, "of 8", "--resume", "--fresh")
        self.assert_refused(self.run_suite("--resume", "--fresh"), "contradict")
        with open(self.journal, "rb") as f:
            self.assertEqual(f.read(), before)
        self.assert_exit(self.run_suite("--fresh"), 0)
        with h5py.File(self.out) as f:
            self.assertNotIn("resumed_count", f.attrs)

    def test_resume_begins_where_there_is_nothing_and_repeats_the_answer_where_all_is_done(self):
        """So that a script can say --resume always, until the code is not 130."""
        self.assert_exit(self.run_suite("--resume", "--decoder", f"plugin:{FAULTY},fault=nan-pixel"), 1)
        before = os.stat(self.out).st_mtime_ns
        process = self.run_suite("--resume", "--decoder", f"plugin:{FAULTY},fault=nan-pixel")
        self.assert_exit(process, 1)
        self.assertIn("nothing to resume", process.stderr)
        self.assertEqual(os.stat(self.out).st_mtime_ns, before)
        self.assert_refused(self.run_suite("--resume"), self.out, "decoder_1", "--fresh")

    def test_a_journal_without_a_finished_case_is_nothing_to_lose(self):
        os.mkdir(self.path("out"))
        for content in (b"", b"vaemark jour"):
            for more in ((), ("--resume",)):
                with open(self.journal, "wb") as f:
                    f.write(content)
                self.assert_exit(self.run_suite("--case", "taesd-mini/*/plain/*", *more), 0)
                os.unlink(self.out)

    def test_a_torn_record_is_dropped_and_said_so(self):
        self.end_after_cases(3, signal.SIGKILL)
        with open(self.journal, "r+b") as f:
            f.truncate(os.path.getsize(self.journal) - 10)
        process = self.run_suite("--resume")
        self.assert_exit(process, 0)
        self.assertIn("are dropped", process.stderr)
        self.assertRegex(process.stderr, r"resuming: [2-7] of 8 cases are done")

    def test_a_resumed_file_says_so(self):
        self.end_after_cases(2, signal.SIGKILL)
        self.assert_exit(self.run_suite("--resume", env={"LANG": "xx_YY"}), 0)
        with h5py.File(self.out) as f:
            self.assertEqual(f.attrs["resumed_count"], "1")
            self.assertIn(int(f.attrs["resumed_1_after_cases"]), range(2, 8))
            self.assertEqual(f.attrs["resumed_1_variable_LANG"], "xx_YY")
            self.assertNotEqual(f.attrs["variable_LANG"], "xx_YY")
            self.assertIn("--resume", f.attrs["resumed_1_command_line"])
            self.assertNotIn("resumed_1_cpu_model", f.attrs)
            self.assertIn("resumed_1_run_started", f.attrs)
            self.assertGreater(float(f.attrs["run_duration"]), 0)


class OtherRuns(Resume):
    """A run goes on as it was begun, or not at all."""

    def setUp(self):
        super().setUp()
        self.weights = self.path("model")
        shutil.copytree(os.path.join(SOURCE, "models", "taesd-mini"), self.weights)
        self.make_weights(0)
        self.plugin = self.path("plugin.so")
        shutil.copy(FAULTY, self.plugin)
        self.more = ["--model", "taesd-mini,kl-noattn-mini", "--weights", f"taesd-mini={self.weights}", "--decoder",
                     "cpu", "--decoder", f"plugin:{self.plugin},name=vendor"]

    def make_weights(self, seed):
        """What --seed makes, as a checkpoint."""
        cache = self.path(f"cache{seed}")
        self.assert_exit(vaemark("run", "--suite", self.suite_path, "--model", "taesd-mini", "--case", "*/plain/*",
                                 "--seed", seed, "--out", self.path("seed.h5"), env={"VAEMARK_CACHE": cache}), 0)
        found = os.listdir(os.path.join(cache, "weights"))
        shutil.copy(os.path.join(cache, "weights", found[0]),
                    os.path.join(self.weights, "diffusion_pytorch_model.safetensors"))

    def test_each_difference_is_named_and_nothing_is_lost(self):
        self.end_after_cases(2, signal.SIGKILL, *self.more)
        with open(self.journal, "rb") as f:
            before = f.read()
        changed = self.write("changed.yaml", STEADY.replace("min_psnr_db: 90", "min_psnr_db: 80"))
        binary = self.path("vaemark")
        shutil.copy(BINARY, binary)
        with open(binary, "ab") as f:
            f.write(b"another build")
        cases = ((["--seed", 3], "--seed: 0 there, 3 now"), (["--threads", 1], "--threads"), (["--timeout", 9], "--timeout"), (["--profile"], "--profile"),
                 (["--memory-limit", "9GiB"], "--memory-limit"), (["--case", "*/plain/*"], "selected cases"),
                 (["--suite", changed], "suite's file"), (["--decoder", "cpu,threads=1,name=one"], "decoder_3"))
        for more, word in cases:
            self.assert_refused(self.run_suite(*self.more, "--resume", *more), self.journal, word, "another run")
        process = subprocess.run([binary, *self.arguments(*self.more, "--resume")], capture_output=True, text=True,
                                 env={**os.environ, "VAEMARK_DATA": SOURCE}, timeout=300)
        self.assert_refused(process, "vaemark binary (SHA-256)")
        with open(self.plugin, "ab") as f:
            f.write(b"another build")
        self.assert_refused(self.run_suite(*self.more, "--resume"), "decoder_2_file_1_sha256")
        shutil.copy(FAULTY, self.plugin)
        self.make_weights(1)
        self.assert_refused(self.run_suite(*self.more, "--resume"), "weights of taesd-mini")
        self.make_weights(0)
        with open(self.journal, "rb") as f:
            self.assertEqual(f.read(), before)
        self.assert_exit(self.run_suite(*self.more, "--resume"), 0)

    def test_what_is_no_journal_or_anothers_is_left_alone(self):
        os.mkdir(self.path("out"))
        for content, word in ((b"shopping list: eggs, flour", "is not a journal"),
                              (b"vaemark journal 999 schema 1".ljust(64, b"\n"), "vaemark journal 999")):
            for more in ((), ("--resume",)):
                with open(self.journal, "wb") as f:
                    f.write(content)
                self.assert_refused(self.run_suite(*more), self.journal, word)
                with open(self.journal, "rb") as f:
                    self.assertEqual(f.read(), content)
        self.assert_exit(self.run_suite("--fresh", "--case", "taesd-mini/*/plain/*"), 0)  # another version's may go

    def test_two_runs_of_one_file_exclude_each_other(self):
        slow = self.write("slow.yaml", STEADY.replace("max_samples: 4", "max_samples: 9999").replace(
            "min_samples: 4", "min_samples: 9999"))
        first = subprocess.Popen([BINARY, "run", "--suite", slow, "--out", self.out], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env={**os.environ, MARK: self.folder})
        try:
            for _ in range(600):
                if os.path.exists(self.journal) and os.path.getsize(self.journal) > 0:
                    break
                time.sleep(0.05)
            for more in ((), ("--resume",), ("--fresh",)):
                self.assert_refused(self.run_suite(*more), self.journal, f"process {first.pid},")
            other = self.path("out/other.h5")
            self.assert_exit(vaemark("run", "--suite", self.suite_path, "--out", other), 0)
        finally:
            first.kill()
            first.wait()
        self.assert_nothing_left()
        self.assert_exit(self.run_suite(), 0)  # the lock died with its holder, and no case was finished


class Faults(Resume):
    def test_a_disk_that_is_full_at_the_end_loses_nothing(self):
        self.assert_exit(self.run_suite(), 0)
        limit = os.path.getsize(self.out) - 2000

        def tighten():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        os.unlink(self.out)
        process = self.run_suite(preexec_fn=tighten)
        self.assert_exit(process, 4)
        self.assertIn("File too large", process.stderr)
        self.assertIn("--resume", process.stderr)
        self.assertEqual(os.listdir(self.path("out")), ["run.h5.journal"])
        process = self.run_suite("--resume")
        self.assert_exit(process, 0)
        self.assertIn("resuming: 8 of 8 cases are done", process.stderr)

    def test_a_journal_that_cannot_grow_costs_the_safety_and_not_the_run(self):
        """The limit on file sizes holds for the memory that workers share, too; theirs is smaller."""
        self.suite(STEADY.replace('["4x4"]', '["4x4", "4x5", "5x4", "5x5", "4x6"]').replace(
            "sd15-mini, kl-noattn-mini, taesd-mini, consistency-mini", "taesd-mini").replace("plain, fuse_qkv", "plain"))
        limit = 120000
        process = self.run_suite(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        self.assert_exit(process, 4)  # the result does not fit either
        self.assertIn("warning: " + self.journal, process.stderr)
        self.assertEqual(len(re.findall("^.{5} passed", process.stderr, re.M)), 5, process.stderr)
        process = self.run_suite("--resume")
        self.assert_exit(process, 0)
        self.assertRegex(process.stderr, r"resuming: [1-4] of 5 cases")

    def test_a_case_that_cannot_be_tried_costs_itself(self):
        model = self.path("model")
        shutil.copytree(os.path.join(SOURCE, "models", "taesd-mini"), model)
        self.assert_exit(self.run_suite("--model", "taesd-mini", env={"VAEMARK_CACHE": self.path("cache")}), 0)
        weights = os.listdir(self.path("cache/weights"))[0]
        shutil.copy(self.path(f"cache/weights/{weights}"), os.path.join(model, "diffusion_pytorch_model.safetensors"))
        lost = self.write("model/mine.safetensors", pack(latents((1, 4, 5, 5))))
        self.suite(STEADY.replace('["4x4"]', '["4x4", "4x5", "5x4", mine]').replace(
            "sd15-mini, kl-noattn-mini, taesd-mini, consistency-mini", "taesd-mini").replace("plain, fuse_qkv", "plain"))
        run = self.start("--weights", f"taesd-mini={model}")
        said = run.stderr.readline()  # the cases are known, the last one is to come
        os.unlink(lost)
        said += run.stderr.read()
        run.stderr.close()
        self.assertEqual(run.wait(60), 2, said)
        rows = self.record(self.out)["cases"]
        self.assertEqual([row["outcome"] for row in rows], ["passed", "passed", "passed", "failed"], rows)
        self.assertIn("could not try it", rows[3]["reason"])
        self.assertIn("mine.safetensors", rows[3]["reason"])
        self.assertEqual(self.record(self.out)["environment"]["run_exit_code"], "2")

    def test_out_of_reach(self):
        os.mkdir(self.path("out"))
        os.mkdir(self.out)
        self.assert_refused(self.run_suite(), self.out, "is a folder")
        os.rmdir(self.out)
        os.mkdir(self.journal)
        self.assert_refused(self.run_suite(), self.journal)
        self.assertEqual(os.listdir(self.path("out")), ["run.h5.journal"])


class Cache(Resume):
    def run_with_cache(self, cache, **kwargs):
        return self.run_suite("--model", "taesd-mini", env={"VAEMARK_CACHE": cache}, **kwargs)

    def test_a_cache_out_of_reach_is_named_with_its_remedy(self):
        for cache in (self.write("a-file", "text"), self.write("another", "text") + "/below", "/sys/vaemark-cache"):
            with self.subTest(cache=cache):
                process = self.run_with_cache(cache)
                self.assert_exit(process, 4)
                self.assertIn(cache, process.stderr)
                self.assertIn("VAEMARK_CACHE", process.stderr)
                self.assertEqual(os.listdir(self.path("out")), [])

    def test_a_full_cache_leaves_no_half_file(self):
        cache = self.path("cache")
        process = self.run_with_cache(cache, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                                                                   (100000, 100000)))
        self.assert_exit(process, 4)
        self.assertIn(cache, process.stderr)
        self.assertIn("File too large", process.stderr)
        self.assertIn("VAEMARK_CACHE", process.stderr)
        self.assertEqual(os.listdir(os.path.join(cache, "weights")), [])
        self.assert_exit(self.run_with_cache(cache), 0)

    def test_a_kill_while_weights_are_made_leaves_none_torn(self):
        cache = self.path("cache")
        suite = self.suite(STEADY.replace("[sd15-mini, kl-noattn-mini, taesd-mini, consistency-mini]", "[sd15]"))
        run = subprocess.Popen([BINARY, "run", "--suite", suite, "--out", self.out], stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "VAEMARK_CACHE": cache})
        self.assertIn("making synthetic weights", run.stderr.readline())
        time.sleep(0.1)
        run.kill()
        run.wait()
        run.stderr.close()
        # Nothing, or, where this test waited for a CPU meanwhile, all of it.
        for name in os.listdir(os.path.join(cache, "weights")):
            with open(os.path.join(cache, "weights", name), "rb") as f:
                length = int.from_bytes(f.read(8), "little")
                header = json.loads(f.read(length))
                self.assertEqual(f.seek(0, os.SEEK_END), 8 + length + max(t["data_offsets"][1] for t in header.values()
                                                                                if "data_offsets" in t))

    def test_damaged_weights_in_the_cache_are_made_anew(self):
        cache = self.path("cache")
        self.assert_exit(self.run_with_cache(cache), 0)
        folder = os.path.join(cache, "weights")
        weights = os.path.join(folder, os.listdir(folder)[0])
        with open(weights, "rb") as f:
            before = f.read()
        with open(weights, "r+b") as f:
            f.truncate(1000)
        self.assert_exit(self.run_with_cache(cache), 0)
        with open(weights, "rb") as f:
            self.assertEqual(f.read(), before)


if __name__ == "__main__":
    unittest.main()
