"""scripts/bench_frameworks.sh: ratios, intervals and tables of figures that are known, and rounds of a vaemark played by a fake."""
import json
import math
import os
import pathlib
import random
import stat
import subprocess
import sys
import tempfile
import time
import unittest

SOURCE = pathlib.Path(os.environ.get("VAEMARK_SOURCE", pathlib.Path(__file__).parents[2]))
SCRIPT = SOURCE / "scripts/bench_frameworks.sh"
sys.path.insert(0, str(SOURCE / "scripts"))

import bench_frameworks
import bench_ratios

MIB = 2**20


def case(backend, latency_ns, outcome="passed", peak=10 * MIB, weights=400, reason=""):
    return {"id": f"m/{backend}/fp32/plain/1x4x8x8", "backend": backend, "outcome": outcome, "reason": reason, "repro": "vaemark run",
            "latency_median_ns": latency_ns, "cpu_time_median_ns": latency_ns, "open_time_ns": 1.0, "psnr_db": 120.0,
            "memory_peak_bytes": peak, "memory_weights_bytes": weights, "image_height": 64, "image_width": 48}


def phases(backend, prepare, decode):
    return [{"case_id": f"m/{backend}/fp32/plain/1x4x8x8", "phase": phase, "rss_bytes": rss}
            for phase, rss in (("prepare", prepare), ("decode", decode))]


def run(*cases, memory=()):
    return {"models": [{"parameters": 100}], "cases": list(cases), "memory": list(memory), "environment": {"run_duration": "1"}}


def work(*runs):
    result = bench_ratios.Work("m:8x6")
    for one in runs:
        result.add(one)
    return result


class Figures(unittest.TestCase):
    def test_the_interval_covers_what_it_says(self):
        self.assertEqual(bench_ratios.sign_interval([3, 1, 2, 5, 4]), (1, 5, 1 - 2 / 2**5), "too few for 95 %: all of them")
        self.assertEqual(bench_ratios.sign_interval(range(6)), (0, 5, 1 - 2 / 2**6))
        self.assertEqual(bench_ratios.sign_interval(range(9)), (1, 7, 1 - 2 * (1 + 9) / 2**9))
        self.assertEqual(bench_ratios.sign_interval([7]), (7, 7, 0))
        lots, held = random.Random(1), 0
        for _ in range(2000):
            low, high, covers = bench_ratios.sign_interval([lots.gauss(0, 1) for _ in range(9)])
            held += low <= 0 <= high
        self.assertAlmostEqual(held / 2000, covers, delta=0.015)

    def test_a_ratio_is_of_pairs_and_its_inverse_is_the_inverse(self):
        pairs = [(1.0, 4.0), (2.0, 4.0), (3.0, 30.0)]
        found, inverse = bench_ratios.ratio(pairs), bench_ratios.ratio([(b, a) for a, b in pairs])
        self.assertAlmostEqual(found["of_rounds"], 0.25)
        self.assertAlmostEqual(found["low"], 0.1)
        self.assertAlmostEqual(found["high"], 0.5)
        for key, other in (("of_rounds", "of_rounds"), ("low", "high"), ("high", "low")):
            self.assertAlmostEqual(found[key], 1 / inverse[other])

    def test_a_framework_is_compared_with_the_cpu_beside_it(self):
        both = work(run(case("cpu-beside-a", 1e9), case("a", 4e9), case("cpu-beside-b", 2e9), case("b", 3e9)),
                    run(case("cpu-beside-a", 3e9), case("a", 6e9), case("cpu-beside-b", 1e9), case("b", 5e9))).result()
        self.assertEqual(both["cpu_to_framework"]["a"]["each"], [1 / 4, 3 / 6])
        self.assertEqual(both["fastest"], "b")
        self.assertEqual(both["decoders"]["cpu"]["latency_median_ns"], 1.5e9, "all of cpu's")
        self.assertAlmostEqual(both["cpu_to_framework"]["b"]["of_medians"], 1.5 / 4, msg="of what the table shows")
        self.assertAlmostEqual(both["cpu_to_framework"]["a"]["of_medians"], 1.5 / 5, msg="of what the table shows")

    def test_memory_is_the_peak_and_weights_beyond_the_checkpoint(self):
        own = case("cpu-beside-a", 1e9, peak=10 * MIB, weights=400 + MIB)
        result = work(run(own, case("a", 2e9, peak=30 * MIB), memory=phases("cpu-beside-a", 0, 999 * MIB))).result()
        self.assertEqual(result["decoders"]["cpu"]["memory_bytes"], 11 * MIB)
        self.assertAlmostEqual(result["memory"]["cpu_to_fastest"], 11 / 30)

    def test_an_arena_that_a_framework_keeps_counts(self):
        result = work(run(case("cpu-beside-a", 1e9), case("a", 2e9, peak=0), memory=phases("a", 500 * MIB, 540 * MIB))).result()
        self.assertEqual(result["decoders"]["a"]["memory_bytes"], 40 * MIB)

    def test_what_was_not_timed_is_told_and_the_rest_compared(self):
        result = work(run(case("cpu-beside-a", 1e9), case("a", None, "failed", reason="cannot be exported"),
                          case("cpu-beside-b", 1e9), case("b", 2e9))).result()
        self.assertEqual(result["without_figure"], {"a": "cannot be exported"})
        self.assertEqual(list(result["cpu_to_framework"]), ["b"])
        alone = work(run(case("cpu-beside-a", 1e9), case("a", None, "failed", reason="no"))).result()
        self.assertIsNone(alone["fastest"])
        self.assertIn("- `a` on m 64x48: no", bench_ratios.page([alone], {}, {}))

    def test_a_framework_whose_check_failed_counts_and_is_marked(self):
        result = work(run(case("cpu-beside-a", 1e9), case("a", 2e9, "failed", reason="nan-shows: no"))).result()
        page = bench_ratios.page([result], {"kernel": "x|y"}, {"z": "not installed; do this"})
        self.assertIn("| m 64x48 | 1 s | 2 s† | a | 0.500 | 0.500 (one round: none) | 120.0 dB |", page)
        self.assertIn("- `a` on m 64x48: nan-shows: no", page)
        self.assertIn("- `z`: not installed; do this", page)
        self.assertIn("x\\|y", page)

    def test_the_plot_has_a_block_a_framework_and_times_of_cpu(self):
        data, names, labels = bench_ratios.plot_data([work(run(case("cpu-beside-a", 1e9), case("a", 4e9, peak=20 * MIB)),
                                                           run(case("cpu-beside-a", 1e9), case("a", 5e9, peak=20 * MIB))).result()])
        self.assertEqual((names, labels), (["a"], ["m 64x48"]))
        row, time, low, high, memory = map(float, data.split())
        self.assertAlmostEqual(time, math.sqrt(20), places=4)
        self.assertEqual((row, low, high, memory), (0, 4, 5, 2))


