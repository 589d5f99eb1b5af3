"""scripts/test_summary.py on what CTest writes: what counts as passed, failed and skipped."""
import os
import pathlib
import subprocess
import tempfile
import unittest
from xml.sax.saxutils import escape, quoteattr

SUMMARY = pathlib.Path(os.environ.get("VAEMARK_SOURCE", pathlib.Path(__file__).parents[2])) / "scripts/test_summary.py"
CRITERION = "[RUN ] a::x\n[PASS] a::x: (0.00s)\n[====] Synthesis: Tested: %d | Passing: %d | Failing: %d | Crashing: %d \n"
UNITTEST = "%s\n----------------------------------------------------------------------\nRan %d tests in 0.1s\n\n%s\n"


def case(status, output, skipped=None):
    message = "" if skipped is None else f"<skipped message={quoteattr(skipped)}/>"
    return f'<testcase name="room/noun" status="{status}">{message}<system-out>{escape(output)}</system-out></testcase>'


class SummaryTest(unittest.TestCase):
    def summarise(self, *cases):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(f"<testsuite>{''.join(cases)}</testsuite>")
            file.flush()
            result = subprocess.run([SUMMARY, file.name], capture_output=True, text=True)
        return result.returncode, result.stdout.splitlines()[-1], result.stdout

    def test_programs_of_neither_kind_count_as_one(self):
        status, line, _ = self.summarise(case("run", "fine"), case("run", ""))
        self.assertEqual((status, line), (0, "2 passed, 0 failed, 0 skipped"))

    def test_criterion_tests_are_counted_one_by_one(self):
        skip = "[SKIP] a::big: no goldens here\n"
        status, line, text = self.summarise(case("run", skip + CRITERION % (5, 5, 0, 0)))
        self.assertEqual((status, line), (0, "5 passed, 0 failed, 1 skipped"))
        self.assertIn("skipped in room/noun: a::big: no goldens here", text)

    def test_a_failing_program_fails_with_the_tests_that_failed(self):
        status, line, _ = self.summarise(case("fail", CRITERION % (5, 3, 2, 1)))
        self.assertEqual((status, line), (1, "3 passed, 2 failed, 0 skipped"))

    def test_a_program_that_failed_is_never_without_a_failure(self):
        status, line, _ = self.summarise(case("fail", CRITERION % (5, 5, 0, 0)), case("fail", "killed"))
        self.assertEqual((status, line), (1, "5 passed, 2 failed, 0 skipped"))

    def test_unittest_tests_are_counted_one_by_one(self):
        words = "test_a (m.T.test_a) ... skipped 'no h5py'\ntest_b (m.T.test_b) ... ok\ntest_c (m.T.test_c) ... ok"
        status, line, text = self.summarise(case("run", UNITTEST % (words, 3, "OK (skipped=1)")))
        self.assertEqual((status, line), (0, "2 passed, 0 failed, 1 skipped"))
        self.assertIn("test_a: 'no h5py'", text)

    def test_a_class_that_skips_itself_is_not_among_those_that_ran(self):
        words = "setUpClass (m.T) ... skipped 'no binary'\ntest_b (m.U.test_b) ... ok"
        _, line, _ = self.summarise(case("run", UNITTEST % (words, 1, "OK (skipped=1)")))
        self.assertEqual(line, "1 passed, 0 failed, 1 skipped")

    def test_unittest_failures_and_errors_fail(self):
        status, line, _ = self.summarise(case("fail", UNITTEST % ("", 4, "FAILED (failures=1, errors=2)")))
        self.assertEqual((status, line), (1, "1 passed, 3 failed, 0 skipped"))

    def test_ctest_calls_a_missing_program_skipped_and_we_do_not(self):
        status, line, text = self.summarise(case("run", ""), case("notrun", "", "Unable to find executable"))
        self.assertEqual((status, line), (1, "1 passed, 1 failed, 0 skipped"))
        self.assertIn("Unable to find executable", text)

    def test_a_skip_by_exit_code_is_a_skip(self):
        status, line, text = self.summarise(case("run", ""), case("notrun", "no GPU\n", "SKIP_RETURN_CODE=77"))
        self.assertEqual((status, line), (0, "1 passed, 0 failed, 1 skipped"))
        self.assertIn("no GPU", text)

    def test_nothing_run_is_not_green(self):
        self.assertEqual(self.summarise()[:2], (1, "0 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.summarise(case("notrun", "", "SKIP_RETURN_CODE=77"))[0], 1)

    def test_a_program_without_tests_is_a_failure(self):
        self.assertEqual(self.summarise(case("run", CRITERION % (0, 0, 0, 0)))[:2], (1, "0 passed, 1 failed, 0 skipped"))

    def test_a_missing_file_is_a_failure(self):
        result = subprocess.run([SUMMARY, "/nonexistent/tests.xml"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 1)


if __name__ == "__main__":
    unittest.main()
