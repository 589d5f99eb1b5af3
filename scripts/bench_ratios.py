"""Figures of scripts/bench_frameworks.py from what its rounds recorded: ratios with intervals, tables, data of the plot."""
import math
import statistics

CPU = "cpu"
BESIDE = "cpu-beside-"  # the cpu case that was run next to a framework's is called by that framework
BYTES_OF_FP32 = 4


def sign_interval(values, level=0.95):
    """Interval of the median by the sign test (order statistics): (low, high, what it really covers). The narrowest that covers
    `level`; where there are too few values for that, the smallest and the largest."""
    ordered, count = sorted(values), len(values)
    cut, covers = 0, 1 - 2 * 0.5 ** count
    for k in range(1, count // 2):
        covered = 1 - 2 * sum(math.comb(count, i) for i in range(k + 1)) * 0.5 ** count
        if covered < level:
            break
        cut, covers = k, covered
    return ordered[cut], ordered[count - 1 - cut], covers


def ratio(pairs):
    """Of two decoders' latencies, a pair a round: the median of the rounds' ratios with its interval, which is taken of logarithms, so
    that a ratio and its inverse are treated alike."""
    logs = [math.log(a / b) for a, b in pairs]
    low, high, covers = sign_interval(logs)
    return {"of_rounds": math.exp(statistics.median(logs)), "low": math.exp(low), "high": math.exp(high),
            "confidence": covers, "rounds": len(pairs), "each": [a / b for a, b in pairs]}


def memory_bytes(case, phases, parameters):
    """What a decode holds beyond the checkpoint in FP32: its peak, and what weights take more than that. A framework's peak is how
    far its resident set rose in a decode; one that keeps an arena from the first decode on shows none then, so that it is at least
    what is resident after decodes and was not before the first. cpu's is its allocator's, which is exact."""
    peak = case["memory_peak_bytes"]
    if not case["backend"].startswith(BESIDE):
        resident = {row["phase"]: row["rss_bytes"] for row in phases}
        if resident.get("decode") and resident.get("prepare"):
            peak = max(peak or 0, resident["decode"] - resident["prepare"])
    return None if peak is None else peak + max(0, (case["memory_weights_bytes"] or 0) - BYTES_OF_FP32 * parameters)


class Work:
    """One model at one size of latents, and what every round recorded of it."""

    def __init__(self, text):
        self.text = text
        self.model, _, self.latents = text.partition(":")
        self.rounds, self.pixels = [], ""

    def add(self, run):
        """A round, as `vaemark show --json` prints it."""
        parameters = run["models"][0]["parameters"]
        self.rounds.append({case["backend"]: case for case in run["cases"]})
        for case in run["cases"]:
            case["held_bytes"] = memory_bytes(case, [row for row in run["memory"] if row["case_id"] == case["id"]], parameters)
            if case["image_height"]:
                self.pixels = f"{case['image_height']}x{case['image_width']}"

    def cases(self, name):
        """Of a framework, or of cpu beside any of them; only those that were timed."""
        return [case for cases in self.rounds for backend, case in cases.items()
                if (backend == name or name == CPU and backend.startswith(BESIDE)) and case["latency_median_ns"]]

    def names(self):
        return list(dict.fromkeys(name for cases in self.rounds for name in sorted(cases) if not name.startswith(BESIDE)))

    def without_figure(self):
        """{framework: why} of those that were never timed."""
        return {name: next(cases[name] for cases in self.rounds if name in cases)["reason"]
                for name in self.names() if not self.cases(name)}

    def not_passed(self):
        """{decoder: why} of those that were timed, and yet did not pass."""
        return {name: case["reason"] for name in (CPU, *self.names()) for case in self.cases(name)
                if case["outcome"] != "passed"}

    def failures_of_cpu(self):
        return [case for cases in self.rounds for backend, case in cases.items()
                if backend.startswith(BESIDE) and case["outcome"] != "passed"]

    def decoder(self, name):
        cases = self.cases(name)
        latencies = [case["latency_median_ns"] for case in cases]
        memory = [case["held_bytes"] for case in cases if case["held_bytes"] is not None]
        return {"latency_median_ns": statistics.median(latencies), "latencies_ns": latencies,
                "cpu_time_median_ns": statistics.median(case["cpu_time_median_ns"] for case in cases),
                "memory_bytes": statistics.median(memory) if memory else None,
                "psnr_db": min(case["psnr_db"] for case in cases), "open_time_ns": statistics.median(
                    case["open_time_ns"] for case in cases)}

    def pairs(self, name):
        """(cpu, framework) of each round in which both were timed."""
        both = [(cases.get(BESIDE + name), cases.get(name)) for cases in self.rounds]
        return [(cpu["latency_median_ns"], other["latency_median_ns"]) for cpu, other in both
                if cpu and other and cpu["latency_median_ns"] and other["latency_median_ns"]]

    def result(self):
        """All that is known, for the machine-readable file; `fastest` is None where nothing can be compared."""
        decoders = {name: self.decoder(name) for name in (CPU, *self.names()) if self.cases(name)}
        ratios = {name: ratio(pairs) for name in decoders if name != CPU and (pairs := self.pairs(name))}
        for name, found in ratios.items():
            found["of_medians"] = decoders[CPU]["latency_median_ns"] / decoders[name]["latency_median_ns"]
        fastest = min(ratios, key=lambda name: decoders[name]["latency_median_ns"], default=None)
        result = {"work": self.text, "model": self.model, "latents": self.latents, "image": self.pixels,
                  "rounds": len(self.rounds), "decoders": decoders, "cpu_to_framework": ratios, "fastest": fastest,
                  "without_figure": self.without_figure(), "not_passed": self.not_passed(), "memory": None}
        held = {name: row["memory_bytes"] for name, row in decoders.items() if row["memory_bytes"]}
        others = {name: size for name, size in held.items() if name in ratios}
        if CPU in held and others:
            least = min(others, key=others.get)
            result["memory"] = {"least": least, "cpu_to_least": held[CPU] / others[least],
                                "cpu_to_fastest": held[CPU] / others[fastest] if fastest in others else None}
        return result


def seconds(ns):
    return f"{ns * 1e-9:.3g} s" if ns >= 1e9 else f"{ns * 1e-6:.3g} ms"


def mebibytes(size):
    return "" if size is None else f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def label(result):
    return f"{result['model']} {result['image'] or result['latents']}"


def ratio_cell(ratios):
    interval = f"{ratios['low']:.3f} to {ratios['high']:.3f}" if ratios["rounds"] > 1 else "one round: none"
    return f"{ratios['of_rounds']:.3f} ({interval})"


def confidence_note(results):
    covers = sorted({(row["rounds"], row["confidence"]) for result in results for row in result["cpu_to_framework"].values()})
    return "; ".join(f"{rounds} rounds: {100 * covered:.1f} %" for rounds, covered in covers if rounds > 1)


def page(results, facts, unavailable):
    """Markdown: the machine, latencies, memory, and what has no figure, with the reason."""
    names = list(dict.fromkeys(name for result in results for name in result["cpu_to_framework"]))
    out = ["# cpu beside the frameworks", "",
           "Made by `scripts/bench_frameworks.sh`. Each round starts fresh workers, each framework's with one of `cpu` before or after "
           "it, in an order drawn by lot; same weights, same latents, and every image is checked against the reference's.", "",
           *table(["fact", "value"], [[name, str(value)] for name, value in facts.items()]),
           "", "## Latency of one decode", "",
           "Medians of the rounds. The ratio is `cpu`'s time over the fastest framework's: of the medians, and the median of the "
           "rounds' ratios with the sign test's interval" + (f" (which covers: {note})" if (note := confidence_note(results)) else "")
           + ". PSNR is the lowest of `cpu`'s, against the FP32 reference.", ""]
    latency = [[label(result),
                *(seconds(result["decoders"][name]["latency_median_ns"]) + ("†" if name in result["not_passed"] else "")
                  if name in result["decoders"] else "" for name in (CPU, *names)),
                result["fastest"] or "",
                f"{result['cpu_to_framework'][result['fastest']]['of_medians']:.3f}" if result["fastest"] else "",
                ratio_cell(result["cpu_to_framework"][result["fastest"]]) if result["fastest"] else "",
                f"{result['decoders'][CPU]['psnr_db']:.1f} dB" if CPU in result["decoders"] else ""] for result in results]
    out += table(["work", CPU, *names, "fastest framework", "cpu / fastest", "of rounds (interval)", "PSNR"], latency)
    out += ["", "## Memory of one decode", "",
            "What a decode holds beyond the checkpoint's parameters in FP32: peak and packed weights. Of `cpu` what its allocator "
            "counted; of a framework how far its resident set rose in a decode or stayed higher than before the first, whichever is "
            "more.", ""]
    memory = [[label(result), *(mebibytes(result["decoders"].get(name, {}).get("memory_bytes")) for name in (CPU, *names)),
               *(f"{result['memory'][key]:.3f}" if result["memory"] and result["memory"][key] else ""
                 for key in ("cpu_to_fastest", "cpu_to_least"))] for result in results]
    out += table(["work", CPU, *names, "cpu / fastest", "cpu / least"], memory)
    missing = [f"- `{name}`: {why}" for name, why in unavailable.items()]
    missing += [f"- `{name}` on {label(result)}: {why}" for result in results for name, why in result["without_figure"].items()]
    if missing:
        out += ["", "## Without a figure", "", *missing]
    wrong = [f"- `{name}` on {label(result)}: {why}" for result in results for name, why in result["not_passed"].items()]
    if wrong:
        out += ["", "## † Timed, though a check failed", "", "A framework counts all the same, for without it `cpu` would look better.",
                "", *wrong]
    return "\n".join(out) + "\n"


def plot_data(results):
    """For gnuplot/frameworks.gp: how many times cpu's time and memory a framework takes; cpu is the line at 1. Returns a block of
    lines a framework (row, time, low, high, memory), the frameworks' names, and the labels of rows, topmost first."""
    names = list(dict.fromkeys(name for result in results for name in result["cpu_to_framework"]))
    shown = [result for result in results if result["fastest"]]
    blocks = []
    for place, name in enumerate(names):
        lines = []
        for row, result in enumerate(shown):
            ratios = result["cpu_to_framework"].get(name)
            if ratios:
                held, own = result["decoders"][name]["memory_bytes"], result["decoders"][CPU]["memory_bytes"]
                height = row + (place - (len(names) - 1) / 2) * 0.13
                lines.append(f"{height:.3f} {1 / ratios['of_rounds']:.6g} {1 / ratios['high']:.6g} {1 / ratios['low']:.6g} "
                             f"{held / own if held and own else 'NaN'}")
        blocks.append("\n".join(lines))
    return "\n\n\n".join(blocks) + "\n", names, [label(result) for result in shown]
