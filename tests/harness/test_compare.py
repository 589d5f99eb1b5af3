"""`vaemark compare`: stored runs side by side, from the command line."""
import json
import os
import unittest

from support_cli import SUITE, CommandLine, vaemark

ONE_MODEL = SUITE.replace("[sd15-mini, kl-noattn-mini, taesd-mini, consistency-mini]", "[taesd-mini]")


class Compare(CommandLine):
    def run_tiny(self, name, *arguments):
        process = vaemark("run", "--suite", self.suite(ONE_MODEL), "--out", self.path(name), *arguments)
        self.assert_exit(process, 0)
        return self.path(name)

    def test_runs_side_by_side(self):
        a, b = self.run_tiny("a.h5"), self.run_tiny("b.h5", "--seed", "7", "--case", "*/plain/*")
        process = vaemark("compare", a, b)
        self.assert_exit(process, 0)
        self.assertIn("Warning: the runs differ in seed", process.stdout)
        self.assertIn("To compare speeds, give one run both decoders.", process.stdout)
        self.assertIn("taesd-mini/cpu/fp32/fuse_qkv/1x4x4x4  not in B", process.stdout)
        self.assertNotIn("\x1b", process.stdout)
        process = vaemark("compare", a, b, "--json", "--markdown", self.path("deep/compare.md"))
        self.assert_exit(process, 0)
        document = json.loads(process.stdout)
        self.assertEqual(document["common_cases"], 1)
        self.assertEqual([run["path"] for run in document["runs"]], [a, b])
        with open(self.path("deep/compare.md")) as f:
            self.assertIn("| `taesd-mini/cpu/fp32/plain/1x4x4x4` | passed |", f.read())

    def test_what_cannot_be_compared(self):
        a, b = self.run_tiny("a.h5", "--case", "*/plain/*"), self.run_tiny("b.h5", "--case", "*/fuse_qkv/*")
        process = vaemark("compare", a, b)
        self.assert_exit(process, 3)
        self.assertIn("no case in common", process.stderr)
        text = self.write("text.h5", "no run")
        for arguments, word in ((["compare", a, text], "text.h5"), (["compare", a, self.path("none.h5")], "none.h5"),
                                (["compare", a], "two or more"), (["compare", a, b, "--only", "x"], "changed"),
                                (["compare", a, b, "--json", "--markdown", "-"], "standard output"),
                                (["compare", a, b, "--markdown", a], "two outputs"),
                                (["compare", a, b, "--markdown", os.path.join(text, "x")], "text.h5")):
            process = vaemark(*arguments)
            self.assert_exit(process, 2)
            self.assertIn(word, process.stderr)

    def test_a_run_of_another_schema_version_is_called_so(self):
        try:
            import h5py
        except ImportError:
            self.skipTest("h5py is not installed")
        a, b = self.run_tiny("a.h5", "--case", "*/plain/*"), self.path("b.h5")
        with h5py.File(a) as source, h5py.File(b, "w") as copy:
            for key in source:
                source.copy(key, copy)
            copy.attrs.update(source.attrs)
            copy.attrs["schema_version"] = 99
        process = vaemark("compare", a, b)
        self.assert_exit(process, 2)
        self.assertIn("b.h5", process.stderr)
        self.assertIn("99", process.stderr)


if __name__ == "__main__":
    unittest.main()
