"""docs/graph.md is what plug-in authors go by: it must list exactly the ops of the code, and the attributes the API answers."""
import os
import re
import unittest

ROOT = os.environ.get("VAEMARK_SOURCE", os.path.join(os.path.dirname(__file__), "..", ".."))


def read(*parts):
    with open(os.path.join(ROOT, *parts), encoding="utf-8") as stream:
        return stream.read()


class GraphDoc(unittest.TestCase):
    def setUp(self):
        rows = re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\|([^|]*)\|", read("docs", "graph.md"), re.M)
        self.documented = {op: set(re.findall(r"`([a-z]+)(?:\.I)?`", cell)) for op, cell in rows}

    def test_lists_every_op(self):
        names = re.findall(r'\[OP_\w+\] = "(\w+)"', read("reference", "graph.c"))
        self.assertGreater(len(names), 10)
        self.assertEqual(set(names), set(self.documented))

    def test_lists_every_attribute(self):
        source = read("reference", "graph_api.c")
        answered = {}
        for op, name in re.findall(r'\{OP_(\w+), "(\w+)"', source):
            answered.setdefault(op.lower(), set()).add(name)
        affine = source[source.index("static double affine_attribute"):source.index("static double channels_to_space_attribute")]
        answered["affine"] = set(re.findall(r'"(\w+)\.?"', affine))
        mapped = source[source.index("static double channels_to_space_attribute"):source.index("static double frame_attribute")]
        answered["channels_to_space"] = set(re.findall(r'"(\w+)"', mapped))
        answered["conv2d"] |= set(re.findall(r'OP_CONV2D && strcmp\(name, "(\w+)"', source))
        self.assertGreater(len(answered), 5)
        for op, names in self.documented.items():
            self.assertEqual(names, answered.get(op, set()), op)


if __name__ == "__main__":
    unittest.main()
