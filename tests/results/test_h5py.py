"""Plain h5py and numpy read what vaemark writes; and vaemark refuses, in words, what others wrote wrongly."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import h5py
    import numpy
except ImportError:
    print("skipped: h5py is not installed (Debian: apt-get install python3-h5py)")
    sys.exit(77)

BUILD = os.environ.get("VAEMARK_TEST_BUILD", "")
BINARY = os.environ.get("VAEMARK_BINARY", "")


class ResultFile(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "run.h5")
        subprocess.run([os.path.join(BUILD, "test_results_store"), "--filter", "store/sample_file", "--quiet"],
                       env=dict(os.environ, VAEMARK_RESULTS_SAMPLE=self.path), check=True, stdout=subprocess.DEVNULL)

    def show(self, *arguments):
        return subprocess.run([BINARY, "show", *arguments], capture_output=True, text=True, timeout=120)

    def without_seal(self):
        """A copy that h5py may change."""
        with open(self.path, "rb") as file:
            content = file.read()
        path = self.path + ".copy.h5"
        with open(path, "wb") as file:
            file.write(bytes(512) + content[512:])
        return path

    def refused(self, change, *words):
        path = self.without_seal()
        with h5py.File(path, "r+") as run:
            change(run)
        shown = self.show(path)
        self.assertEqual(shown.returncode, 2, shown.stdout + shown.stderr)
        for word in (path, *words):
            self.assertIn(word, shown.stderr)

    def test_every_column_has_values_unit_and_description(self):
        with h5py.File(self.path) as run:
            self.assertEqual(run.attrs["vaemark"], "run")
            self.assertEqual(run.attrs["schema_version"], 1)
            self.assertEqual(run.attrs["cpu_model"], "Xéon")
            self.assertEqual(run.attrs["memory_total__unit"], "GiB")
            for name, table in run.items():
                lengths = set()
                for column, dataset in table.items():
                    if column == "pixels":
                        continue
                    values = dataset[:]
                    lengths.add(len(values))
                    self.assertIn(dataset.attrs["unit"], ("1", "text", "ns", "bytes", "dB", "pixel", "pixel/s", "FLOP",
                                                          "FLOP/s", "FLOP/byte", "bytes/s"), f"{name}/{column}")
                    self.assertTrue(dataset.attrs["description"])
                    self.assertIn(dataset.dtype, (numpy.dtype("<i8"), numpy.dtype("<f8"), numpy.dtype("O")))
                self.assertEqual(len(lengths), 1, name)

    def test_values_are_those_written(self):
        with h5py.File(self.path) as run:
            cases = run["cases"]
            self.assertEqual(list(cases)[0], "id", "columns keep the schema's order")
            self.assertEqual(cases["model"].asstr()[1], 'naïve, "quoted"')
            self.assertEqual(cases["psnr_db"][0], 131.74)
            self.assertEqual(cases["psnr8_db"][0], numpy.inf)
            self.assertTrue(numpy.isnan(cases["ssim"][0]))
            self.assertEqual(cases["memory_weights_bytes"][0], 5000000000)
            self.assertEqual(cases["fused_modules"][0], -1)
            self.assertEqual(run["samples/wall_ns"][0], 2**63 - 1)
            pixels = run[run["images/dataset"].asstr()[0]]
            self.assertEqual(pixels.shape, (5, 7, 3))
            self.assertTrue((pixels[:].ravel() == numpy.arange(5 * 7 * 3) * 37 % 256).all())
            self.assertEqual(pixels.attrs["CLASS"], b"IMAGE")
            self.assertEqual(pixels.attrs["INTERLACE_MODE"], b"INTERLACE_PIXEL")

    def test_show_reads_it_with_and_without_seal(self):
        for path in (self.path, self.without_seal()):
            shown = self.show(path)
            self.assertEqual(shown.returncode, 0, shown.stderr)
            self.assertIn("2 cases: 1 passed, 1 failed", shown.stdout)

    def test_unknown_columns_and_attributes_are_ignored(self):
        path = self.without_seal()
        with h5py.File(path, "r+") as run:
            run["cases/energy_j"] = [1.0, 2.0, 3.0]
            run["notes"] = "mine"
            run.attrs["number"] = 3
        self.assertEqual(self.show(path).returncode, 0)

    def test_other_schema_version(self):
        self.refused(lambda run: run.attrs.modify("schema_version", 7), "version 7", "reads version 1")

    def test_foreign_hdf5(self):
        self.refused(lambda run: run.attrs.__delitem__("vaemark"), "not one of vaemark's")

    def test_missing_group(self):
        self.refused(lambda run: run.__delitem__("trace"), "/trace is missing")

    def test_missing_column(self):
        self.refused(lambda run: run.__delitem__("cases/psnr_db"), "/cases/psnr_db", "is missing")

    def replace(self, name, **dataset):
        def change(run):
            del run[name]
            run.create_dataset(name, **dataset)
        return change

    def test_wrong_type(self):
        self.refused(self.replace("cases/psnr_db", data=[1, 2]), "/cases/psnr_db", "wants reals")
        self.refused(self.replace("cases/threads", data=[1.0, 2.0]), "/cases/threads", "wants integers")
        self.refused(self.replace("cases/id", data=[1, 2]), "/cases/id", "wants variable-length texts")

    def test_wrong_shapes(self):
        self.refused(self.replace("cases/psnr_db", data=[1.0]), "/cases/psnr_db", "has 1 values", "has 2")
        self.refused(self.replace("cases/psnr_db", data=[[1.0, 2.0]]), "not one-dimensional")
        self.refused(self.replace("cases/psnr_db", data=1.0), "not one-dimensional")

    def test_a_claim_of_a_billion_rows(self):
        self.refused(self.replace("cases/id", shape=(10**12,), dtype=h5py.string_dtype(), chunks=(1000,)),
                     "/cases/id", "more values than the file holds")

    def test_wrong_pictures(self):
        name = "images/pixels/0000"
        self.refused(lambda run: run.__delitem__(name), "/images/pixels/0000", "is missing")
        self.refused(self.replace(name, data=numpy.zeros((5, 8, 3), "u1")), "height x width x 3")
        self.refused(self.replace(name, data=numpy.zeros((5, 7, 3), "f4")), "uint8")

        def elsewhere(run):
            run["images/dataset"][0] = "/cases/id"
        self.refused(elsewhere, "no place for pixels")

    def test_links_and_data_outside_the_file(self):
        other = self.without_seal() + ".other"
        shutil.copy(self.path, other)

        def link(run):
            del run["cases/id"]
            run["cases/id"] = h5py.ExternalLink(other, "/cases/id")
        self.refused(link, "/cases/id", "is missing")

        def outside(run):
            del run["cases/psnr_db"]
            run.create_dataset("cases/psnr_db", shape=(2,), dtype="f8", external=[(other, 0, 16)])
        self.refused(outside, "/cases/psnr_db", "not in this file")


if __name__ == "__main__":
    unittest.main()
