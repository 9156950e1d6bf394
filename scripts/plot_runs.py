#!/usr/bin/env python3
"""Pictures of one run or several, from their run directories alone. Needs matplotlib (scripts/setup.sh --plots).

    plot_runs.py RUN [RUN ...] [--out DIR] [--format png|svg] [--window FROM..TO]

    training_by_epoch  training loss and test accuracy over epochs, summed over workers
    training_by_time   the same over time: real, or virtual where `simulate` ran
    consensus          how far the replicas are apart, measured and predicted
    optimum            distance to the minimiser, and gap of the objective (convex models)
    meetings           who met whom
    workers            per worker: gradients done, and share of the time that it waited
    lag                how far workers are ahead of or behind the others, in gradients
    staleness          meetings that land during a gradient, age of snapshots when applied (run.record=true)
    timeline           both threads of every worker (run.trace=true), from a window of time in seconds

Pictures go to DIR (default: plots/ in the run directory of one run, runs/plots of several). One that the runs have no
data for is left out, and a line says why. Exit status 0; 2 usage, or no run directory; 4 no matplotlib.
"""
import argparse
import json
import math
import re
import sys
from pathlib import Path

try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError:
    if not {"-h", "--help"} & set(sys.argv):
        print(f"plot_runs: no matplotlib for {sys.executable}; scripts/setup.sh --plots installs it for "
              "/usr/bin/python3", file=sys.stderr)
        sys.exit(4)

