"""What plot_runs.py draws, read from run directories: reports, arms (runs that differ in their seeds alone), and curves
with mean and deviation over an arm's runs. Nothing of matplotlib."""
import json
import math
import re
import statistics
import sys
from pathlib import Path

BIN_COUNT = 150  # points of a smoothed curve
GRID = 200  # points of a mean over runs
BOOKKEEPING = {"seed", "data.path", "data.threads", "device.threads", "communication.limit_s"}
ALGORITHMS = {"acid": "A²CiD²", "allreduce": "all-reduce"}


class Missing(Exception):
    """The runs lack what a picture shows; the text says what."""


def complain(message):
    print(f"plot_runs: {message}", file=sys.stderr)
    sys.exit(2)


# --- reading ---


def read_config(path):
    """{"train.workers": "4", ...} of a resolved config.yaml: sections and keys, no deeper."""
    flat, section = {}, ""
    for line in path.read_text().splitlines():
        match = re.match(r"( *)([a-z_]+):\s*(.*)$", line)
        if not match:
            continue
        indent, key, value = match.groups()
        if indent:
            flat[f"{section}.{key}"] = value
        elif value:
            flat[key] = value
        else:
            section = key
    return flat


def read_lines(path):
    """The JSON objects of a file, without a last line that is cut off."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


def read_parts(paths):
    """Reports of several files, in the order of time."""
    return sorted((report for path in paths for report in read_lines(path)), key=lambda report: report["time"])


def read_reports(folder):
    """All reports of a run, and where it went on with other workers: the last report before. Each report has its
    "segment": 0 until the first such place, then 1, ...; its time counts from the run's beginning."""
    before = {}
    for path in sorted(folder.glob("before-*-metrics*.jsonl")):
        before.setdefault(int(path.name.split("-")[1]), []).append(path)
    parts = [p for p in [folder / "metrics.jsonl"] if p.is_file()] or sorted(folder.glob("metrics-*.jsonl"))
    reports, marks, offset = [], [], 0.0
    for segment, (gradients, paths) in enumerate(sorted(before.items()) + [(math.inf, parts)]):
        # What was done after the state that the run went on from is forgotten.
        found = [r for r in read_parts(paths) if r.get("global_step", 0) <= gradients]
        for report in found:
            report["segment"] = segment
            report["time"] += offset
        if found and gradients < math.inf:
            offset = found[-1]["time"]
            marks.append(found[-1])
        reports += found
    return reports, marks


def find_runs(paths):
    """Run directories; of a folder that is none but holds some, these."""
    found = []
    for path in map(Path, paths):
        inside = [] if (path / "config.yaml").is_file() else sorted(p.parent for p in path.glob("*/config.yaml"))
        found += inside or [path]
    return found


class Run:
    """What a run directory holds; of an unfinished one, what there is yet."""

    def __init__(self, path):
        self.path = Path(path)
        if not (self.path / "config.yaml").is_file():
            complain(f"{path} is no run directory: it has no config.yaml")
        self.config = read_config(self.path / "config.yaml")
        summary = self.path / "summary.json"
        self.summary = json.loads(summary.read_text()) if summary.is_file() else {}
        reports, self.marks = read_reports(self.path)
        self.steps = [r for r in reports if "loss" in r]
        self.tests = [r for r in reports if r.get("test_accuracy") is not None]
        self.network = [r for r in reports if r.get("network")]
        last = max((r["segment"] for r in self.steps), default=0)
        self.last_steps = [r for r in self.steps if r["segment"] == last]  # with the workers that it ended with
        self.ranks = sorted({r["rank"] for r in self.last_steps})
        self.workers = self.summary.get("workers", len(self.ranks) or int(self.config["train.workers"]))
        self.time_unit = self.find_time_unit()

    def find_time_unit(self):
        simulated = self.summary.get("command", "").startswith("grapevine simulate")
        if not simulated:
            return "seconds"
        return "virtual seconds" if self.config.get("simulate.time") == "modelled" else "expected gradients"

    def arm_name(self):
        """Algorithm and graph."""
        algorithm = ALGORITHMS.get(self.config["algorithm.name"], self.config["algorithm.name"])
        graph = "" if algorithm == "all-reduce" else f", {self.config['graph.name']}"
        return f"{algorithm}{graph}"

    def name(self):
        return f"{self.arm_name()}, n = {self.workers}"

    def experiment(self):
        """Keys and values that say what the run is: two runs of an arm have the same."""
        pairs = self.config["algorithm.name"] != "allreduce"
        found = {key: value for key, value in self.config.items() if says_something(key, pairs)}
        return {**found, "train.workers": str(self.workers), "time": self.time_unit}


def says_something(key, pairs):
    """It is no bookkeeping, and has an effect on a run whose workers meet in pairs, or do not."""
    concerns_pairs = key.startswith(("graph.", "communication.", "algorithm.")) and key not in (
        "algorithm.name", "communication.bucket_bytes")  # fmt: skip
    return key not in BOOKKEEPING and not key.startswith("run.") and (pairs or not concerns_pairs)


