"""cmake --install into a folder that is then moved: the program finds its data, pkg-config the header, bash the words."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

BUILD = pathlib.Path(os.environ["VAEMARK_TEST_BUILD"]).parent
SOURCE = pathlib.Path(os.environ["VAEMARK_SOURCE"])

PLUGIN = r"""
#include <vaemark/decoder.h>
static const struct vaemark_backend backend = {.abi_version = VAEMARK_ABI_VERSION, .struct_size = sizeof backend};
const struct vaemark_backend *vaemark_decoder_v0(void);
const struct vaemark_backend *vaemark_decoder_v0(void) { return &backend; }
"""


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        first = pathlib.Path(cls.folder.name) / "first"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", first], check=True, stdout=subprocess.DEVNULL, timeout=120)
        cls.prefix = pathlib.Path(cls.folder.name) / "moved elsewhere"
        first.rename(cls.prefix)

    def run_installed(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("VAEMARK_")}
        environment["VAEMARK_CACHE"] = self.folder.name + "/cache"
        return subprocess.run([self.prefix / "bin/vaemark", *arguments], cwd=self.folder.name, env=environment,
                              capture_output=True, text=True, timeout=300)

    def test_the_moved_program_uses_the_data_beside_it(self):
        shutil.copytree(self.prefix / "share/vaemark/models/taesd-mini", self.prefix / "share/vaemark/models/only-here")
        self.addCleanup(shutil.rmtree, self.prefix / "share/vaemark/models/only-here")
        listing = self.run_installed("list", "models")
        self.assertEqual(listing.returncode, 0, listing.stderr)
        self.assertIn("only-here", listing.stdout)

    def test_it_decodes_the_model_that_comes_with_it(self):
        latents = self.prefix / "share/vaemark/models/taef2/portrait.safetensors"
        decode = self.run_installed("decode", "--model", "taef2", "--latents", latents, "--out", "portrait.png")
        self.assertEqual(decode.returncode, 0, decode.stderr)
        self.assertGreater((pathlib.Path(self.folder.name) / "portrait.png").stat().st_size, 10000)

    def test_every_data_file_of_the_tree_is_installed(self):
        kinds = {"models": "*/*", "suites": "*.yaml", "scripts/gnuplot": "*", "scripts/adapters": "*.*",
                 "scripts": "setup-frameworks.sh"}
        for folder, pattern in kinds.items():
            wanted = {p.relative_to(SOURCE) for p in (SOURCE / folder).glob(pattern) if p.is_file()}
            self.assertTrue(wanted, folder)
            lacking = {p for p in wanted if not (self.prefix / "share/vaemark" / p).is_file()}
            self.assertEqual(lacking, set())

    def test_the_suite_of_frameworks_finds_its_adapter(self):
        """Without a framework it says how to get one, with the path where the script was installed."""
        environment = {"VAEMARK_FRAMEWORKS_VENV": self.folder.name + "/none", "VAEMARK_CACHE": self.folder.name + "/cache"}
        program = [self.prefix / "bin/vaemark", "run", "--suite", "frameworks", "--case", "taesd-mini/torch/fp32/plain/*",
                   "--out", "run.h5"]
        run = subprocess.run(program, cwd=self.folder.name, env={"PATH": os.environ["PATH"], "HOME": self.folder.name, **environment},
                             capture_output=True, text=True, timeout=300)
        self.assertIn(f"{self.prefix}/share/vaemark/scripts/setup-frameworks.sh", run.stdout + run.stderr)

    def test_pkg_config_leads_a_plug_in_to_the_header(self):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(self.prefix / "share/pkgconfig"))

        def ask(*arguments):
            return subprocess.run(["pkg-config", *arguments, "vaemark"], env=environment, check=True, capture_output=True,
                                  text=True, timeout=60).stdout.strip()

        header = (SOURCE / "include/vaemark/decoder.h").read_text()
        self.assertIn(f"#define VAEMARK_ABI_VERSION {ask('--variable=abi_version')}u", header)
        source = pathlib.Path(self.folder.name) / "plugin.c"
        source.write_text(PLUGIN)
        # A shell reads what pkg-config prints, so that its quoting of spaces counts.
        subprocess.run(f"cc -std=c11 -Wall -Werror -shared -fPIC -o plugin.so plugin.c {ask('--cflags')}", shell=True, check=True,
                       cwd=self.folder.name, timeout=60)

    def complete(self, *words):
        """What bash would offer for the last of these words."""
        script = """. "$1/share/bash-completion/completions/vaemark"; program=$1/bin/vaemark; shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _vaemark "$program"; printf '%s\\n' "${COMPREPLY[@]}" """
        result = subprocess.run(["bash", "-c", script, "bash", self.prefix, "vaemark", *words], cwd=self.folder.name,
                                check=True, capture_output=True, text=True, timeout=60)
        return set(result.stdout.split())

    def test_bash_completes_commands_options_and_names(self):
        self.assertLessEqual({"run", "list", "decode", "--version"}, self.complete(""))
        self.assertEqual(self.complete("dec"), {"decode"})
        self.assertEqual(self.complete("run", "--sui"), {"--suite"})
        self.assertIn("smoke", self.complete("run", "--suite", ""))
        self.assertEqual(self.complete("decode", "--model", "sd15"), {"sd15", "sd15-mini"})
        self.assertEqual(self.complete("run", "--backend", "=", "re"), {"reference"})
        self.assertEqual(self.complete("list", "m"), {"models"})
        self.assertEqual(self.complete("oracle", "ex"), {"export"})
        self.assertEqual(self.complete("oracle", "verify", "--re"), {"--repair", "--recompute"})

    def test_every_model_is_offered(self):
        models = {p.parent.name for p in (SOURCE / "models").glob("*/config.json")}
        self.assertEqual(self.complete("run", "--model", ""), models)

    def test_every_command_of_the_help_is_offered(self):
        shown = self.run_installed("--help").stdout.split("Commands:")[1].split("\n\n")[0].splitlines()
        commands = {line.split()[0] for line in shown if line.strip()}
        self.assertGreater(len(commands), 5)
        self.assertEqual(self.complete(""), commands | {"--help", "--version"})


if __name__ == "__main__":
    unittest.main()
