"""`vaemark doctor`: its JSON has the documented keys and sane figures; it says so where the kernel tells nothing."""
import json
import os
import sys
import unittest

from support_cli import SOURCE, CommandLine, vaemark

NONE, NUMBER = type(None), (int, float)
TEXT, COUNT, MAYBE = (str, NONE), (int, NONE), (int, float, NONE)
RATE = {"one_thread": MAYBE, "all_threads": MAYBE}
SCHEMA = {
    "vaemark_version": str, "quick": bool, "duration_s": NUMBER,
    "machine": {
        "cpu_model": TEXT, "cpu_vendor": TEXT, "architecture": TEXT, "instruction_sets": TEXT, "sockets": COUNT,
        "cores": COUNT, "threads_online": COUNT, "threads_usable": int, "threads_a_core": COUNT, "numa_nodes": COUNT,
        "caches": [{"level": int, "type": TEXT, "size_bytes": int, "shared_by": COUNT}], "kernel": TEXT,
        "governor": TEXT, "turbo": (bool, NONE), "clock_now_hz": MAYBE, "clock_limit_hz": MAYBE,
        "virtual_machine": (bool, NONE), "hypervisor": TEXT, "container": bool, "memory_total_bytes": COUNT,
        "memory_available_bytes": COUNT, "swap_total_bytes": COUNT, "swap_free_bytes": COUNT,
        "transparent_huge_pages": TEXT, "load_average": [MAYBE], "steal_share_since_boot": MAYBE,
        "perf_event_paranoid": MAYBE,
        "cgroup": {"memory_limit_bytes": COUNT, "memory_left_bytes": COUNT, "cpu_limit": MAYBE}},
    "peaks": {
        "threads": int, "clock_hz": RATE,
        "multiply_add": [{"isa": str, "flops_per_s": RATE, "predicted_flops_per_s": RATE}],
        "bandwidth": [{"level": str, "read_bytes_per_s": RATE, "copy_bytes_per_s": RATE, "one_thread_bytes": int,
                       "each_thread_bytes": int}]},
    "noise": {"samples": int, "median_ns": NUMBER, "mad_ns": NUMBER, "p99_ns": NUMBER, "slowest_ns": NUMBER,
              "run_delay_share": MAYBE, "steal_share": MAYBE, "involuntary_switches": MAYBE, "smallest_difference": MAYBE,
              "smallest_difference_samples": int},
    "backends": [{"name": str, "available": bool, "reason": TEXT, "description": TEXT, "isa": TEXT}],
    "tools": [{"name": str, "available": bool, "version": TEXT, "wanted_for": str}],
    "folders": [{"name": str, "path": TEXT, "found": bool, "writable": bool, "free_bytes": COUNT, "problem": TEXT}],
    "advice": [{"id": str, "effect": str, "share": MAYBE, "text": str, "command": str}],
}