WIDTH_INCHES = 7.0  # a page's
# Okabe and Ito's colours, which colour-blind people tell apart; styles and markers say the same once more.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
STYLES = ["-", "--", "-.", (0, (3, 1, 1, 1, 1, 1)), (0, (5, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
BIN_COUNT = 150  # points of a smoothed curve
COUNTS_SHOWN = 8  # workers up to which a matrix has its numbers
TIMELINE_WORKERS = 16
TIMELINE_GRADIENTS = 8  # in the default window
SPAN_COLORS = {
    "compute": "#56B4E9", "update": "#000000", "cast": "#000000", "load": "#000000", "wait": "#D55E00",
    "evaluate": "#BBBBBB", "checkpoint": "#777777", "copy": "#E69F00", "put": "#009E73", "peer": "#F0E442",
    "apply": "#0072B2", "reduce": "#882255",
}  # fmt: skip
SPAN_LABELS = {kind: "update, cast, load" for kind in ("update", "cast", "load")}  # short: one color for all


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


class Run:
    """What a run directory holds; of an unfinished one, what there is yet."""

    def __init__(self, path):
        self.path = Path(path)
        if not (self.path / "config.yaml").is_file():
            complain(f"{path} is no run directory: it has no config.yaml")
        self.config = read_config(self.path / "config.yaml")
        summary = self.path / "summary.json"
        self.summary = json.loads(summary.read_text()) if summary.is_file() else {}
        parts = [p for p in [self.path / "metrics.jsonl"] if p.is_file()] or self.path.glob("metrics-*.jsonl")
        reports = sorted((r for part in parts for r in read_lines(part)), key=lambda report: report["time"])
        self.steps = [r for r in reports if "loss" in r]
        self.tests = [r for r in reports if r.get("test_accuracy") is not None]
        self.network = [r for r in reports if r.get("network")]
        self.ranks = sorted({r["rank"] for r in self.steps})
        self.workers = self.summary.get("workers", len(self.ranks) or int(self.config["train.workers"]))
        self.time_unit = self.find_time_unit()

    def find_time_unit(self):
        simulated = self.summary.get("command", "").startswith("grapevine simulate")
        if not simulated:
            return "seconds"
        return "virtual seconds" if self.config.get("simulate.time") == "modelled" else "expected gradients"

    def name(self):
        algorithm = self.config["algorithm.name"]
        algorithm = {"acid": "A²CiD²", "allreduce": "all-reduce"}.get(algorithm, algorithm)
        graph = "" if algorithm == "all-reduce" else f", {self.config['graph.name']}"
        return f"{algorithm}{graph}, n = {self.workers}"


def name_apart(runs):
    """Sets run.label: algorithm, graph and n, and the keys in which runs of the same name differ."""
    for run in runs:
        same = [r for r in runs if r.name() == run.name()]
        differing = [key for key in run.config if len({r.config.get(key) for r in same}) > 1 and key != "run.dir"]
        values = {key.split(".")[-1]: run.config.get(key, "").strip('"') for key in differing[:2]}
        run.label = ", ".join([run.name()] + [f"{key} {value}" for key, value in values.items() if value])
        if len(same) > 1 and not differing:
            run.label += f", {run.path.name}"


# --- drawing ---


def style(index):
    """Of the k-th run; earlier ones lie on top, so that the broken lines show where curves agree."""
    return {"color": COLORS[index % len(COLORS)], "linestyle": STYLES[index % len(STYLES)], "zorder": 3 - 0.01 * index}


def new_figure(columns=1, height=2.8, **options):
    figure, axes = plt.subplots(1, columns, figsize=(WIDTH_INCHES, height), squeeze=False, layout="constrained",
                                **options)  # fmt: skip
    return figure, list(axes[0])


def add_legend(figure, axes):
    """One legend for all panels, above them, in as many columns as fit."""
    handles, labels = {}, []
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    labels = list(handles)
    if labels:
        columns = max(1, min(len(labels), 100 // (max(map(len, labels)) + 8)))
        figure.legend(handles.values(), labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns,
                      frameon=False)  # fmt: skip


def describe(ax, title, x, y):
    ax.set(title=title, xlabel=x, ylabel=y)
    ax.grid(True, color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)


def binned(reports, x, y, smallest):
    """Means of x and y over bins of `smallest` consecutive reports: more where there would be over BIN_COUNT bins, less
    where under four."""
    pairs = [(r[x], r[y]) for r in reports if r.get(y) is not None]
    size = max(1, min(smallest, len(pairs) // 4), math.ceil(len(pairs) / BIN_COUNT))
    bins = [pairs[k : k + size] for k in range(0, len(pairs) - size + 1, size)]
    return [sum(a for a, _ in b) / len(b) for b in bins], [sum(c for _, c in b) / len(b) for b in bins]


def replica_tests(run, x):
    """The k-th tests of all replicas as one: mean x, accuracy weighted by pictures."""
    by_rank = {}
    for report in run.tests:
        if not report["averaged"]:
            by_rank.setdefault(report["rank"], []).append(report)
    points = []
    for together in zip(*by_rank.values()):
        pictures = sum(r["pictures"] for r in together)
        accuracy = sum(r["test_accuracy"] * r["pictures"] for r in together) / pictures
        points.append((sum(r[x] for r in together) / len(together), 100 * accuracy))
    return points


def draw_training(runs, x, x_title):
    runs = [run for run in runs if run.steps]
    if not runs:
        raise Missing("no step reports in metrics.jsonl (run.log_every is 0?)")
    figure, (left, right) = new_figure(2)
    for k, run in enumerate(runs):
        left.plot(*binned(run.steps, x, "loss", run.workers), label=run.label, **style(k))
        points = replica_tests(run, x)
        if points:
            right.plot(*zip(*points), marker=MARKERS[k % len(MARKERS)], markersize=3.5, label=run.label, **style(k))
        final = [(r[x], 100 * r["test_accuracy"]) for r in run.tests if r["averaged"]]
        if final:
            right.plot(*zip(*final), marker="*", markersize=11, color=style(k)["color"], linestyle="none",
                       markeredgecolor="black", markeredgewidth=0.5)  # fmt: skip
    describe(left, "Training loss, mean over workers", x_title, "cross-entropy")
    describe(right, "Test accuracy: replicas, ★ averaged model", x_title, "accuracy, %")
    left.set_ylim(bottom=0)
    add_legend(figure, [left, right])
    return figure


def draw_by_epoch(runs):
    return draw_training(runs, "epoch", "epochs, summed over workers")


def draw_by_time(runs):
    units = {run.time_unit for run in runs if run.steps}
    if len(units) > 1:
        raise Missing(f"these runs measure time differently ({', '.join(sorted(units))})")
    return draw_training(runs, "time", f"time in {next(iter(units), 'seconds')}")


def positive(reports, key):
    """Epochs and values of a key, where it is known and positive."""
    found = [(r["epoch"], r[key]) for r in reports if (r.get(key) or 0) > 0]
    return list(zip(*found)) if found else None


def draw_consensus(runs):
    figure, (ax,) = new_figure(height=3.2)
    drawn = False
    for k, run in enumerate(runs):
        color = style(k)["color"]
        measured = positive(run.network, "consensus_distance") or positive(run.network, "consensus_estimated")
        if measured:
            ax.plot(*measured, color=color, label=run.label)
        else:
            epochs, distances = binned(run.steps, "epoch", "pair_distance", run.workers)
            if any(distances):
                ax.plot(epochs, distances, color=color, linewidth=0.9, label=f"{run.label}: pairs that met")
                measured = True
        predicted = positive(run.network, "consensus_predicted")
        if predicted:
            ax.plot(*predicted, color=color, linestyle="--", label=f"{run.label}: predicted")
        drawn = drawn or measured or predicted
    if not drawn:
        raise Missing("no consensus distance in metrics.jsonl (all-reduce keeps replicas equal)")
    ax.set_yscale("log")
    describe(ax, "Consensus distance", "epochs, summed over workers", "(1/n) Σ ‖x$_i$ − x̄‖²")
    add_legend(figure, [ax])
    return figure


def draw_optimum(runs):
    figure, axes = new_figure(2)
    for ax, key, title, unit in ((axes[0], "optimum_distance", "Distance to the minimiser", "‖x̄ − x*‖²"),
                                 (axes[1], "optimum_gap", "Gap of the objective", "F(x̄) − F(x*)")):  # fmt: skip
        for k, run in enumerate(runs):
            points = positive(run.network, key)
            if points:
                ax.plot(*points, label=run.label, **style(k))
        ax.set_yscale("log")
        describe(ax, title, "epochs, summed over workers", unit)
    if not any(ax.lines for ax in axes):
        raise Missing("the minimiser is known for convex models only")
    add_legend(figure, axes)
    return figure


def draw_meetings(runs):
    runs = [run for run in runs if any(map(any, run.summary.get("meetings", [])))]
    if not runs:
        raise Missing("nobody met anybody in pairs (summary.json, meetings)")
    columns = min(3, len(runs))
    rows = math.ceil(len(runs) / columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False, layout="constrained",
                                figsize=(max(4.0, WIDTH_INCHES * columns / 3), 2.9 * rows))  # fmt: skip
    for ax in axes.flat[len(runs) :]:
        ax.remove()
    colors = matplotlib.colormaps["cividis_r"].copy()
    colors.set_bad("white")
    for ax, run in zip(axes.flat, runs):
        counts = [[count or math.nan for count in row] for row in run.summary["meetings"]]
        image = ax.imshow(counts, cmap=colors, vmin=0, interpolation="nearest")
        ax.set(xlabel="worker", ylabel="worker")
        if run.workers <= COUNTS_SHOWN:
            write_counts(ax, run.summary["meetings"])
        ax.set_title(run.label, fontsize=9)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(matplotlib.ticker.MaxNLocator(6, integer=True))
        figure.colorbar(image, ax=ax, label="meetings", fraction=0.046, pad=0.04)
    return figure


def write_counts(ax, meetings):
    """The numbers into their cells, light on dark."""
    most = max(map(max, meetings))
    for i, row in enumerate(meetings):
        for j, count in enumerate(row):
            if count:
                ax.text(j, i, count, ha="center", va="center", fontsize=7,
                        color="white" if count > most / 2 else "black")  # fmt: skip


def draw_workers(runs):
    runs = [run for run in runs if run.summary.get("gradients_per_worker")]
    if not runs:
        raise Missing("no summary.json: the run has not ended")
    figure, (left, right) = new_figure(2)
    for k, run in enumerate(runs):
        marks = {"marker": MARKERS[k % len(MARKERS)], "markersize": 4, "color": style(k)["color"], "linestyle": "none"}
        beside = 0.5 * (k - (len(runs) - 1) / 2) / len(runs)  # so that equal values do not hide each other
        workers = [worker + beside for worker in range(run.workers)]
        left.plot(workers, run.summary["gradients_per_worker"], label=run.label, **marks)
        idle = [math.nan if share is None else 100 * share for share in run.summary["idle"]]  # ideal time has none
        right.plot(workers, idle, clip_on=False, **marks)
    describe(left, "Gradients done", "worker", "gradients")
    describe(right, "Waiting for others", "worker", "% of the time")
    for ax in (left, right):
        ax.set_ylim(bottom=0)
        ax.margins(y=0.1)
        ax.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(8, integer=True))
    add_legend(figure, [left])
    return figure


def steps_over_time(run, count=200):
    """Times, and for each worker its gradients at those times, between its reports."""
    end = min(max(r["time"] for r in run.steps if r["rank"] == rank) for rank in run.ranks)
    times = [end * k / count for k in range(count + 1)]
    curves = []
    for rank in run.ranks:
        points = [(0.0, 0.0)] + [(r["time"], r["step"]) for r in run.steps if r["rank"] == rank]
        curve, k = [], 0
        for t in times:
            while k + 2 < len(points) and points[k + 1][0] < t:
                k += 1
            (t0, s0), (t1, s1) = points[k], points[k + 1]
            curve.append(s0 + (s1 - s0) * (t - t0) / (t1 - t0) if t1 > t0 else s1)
        curves.append(curve)
    return times, curves


def draw_lag(runs):
    runs = [run for run in runs if len(run.ranks) > 1]
    if not runs:
        raise Missing("needs the step reports of two workers")
    if len({run.time_unit for run in runs}) > 1:
        raise Missing("these runs measure time differently")
    figure, (ax,) = new_figure(height=3.0)
    for k, run in enumerate(runs):
        times, curves = steps_over_time(run)
        means = [sum(at) / len(at) for at in zip(*curves)]
        ahead = [[s - m for s, m in zip(curve, means)] for curve in curves]
        if len(runs) == 1 and run.workers <= len(COLORS):
            for rank, curve in zip(run.ranks, ahead):
                ax.plot(times, curve, label=f"worker {rank}", **style(rank))
        else:
            high, low = [max(at) for at in zip(*ahead)], [min(at) for at in zip(*ahead)]
            ax.fill_between(times, low, high, color=style(k)["color"], alpha=0.2, linewidth=0)
            ax.plot(times, high, label=run.label, **style(k))
            ax.plot(times, low, **style(k))
    title = "Workers ahead of their mean" if len(runs) == 1 and runs[0].workers <= len(COLORS) else \
        "Fastest and slowest worker, ahead of the mean of all"  # fmt: skip
    describe(ax, title, f"time in {runs[0].time_unit}", "gradients")
    add_legend(figure, [ax])
    return figure


def event_ages(run):
    """Of a run's event logs: meetings applied during each gradient, and ages of snapshots when they were applied."""
    landed, ages = [], []
    for path in run.path.glob("events-*.jsonl"):
        during, taken = None, {}
        for event in read_lines(path):
            kind = event.get("event")
            if kind == "begin":
                during = 0
            elif kind == "snapshot":
                taken[event["peer"], event["meeting"]] = event["t"]
            elif kind == "apply":
                during = None if during is None else during + 1
                ages.append(event["t"] - taken.pop((event["peer"], event["meeting"]), event["t"]))
            elif kind == "update" and during is not None:
                landed.append(during)
    return landed, ages


def draw_staleness(runs):
    figure, (left, right) = new_figure(2)
    for k, run in enumerate(runs):
        landed, ages = event_ages(run)
        if not landed:
            continue
        marks = {"marker": MARKERS[k % len(MARKERS)], "markersize": 4, "label": run.label}
        counts = range(max(landed) + 1)
        left.plot(counts, [100 * landed.count(c) / len(landed) for c in counts], **marks, **style(k))
        if ages:
            ages.sort()
            shares = [100 * (i + 1) / len(ages) for i in range(len(ages))]
            right.plot(ages, shares, label=run.label, drawstyle="steps-post", **style(k))
    if not left.lines:
        raise Missing("no event logs (run.record=true keeps them)")
    describe(left, "Meetings applied during a gradient", "meetings", "% of gradients")
    describe(right, "Age of a snapshot when applied, at most", "gradients of the worker", "% of meetings")
    left.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    right.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(4))
    right.set_xlim(left=0)
    add_legend(figure, [left])
    return figure


def read_spans(run):
    path = run.path / "trace.json"
    if not path.is_file():
        raise Missing("no trace.json (run.trace=true writes it)")
    events = [e for e in json.loads(path.read_text())["traceEvents"] if e["ph"] == "X"]
    if not events:
        raise Missing("trace.json is empty")
    return events


def middle_window(events):
    """A few gradients from near the middle of the run, in seconds; not from a test if that can be helped."""
    compute = [e for e in events if e["name"] == "compute"] or events
    length = TIMELINE_GRADIENTS * sum(e["dur"] for e in compute) / len(compute) / 1e6
    first, last = min(e["ts"] for e in events) / 1e6, max(e["ts"] + e["dur"] for e in events) / 1e6
    tests = [(e["ts"] / 1e6, (e["ts"] + e["dur"]) / 1e6) for e in events if e["name"] == "evaluate"]
    windows = [(first + (last - first) * share - length / 2, first + (last - first) * share + length / 2)
               for share in (0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7, 0.2, 0.8)]  # fmt: skip
    calm = [w for w in windows if all(end < w[0] or begin > w[1] for begin, end in tests)]
    return (calm or windows)[0]


def draw_timeline(run, window):
    events = read_spans(run)
    begin, end = window or middle_window(events)
    seen = [e for e in events if e["ts"] / 1e6 < end and (e["ts"] + e["dur"]) / 1e6 > begin]
    workers = sorted({e["pid"] for e in events})[:TIMELINE_WORKERS]
    seen = [e for e in seen if e["pid"] in workers]
    if not seen:
        raise Missing(f"nothing happened between {begin:g} and {end:g} s")
    figure, (ax,) = new_figure(height=1.5 + 0.42 * len(workers))
    for kind in [k for k in SPAN_COLORS if any(e["name"] == k for e in seen)]:
        spans = [e for e in seen if e["name"] == kind]
        for row in {(e["pid"], e["tid"]) for e in spans}:
            bars = [(e["ts"] / 1e6, e["dur"] / 1e6) for e in spans if (e["pid"], e["tid"]) == row]
            # A light edge parts one gradient from the next.
            edge = {"edgecolor": "white", "linewidth": 0.6} if kind == "compute" else {"edgecolor": SPAN_COLORS[kind]}
            ax.broken_barh(bars, (workers.index(row[0]) - 0.42 + 0.43 * row[1], 0.4), facecolor=SPAN_COLORS[kind],
                           **edge)  # fmt: skip
        ax.broken_barh([], (0, 0), color=SPAN_COLORS[kind], label=SPAN_LABELS.get(kind, kind))
    ax.set(xlim=(begin, end), ylim=(len(workers) - 0.5, -0.5), yticks=range(len(workers)), yticklabels=workers)
    more = "" if run.workers <= TIMELINE_WORKERS else f" (the first {TIMELINE_WORKERS})"
    describe(ax, f"{run.label}: compute thread above, communication below{more}", f"time in {run.time_unit}", "worker")
    ax.grid(False, axis="y")
    add_legend(figure, [ax])
    return figure


PICTURES = {
    "training_by_epoch": draw_by_epoch, "training_by_time": draw_by_time, "consensus": draw_consensus,
    "optimum": draw_optimum, "meetings": draw_meetings, "workers": draw_workers, "lag": draw_lag,
    "staleness": draw_staleness,
}  # fmt: skip


# --- the command line ---


def parse_window(text):
    match = re.fullmatch(r"([0-9.e-]+)\.\.([0-9.e-]+)", text)
    try:
        begin, end = float(match[1]), float(match[2])
    except (TypeError, ValueError):
        begin = end = 0
    if not begin < end:
        complain(f'--window: "{text}" is not FROM..TO in seconds, as 10..10.5')
    return begin, end


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     usage=argparse.SUPPRESS)  # fmt: skip
    parser.error = complain
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--format", choices=["png", "svg"], default="png")
    parser.add_argument("--window", type=parse_window)
    return parser.parse_args()


def save(figure, path):
    figure.savefig(path, dpi=200, bbox_inches="tight")  # the legend stands above the figure
    plt.close(figure)
    print(path)


def draw_all(runs, options, out):
    pictures = {name: (draw, (runs,)) for name, draw in PICTURES.items()}
    traced = [run for run in runs if (run.path / "trace.json").is_file()]
    for run in traced or runs[:1]:
        number = f"-{runs.index(run) + 1}" if len(runs) > 1 and traced else ""
        pictures[f"timeline{number}"] = (draw_timeline, (run, options.window))
    for name, (draw, arguments) in pictures.items():
        try:
            save(draw(*arguments), out / f"{name}.{options.format}")
        except Missing as missing:
            plt.close("all")
            print(f"plot_runs: {name} is left out: {missing}")


def main():
    options = parse_arguments()
    runs = [Run(path) for path in options.runs]
    name_apart(runs)
    out = options.out or (runs[0].path / "plots" if len(runs) == 1 else Path("runs/plots"))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        complain(f"--out: cannot make {out}: {error.strerror}")
    plt.rcParams.update({"font.size": 9, "axes.titlesize": 9.5, "legend.fontsize": 8.5, "lines.linewidth": 1.4,
                         "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"})  # fmt: skip
    draw_all(runs, options, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
