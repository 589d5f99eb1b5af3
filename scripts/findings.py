#!/usr/bin/env python3
"""Writes docs/findings.md: what the checks found in the decoders of a recorded run, each with the command that repeats it.

    scripts/findings.py RUN.h5 [--vaemark BINARY] [--out FILE]        RUN.json: what `vaemark show RUN.h5 --json` printed

Every finding, figure and command is the run's: this file only explains the names of checks. A failed check whose entry in the
capability table calls it "a difference, not a defect" stands apart from the defects. The same run makes the same page.
Exit codes: 0 written, 2 usage or a file that cannot be read.
"""
import argparse
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DIFFERENCE = "a difference, not a defect"

# One line a check, for any decoder; {option} is what stands before the slash, as it is typed.
MEANINGS = {
    "image-size": "the image has another size than it must have",
    "written": "parts of the image are never written",
    "finite": "the image holds NaN or infinite values",
    "quality": "the image is wrong",
    "largest-error": "a pixel is wrong",
    "worst-tile": "a part of the image is wrong",
    "psnr": "the image is wrong by the suite's floor",
    "tile-seams": "the image is wrong where tiles meet",
    "tile-seams/largest": "a pixel is wrong where tiles meet",
    "in-bounds": "the decode writes where it must not",
    "deterministic": "two decodes of the same latents differ",
    "fresh": "an image depends on what was decoded before it",
    "threads": "the image depends on the number of threads",
    "batch": "an image depends on its neighbours in the batch",
    "nan-shows": "a NaN in the latents does not show in the image",
    "memory-planned": "memory is not what was planned",
    "memory-returned": "memory is still held after close",
    "launches": "fresh workers decode the same latents to other images",
    "not-cached": "timed decodes are not real decodes",
    "fuse-qkv/accepted": "fuse_qkv is refused where it must work",
    "fuse-qkv/modules": "the number of fused attentions is wrong",
    "fuse-qkv/projections": "projections are not fused",
    "fuse-qkv/weights-shown": "the joined weights do not show as memory",
    "fuse-qkv/output": "the fused image differs from the unfused one",
    "fuse-qkv/unfuse-unfused": "unfuse before any fuse fails, or changes something",
    "fuse-qkv/unfuse": "unfuse does not restore the unfused decoder",
    "fuse-qkv/unfuse-memory": "memory is kept after unfuse",
    "fuse-qkv/second-unfuse": "a second unfuse fails, or changes something",
    "fuse-qkv/second-fuse": "a second fuse fails, or changes something",
    "fuse-qkv/unfuse-after-two": "fuse, fuse, unfuse leaves the decoder fused",
}
REFUSALS = {
    "refused": "{option} is not refused, or not with the typed error, where it must be",
    "unchanged": "a refusal of {option} leaves something changed",
}
SAME_FINDING = {"refused-at-open": "refused", "refused-again": "refused"}  # one defect, asked for three times
OUTCOMES = {
    "crashed": "the decoder crashes",
    "timed_out": "the decoder does not answer in time",
    "out_of_memory": "memory does not suffice",
    "failed": "the decoder answers with an error",
}


def split_name(check):
    """'fuse-qkv/refused-again' as the group it belongs to and its own name, refusals of one option taken together."""
    group, _, leaf = check.rpartition("/")
    return group, SAME_FINDING.get(leaf, leaf)


def meaning(check):
    if check in MEANINGS:
        return MEANINGS[check]
    group, leaf = split_name(check)
    if leaf in REFUSALS:
        return REFUSALS[leaf].format(option=group.replace("-", "_"))
    return OUTCOMES.get(check, f"check {check} does not hold")


class Finding:
    """One thing that is wrong with one VAE type: the cases that show it, each with its checks."""

    def __init__(self, vae_type, first):
        self.vae_type, self.what = vae_type, meaning(first)
        self.cases = {}
        self.difference = False

    def add(self, case, check):
        self.cases.setdefault(case["id"], (case, []))[1].append(check)
        self.difference = self.difference or DIFFERENCE in (check["derivation"] or "")


def find(run):
    """Findings in the order of the run."""
    found, of_case = {}, {}
    for check in run["checks"]:
        if check["outcome"] == "failed":
            of_case.setdefault(check["case_id"], []).append(check)
    for case in run["cases"]:
        checks = of_case.get(case["id"], [])
        if not checks and case["outcome"] in OUTCOMES:
            checks = [{"name": case["outcome"], "message": case["reason"], "derivation": "", "evidence": "harness"}]
        for check in checks:
            group, leaf = split_name(check["name"])
            key = (case["vae_type"], group, leaf)
            found.setdefault(key, Finding(case["vae_type"], check["name"])).add(case, check)
    return list(found.values())


