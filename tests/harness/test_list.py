"""`vaemark list --json`: exactly the keys of docs/list-json.md, of the types it says, and the same things as `list` prints."""
import json
import os
import re
import unittest

from support_cli import SOURCE, CommandLine, vaemark

NONE, NUMBER = type(None), (int, float)
CAPABILITY = {"must", "may", "must-refuse"}
SCHEMA = {
    "backends": {"name": str, "available": bool, "reason": (str, NONE), "description": str, "deterministic": bool,
                 "facts": dict, "unsupported": list},
    "models": {"name": str, "vae_type": str, "parameters": int, "parameter_tensors": int, "flops": dict, "weights": str,
               "weights_path": (str, NONE), "config_path": str, "diffusion_space": str,
               "own_backends": dict, "other_backends": dict},
    "suites": {"name": str, "description": str, "version": int, "path": str, "sha256": str, "decoders": list,
               "timeout_s": NUMBER, "memory_limit": (str, NONE)},
    "cases": {"id": str, "model": str, "vae_type": str, "decoder": str, "backend": str, "precision": str,
              "options_text": str, "options": dict, "shape": str, "expected": str},
    "checks": {"name": str, "holds_when": str},
}


class List(CommandLine):
    def rows(self, what, *more):
        process = vaemark("list", what, "--json", *more)
        self.assert_exit(process, 0)
        document = json.loads(process.stdout)
        self.assertEqual(set(document), {what} | ({"capabilities"} if what == "models" else set()))
        return document[what], document

    def test_rows_have_the_documented_keys(self):
        with open(os.path.join(SOURCE, "docs", "list-json.md")) as f:
            page = f.read()
        for what, schema in SCHEMA.items():
            rows, _ = self.rows(what)
            self.assertTrue(rows)
            section = page.split(f"## vaemark list {what} --json")[1].split("\n## ")[0]
            for key in schema:
                self.assertIn(f"`{key}`", section, f"{what}: the page lacks a key")
            for row in rows:
                self.assertEqual(list(row), list(schema), what)
                for key, kind in schema.items():
                    self.assertIsInstance(row[key], kind, f"{what}.{key}")
                    self.assertEqual(isinstance(row[key], bool), kind is bool, f"{what}.{key}")

    def test_the_same_things_as_for_people(self):
        for what in ("backends", "models", "suites", "checks", "cases"):
            rows, _ = self.rows(what)
            text = vaemark("list", what).stdout
            for row in rows:
                self.assertRegex(text, rf"(?m)^{re.escape(row.get('id') or row['name'])}( |$)")
        self.assertEqual(len(self.rows("cases")[0]), len(vaemark("list", "cases").stdout.splitlines()))

    def test_backends(self):
        rows = {row["name"]: row for row in self.rows("backends")[0]}
        self.assertTrue(rows["reference"]["available"] and rows["cpu"]["available"])
        self.assertIsNone(rows["cpu"]["reason"])
        for row in rows["reference"]["unsupported"]:
            self.assertEqual(set(row), {"vae_type", "option", "reason"})

    def test_models(self):
        rows, document = self.rows("models")
        models = {row["name"]: row for row in rows}
        self.assertEqual(models["taesd"]["parameters"], 1222531)
        self.assertEqual(models["taef2"]["weights"], "trained")
        self.assertEqual(set(models["sd15"]["flops"]), {"512", "1024"})
        self.assertGreater(models["sd15"]["flops"]["512"], 1e12)
        self.assertEqual(models["sd15"]["own_backends"]["fuse_qkv"], "must")
        self.assertEqual(models["sd15"]["other_backends"]["fuse_qkv"], "may")
        self.assertEqual(models["taesd"]["other_backends"]["fuse_qkv"], "must-refuse")
        self.assertEqual(models["sdxl"]["diffusion_space"], "x / 0.13025")
        self.assertEqual(models["flux1"]["diffusion_space"], "x / 0.3611 + 0.1159, tokens unpacked")
        self.assertRegex(vaemark("list", "models").stdout, r"(?m)^flux1 .* synthetic +x / 0\.3611 \+ 0\.1159, tokens unpacked$")
        for row in document["capabilities"]:
            self.assertLessEqual({row["own_backends"], row["other_backends"]}, CAPABILITY)
        notes = {(row["vae_type"], row["option"]): row["note"] for row in document["capabilities"]}
        self.assertIn("130 pixels", notes["AutoencoderKL", "tiling"])
        self.assertIsNone(notes["AutoencoderKL", "fuse_qkv"])
        self.assertIn("130 pixels", vaemark("list", "models").stdout)
        for model in rows:
            table = {row["option"]: row["own_backends"] for row in document["capabilities"]
                     if row["vae_type"] == model["vae_type"]}
            self.assertEqual(model["own_backends"], table)

    def test_cases_say_what_is_expected(self):
        rows, _ = self.rows("cases", "--decoder", "cpu", "--decoder", "exec:true,name=other")
        expected = {row["id"]: row["expected"] for row in rows}
        self.assertEqual(expected["sd15-mini/cpu/fp32/plain/1x4x8x8"], "must")
        self.assertEqual(expected["sd15-mini/cpu/fp32/fuse_qkv/1x4x8x8"], "must")
        self.assertEqual(expected["sd15-mini/other/fp32/fuse_qkv/1x4x8x8"], "may")
        self.assertEqual(expected["sd15-mini/other/fp32/plain/1x4x8x8"], "must")
        self.assertEqual(expected["taesd-mini/cpu/fp32/fuse_qkv/1x4x8x8"], "must-refuse")
        for row in rows:
            self.assertEqual(row["id"].split("/")[0], row["model"])
            self.assertEqual(row["options"].get("fuse_qkv", False), "fuse_qkv" in row["options_text"].split("+"))
        few, _ = self.rows("cases", "--case", "taesd-mini/*", "--backend", "cpu")
        self.assertEqual({row["model"] for row in few}, {"taesd-mini"})

    def test_errors_stay_errors(self):
        for arguments in (("cases", "--json", "--case", "nothing"), ("--json",), ("model", "--json"), ("cases", "--jsn")):
            process = vaemark("list", *arguments)
            self.assert_exit(process, 2)
            self.assertEqual(process.stdout, "")


if __name__ == "__main__":
    unittest.main()
