"""scripts/check_includes.sh and scripts/check_tree.sh on small trees, each sound but for one planted violation."""
import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(os.environ.get("VAEMARK_SOURCE", pathlib.Path(__file__).parents[2])) / "scripts"

SOUND = {
    "include/vaemark/decoder.h": "#include <stdint.h>\nint32_t vaemark_answer(void);\n",
    "include/README.md": "The ABI.\n",
    "base/error.h": "#include <vaemark/decoder.h>\n",
    "base/error.c": '#include "error.h"\n#include <jansson.h>\n',
    "base/README.md": "Errors.\n",
    "reference/graph.h": '#include "base/error.h"\n',
    "reference/README.md": "What is right.\n",
    "kernels/cpu/conv2d.c": '#include "reference/graph.h"\n',
    "kernels/README.md": "What is fast.\n",
    "results/record.h": "",
    "results/README.md": "What was measured.\n",
    "harness/main.c": '#include "results/record.h"\n#include "kernels/cpu/conv2d.c"\n',
    "harness/README.md": "The runner.\n",
    "scripts/hello.sh": "#!/bin/sh\necho hello\n",
    "scripts/README.md": "Scripts.\n",
}


class TreeCase(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "a tree"
        for path, text in SOUND.items():
            self.write(path, text)
        (self.root / "scripts/hello.sh").chmod(0o755)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def check(self, script):
        if script == "check_tree.sh":
            for arguments in (["init", "-q"], ["add", "-A"]):
                subprocess.run(["git", "-C", self.root, *arguments], check=True, capture_output=True)
        return subprocess.run([SCRIPTS / script, self.root], capture_output=True, text=True, timeout=120)

    def expect_complaint(self, script, *words):
        result = self.check(script)
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        complaint = result.stdout + result.stderr
        for word in words:
            self.assertIn(word, complaint)
        self.assertEqual(len(complaint.splitlines()), 1, "the one violation, and nothing sound: " + complaint)


class IncludesTest(TreeCase):
    def expect(self, *words):
        self.expect_complaint("check_includes.sh", *words)

    def test_a_sound_tree_passes(self):
        result = self.check("check_includes.sh")
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_reference_must_not_see_kernels(self):
        self.write("reference/graph.c", '#include <stdio.h>\n#include "kernels/cpu/conv2d.c"\n')
        self.expect("reference/graph.c:2:", "reference/ must not include kernels/cpu/conv2d.c")

    def test_base_must_not_see_reference(self):
        self.write("base/text.c", '  #  include "reference/graph.h"\n')
        self.expect("base/text.c:1:", "base/ must not include reference/")

    def test_results_see_nothing_but_themselves(self):
        self.write("results/store.c", '#include "results/record.h"\n#include <vaemark/decoder.h>\n')
        self.expect("results/store.c:2:", "results/ must not include include/vaemark/decoder.h")

    def test_kernels_must_not_see_harness_in_angle_brackets_either(self):
        self.write("harness/run.h", "")
        self.write("kernels/cpu/plan.c", "#include <harness/run.h>\n")
        self.expect("kernels/ must not include harness/run.h")

    def test_an_example_sees_the_abi_only(self):
        self.write("examples/plugin.c", '#include "vaemark/decoder.h"\n#include "base/error.h"\n')
        self.expect("examples/plugin.c:2:", "examples/ must not include base/error.h")

    def test_no_way_around_by_climbing(self):
        self.write("reference/graph.c", '#include "../kernels/cpu/conv2d.c"\n')
        self.expect("climbs out of its folder")

    def test_no_way_around_by_macro(self):
        self.write("reference/graph.c", "#include HEADER\n")
        self.expect("by macro")

    def test_a_quoted_file_must_exist(self):
        self.write("reference/graph.c", '#include "reference/grahp.h"\n')
        self.expect("no file of this tree")

    def test_an_unknown_room_is_not_waved_through(self):
        self.write("attic/old.c", "")
        self.expect("no room `attic`")

    def test_an_empty_folder_is_no_success(self):
        self.root = self.root / "empty"
        self.root.mkdir()
        self.expect("no C source")


class TreeTest(TreeCase):
    def expect(self, *words):
        self.expect_complaint("check_tree.sh", *words)

    def test_a_sound_tree_passes(self):
        result = self.check("check_tree.sh")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_4_mib_pass_and_a_byte_more_does_not(self):
        self.write("base/weights.bin", "\0" * (4 << 20))
        self.assertEqual(self.check("check_tree.sh").returncode, 0)
        self.write("base/weights.bin", "\0" * ((4 << 20) + 1))
        self.expect("base/weights.bin: 4194305 bytes")

    def test_600_lines_pass_and_601_do_not(self):
        self.write("base/text.c", "\n".join(["int x;"] * 600) + "\n")
        self.assertEqual(self.check("check_tree.sh").returncode, 0)
        self.write("base/text.c", "\n".join(["int x;"] * 601) + "\n")
        self.expect("base/text.c: 601 lines")

    def test_every_top_folder_has_a_readme(self):
        (self.root / "kernels/README.md").unlink()
        self.expect("kernels/: no README.md")

    def test_a_public_header_includes_what_it_needs(self):
        self.write("include/vaemark/late.h", "uint32_t vaemark_late(void);\n")
        result = self.check("check_tree.sh")
        self.assertEqual(result.returncode, 1)
        self.assertIn("does not compile alone as c11", result.stdout)
        self.assertIn("does not compile alone as c++", result.stdout)

    def test_a_public_header_is_cpp_too(self):
        self.write("include/vaemark/word.h", "int vaemark_make(int new);\n")
        self.expect("include/vaemark/word.h: does not compile alone as c++11")

    def test_scripts_can_be_executed(self):
        self.write("scripts/late.sh", "#!/bin/sh\ntrue\n")
        self.expect("scripts/late.sh: is not executable")

    def test_scripts_parse(self):
        self.write("scripts/hello.sh", "#!/bin/sh\nif true; then\n")
        self.expect("scripts/hello.sh: does not parse")

    def test_paths_of_the_authors_machine_are_found(self):
        self.write("base/README.md", "Errors. See /wo" + "rk/notes/errors.md.\n")
        self.expect("base/README.md:1:", "names a path of the machine")

    def test_pages_named_in_sources_exist(self):
        page = "docs/" + "errors.md"  # in two pieces, lest this one be looked for as well
        self.write("base/error.c", f"/* {page} has the list. */\n")
        self.expect(f"base/error.c:1: names {page}")

    def test_links_lead_somewhere(self):
        self.write("base/README.md", "[The ABI](../include/README.md#purpose), [out](https://example.org/a.md).\n")
        self.assertEqual(self.check("check_tree.sh").returncode, 0)
        self.write("base/README.md", "See [the ABI](../include/ABI.md).\n")
        self.expect("base/README.md:1: names base/../include/ABI.md")


if __name__ == "__main__":
    unittest.main()
