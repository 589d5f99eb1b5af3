"""scripts/findings.py: the page says what the run says, no more and no less, and its commands repeat what they stand beside."""
import copy
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

SOURCE, BINARY = os.environ["VAEMARK_SOURCE"], os.environ["VAEMARK_BINARY"]
SCRIPT = os.path.join(SOURCE, "scripts", "findings.py")


def case(identity, vae_type, outcome, decoder="exec:'python3 w.py --framework f',name=f"):
    return {"id": identity, "vae_type": vae_type, "backend": "f", "decoder": decoder, "outcome": outcome, "reason": "why",
            "repro": f"vaemark run --suite 's' --case '{identity}'"}


def check(identity, name, outcome, message="said", derivation="because", evidence="harness"):
    return {"case_id": identity, "name": name, "outcome": outcome, "message": message, "derivation": derivation,
            "evidence": evidence}


RUN = {"environment": {"run_started": "2026-01-01T00:00:00Z", "command_line": "vaemark run", "hello_f_torch": "9.9"},
       "cases": [case("kl/f/fuse", "AutoencoderKL", "failed"), case("flux2/f/fuse", "AutoencoderKLFlux2", "failed"),
                 case("tiny/f/plain", "AutoencoderTiny", "crashed"), case("tiny/g/plain", "AutoencoderTiny", "unsupported")],
       "checks": [check("kl/f/fuse", "fuse-qkv/unfuse-memory", "failed", "weights take 9 bytes | 8 before", evidence="decoder"),
                  check("kl/f/fuse", "fuse-qkv/unfuse", "passed", "exact"),
                  check("flux2/f/fuse", "fuse-qkv/refused", "failed", "was accepted",
                        "capability table: must-refuse; a difference, not a defect: the class fuses"),
                  check("flux2/f/fuse", "fuse-qkv/refused-again", "failed", "was accepted again",
                        "capability table: must-refuse; a difference, not a defect: the class fuses")]}


class Findings(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="vaemark-test-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def call(self, *arguments):
        return subprocess.run([sys.executable, "-B", SCRIPT, *arguments], capture_output=True, text=True, timeout=60)

    def page(self, run):
        path = os.path.join(self.folder, "run.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(run, file)
        process = self.call(path)
        self.assertEqual(process.returncode, 0, process.stderr)
        return process.stdout

    def test_a_failed_check_is_a_finding_with_its_command(self):
        page = self.page(RUN)
        self.assertIn("`AutoencoderKL`: memory is kept after unfuse.", page)
        self.assertIn("`fuse-qkv/unfuse-memory`, by the decoder's own word: `weights take 9 bytes | 8 before`", page)
        self.assertIn("\nvaemark run --suite 's' --case 'kl/f/fuse'\n", page)
        self.assertIn("| decoder f | `torch 9.9` |", page)
        self.assertIn("2 defects, 1 differences", page)

    def test_a_finding_goes_when_its_check_passes(self):
        run = copy.deepcopy(RUN)
        run["checks"][0]["outcome"] = run["cases"][0]["outcome"] = "passed"
        page = self.page(run)
        self.assertNotIn("unfuse", page)
        self.assertNotIn("kl/f/fuse", page)
        self.assertIn("1 defects", page)

    def test_what_passed_or_was_unsupported_is_no_finding(self):
        page = self.page(RUN)
        self.assertNotIn("exact", page)
        self.assertNotIn("tiny/g/plain", page)

    def test_a_case_that_ended_without_checks_is_a_finding(self):
        page = self.page(RUN)
        self.assertIn("`AutoencoderTiny`: the decoder crashes.", page)
        self.assertIn("- `crashed`: `why`", page)

    def test_a_difference_stands_apart_and_refusals_are_one_finding(self):
        defects, differences = self.page(RUN).split("## Differences")
        self.assertNotIn("AutoencoderKLFlux2", defects)
        self.assertIn("`AutoencoderKLFlux2`: fuse_qkv is not refused", differences)
        self.assertEqual(differences.count("### Finding"), 1)
        self.assertIn("was accepted again", differences)

    def test_without_findings_it_says_so(self):
        page = self.page({**RUN, "cases": [], "checks": []})
        self.assertIn("No check failed", page)

    def test_every_check_that_may_fail_is_explained(self):
        listed = subprocess.run([BINARY, "list", "checks"], capture_output=True, text=True, timeout=60).stdout
        names = re.findall(r"^([a-z][a-z-]*(?:/[a-z-]+)?)  ", listed, re.M)
        self.assertIn("fuse-qkv/unfuse-memory", names)
        for name in names:
            identity = "kl/f/fuse"
            page = self.page({**RUN, "cases": RUN["cases"][:1], "checks": [check(identity, name, "failed")]})
            self.assertNotIn("does not hold", page, name)

    def test_what_is_no_run_is_an_error(self):
        path = os.path.join(self.folder, "run.json")
        for content in ("", "[]", '{"cases": 1}'):
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
            process = self.call(path)
            self.assertEqual(process.returncode, 2)
            self.assertIn(path, process.stderr)
        self.assertEqual(self.call(os.path.join(self.folder, "none.h5"), "--vaemark", BINARY).returncode, 2)

    def test_the_page_of_a_real_run_repeats_its_finding_when_typed(self):
        """A decoder text with spaces, quotes and a comma in it, of which the shell must make the same again."""
        worker = os.path.join(self.folder, "it's a worker")
        os.mkdir(worker)
        with open(os.path.join(worker, "w.sh"), "w", encoding="utf-8") as file:
            file.write("exit 7\n")
        run = os.path.join(self.folder, "run.h5")
        decoder = f"exec:sh \"{worker}/w.sh\" 'a b',name=odd"
        first = subprocess.run([BINARY, "run", "--suite", "smoke", "--case", "taesd-mini/*/plain/1x4x8x8", "--decoder", decoder,
                                "--out", run], capture_output=True, text=True, timeout=120)
        self.assertEqual(first.returncode, 1, first.stderr)
        page = os.path.join(self.folder, "findings.md")
        self.assertEqual(self.call(run, "--vaemark", BINARY, "--out", page).returncode, 0)
        with open(page, encoding="utf-8") as file:
            commands = re.findall(r"```\n(vaemark run .*)\n```", file.read())
        self.assertEqual(len(commands), 1)
        typed = f"{shlex.quote(BINARY)} {commands[0].split(' ', 1)[1]} --out {shlex.quote(self.folder)}/again.h5"
        again = subprocess.run(typed, shell=True, capture_output=True, text=True, timeout=120)
        self.assertEqual(again.returncode, 1, again.stderr)
        outcomes = [line for line in again.stdout.splitlines() if "taesd-mini/odd/fp32/plain/1x4x8x8" in line]
        self.assertTrue(outcomes, again.stdout)


if __name__ == "__main__":
    unittest.main()