class Order(unittest.TestCase):
    def test_each_framework_has_a_cpu_next_to_it_and_all_orders_come(self):
        first, before = set(), set()
        for seed in range(40):
            order = bench_frameworks.draw_order({"a": "exec:A", "b": "exec:B"}, random.Random(seed), "avx2")
            for i in (0, 2):
                pair = sorted(order[i:i + 2])
                name = pair[1][-1]
                self.assertEqual(pair, [f"cpu,name=cpu-beside-{name},isa=avx2", f"exec:{name.upper()},name={name}"])
                before.add(order[i].startswith("cpu"))
            first.add("beside-a" in order[0] or order[0].endswith("name=a"))
        self.assertEqual((first, before), ({True, False}, {True, False}))

    def test_frameworks_are_those_of_the_suite_that_set_no_option(self):
        suites = [{"name": "frameworks", "decoders": ["cpu", "exec:'x --f',name=torch", "exec:'x',name=torch-pipeline,pipeline=on"]}]
        self.assertEqual(bench_frameworks.frameworks_of(suites, None), {"torch": "exec:'x --f'"})
        with self.assertRaises(bench_frameworks.Stop):
            bench_frameworks.frameworks_of(suites, ["tensorflow"])


# Answers `list suites`, `run` and `show` for frameworks torch and onnxruntime; $FAKE says what goes wrong.
FAKE = r'''#!/usr/bin/env python3
import json, os, re, sys, time
fake, words = os.environ.get("FAKE", ""), sys.argv[1:]
with open(os.environ["CALLS"], "a") as calls:
    calls.write(f"{os.environ.get('ONEDNN_MAX_CPU_ISA')} {os.environ.get('ATEN_CPU_CAPABILITY')} {' '.join(words)}\n")
if words[0] == "list":
    print(json.dumps({"suites": [{"name": "frameworks", "decoders": ["cpu", "exec:'t',name=torch", "exec:'o',name=onnxruntime"]}]}))
elif words[0] == "show":
    suite = open(words[1][:-3] + ".yaml").read()
    cases = []
    for name in re.findall(r"name=([a-z-]+)", suite):
        beside = "beside" in name
        outcome = "unsupported" if fake == "absent" and not beside else "failed" if fake == "wrong" and beside else "passed"
        cases.append({"id": name, "backend": name, "outcome": outcome, "reason": "do this", "repro": "again",
                      "latency_median_ns": 1e6 * (1 if beside else 4) if outcome != "unsupported" else None,
                      "cpu_time_median_ns": 1.0, "open_time_ns": 1.0, "psnr_db": 99.0, "memory_peak_bytes": 2**20,
                      "memory_weights_bytes": 0, "image_height": 64, "image_width": 64})
    print(json.dumps({"models": [{"parameters": 0}], "cases": cases, "memory": [], "environment": {"run_duration": "60"}}))
else:
    if fake == "slow":
        open(os.environ["CALLS"] + ".slow", "w").write(str(os.getpid()))
        time.sleep(60)
    print("[1/2] passed      a/case, about 0:01 left\nbad suite", file=sys.stderr)
    sys.exit({"usage": 2, "broken": 4, "interrupted": 130}.get(fake, 0))
'''


