"""Plots as others read them: XML that holds no more than a drawing, whatever the cases are called."""
import glob
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

BUILD = os.environ.get("VAEMARK_TEST_BUILD", "")
PLOTS = ("latency", "samples", "memory", "ops", "roofline", "fuse-qkv", "psnr")
VARIANTS = ("", "-dark", "-narrow", "-narrow-dark")
HOSTILE = ("it's {/Symbol a} \"q\" @b _x ^2 ~c", "ends in \\", "`touch drawn` $(id) #c %d %s", "<script>&amp;]]>",
           "lineendtab", "' . system('touch drawn') . '", "END_OF_MARKS", "id='gpPt0' href='#gpPt1'")

if not shutil.which("gnuplot"):
    print("skipped: gnuplot is not installed (Debian: apt-get install gnuplot-nox)")
    sys.exit(77)


class Svg(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="vaemark's plots ")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        subprocess.run([os.path.join(BUILD, "test_results_plot"), "--filter", "plot/draw_for_other_programs", "--quiet"],
                       env=dict(os.environ, VAEMARK_PLOTS_FOLDER=cls.folder), cwd=cls.folder, check=True,
                       stdout=subprocess.DEVNULL)
        cls.drawings = {}
        for path in glob.glob(os.path.join(cls.folder, "*.svg")):
            with open(path, encoding="utf-8") as file:
                cls.drawings[os.path.basename(path)[:-4]] = file.read()

    def test_every_variant_is_drawn_and_nothing_else_is_left(self):
        wanted = {f"{name}{variant}.svg" for name in PLOTS for variant in VARIANTS} | {f"{name}.png" for name in PLOTS}
        self.assertEqual(set(os.listdir(self.folder)), wanted)

    def test_a_drawing_holds_no_more_than_a_drawing(self):
        known = {"svg", "title", "desc", "g", "defs", "path", "circle", "rect", "use", "polygon", "text"}
        for name, text in self.drawings.items():
            with self.subTest(drawing=name):
                root = ElementTree.fromstring(text)
                for element in root.iter():
                    self.assertEqual(element.tag.split("}")[0], "{http://www.w3.org/2000/svg")
                    self.assertIn(element.tag.split("}")[1], known)
                    for key, value in element.attrib.items():
                        self.assertFalse(key.lower().startswith("on"), key)
                        if key.endswith("href"):
                            self.assertTrue(value.startswith("#"), value)
                self.assertLess(len(text), 200_000)

    def test_ids_are_those_of_one_drawing_and_all_are_found(self):
        seen = set()
        for name, text in self.drawings.items():
            with self.subTest(drawing=name):
                root = ElementTree.fromstring(text)
                ids = [element.get("id") for element in root.iter() if element.get("id")]
                self.assertEqual(len(ids), len(set(ids)))
                self.assertFalse(seen & set(ids))
                seen |= set(ids)
                for element in root.iter():
                    target = element.get("{http://www.w3.org/1999/xlink}href")
                    self.assertTrue(target is None or target[1:] in ids, target)
                for label in root.get("aria-labelledby").split():
                    self.assertIn(label, ids)
                self.assertTrue(root.find("{*}title").text and root.find("{*}desc").text)
                self.assertEqual(len(root.findall(".//{*}title")), 1, "a second one would be shown as a hint")

    def test_names_are_drawn_letter_by_letter(self):
        for name in ("latency", "latency-dark", "psnr-narrow", "memory", "ops-dark"):
            texts = ElementTree.fromstring(self.drawings[name]).findall(".//{*}text")
            drawn = "".join(text.text or "" for text in texts)
            drawn = re.sub(r"\s+", "", drawn)
            for hostile in HOSTILE:
                self.assertIn(re.sub(r"\s+", "", hostile), drawn, name)

    def test_it_sits_on_any_page_and_is_legible(self):
        for name, text in self.drawings.items():
            with self.subTest(drawing=name):
                root = ElementTree.fromstring(text)
                self.assertEqual(root.get("width"), "380" if "narrow" in name else "900")
                for rect in root.findall(".//{*}rect"):
                    self.assertTrue(rect.get("fill") in (None, "none") or float(rect.get("width")) <= 2)
                sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)"', text)]
                self.assertGreaterEqual(min(sizes), 11)
                self.assertNotIn('fill="black"', text)

    def test_a_picture_for_print_has_two_dots_a_pixel(self):
        for name in PLOTS:
            with open(os.path.join(self.folder, f"{name}.png"), "rb") as file:
                head = file.read(24)
            self.assertEqual(head[:8], b"\x89PNG\r\n\x1a\n")
            self.assertEqual(struct.unpack(">I", head[16:20])[0], 1800)


if __name__ == "__main__":
    unittest.main()
