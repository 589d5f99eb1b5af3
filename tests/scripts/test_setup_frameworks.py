"""scripts/setup-frameworks.sh on machines that have the packages, lack them, or lack room, played by fakes; nothing is downloaded."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("VAEMARK_SOURCE", pathlib.Path(__file__).parents[2]))
SETUP = SOURCE / "scripts/setup-frameworks.sh"
TOOLS = "sh cat mktemp rm tail env dirname sed awk cut date grep mkdir tr kill".split()

# A python that knows -c, -m venv, -m pip install and the script on standard input that compares versions.
PYTHON = r"""#!/bin/sh
echo "python $*" >>"$CALLS"
case "$1 $2" in
"-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip") [ -z "$PIP_FAILS" ] || { echo "ERROR: no matching distribution"; exit 1; }; echo yes >"$INSTALLED" ;;
"-c "*) case $2 in "import openvino") [ -z "$BROKEN" ] || { echo "ImportError: libstdc++"; exit 1; } ;; esac ;;
"- "*) cat >/dev/null; [ -e "$INSTALLED" ] || { echo "no torch"; exit 1; } ;;
esac
"""


class SetupFrameworksTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.calls = self.folder / "calls"
        self.calls.touch()
        self.venv = self.folder / "a place" / "venv"
        for tool in [*TOOLS, "cp"]:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.fake("python3", PYTHON)
        self.fake("g++", "#!/bin/sh\n")
        self.fake("id", "#!/bin/sh\necho 0\n")
        self.fake("sleep", f"#!/bin/sh\nexec {shutil.which('sleep')} 0.1\n")
        self.fake("du", "#!/bin/sh\nprintf '6000\\tx\\n'\n")
        self.fake("apt-get", f'#!/bin/sh\necho "apt-get $*" >>"{self.calls}"\n')
        self.fake("df", "#!/bin/sh\nprintf 'Filesystem\\nx 1 1 20000 1%% /\\n'\n")

    def fake(self, name, body):
        path = self.bin / name
        path.write_text(body)
        path.chmod(0o755)

    def run_setup(self, *arguments, **variables):
        environment = {"PATH": str(self.bin), "CALLS": str(self.calls), "INSTALLED": str(self.folder / "installed"),
                       "HOME": str(self.folder), "PIP_FAILS": "", "BROKEN": "", **variables}
        return subprocess.run([SETUP, *(arguments or [self.venv])], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)

    def test_installs_pinned_packages_once(self):
        result = self.run_setup()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("6000 MiB", result.stdout)
        line = next(line for line in self.calls.read_text().splitlines() if " -m pip install " in line)
        words = line.split(" --progress-bar off ")[1].split()
        self.assertTrue(all(re.fullmatch(r"[a-z]+==[\d.]+", word) for word in words), words)
        self.assertLessEqual({"torch", "diffusers", "onnxruntime", "openvino"}, {word.split("==")[0] for word in words})
        self.assertNotIn("apt-get", self.calls.read_text())
        self.calls.write_text("")
        again = self.run_setup()
        self.assertEqual((again.returncode, again.stdout), (0, f"setup-frameworks: nothing to do: {self.venv} is complete\n"))
        self.assertNotIn("pip", self.calls.read_text())

    def test_no_registry_is_named(self):
        self.assertNotRegex(SETUP.read_text(), r"https?://|index-url")

    def test_too_little_room_is_told_before_anything_is_done(self):
        self.fake("df", "#!/bin/sh\nprintf 'Filesystem\\nx 1 1 500 1%% /\\n'\n")
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("500 MiB free", result.stderr)
        self.assertNotIn("-m", self.calls.read_text())

    def test_a_compiler_is_installed_with_apt(self):
        (self.bin / "g++").unlink()
        result = self.run_setup()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends g++", self.calls.read_text())

    def test_a_user_without_sudo_is_told_what_to_type(self):
        (self.bin / "g++").unlink()
        self.fake("id", "#!/bin/sh\necho 1000\n")
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("as root, run: apt-get update", result.stderr)
        self.assertNotIn("apt-get", self.calls.read_text())

    def test_pips_failure_is_shown_and_ours(self):
        result = self.run_setup(PIP_FAILS="1")
        self.assertEqual(result.returncode, 1)
        self.assertIn("no matching distribution", result.stderr)
        self.assertIn("pip failed", result.stderr)

    def test_what_does_not_start_is_named(self):
        result = self.run_setup(BROKEN="1")
        self.assertEqual(result.returncode, 1)
        self.assertIn("openvino is installed, but does not start: ImportError: libstdc++", result.stderr)

    def test_help_and_what_is_unknown(self):
        self.assertEqual(self.run_setup("--help").returncode, 0)
        self.assertEqual(self.run_setup("--nonsense").returncode, 2)


if __name__ == "__main__":
    unittest.main()
