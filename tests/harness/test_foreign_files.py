"""Files that commands are given and that are not what this vaemark wrote: other versions, damage, no cases at all."""
import os
import shutil
import sys
import unittest

try:
    import h5py
except ImportError:
    print("skipped: h5py is not installed (Debian: apt-get install python3-h5py)")
    sys.exit(77)

from support_cli import CommandLine, vaemark

SEAL_BYTES = 512


class ForeignFiles(CommandLine):
    def setUp(self):
        super().setUp()
        self.whole = self.path("whole.h5")
        self.assert_exit(vaemark("run", "--suite", self.suite(), "--case", "taesd-mini/*/plain/*", "--out", self.whole), 0)

    def changed(self, name, change):
        """A copy that other software has changed: HDF5 reads it, the seal is gone."""
        path = self.path(name)
        shutil.copy(self.whole, path)
        with h5py.File(path, "r+") as f:
            change(f)
        with open(path, "r+b") as f:
            f.write(bytes(SEAL_BYTES))
        return path

    def readers(self, path):
        """Every way to read it, with the exit code that a readable file gives."""
        return (["show", path], ["show", path, "--json"], ["show", path, "--csv", "cases"], ["show", path, "--junit", "-"],
                ["compare", path, path], ["report", path, "--out", self.path("report")], ["run", "--resume", "--suite", self.path("tiny.yaml"),
                                                                 "--case", "taesd-mini/*/plain/*", "--out", path])

    def assert_all_refuse(self, path, word):
        for arguments in self.readers(path):
            process = vaemark(*arguments)
            self.assert_exit(process, 2)
            self.assertIn(path, process.stderr)
            self.assertIn(word, process.stderr)
            self.assertEqual(process.stdout, "")
        self.assertFalse(os.path.exists(os.path.join(self.path("report"), "index.html")))
        self.assertFalse(os.path.exists(path + ".journal"))

    def test_other_versions(self):
        for version in (0, 999):
            path = self.changed(f"v{version}.h5", lambda f: f.attrs.__setitem__("schema_version", version))
            self.assert_all_refuse(path, f"schema version {version}")

    def test_damage(self):
        with open(self.whole, "rb") as f:
            content = f.read()
        self.assert_all_refuse(self.write("cut.h5", content[:len(content) // 2]), "cut short")
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 4
        self.assert_all_refuse(self.write("flipped.h5", bytes(flipped)), "checksum")
        self.assert_all_refuse(self.write("empty.h5", b""), "is empty")
        self.assert_all_refuse(self.write("journal.h5", b"vaemark journal 1 schema 1".ljust(64, b"\n")), "a run that is not over")

    def test_a_run_of_no_cases_is_shown_as_that(self):
        path = self.changed("none.h5", empty_tables)
        for arguments in self.readers(path)[:-1]:
            self.assert_exit(vaemark(*arguments), 3 if arguments[0] == "compare" else 0)  # 3: nothing in common
        self.assertIn("no case", vaemark("show", path).stdout.lower())
        self.assertEqual(self.record(path)["cases"], [])
        self.assert_exit(vaemark(*self.readers(path)[-1]), 2)  # and is not the run that --resume was to go on with


def empty_tables(file):
    for group in file.values():
        for name, item in list(group.items()):
            if isinstance(item, h5py.Group):
                item.clear()
                continue
            attributes, kind = dict(item.attrs), h5py.string_dtype() if item.dtype == object else item.dtype
            del group[name]
            group.create_dataset(name, shape=(0,), dtype=kind).attrs.update(attributes)


if __name__ == "__main__":
    unittest.main()
