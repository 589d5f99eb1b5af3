"""What CI reads: JUnit XML and Markdown of runs, from `run` and from `show`."""
import os
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

from support_cli import FAULTY, SOURCE, SUITE, CommandLine, vaemark

ONE_MODEL = SUITE.replace("[sd15-mini, kl-noattn-mini, taesd-mini, consistency-mini]", "[taesd-mini]")
ELEMENTS = {"failed": "failure", "crashed": "error", "timed_out": "error", "out_of_memory": "error",
            "unsupported": "skipped", "skipped": "skipped", "passed": None, "refused": None}


class Exports(CommandLine):
    def run_tiny(self, *arguments, fault=None, **kwargs):
        decoder = ["--decoder", f"plugin:{FAULTY},name=faulty", "--decoder", "cpu"] if fault else []
        return vaemark("run", "--suite", self.suite(ONE_MODEL), "--out", self.path("run.h5"), *decoder, *arguments,
                       env={"VAEMARK_FAULT": fault} if fault else {}, **kwargs)

    def check_junit(self, path, record):
        """Holds against the schema, parses, and its totals and cases are the run's."""
        schema = os.path.join(SOURCE, "tests/data/junit.xsd")
        checked = subprocess.run(["xmllint", "--nonet", "--noout", "--schema", schema, path], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        suites = ElementTree.parse(path).getroot()
        suite = suites.find("testsuite")
        wanted = [ELEMENTS[case["outcome"]] for case in record["cases"]]
        for node in (suites, suite):
            self.assertEqual(int(node.get("tests")), len(wanted))
            self.assertEqual(int(node.get("failures")), wanted.count("failure"))
            self.assertEqual(int(node.get("errors")), wanted.count("error"))
        self.assertEqual(int(suite.get("skipped")), wanted.count("skipped"))
        for testcase, case, element in zip(suite.findall("testcase"), record["cases"], wanted):
            self.assertEqual(testcase.get("name"), case["id"])
            self.assertGreater(float(testcase.get("time")), 0)
            found = [child.tag for child in testcase if child.tag in ("failure", "error", "skipped")]
            self.assertEqual(found, [element] if element else [], case["id"])
            if element in ("failure", "error"):
                self.assertIn(case["repro"], testcase.find(element).text)
        properties = {p.get("name"): p.get("value") for p in suite.find("properties")}
        self.assertEqual(properties["suite_sha256"], record["environment"]["suite_sha256"])
        return suite

    def test_no_output_is_written_over_another(self):
        os.mkdir(self.path("sub"))
        for junit in ("./run.h5", "sub/../run.h5", "run.h5.journal"):
            process = self.run_tiny("--junit", self.path(junit))
            self.assert_exit(process, 2)
            self.assertIn("run.h5", process.stderr)
            self.assertFalse(os.path.exists(self.path("run.h5")))
        shard = ("--case", "*/plain/*")
        self.assert_exit(self.run_tiny(*shard), 0)
        with open(self.path("run.h5"), "rb") as f:
            before = f.read()
        for option in ("--junit", "--markdown"):
            self.assert_exit(vaemark("show", self.path("run.h5"), option, self.path("./run.h5")), 2)
        with open(self.path("run.h5"), "rb") as f:
            self.assertEqual(f.read(), before, "show leaves the run alone")

    @unittest.skipUnless(FAULTY, "the plug-in with planted faults is not built")
    def test_a_run_that_fails_is_written_too(self):
        junit, markdown = self.path("deep/er/junit.xml"), self.path("deep/summary.md")
        process = self.run_tiny("--junit", junit, "--markdown", markdown, fault="crash_in_decode")
        self.assert_exit(process, 1)
        record = self.record(self.path("run.h5"))
        self.assertEqual({case["outcome"] for case in record["cases"]}, {"crashed", "passed", "refused"})
        self.check_junit(junit, record)
        with open(markdown) as f:
            text = f.read()
        self.assertIn("**Failed: ", text)
        crashed = next(case for case in record["cases"] if case["outcome"] == "crashed")
        self.assertIn(f"| `{crashed['id']}` | crashed |", text)
        self.assertIn(crashed["repro"], text)
        self.assertIn("Failed: ", process.stdout.splitlines()[-1])
        self.show_makes_the_same(junit, markdown)

    def show_makes_the_same(self, junit, markdown):
        again = self.path("again.xml"), self.path("again.md")
        process = vaemark("show", self.path("run.h5"), "--junit", again[0], "--markdown", again[1])
        self.assert_exit(process, 0)
        self.assertIn(again[0], process.stdout)
        for path, other in zip((junit, markdown), again):
            with open(path) as f, open(other) as g:
                self.assertEqual(f.read(), g.read())

    def test_standard_output_is_left_to_what_was_asked_for(self):
        process = self.run_tiny("--junit", "-")
        self.assert_exit(process, 0)
        ElementTree.fromstring(process.stdout.encode())
        self.assertIn("Passed: ", process.stderr.splitlines()[-1])
        process = vaemark("show", self.path("run.h5"), "--markdown", "-")
        self.assert_exit(process, 0)
        self.assertTrue(process.stdout.startswith("## vaemark tiny\n\n**Passed: 1 of 2 cases passed, 1 refused"))
        self.assertTrue(process.stdout.endswith("</details>\n"))

    def test_what_cannot_be_written_is_known_before_the_work(self):
        blocker = self.write("file", "keep me")
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        for bad, named in ((os.path.join(blocker, "junit.xml"), blocker), (self.folder,) * 2, (fifo,) * 2, ("", "empty")):
            for option in ("--junit", "--markdown", "--out"):
                process = self.run_tiny(option, bad)
                self.assert_exit(process, 2)
                self.assertIn(named, process.stderr)
                self.assertFalse(os.path.exists(self.path("run.h5")))
        process = self.run_tiny("--junit", self.path("run.h5"))
        self.assert_exit(process, 2)
        self.assertIn("two outputs", process.stderr)
        with open(blocker) as f:
            self.assertEqual(f.read(), "keep me")
        self.assertEqual(sorted(os.listdir(self.folder)), ["fifo", "file", "tiny.yaml"])

    def test_show_writes_whole_runs_only(self):
        self.assert_exit(self.run_tiny(), 0)
        for more in (["--json"], ["--csv", "cases"], ["taesd-mini/*"]):
            process = vaemark("show", self.path("run.h5"), "--junit", self.path("junit.xml"), *more)
            self.assert_exit(process, 2)
            self.assertIn("leave CASE", process.stderr)
        process = vaemark("show", self.path("run.h5"), "--junit", os.path.join(self.path("run.h5"), "x"))
        self.assert_exit(process, 2)


if __name__ == "__main__":
    unittest.main()
