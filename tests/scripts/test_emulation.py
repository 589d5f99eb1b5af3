"""What the scripts that run tests in an emulator say before they start one."""
import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(os.environ["VAEMARK_SOURCE"]) / "scripts"
BOTH = "test_aarch64.sh", "test_avx512.sh"


def run(script, *arguments, **environment):
    return subprocess.run(["/bin/sh", SCRIPTS / script, *arguments], env={**os.environ, **environment}, capture_output=True,
                          text=True, timeout=60)


class EmulationTest(unittest.TestCase):
    def test_help_is_the_head_of_the_script(self):
        for script in BOTH:
            for option in "-h", "--help":
                answer = run(script, option)
                self.assertEqual((answer.returncode, answer.stderr), (0, ""), script)
                self.assertTrue(answer.stdout.startswith("Holds backend cpu"), answer.stdout)
                self.assertIn(f"scripts/{script} [--build DIR] [SUITE...]", answer.stdout)
                self.assertTrue(answer.stdout.rstrip().splitlines()[-1].startswith(("N passed", "'N passed", "none failed")))
                self.assertNotIn("set -eu", answer.stdout)

    def test_build_takes_a_folder(self):
        for script in BOTH:
            answer = run(script, "--build")
            self.assertEqual(answer.returncode, 2, script)
            self.assertEqual(answer.stderr, f"{script[:-3]}: --build takes a value\n")

    def test_what_is_missing_is_named_before_anything_is_built(self):
        """No emulator, no compiler: a path with nothing but a shell's tools."""
        with tempfile.TemporaryDirectory() as folder:
            for tool in "dirname", "basename", "mkdir":
                os.symlink(f"/usr/bin/{tool}", f"{folder}/{tool}")
            for script, missing in (("test_aarch64.sh", "aarch64-linux-gnu-gcc"), ("test_avx512.sh", "bochs")):
                answer = run(script, "--build", f"{folder}/build", PATH=folder)
                self.assertEqual(answer.returncode, 1, answer.stderr)
                self.assertIn(f"there is no {missing} here", answer.stderr)
                self.assertEqual(os.listdir(f"{folder}/build"), [])


if __name__ == "__main__":
    unittest.main()
