"""scripts/run.sh and scripts/test.sh with set-up, build, vaemark and ctest played by fakes: order, exit status, odd folders."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(os.environ.get("VAEMARK_SOURCE", pathlib.Path(__file__).parents[2])) / "scripts"

VAEMARK = """#!/bin/sh
printf '%s|' vaemark "$@" >>calls; echo >>calls
case $1 in
run) [ "$RUN_STATUS" = 2 ] || : >out/run.h5; exit "$RUN_STATUS" ;;
report) [ "$REPORT_STATUS" != 0 ] || : >out/index.html; exit "$REPORT_STATUS" ;;
esac
"""
CTEST = """#!/bin/sh
while [ $# -gt 0 ]; do
    [ "$1" != --output-junit ] || cp "$TESTS_XML" "$2"
    shift
done
exit "$CTEST_STATUS"
"""


class ScriptCase(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "odd & spaced folder"
        (self.root / "scripts").mkdir(parents=True)
        for name in ("run.sh", "test.sh", "test_summary.py"):
            shutil.copy(SCRIPTS / name, self.root / "scripts" / name)
        self.fake("scripts/setup.sh", '#!/bin/sh\ncd "$(dirname "$0")/.." && echo setup >>calls\n')
        # Called as: build.sh DIR [CMAKE ARGUMENT...]
        self.fake("scripts/build.sh", '#!/bin/sh\nmkdir -p "$1"\ncd "$(dirname "$0")/.." && printf "build|" >>calls && '
                  'shift && echo "$*" >>calls; exit "${BUILD_STATUS:-0}"\n')
        self.fake("build/vaemark", VAEMARK)
        self.fake("bin/ctest", CTEST)

    def fake(self, path, text):
        (self.root / path).parent.mkdir(exist_ok=True)
        (self.root / path).write_text(text)
        (self.root / path).chmod(0o755)

    def run_script(self, name, *arguments, **environment):
        environment["PATH"] = f"{self.root / 'bin'}:{os.environ['PATH']}"
        return subprocess.run([self.root / "scripts" / name, *arguments], env=environment, cwd="/", text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60)

    def calls(self):
        return (self.root / "calls").read_text().splitlines()


class RunTest(ScriptCase):
    def run_with(self, run, report, *arguments):
        return self.run_script("run.sh", *arguments, RUN_STATUS=str(run), REPORT_STATUS=str(report))

    def test_sets_up_builds_runs_and_reports(self):
        result = self.run_with(0, 0, "--case", "sd15 mini*")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([call.split("|")[:2] for call in self.calls()],
                         [["setup"], ["build", ""], ["vaemark", "run"], ["vaemark", "report"]])
        self.assertIn("|--case|sd15 mini*|", self.calls()[2], "arguments reach vaemark run unchanged")
        self.assertIn("out/run.h5", result.stdout)
        self.assertEqual(result.stdout.splitlines()[-1], str(self.root / "out/index.html"), "it ends with the page")

    def test_a_failing_run_is_still_reported_and_its_status_kept(self):
        for status in (1, 3):
            self.assertEqual(self.run_with(status, 0).returncode, status)
            self.assertIn("vaemark|report", self.calls()[-1])

    def test_nothing_is_reported_of_a_run_that_did_not_start(self):
        self.run_with(0, 0)
        self.assertEqual(self.run_with(2, 0).returncode, 2)
        self.assertIn("vaemark|run", self.calls()[-1], "an older run.h5 is not reported as this one's")

    def test_a_failing_report_does_not_pass(self):
        self.run_with(0, 0)
        result = self.run_with(0, 1)
        self.assertEqual(result.returncode, 4)
        self.assertNotIn("index.html", result.stdout)
        self.assertEqual(self.run_with(1, 1).returncode, 1)

    def test_a_failing_build_runs_nothing(self):
        result = self.run_script("run.sh", RUN_STATUS="0", REPORT_STATUS="0", BUILD_STATUS="1")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(len(self.calls()), 2)


class TestTest(ScriptCase):
    def run_tests(self, *arguments, status="run", ctest="0"):
        xml = self.root / "given.xml"
        xml.write_text(f'<testsuite><testcase name="a/b" status="{status}"><system-out/></testcase></testsuite>')
        return self.run_script("test.sh", *arguments, TESTS_XML=str(xml), CTEST_STATUS=ctest)

    def test_ends_with_the_closing_line(self):
        result = self.run_tests()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout.splitlines()[-1], "1 passed, 0 failed, 0 skipped")

    def test_a_failure_fails(self):
        result = self.run_tests(status="fail", ctest="8")
        self.assertEqual(result.returncode, 8)
        self.assertEqual(result.stdout.splitlines()[-1], "0 passed, 1 failed, 0 skipped")

    def test_neither_ctest_nor_the_summary_is_believed_alone(self):
        self.assertNotEqual(self.run_tests(status="fail").returncode, 0)
        self.assertNotEqual(self.run_tests(ctest="8").returncode, 0)

    def test_an_older_result_is_not_taken_for_this_one(self):
        self.run_tests()
        self.fake("bin/ctest", "#!/bin/sh\nexit 0\n")
        self.assertNotEqual(self.run_tests().returncode, 0)

    def test_build_folder_and_cmake_arguments_are_passed_on(self):
        self.run_tests("--build", str(self.root / "other"), "-DVAEMARK_WERROR=ON")
        self.assertEqual(self.calls()[1], "build|-DVAEMARK_TESTS=ON -DVAEMARK_WERROR=ON")
        self.assertTrue((self.root / "other/tests.xml").exists())

    def test_an_unknown_argument_is_refused(self):
        self.assertEqual(self.run_tests("--fast").returncode, 2)
        self.assertEqual(self.run_tests("--build").returncode, 2)


if __name__ == "__main__":
    unittest.main()