class Doctor(CommandLine):
    def examine(self, *more, env=None):
        process = vaemark("doctor", "--quick", "--json", *more, env=env)
        self.assert_exit(process, 0)
        report = json.loads(process.stdout)
        self.conform(report, SCHEMA, "doctor")
        return report

    def conform(self, value, schema, place):
        if isinstance(schema, dict):
            self.assertEqual(list(value), list(schema), place)
            for key in schema:
                self.conform(value[key], schema[key], f"{place}.{key}")
        elif isinstance(schema, list):
            self.assertIsInstance(value, list, place)
            for row in value:
                self.conform(row, schema[0], place + "[]")
        else:
            self.assertIsInstance(value, schema, place)

    def keys(self, schema):
        if isinstance(schema, list):
            schema = schema[0]
        if isinstance(schema, dict):
            for key, inner in schema.items():
                yield key
                yield from self.keys(inner)

    def test_every_key_is_documented(self):
        with open(os.path.join(SOURCE, "docs", "list-json.md")) as f:
            section = f.read().split("## vaemark doctor --json")[1]
        for key in self.keys(SCHEMA):
            self.assertIn(f"`{key}`", section)

    def test_this_machine(self):
        worker = f"exec:{sys.executable} {os.path.join(SOURCE, 'examples', 'nearest_worker.py')}"
        report = self.examine("--decoder", worker, "--decoder", "plugin:./nowhere.so", "--decoder", "no such thing")
        machine, peaks, noise = report["machine"], report["peaks"], report["noise"]
        self.assertEqual(machine["threads_usable"], len(os.sched_getaffinity(0)))
        self.assertGreater(machine["memory_total_bytes"], machine["memory_available_bytes"])
        for which in ("one_thread", "all_threads"):
            self.assertGreater(peaks["clock_hz"][which], 1e7)
            self.assertLess(peaks["clock_hz"][which], 1e10)
            for row in peaks["multiply_add"]:
                self.assertGreater(row["flops_per_s"][which], 1e7, row["isa"])
        self.assertEqual(peaks["multiply_add"][-1]["isa"], "portable")
        self.assertEqual([row["level"] for row in peaks["bandwidth"]], ["L1", "L2", "L3", "DRAM"])
        for row in peaks["bandwidth"]:
            for kind in ("read_bytes_per_s", "copy_bytes_per_s"):
                measured = row["one_thread_bytes"] > 0
                self.assertEqual(row[kind]["one_thread"] is not None, measured, row)
                self.assertTrue(not measured or row[kind]["one_thread"] > 1e7, row)
        self.assertGreaterEqual(noise["samples"], 10)
        self.assertGreater(noise["median_ns"], 1e6)
        self.assertLessEqual(noise["median_ns"], noise["p99_ns"])
        self.assertLessEqual(noise["p99_ns"], noise["slowest_ns"])
        self.assertGreater(noise["smallest_difference"], 0)
        backends = {row["name"]: row for row in report["backends"]}
        self.assertEqual(backends["cpu"]["isa"], peaks["multiply_add"][0]["isa"])
        self.assertTrue(backends["reference"]["available"])
        self.assertIn("not built in", backends["cuda"]["reason"])
        self.assertIn("not built in", backends["opencl"]["reason"])
        others = [row for name, row in backends.items() if name not in ("reference", "cpu", "cuda", "opencl")]
        self.assertEqual([row["available"] for row in others], [True, False, False])
        self.assertIn("nowhere.so", others[1]["reason"])
        self.assertTrue(others[2]["reason"])
        self.assertEqual([row["name"] for row in report["folders"]], ["cache", "data"])
        self.assertTrue(report["folders"][1]["found"])

    def test_where_the_kernel_tells_nothing(self):
        empty = self.path("empty")
        os.mkdir(empty)
        report = self.examine(env={"VAEMARK_SYSTEM_ROOT": empty})
        for key in ("cpu_model", "sockets", "cores", "memory_total_bytes", "governor", "turbo", "virtual_machine"):
            self.assertIsNone(report["machine"][key], key)
        self.assertEqual(report["machine"]["caches"], [])
        self.assertEqual(report["machine"]["load_average"], [None, None, None])
        for row in report["peaks"]["multiply_add"]:
            self.assertIsNone(row["predicted_flops_per_s"]["one_thread"])
            self.assertGreater(row["flops_per_s"]["one_thread"], 0)
        for row in report["peaks"]["bandwidth"]:
            self.assertEqual((row["one_thread_bytes"], row["read_bytes_per_s"]["one_thread"]), (0, None))

    def test_the_page_for_people(self):
        process = vaemark("doctor", "--quick", env={"VAEMARK_CACHE": "/proc/nowhere", "VAEMARK_SYSTEM_ROOT": "/nowhere"})
        self.assert_exit(process, 0)
        for heading in ("Machine", "Measured peaks", "Noise", "Backends", "Tools and folders", "Advice"):
            self.assertRegex(process.stdout, rf"(?m)^{heading}")
        self.assertRegex(process.stdout, r"a difference under [0-9.e+]+ % cannot be seen with 20 samples here")
        self.assertNotRegex(process.stdout, r"(?i)\bnan\b|\(null\)")
        first = process.stdout.split("Advice")[1].splitlines()
        self.assertIn("[broken] the cache folder", first[1])
        self.assertIn("export VAEMARK_CACHE=", first[2])
        self.assertIn("measuring peaks", process.stderr)

    def test_usage(self):
        for arguments in (("now",), ("--jason",)):
            self.assert_exit(vaemark("doctor", *arguments), 2)


if __name__ == "__main__":
    unittest.main()
