"""`--help`: every command tells its options, examples and exit codes, in the same order and no wider than a page."""
import os
import re
import subprocess
import unittest

from support_cli import BINARY, SOURCE, vaemark

WIDEST = 120


def words_of(text, heading):
    """The first words of the rows below a heading."""
    rows = text.split(f"\n{heading}:\n")[1].split("\n\n")[0].splitlines()
    return [row.split()[0] for row in rows]


def help_of(*command):
    process = vaemark(*command, "--help")
    assert process.returncode == 0 and process.stderr == "", (command, process.returncode, process.stderr)
    return process.stdout


COMMANDS = [(name,) for name in words_of(help_of(), "Commands")]
VERBS = [("oracle", name) for name in words_of(help_of("oracle"), "Verbs")]


class Help(unittest.TestCase):
    def test_every_command_says_the_same_things_in_the_same_order(self):
        self.assertGreaterEqual(len(COMMANDS), 9)
        self.assertGreaterEqual(len(VERBS), 5)
        for command in [()] + COMMANDS + VERBS:
            text = help_of(*command)
            name = " ".join(("vaemark",) + command)
            with self.subTest(name):
                list_heading = "Commands" if not command else "Verbs" if command == ("oracle",) else "Options"
                # A worker is started by vaemark alone, so there is no example of it.
                headings = [f"Usage: {name}", f"\n{list_heading}:\n"] + ["\nExamples:\n"] * (command != ("serve",)) + ["\nExit codes: 0 "]
                places = [text.find(heading) for heading in headings]
                self.assertNotIn(-1, places, f"one of {headings} is missing in:\n{text}")
                self.assertEqual(places, sorted(places), text)
                self.assertLessEqual(max(map(len, text.splitlines())), WIDEST, text)

    def test_what_the_options_do_stands_in_one_column(self):
        for command in COMMANDS + VERBS:
            rows = re.findall(r"^(  --\S+(?: \S+)? +)\S", help_of(*command), re.M)
            with self.subTest(command):
                self.assertEqual(len({len(row) for row in rows}), 1 if rows else 0, rows)

    def test_examples_name_options_that_there_are(self):
        for command in COMMANDS + VERBS:
            for example in re.findall(r"^  vaemark (.*)$", help_of(*command), re.M):
                words = example.split()
                named = tuple(words[:2]) if words[0] == "oracle" else (words[0],)
                options = help_of(*named)
                for option in re.findall(r"(?<= )--[a-z-]+", example):
                    self.assertRegex(options, rf"(?m)^  {option}\b", example)

    def test_completion_knows_every_command(self):
        script = ('. "$1"; COMP_WORDS=("$2" ""); COMP_CWORD=1; _vaemark "$2"; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        completion = os.path.join(SOURCE, "packaging", "completion.bash")
        process = subprocess.run(["bash", "-c", script, "bash", completion, BINARY], capture_output=True, text=True, timeout=60)
        offered = set(process.stdout.split())
        self.assertEqual(offered, {name for name, in COMMANDS} | {"--help", "--version"})


if __name__ == "__main__":
    unittest.main()
