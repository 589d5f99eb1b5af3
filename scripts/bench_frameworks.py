#!/usr/bin/env python3
"""vaemark's cpu decoder against the frameworks', in rounds that alternate, in one run: latency ratio with interval, memory ratio.

In each round every framework decodes in a fresh worker, with one of cpu right before or after it; which framework comes when, and
which of the two comes first, is drawn by lot. A round of a work is one `vaemark run`: same weights and latents, all checks. Tables,
JSON and plot are written after every round; a run that was interrupted goes on when it is called again.
"""
import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # the folder may be a checkout that is not ours to write to
import bench_ratios
from bench_ratios import BESIDE, CPU, Work

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Latents: an eighth of the image; a sixteenth for amused and wan22, a thirty-second for dc_sana and hunyuanimage.
WORKS = ["sd15:64x64", "sd15:32x32", "taesd:64x64", "taesd:32x32", "flux1:64x64", "consistency:16x16", "asymmetric_x1_5:32x32",
         "movq:32x32", "amused:16x16", "dc_sana:8x8", "flux2:32x32", "hunyuanimage:8x8", "qwenimage:32x32", "wan21:32x32",
         "wan22:16x16"]
# What keeps oneDNN (PyTorch's and OpenVINO's) and PyTorch to AVX2; torch.compile looks at the second. ONNX Runtime has no such limit.
LIMITS = {"avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}}
UNLIMITED = {"avx2": {"onnxruntime": "cannot be kept to AVX2: it heeds no such limit"}}
EXIT_PASSED, EXIT_FAILED, EXIT_USAGE, EXIT_INCONCLUSIVE, EXIT_HARNESS, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130

EPILOG = """examples:
  scripts/bench_frameworks.sh                                          every work, five rounds: hours
  scripts/bench_frameworks.sh --work taesd:32x32 --rounds 2 --out out/quick
  scripts/bench_frameworks.sh --work sd15:64x64 --framework torch,openvino --isa avx2
exit codes: 0 compared, 1 a decode of cpu failed, 2 usage, 3 nothing to compare, 4 vaemark failed, 130 interrupted"""


class Stop(Exception):
    """Ends the program with a message and a code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def say(text):
    print(f"bench_frameworks: {text}", file=sys.stderr, flush=True)


def a_work(text):
    if not re.fullmatch(r"[a-z0-9_-]+:[0-9]+x[0-9]+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not MODEL:HEIGHTxWIDTH of latents, as sd15:64x64")
    return text


def a_count(least):
    def count(text):
        if not text.isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {least}")
        return int(text)
    return count


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="bench_frameworks.sh", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", action="append", type=a_work, metavar="MODEL:HxW",
                        help="a model and its latents' height and width; may be repeated (default: " + " ".join(WORKS) + ")")
    parser.add_argument("--framework", metavar="LIST", help="only these, as torch,openvino (default: those of suite frameworks)")
    parser.add_argument("--rounds", type=a_count(1), default=5, metavar="N", help="default 5; 6 are the least for an interval of 95 %%")
    parser.add_argument("--threads", type=a_count(0), default=0, metavar="N", help="of every decoder (default 0: all CPUs)")
    parser.add_argument("--isa", choices=sorted(LIMITS), help="keep cpu and the frameworks to these instructions")
    parser.add_argument("--budget", type=a_count(1), default=2, metavar="S",
                        help="seconds of timed decodes a worker, two decodes at least (default 2)")
    parser.add_argument("--seed", type=a_count(0), default=0, metavar="N", help="of the lots that are drawn (default 0)")
    parser.add_argument("--weights", action="append", default=[], metavar="MODEL=DIR|FILE", help="as of vaemark run; may be repeated")
    parser.add_argument("--out", default=os.path.join("out", "frameworks"), metavar="DIR",
                        help="for table.md, bench.json, plot.svg, plot.png and rounds/ (default out/frameworks)")
    parser.add_argument("--fresh", action="store_true", help="measure anew what DIR already holds")
    parser.add_argument("--vaemark", default=os.path.join(ROOT, "build", "vaemark"), metavar="BINARY", help="default build/vaemark")
    return parser.parse_args(arguments)


def frameworks_of(suites, wanted):
    """{name: decoder} of suite frameworks' external decoders that set no option, or of those wanted."""
    suite = next(suite for suite in suites if suite["name"] == "frameworks")
    found = {match[2]: match[1] for text in suite["decoders"] if (match := re.fullmatch(r"(exec:.*),name=([a-z0-9-]+)", text))}
    unknown = [name for name in wanted or [] if name not in found]
    if unknown:
        raise Stop(EXIT_USAGE, f"no framework '{unknown[0]}'; there are {', '.join(found)}")
    return {name: text for name, text in found.items() if not wanted or name in wanted}


def draw_order(frameworks, lots, isa):
    """The decoders of a round: frameworks in any order, each next to a cpu of its own, which is before or after it."""
    names = sorted(frameworks)
    lots.shuffle(names)
    order = []
    for name in names:
        pair = [f"cpu,name={BESIDE}{name}" + (f",isa={isa}" if isa else ""), f"{frameworks[name]},name={name}"]
        lots.shuffle(pair)
        order += pair
    return order


def suite_text(decoders, model, latents, budget_s):
    """YAML; JSON's texts are YAML's, too."""
    return "\n".join(["suite: bench-frameworks", "description: one round, made by scripts/bench_frameworks.py", "version: 1",
                      "decoders:", *(f"  - {json.dumps(text)}" for text in decoders),
                      "# The first decode of a compiled decoder compiles.", "timeout_s: 1800",
                      f"measure: {{launches: 1, warmups: 2, min_samples: 2, max_samples: 60, interval_percent: 1, budget_s: {budget_s}, "
                      "min_sample_ms: 50, ring: 2}",
                      "cases:", f"  - models: [{model}]", f"    latents: [\"{latents}\"]", "    min_psnr_db: 90", ""])


class Bench:
    def __init__(self, options):
        self.options = options
        self.frameworks, self.unavailable, self.facts = {}, {}, {}
        self.works = [Work(text) for text in dict.fromkeys(options.work or WORKS)]
        self.seconds = {}  # of the rounds that each work has taken
        self.child = None
        self.environment = {**os.environ, **LIMITS.get(options.isa, {})}

    # ---- vaemark ----

    def ask(self, *arguments):
        try:
            answer = subprocess.run([self.options.vaemark, *arguments], capture_output=True, text=True, check=False)
        except OSError as failure:
            raise Stop(EXIT_USAGE, f"{self.options.vaemark}: {failure.strerror}; scripts/build.sh build makes it") from None
        if answer.returncode > 1 or not answer.stdout:
            raise Stop(EXIT_HARNESS, f"'vaemark {' '.join(arguments)}' failed: {answer.stderr.strip()}")
        return json.loads(answer.stdout)

    def run(self, name, decoders, model, latents, budget_s, fresh=False):
        """One `vaemark run` into rounds/NAME.h5, unless `fresh` not repeated where it is there; what it recorded."""
        path = os.path.join(self.options.out, "rounds", name)
        with open(path + ".yaml", "w", encoding="utf-8") as file:
            file.write(suite_text(decoders, model, latents, budget_s))
        weights = [word for text in self.options.weights if text.split("=")[0] == model for word in ("--weights", text)]
        command = [self.options.vaemark, "run", "--suite", path + ".yaml", "--out", path + ".h5", "--threads",
                   str(self.options.threads), "--fresh" if fresh or self.options.fresh else "--resume", *weights]
        self.child = subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        last = []
        for line in self.child.stderr:
            line = line.strip()
            last = [*last[-9:], line]
            if line.startswith("["):
                say(f"  {line.partition(', about')[0]}")
        code = self.child.wait()
        self.child = None
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if code not in (EXIT_PASSED, EXIT_FAILED, EXIT_INCONCLUSIVE):
            raise Stop(EXIT_USAGE if code == EXIT_USAGE else EXIT_HARNESS, f"vaemark run: {chr(10).join(last)}")
        return self.ask("show", path + ".h5", "--json")

    # ---- Rounds ----

    def look_for_frameworks(self):
        """One small decode by each tells which are there, before hours are spent."""
        wanted = self.options.framework.split(",") if self.options.framework else None
        frameworks = frameworks_of(self.ask("list", "suites", "--json")["suites"], wanted)
        for name, why in UNLIMITED.get(self.options.isa, {}).items():
            if frameworks.pop(name, None):
                self.unavailable[name] = why
        if frameworks:
            say(f"looking for {', '.join(frameworks)}")
            run = self.run("probe", [f"{text},name={name}" for name, text in frameworks.items()], "taesd-mini", "8x8", 1, fresh=True)
            self.unavailable.update({case["backend"]: case["reason"] for case in run["cases"] if case["outcome"] == "unsupported"})
        for name, why in self.unavailable.items():
            say(f"without {name}: {why}")
        self.frameworks = {name: text for name, text in frameworks.items() if name not in self.unavailable}
        if not self.frameworks:
            raise Stop(EXIT_INCONCLUSIVE, "there is no framework to compare with")

    def left(self):
        """Seconds; None until every work has run once."""
        if any(work.text not in self.seconds for work in self.works):
            return None
        return sum(self.seconds[work.text] / len(work.rounds) * (self.options.rounds - len(work.rounds)) for work in self.works)

    def run_round(self, work, number):
        missing = work.without_figure()
        frameworks = {name: text for name, text in self.frameworks.items() if name not in missing}
        if not frameworks:
            return
        left = self.left()
        time_left = "time left unknown until each has run once" if left is None else f"about {int(left) // 60}:{int(left) % 60:02} left"
        say(f"{work.text}, round {number} of {self.options.rounds}, {time_left}")
        lots = random.Random(f"{self.options.seed}/{work.text}/{number}")
        run = self.run(f"{work.model}-{work.latents}-{number}", draw_order(frameworks, lots, self.options.isa), work.model,
                       work.latents, self.options.budget)
        work.add(run)
        self.seconds[work.text] = self.seconds.get(work.text, 0) + float(run["environment"]["run_duration"])
        self.note_facts(run["environment"])

    def note_facts(self, found):
        names = {"processor": "cpu_model", "instructions": "cpu_instruction_sets", "CPUs": "cpu_usable", "kernel": "kernel_release",
                 "vaemark": "vaemark_version", "commit": "vaemark_git_commit"}
        self.facts.update({name: found[key] for name, key in names.items() if found.get(key)})
        versions = {name: " ".join(f"{key.split('_', 2)[2]} {value}" for key, value in found.items() if key.startswith(f"hello_{name}_"))
                    for name in self.frameworks}
        self.facts.update({name: text for name, text in versions.items() if text})
        self.facts.update({"threads": self.options.threads or "all CPUs", "limited to": self.options.isa or "nothing",
                           "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"), "seed of the order": self.options.seed})
        self.facts.setdefault("begun", found.get("run_started"))

    # ---- What is written ----

    def write(self):
        results = [work.result() for work in self.works if work.rounds]
        rest = {"rounds": self.options.rounds, "facts": self.facts, "unavailable": self.unavailable,
                "interval": "sign test of the rounds' ratios", "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        self.put("bench.json", json.dumps({**rest, "works": results}, indent=1) + "\n")
        self.put("table.md", bench_ratios.page(results, self.facts, self.unavailable))
        self.draw(results)
        return results

    def put(self, name, text):
        with open(os.path.join(self.options.out, name), "w", encoding="utf-8") as file:
            file.write(text)

    def draw(self, results):
        data, names, labels = bench_ratios.plot_data(results)
        if not labels or not shutil.which("gnuplot"):
            return
        self.put("plot.dat", data)
        array = [f"array {key}[{len(texts)}] = [{', '.join(json.dumps(text) for text in texts)}]"
                 for key, texts in (("names", names), ("labels", labels))]
        for kind in ("svg", "png"):
            job = "; ".join([f"format = '{kind}'", f"out = 'plot.{kind}'", "data = 'plot.dat'", f"rows = {len(labels)}", *array])
            drawn = subprocess.run(["gnuplot", "-e", job, os.path.join(ROOT, "scripts", "gnuplot", "frameworks.gp")],
                                   cwd=self.options.out, capture_output=True, text=True, check=False)
            if drawn.returncode:
                say(f"gnuplot: {drawn.stderr.strip()}")

    # ---- All of it ----

    def measure(self):
        os.makedirs(os.path.join(self.options.out, "rounds"), exist_ok=True)
        self.look_for_frameworks()
        results = []
        for number in range(1, self.options.rounds + 1):
            for work in self.works:
                self.run_round(work, number)
                results = self.write()
        with open(os.path.join(self.options.out, "table.md"), encoding="utf-8") as file:
            print(file.read())
        say("written: table.md, bench.json" + (", plot.svg, plot.png" if shutil.which("gnuplot") else " (apt-get install gnuplot-nox "
            "for a plot)") + f" in {self.options.out}")
        return self.verdict(results)

    def verdict(self, results):
        failed = [case for work in self.works for case in work.failures_of_cpu()]
        for case in failed:
            say(f"{case['id']}: {case['outcome']}: {case['reason']}; again: {case['repro']}")
        if failed:
            say("what is in rounds/ is not measured again unless with --fresh")
            return EXIT_FAILED
        alone = [result["work"] for result in results if not result["fastest"]]
        if alone:
            say(f"nothing to compare with on {', '.join(alone)}: no framework decodes it")
        return EXIT_INCONCLUSIVE if len(alone) == len(results) else EXIT_PASSED

    def end_child(self):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            self.child.wait()


def interrupt(_number, _frame):
    """Once: a second signal must not disturb the first one's ending."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    options = parse_arguments(sys.argv[1:])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    bench = Bench(options)
    try:
        return bench.measure()
    except Stop as stop:
        say(str(stop))
        return stop.code
    except OSError as failure:
        say(f"{failure.filename or ''}: {failure.strerror}")
        return EXIT_HARNESS
    except KeyboardInterrupt:
        say(f"interrupted; the same command goes on from here, tables in {options.out} are of the rounds before")
        return EXIT_INTERRUPTED
    finally:
        bench.end_child()


if __name__ == "__main__":
    sys.exit(main())