def code(text):
    """Text as code that Markdown leaves alone, in one line."""
    text = " ".join(str(text).split())
    fence = "`" * (1 + max((len(part) for part in text.split("`") if not part), default=0) + text.count("`"))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def cell(text):
    return str(text).replace("|", "\\|")


def environment(run):
    facts = run["environment"]
    rows = [(name, facts.get(key)) for name, key in (
        ("recorded", "run_started"), ("command", "command_line"), ("vaemark", "vaemark_version"),
        ("processor", "cpu_model"), ("CPUs", "cpu_usable"), ("instructions", "cpu_instruction_sets"),
        ("memory, bytes", "memory_total"), ("system", "operating_system"), ("kernel", "kernel_release"))]
    for backend in sorted({case["backend"] for case in run["cases"]}):
        start = f"hello_{backend}_"
        told = [f"{key[len(start):]} {value}" for key, value in sorted(facts.items()) if key.startswith(start)]
        rows.append((f"decoder {backend}", ", ".join(told)))
    return [(name, value) for name, value in rows if value]


def write_summary(out, findings):
    out.append("| finding | VAE type | decoders | checks |")
    out.append("| --- | --- | --- | --- |")
    for number, finding in findings:
        backends = dict.fromkeys(case["backend"] for case, _ in finding.cases.values())
        checks = dict.fromkeys(check["name"] for _, rows in finding.cases.values() for check in rows)
        out.append(f"| [{number}](#finding-{number}) {cell(finding.what)} | `{finding.vae_type}` | "
                   f"{', '.join(map(code, backends))} | {', '.join(map(code, checks))} |")
    out.append("")


def write_finding(out, number, finding):
    out.append(f"### Finding {number}")
    out.append("")
    out.append(f"`{finding.vae_type}`: {finding.what}.")
    for case, checks in finding.cases.values():
        out += ["", f"{code(case['id'])} on decoder {code(case['decoder'])}", ""]
        for check in checks:
            word = ", by the decoder's own word" if check["evidence"] == "decoder" else ""
            out.append(f"- {code(check['name'])}{word}: {code(check['message'])}")
        for derivation in dict.fromkeys(check["derivation"] for check in checks if check["derivation"]):
            out.append(f"- held against: {code(derivation)}")
        out += ["", "```", case["repro"], "```"]
    out.append("")


def write_page(run):
    findings = find(run)
    numbered = list(enumerate(findings, 1))
    defects = [pair for pair in numbered if not pair[1].difference]
    differences = [pair for pair in numbered if pair[1].difference]
    outcomes = {}
    for case in run["cases"]:
        outcomes[case["outcome"]] = outcomes.get(case["outcome"], 0) + 1
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    out = ["# What vaemark finds in decoders", "",
           "Made by `scripts/findings.py` from one recorded run: not edited by hand. The checks are those that judge every",
           "decoder (`vaemark list checks`); each finding has the command that repeats it, to be typed in a checkout",
           "([frameworks.md](frameworks.md) says how the frameworks are installed).", "",
           f"{len(run['cases'])} cases ({counts}); {len(defects)} defects, {len(differences)} differences.", "",
           "## The run", "", "| fact | value |", "| --- | --- |"]
    out += [f"| {name} | {code(cell(value))} |" for name, value in environment(run)]
    for title, part, text, none in (
            ("Defects", defects, "A finding is a failed check on one VAE type.", "No check failed that is a defect."),
            ("Differences", differences, "Other decisions than vaemark's, not wrong in themselves; the capability table says "
             "which.", "None.")):
        out += ["", f"## {title}", "", text if part else none, ""]
        if part:
            write_summary(out, part)
            for number, finding in part:
                write_finding(out, number, finding)
    return "\n".join(out).rstrip() + "\n"


def read_run(path, binary):
    if path.endswith(".json"):
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    shown = subprocess.run([binary, "show", path, "--json"], capture_output=True, text=True, check=False)
    if shown.returncode > 1 or not shown.stdout:
        raise ValueError(shown.stderr.strip() or f"'{binary} show' cannot read {path}")
    return json.loads(shown.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("run", metavar="RUN.h5", help="a result file, or .json as `vaemark show --json` prints it")
    parser.add_argument("--vaemark", default=os.path.join(ROOT, "build", "vaemark"), help="the binary that reads RUN.h5")
    parser.add_argument("--out", help="file to write; standard output without it")
    arguments = parser.parse_args()
    try:
        page = write_page(read_run(arguments.run, arguments.vaemark))
        if arguments.out:
            with open(arguments.out, "w", encoding="utf-8") as file:
                file.write(page)
        else:
            sys.stdout.write(page)
    except (OSError, ValueError, KeyError, TypeError) as failure:
        print(f"findings: {arguments.run}: {failure}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