class Rounds(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()), "a place")
        self.folder.mkdir()
        self.vaemark = self.folder / "vaemark"
        self.vaemark.write_text(FAKE.replace("/usr/bin/env python3", sys.executable))
        self.vaemark.chmod(self.vaemark.stat().st_mode | stat.S_IXUSR)
        self.out = self.folder / "out"

    def bench(self, *arguments, fake=""):
        environment = {**os.environ, "FAKE": fake, "CALLS": str(self.folder / "calls"), "PYTHON": sys.executable}
        return subprocess.run([SCRIPT, "--vaemark", self.vaemark, "--out", self.out, *arguments], env=environment, cwd="/",
                              capture_output=True, text=True, timeout=60)

    def calls(self):
        return (self.folder / "calls").read_text().splitlines()

    def test_rounds_make_tables_and_tell_the_time_left(self):
        result = self.bench("--work", "a:8x8", "--work", "b:4x4", "--rounds", "3", "--threads", "2")
        self.assertEqual(result.returncode, 0, result.stderr)
        bench = json.loads((self.out / "bench.json").read_text())
        self.assertEqual([work["work"] for work in bench["works"]], ["a:8x8", "b:4x4"])
        for work in bench["works"]:
            self.assertEqual(work["cpu_to_framework"]["torch"]["each"], [0.25] * 3)
        self.assertIn("| a 64x64 | 1 ms | 4 ms | 4 ms |", result.stdout)
        self.assertEqual(result.stdout.strip(), (self.out / "table.md").read_text().strip())
        self.assertIn("a:8x8, round 2 of 3, about 4:00 left", result.stderr)
        self.assertIn("a:8x8, round 3 of 3, about 2:00 left", result.stderr)
        runs = [call for call in self.calls() if " run " in call]
        self.assertEqual([call.split("rounds/")[1].split(".")[0] for call in runs],
                         ["probe", "a-8x8-1", "b-4x4-1", "a-8x8-2", "b-4x4-2", "a-8x8-3", "b-4x4-3"], "works take turns")
        self.assertTrue(all("--threads 2" in call for call in runs))
        self.assertTrue(all("--resume" in call for call in runs[1:]))
        self.assertIn("--fresh", runs[0], "what is installed may have changed")

    def test_what_is_not_there_is_told_with_its_remedy(self):
        result = self.bench(fake="absent")
        self.assertEqual(result.returncode, 3)
        self.assertIn("without torch: do this", result.stderr)

    def test_a_failure_of_cpu_shows_in_the_exit_code_with_what_repeats_it(self):
        result = self.bench("--work", "a:8x8", "--rounds", "1", fake="wrong")
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("again: again", result.stderr)

    def test_isa_limits_frameworks_and_leaves_out_what_has_no_limit(self):
        result = self.bench("--work", "a:8x8", "--rounds", "1", "--isa", "avx2")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(all(call.startswith("AVX2 avx2 ") for call in self.calls() if " run " in call))
        suite = (self.out / "rounds/a-8x8-1.yaml").read_text()
        self.assertIn("cpu,name=cpu-beside-torch,isa=avx2", suite)
        self.assertNotIn("onnxruntime", suite)
        self.assertIn("- `onnxruntime`: cannot be kept to AVX2", result.stdout)

    def test_signals_end_it_and_vaemark(self):
        environment = {**os.environ, "FAKE": "slow", "CALLS": str(self.folder / "calls"), "PYTHON": sys.executable}
        bench = subprocess.Popen([SCRIPT, "--vaemark", self.vaemark, "--out", self.out], env=environment, stderr=subprocess.PIPE, text=True)
        started, until = self.folder / "calls.slow", time.monotonic() + 30
        while not (started.exists() and started.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        bench.terminate()
        bench.terminate()
        _, said = bench.communicate(timeout=30)
        self.assertEqual(bench.returncode, 130, said)
        self.assertNotIn("Traceback", said)
        self.assertFalse(os.path.exists(f"/proc/{started.read_text()}"))

    def test_exit_codes(self):
        for arguments, fake, code in ((["--work", "a"], "", 2), (["--rounds", "0"], "", 2), (["--framework", "x"], "", 2),
                                      ([], "usage", 2), ([], "broken", 4), ([], "interrupted", 130), (["--vaemark", "/absent"], "", 2)):
            with self.subTest(arguments=arguments, fake=fake):
                self.assertEqual(self.bench(*arguments, fake=fake).returncode, code)
        self.assertIn("bad suite", self.bench(fake="broken").stderr)
        self.assertIn("exit codes:", self.bench("--help").stdout)


if __name__ == "__main__":
    unittest.main()
