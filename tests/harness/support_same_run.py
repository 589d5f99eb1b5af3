"""Whether two result files say the same, but for times."""
import h5py

# Columns with these units are times, or made of them. `memory_*` of the allocator, errors and checks are not among them.
TIME_UNITS = {"ns", "pixel/s", "FLOP/s"}
# What else the machine, and not the decoder, decides, and why.
MACHINE_COLUMNS = {
    "cases/memory_rss_peak_bytes": "the kernel counts resident pages in batches, and maps libraries as it likes",
    "memory/rss_bytes": "as above",
    "memory/rss_peak_bytes": "as above",
    "samples/involuntary_switches": "the scheduler's, not the decoder's",
    "samples/minor_faults": "depends on what the kernel has reclaimed or mapped around a fault",
    "samples/major_faults": "depends on what is in the page cache",
    "oracle/source": "an oracle that a killed run computed is in the store for the next",
}
# Facts about a moment, not about the run; and what a resumed file says of having been resumed.
MOMENT_FACTS = {"run_started", "run_duration", "command_line", "cpu_clock_now", "memory_available", "load_average",
                "cpu_time_counters"}


def differences(a_path, b_path):
    """What differs, a line each."""
    found = []
    with h5py.File(a_path) as a, h5py.File(b_path) as b:
        for name in sorted(set(a.attrs) | set(b.attrs)):
            fact = name.removesuffix("__unit")
            if fact not in MOMENT_FACTS and not fact.startswith("resumed_") and a.attrs.get(name) != b.attrs.get(name):
                found.append(f"attribute {name}: {a.attrs.get(name)!r}, {b.attrs.get(name)!r}")
        names = [], []
        a.visititems(lambda name, item: names[0].append(name))
        b.visititems(lambda name, item: names[1].append(name))
        if sorted(names[0]) != sorted(names[1]):
            found.append(f"groups and datasets: {sorted(set(names[0]) ^ set(names[1]))}")
        for name in sorted(set(names[0]) & set(names[1])):
            if isinstance(a[name], h5py.Dataset):
                found += dataset_differences(name, a[name], b[name])
            if attributes(a[name]) != attributes(b[name]):
                found.append(f"attributes of {name}")
    return found


def attributes(item):
    return {name: getattr(value, "tolist", lambda: value)() for name, value in item.attrs.items()}


def dataset_differences(name, a, b):
    if a.shape != b.shape or a.dtype != b.dtype:
        return [f"{name}: {a.shape} {a.dtype}, {b.shape} {b.dtype}"]
    if name in MACHINE_COLUMNS or a.attrs.get("unit") in TIME_UNITS:
        return []
    x, y = a[()], b[()]
    equal = [p == q or (p != p and q != q) for p, q in zip(x.ravel().tolist(), y.ravel().tolist())]
    return [] if all(equal) else [f"{name}[{equal.index(False)}]: {x.ravel()[equal.index(False)]!r}, "
                                  f"{y.ravel()[equal.index(False)]!r}"]
