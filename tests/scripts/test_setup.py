"""scripts/setup.sh on machines that lack one thing or another, played by fakes of dpkg-query, apt-get, sudo and id."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SETUP = pathlib.Path(os.environ.get("VAEMARK_SOURCE", pathlib.Path(__file__).parents[2])) / "scripts/setup.sh"
TOOLS = "sh cat tr mktemp rm tail printf env dirname sed".split()


class SetupTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        self.installed = self.folder / "installed"
        self.calls = self.folder / "calls"
        self.calls.touch()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        # Called as: dpkg-query -W -f=FORMAT PACKAGE
        self.fake("dpkg-query", f'case " $(cat "{self.installed}") " in *" $3 "*) printf installed ;; *) exit 1 ;; esac')
        self.fake("id", "echo 0")
        self.fake_apt()

    def fake(self, name, body):
        path = self.bin / name
        path.write_text("#!/bin/sh\n" + body + "\n")
        path.chmod(0o755)

    def fake_apt(self, works=True):
        done = f'shift; for word in "$@"; do printf " %s " "$word" >>"{self.installed}"; done' if works else "true"
        self.fake("apt-get", f'''echo "apt-get $*" >>"{self.calls}"
while [ $# -gt 0 ] && [ "$1" != install ]; do shift; done
[ $# -eq 0 ] || {{ {done}; }}''')

    def everything_but(self, *lacking):
        packages = """gcc g++ libc6-dev cmake ninja-build pkgconf libhdf5-dev libjansson-dev libcyaml-dev libyaml-dev libpng-dev
            libssl-dev libxml2-dev libxml2-utils libcriterion-dev gnuplot-nox fonts-dejavu-core python3 python3-numpy python3-h5py git""".split()
        self.installed.write_text(" ".join(p for p in packages if p not in lacking) + " ")

    def run_setup(self, *arguments):
        return subprocess.run([SETUP, *arguments], env={"PATH": str(self.bin)}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)

    def installs(self):
        lines = [line for line in self.calls.read_text().splitlines() if " install " in line]
        return [word for line in lines for word in line.split(" install ")[1].split() if not word.startswith("-")]

    def test_nothing_missing_calls_no_apt_and_says_one_line(self):
        self.everything_but()
        result = self.run_setup()
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "setup: nothing to install\n", ""))
        self.assertEqual(self.calls.read_text(), "")

    def test_installs_only_what_is_missing_and_says_why(self):
        self.everything_but("libpng-dev", "libcyaml-dev")
        result = self.run_setup()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.installs(), ["libcyaml-dev", "libpng-dev"])
        self.assertRegex(result.stdout, r"(?m)^  libpng-dev +decoded pictures$")
        self.assertNotIn("libhdf5-dev", result.stdout)
        self.assertIn(" update", self.calls.read_text().splitlines()[0], "lists are fetched before they are used")

    def test_an_alternative_will_do(self):
        self.everything_but("ninja-build", "gnuplot-nox")
        with self.installed.open("a") as file:
            file.write(" make  gnuplot-qt ")
        self.run_setup()
        self.assertEqual(self.calls.read_text(), "")

    def test_ci_adds_the_checkers(self):
        self.everything_but()
        self.assertEqual(self.run_setup("--ci").returncode, 0)
        self.assertIn("clang-tidy", self.installs())
        self.assertIn("cppcheck", self.installs())
        self.assertNotIn("gcc", self.installs())

    def test_a_user_goes_through_sudo(self):
        self.everything_but("cmake")
        self.fake("id", "echo 1000")
        self.fake("sudo", f'echo "sudo $*" >>"{self.calls}"; exec "$@"')
        result = self.run_setup()
        self.assertEqual(result.returncode, 0, result.stderr)
        apt = [line for line in self.calls.read_text().splitlines() if line.startswith("apt-get")]
        sudo = [line for line in self.calls.read_text().splitlines() if line.startswith("sudo")]
        self.assertEqual(len(apt), 2)
        self.assertEqual(len(sudo), len(apt), "every call of apt goes through sudo")

    def test_a_user_without_sudo_is_told_what_root_must_do(self):
        self.everything_but("cmake", "git")
        self.fake("id", "echo 1000")
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("apt-get install --no-install-recommends cmake git", result.stderr)
        self.assertEqual(self.calls.read_text(), "")

    def test_without_apt_it_lists_what_to_install(self):
        self.everything_but("cmake")
        (self.bin / "apt-get").unlink()
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("libcriterion-dev", result.stderr)

    def test_a_failing_apt_is_an_error_that_shows_its_words(self):
        self.everything_but("cmake")
        self.fake("apt-get", 'echo "E: the mirror is on fire" >&2; exit 100')
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("the mirror is on fire", result.stderr)

    def test_an_apt_that_installs_nothing_is_not_believed(self):
        self.everything_but("cmake")
        self.fake_apt(works=False)
        result = self.run_setup()
        self.assertEqual(result.returncode, 1)
        self.assertIn("cmake", result.stderr)

    def test_an_unknown_argument_is_refused(self):
        self.everything_but()
        self.assertEqual(self.run_setup("--everything").returncode, 2)


if __name__ == "__main__":
    unittest.main()