class Arm:
    """Runs that differ in bookkeeping alone: seeds."""

    def __init__(self, runs):
        self.runs, self.first = runs, runs[0]
        self.label, self.index = "", 0  # make_arms sets them

def make_arms(runs):
    """Arms in the order of their first runs; sets label and index of each, and label of each run."""
    arms = []
    for run in runs:
        same = [arm for arm in arms if arm.first.experiment() == run.experiment()]
        if same:
            same[0].runs.append(run)
        else:
            arms.append(Arm([run]))
    for index, arm in enumerate(arms):
        arm.index = index
        name_arm(arm, arms)
        for run in arm.runs:
            seed = f", seed {run.config.get('seed', '?')}" if len(arm.runs) > 1 else ""
            run.label = arm.label + seed
    return arms


def name_arm(arm, arms):
    """Algorithm, graph and n, and the keys in which arms of the same name differ."""
    name = arm.first.name()
    same = [other.first.experiment() for other in arms if other.first.name() == name]
    differing = [key for key in arm.first.experiment() if len({keys.get(key) for keys in same}) > 1]
    values = {key.removesuffix(".name").split(".")[-1]: arm.first.experiment()[key].strip('"')
              for key in differing[:2]}  # fmt: skip
    arm.label = ", ".join([name] + [f"{key} {value}" for key, value in values.items() if value])


# --- curves: lists of x and y of a run ---


def binned(reports, x, y, smallest):
    """Means of x and y over bins of `smallest` consecutive reports: more where there would be over BIN_COUNT bins, less
    where under four."""
    pairs = [(r[x], r[y]) for r in reports if r.get(y) is not None]
    size = max(1, min(smallest, len(pairs) // 4), math.ceil(len(pairs) / BIN_COUNT))
    bins = [pairs[k : k + size] for k in range(0, len(pairs) - size + 1, size)]
    return [sum(a for a, _ in b) / len(b) for b in bins], [sum(c for _, c in b) / len(b) for b in bins]


def replica_tests(run, x):
    """The k-th tests of all replicas as one: mean x, accuracy weighted by pictures."""
    points = []
    for segment in sorted({r["segment"] for r in run.tests}):
        by_rank = {}
        for report in run.tests:
            if not report["averaged"] and report["segment"] == segment:
                by_rank.setdefault(report["rank"], []).append(report)
        for together in zip(*by_rank.values()):
            pictures = sum(r["pictures"] for r in together)
            accuracy = sum(r["test_accuracy"] * r["pictures"] for r in together) / pictures
            points.append((sum(r[x] for r in together) / len(together), 100 * accuracy))
    return points


def final_test(run, x):
    """x and accuracy of the averaged model; none of a run that has not ended."""
    return [(r[x], 100 * r["test_accuracy"]) for r in run.tests if r["averaged"]][-1:]


def network_curve(run, key, x):
    """x and values of a key of the lines about the network, where it is known and positive; empty lists where not."""
    found = [(r[x], r[key]) for r in run.network if (r.get(key) or 0) > 0]
    return [a for a, _ in found], [b for _, b in found]


# --- means over the runs of an arm ---


def together(points):
    """Of lists of (x, y), one for each run: mean x, mean y and deviation of y of the k-th points of all."""
    rows = [([x for x, _ in row], [y for _, y in row]) for row in zip(*points)]
    return ([statistics.mean(xs) for xs, _ in rows], [statistics.mean(ys) for _, ys in rows],
            [statistics.stdev(ys) if len(ys) > 1 else 0.0 for _, ys in rows])  # fmt: skip


def value_at(xs, ys, x):
    """Linear between the points, which are in the order of x; constant outside."""
    if x <= xs[0]:
        return ys[0]
    low, high = 0, len(xs) - 1
    if x >= xs[high]:
        return ys[high]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if xs[middle] <= x else (low, middle)
    width = xs[high] - xs[low]
    return ys[low] + (ys[high] - ys[low]) * ((x - xs[low]) / width if width > 0 else 1)


def band(curves, logarithmic=False):
    """Of curves (xs, ys), one for each run: x, mean, and the lower and upper end of a band of one deviation, over the x
    that all have. `logarithmic`: geometric mean, and a band of a factor. Of one curve it is that curve."""
    curves = [(xs, [math.log(y) for y in ys] if logarithmic else ys) for xs, ys in curves if xs]
    if not curves:
        return [], [], [], []
    begin, end = max(xs[0] for xs, _ in curves), min(xs[-1] for xs, _ in curves)
    grid = curves[0][0] if len(curves) == 1 else [begin + (end - begin) * k / GRID for k in range(GRID + 1)]
    values = [[value_at(xs, ys, x) for xs, ys in curves] for x in grid]
    mean = [statistics.mean(v) for v in values]
    spread = [statistics.stdev(v) if len(v) > 1 else 0.0 for v in values]
    turn = math.exp if logarithmic else float
    return (grid, [turn(m) for m in mean], [turn(m - s) for m, s in zip(mean, spread)],
            [turn(m + s) for m, s in zip(mean, spread)])  # fmt: skip
