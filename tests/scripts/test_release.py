"""scripts/release.sh: what it refuses to release, tried in a small repository. The build itself is the script's own test."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(os.environ.get("VAEMARK_SOURCE", pathlib.Path(__file__).parents[2]))


class ReleaseTest(unittest.TestCase):
    def setUp(self):
        self.tree = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.tree / "scripts").mkdir()
        shutil.copy(SOURCE / "scripts/release.sh", self.tree / "scripts")
        (self.tree / "CMakeLists.txt").write_text('project(vaemark VERSION 1.2.3 LANGUAGES C DESCRIPTION "x")\n')
        (self.tree / "CHANGELOG.md").write_text("# Changelog\n\n## 1.2.3 (2026-01-01)\n\n- new\n\n## 1.2.2\n\n- old\n")
        self.git("init", "-q", "-b", "main")
        self.commit()

    def git(self, *arguments):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=self.tree, check=True,
                       stdout=subprocess.DEVNULL, timeout=60)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "x")

    def release(self, *arguments):
        return subprocess.run([self.tree / "scripts/release.sh", *arguments], cwd=self.tree, capture_output=True, text=True,
                              timeout=60)

    def assert_refused(self, result, *words):
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_a_clean_commit_of_that_version_can_be_released(self):
        result = self.release("1.2.3", "--check")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("1.2.3 can be released", result.stdout)

    def test_uncommitted_changes_are_refused(self):
        (self.tree / "new").touch()
        self.assert_refused(self.release("1.2.3", "--check"), "uncommitted")

    def test_another_version_than_cmake_says_is_refused(self):
        self.assert_refused(self.release("1.2.2", "--check"), "1.2.3", "CMakeLists.txt")

    def test_a_version_without_notes_is_refused(self):
        (self.tree / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n\n- new\n\n## 1.2.3\n\n## 1.2.2\n\n- old\n")
        self.commit()
        self.assert_refused(self.release("1.2.3", "--check"), "CHANGELOG.md", "## 1.2.3")

    def test_a_version_that_is_tagged_is_refused(self):
        self.git("tag", "v1.2.3")
        self.assert_refused(self.release("1.2.3", "--check"), "v1.2.3")

    def test_wrong_use_is_refused(self):
        self.assert_refused(self.release(), "VERSION")
        self.assert_refused(self.release("1.2"), "1.2")
        self.assert_refused(self.release("1.2.3", "--chekc"), "--chekc")


if __name__ == "__main__":
    unittest.main()
