#!/usr/bin/env python3
"""Counts what CTest ran, down to the single tests inside each program, and prints 'N passed, N failed, N skipped'.

    test_summary.py TESTS.xml        (from `ctest --output-junit`)

CTest knows programs only, and calls a program that could not be started `skipped`. Here a Criterion program (run with
--verbose) and a Python unittest (run with -v) count as the tests that they report; a program that failed counts at least
one failure whatever it says; one that was not found, or ran no test at all, is a failure; a test that skipped itself is
listed with its reason. Exit status 1 if any failed or none passed.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

CRITERION_TOTAL = re.compile(r"^\[=+\] Synthesis: Tested: \d+ \| Passing: (\d+) \| Failing: (\d+) \| Crashing: \d+", re.M)
CRITERION_SKIP = re.compile(r"^\[SKIP\] (.*)$", re.M)
UNITTEST_TOTAL = re.compile(r"^Ran (\d+) tests? in .*\n\s*\n(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?", re.M)
UNITTEST_SKIP = re.compile(r"^(\S+) \(.*\) \.\.\. skipped (.*)$", re.M)


def count_inside(output):
    """Returns (passed, failed, skip reasons), or None where the program is of neither kind."""
    total = CRITERION_TOTAL.search(output)
    if total:
        return int(total.group(1)), int(total.group(2)), CRITERION_SKIP.findall(output)
    total = UNITTEST_TOTAL.search(output)
    if total:
        facts = dict(part.split("=") for part in (total.group(2) or "").split(", ") if "=" in part)
        failed = sum(int(facts.get(name, 0)) for name in ("failures", "errors", "unexpected successes"))
        skips = UNITTEST_SKIP.findall(output)
        # A class that skips itself in setUpClass is reported, but not among the tests that ran.
        skipped_among_ran = int(facts.get("skipped", 0)) - sum(name == "setUpClass" for name, _ in skips)
        reasons = [f"{name}: {reason}" for name, reason in skips]
        reasons += ["?"] * (int(facts.get("skipped", 0)) - len(reasons))
        return max(0, int(total.group(1)) - failed - skipped_among_ran), failed, reasons
    return None


def count_program(case):
    """Returns (passed, failed, skip reasons) of one CTest test."""
    output = case.findtext("system-out") or ""
    status = case.get("status")
    if status in ("notrun", "disabled"):
        skipped = case.find("skipped")
        why = "disabled" if skipped is None else skipped.get("message", "")
        if status == "disabled" or why.startswith("SKIP_"):
            return 0, 0, [output.strip().splitlines()[-1] if output.strip() else why]
        print(f"{case.get('name')}: did not run: {why}")
        return 0, 1, []
    inside = count_inside(output)
    if status != "run":
        passed, failed, skips = inside or (0, 1, [])
        return passed, max(1, failed), skips
    if inside is None:
        return 1, 0, []
    passed, failed, skips = inside
    if passed + failed + len(skips) == 0:
        print(f"{case.get('name')}: ran, but holds no test")
        return 0, 1, []
    return passed, failed, skips


def main(arguments):
    if len(arguments) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        cases = list(ElementTree.parse(arguments[0]).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        print(f"test_summary: {arguments[0]}: {error}; did ctest run at all?", file=sys.stderr)
        print("0 passed, 0 failed, 0 skipped")
        return 1
    total_passed = total_failed = total_skipped = 0
    for case in cases:
        passed, failed, skips = count_program(case)
        total_passed += passed
        total_failed += failed
        total_skipped += len(skips)
        for reason in skips:
            print(f"skipped in {case.get('name')}: {reason}")
    print(f"{total_passed} passed, {total_failed} failed, {total_skipped} skipped")
    return 0 if total_passed and not total_failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
