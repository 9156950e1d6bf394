#!/usr/bin/env python3
"""Pictures of one run or several, from their run directories alone. Needs matplotlib (scripts/setup.sh --plots).

    plot_runs.py RUN [RUN ...] [--out DIR] [--format png|svg|pdf] [--width column|page|INCHES] [--window FROM..TO]
    plot_runs.py RUN [RUN ...] --panels accuracy,consensus [--x time|epoch|gradients] [...]

    training_by_epoch  training loss and test accuracy over epochs, summed over workers
    training_by_time   the same over time: real, or virtual where `simulate` ran
    consensus          how far the replicas are apart: measured, estimated from their meetings, and predicted
    optimum            distance to the minimiser, and gap of the objective (convex models)
    meetings           who met whom
    workers            per worker: gradients done, and share of the time that it waited
    lag                how far workers are ahead of or behind the others, in gradients
    staleness          meetings that land during a gradient, age of snapshots when applied (run.record=true)
    classes            images of each class that each worker trains on (with --classes: this picture alone)
    timeline           both threads of every worker (run.trace=true), from a window of time in seconds

A RUN may be a folder of runs. Runs that differ in their seeds alone are one curve: the mean over them, in a band of one
standard deviation (of distances: the geometric mean, and a factor). A vertical line is where a run went on with other
workers. --panels draws one picture, `panels`, of those named: accuracy, loss, consensus, theory (consensus beside its
prediction), optimum. --width is that of a page (7 inches), of a column (3.4), or so many inches.

Pictures go to DIR (default: plots/ in the run directory of one run, runs/plots of several); the same runs make the same
bytes. One that the runs have no data for is left out, and a line says why. Exit status 0; 2 usage, or no run directory;
4 no matplotlib.
"""
import argparse
import json
import math
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # of plot_data and plot_classes, beside this file
import plot_classes
from plot_data import (Missing, Run, band, binned, complain, final_test, find_runs, make_arms, network_curve,
                       read_lines, replica_tests, together)  # fmt: skip

try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError:
    if not {"-h", "--help"} & set(sys.argv):
        print(f"plot_runs: no matplotlib for {sys.executable}; scripts/setup.sh --plots installs it for "
              "/usr/bin/python3", file=sys.stderr)
        sys.exit(4)

WIDTHS = {"page": 7.0, "column": 3.4}  # inches
# Okabe and Ito's colours, which colour-blind people tell apart; styles and markers say the same once more.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
STYLES = ["-", "--", "-.", (0, (3, 1, 1, 1, 1, 1)), (0, (5, 1))]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
COUNTS_SHOWN = 8  # workers up to which a matrix has its numbers
TIMELINE_WORKERS = 16
TIMELINE_GRADIENTS = 8  # in the default window
SPAN_COLORS = {
    "compute": "#56B4E9", "update": "#000000", "cast": "#000000", "load": "#000000", "wait": "#D55E00",
    "evaluate": "#BBBBBB", "checkpoint": "#777777", "copy": "#E69F00", "put": "#009E73", "peer": "#F0E442",
    "apply": "#0072B2", "reduce": "#882255",
}  # fmt: skip
SPAN_LABELS = {kind: "update, cast, load" for kind in ("update", "cast", "load")}  # short: one color for all
# How a consensus distance is known: key of the lines about the network, title, line.
DISTANCES = [("consensus_distance", "measured", {"linewidth": 1.6}),
             ("consensus_estimated", "estimated from pairs", {"linestyle": (0, (4, 1.5)), "linewidth": 1.1}),
             ("consensus_predicted", "predicted", {"linestyle": (0, (1, 1.5)), "linewidth": 1.1})]  # fmt: skip
X_KEYS = {"time": "time", "epoch": "epoch", "gradients": "global_step"}


# --- drawing ---


class Look:
    """Of all pictures: set by the command line."""

    width = WIDTHS["page"]


def style(index):
    """Of the k-th arm; earlier ones lie on top, so that the broken lines show where curves agree."""
    return {"color": COLORS[index % len(COLORS)], "linestyle": STYLES[index % len(STYLES)], "zorder": 3 - 0.01 * index}


def marks(index, size):
    return {"marker": MARKERS[index % len(MARKERS)], "markersize": size}


def new_figure(columns=1, height=2.8, **options):
    """Panels side by side; below each other where that would be too narrow."""
    narrow = columns > 1 and Look.width / columns < 2.4
    shape = (columns, 1) if narrow else (1, columns)
    figure, axes = plt.subplots(*shape, figsize=(Look.width, height * (0.8 * columns if narrow else 1)), squeeze=False,
                                layout="constrained", **options)  # fmt: skip
    return figure, list(axes.flat)


def add_legend(figure, axes, title=None):
    """One legend for all panels, above them, in as many columns as fit."""
    handles = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels()):
            handles.setdefault(label, handle)
    labels = list(handles)
    if labels:
        columns = max(1, min(len(labels), int(17 * Look.width) // (max(map(len, labels)) + 8)))
        figure.legend(handles.values(), labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns,
                      frameon=False, title=title)  # fmt: skip


def describe(ax, title, x, y):
    ax.set(title=title, xlabel=x, ylabel=y)
    ax.grid(True, color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)


def x_title(arms, x):
    if x == "time":
        units = sorted({run.time_unit for arm in arms for run in arm.runs})
        if len(units) > 1:
            raise Missing(f"these runs measure time differently ({', '.join(units)})")
        return f"time in {units[0]}"
    return {"epoch": "epochs, summed over workers", "gradients": "gradients of all workers"}[x]


def draw_band(ax, arm, curve, banded=True, **line):
    """A curve of band(): its mean, and the band where there are several runs."""
    xs, mean, low, high = curve
    if len(arm.runs) > 1 and banded:
        ax.fill_between(xs, low, high, color=line["color"], alpha=0.18, linewidth=0, zorder=1.5)
    return ax.plot(xs, mean, **line)


def draw_resumptions(ax, arms, key):
    """Where a run went on with other workers."""
    for arm in arms:
        for run in arm.runs:
            for mark in run.marks:
                ax.axvline(mark[key], color=style(arm.index)["color"], linewidth=0.8, linestyle=":", zorder=1)


# --- panels: each draws arms into axes, and returns whether there was anything ---


def panel_loss(ax, arms, x):
    key = X_KEYS[x]
    for arm in arms:
        curve = band([binned(run.steps, key, "loss", run.workers) for run in arm.runs])
        draw_band(ax, arm, curve, label=arm.label, **style(arm.index))
    describe(ax, "Training loss, mean over workers", x_title(arms, x), "cross-entropy")
    ax.set_ylim(bottom=0)
    draw_resumptions(ax, arms, key)
    return any(run.steps for arm in arms for run in arm.runs)


def panel_accuracy(ax, arms, x):
    key, drawn = X_KEYS[x], False
    for arm in arms:
        xs, mean, spread = together([replica_tests(run, key) for run in arm.runs])
        low, high = [m - s for m, s in zip(mean, spread)], [m + s for m, s in zip(mean, spread)]
        if xs:
            draw_band(ax, arm, (xs, mean, low, high), label=arm.label, **marks(arm.index, 3.5), **style(arm.index))
        ends = [points[0] for points in (final_test(run, key) for run in arm.runs) if points]
        if ends:
            at, accuracy, spread = together([[end] for end in ends])
            ax.errorbar(at, accuracy, yerr=spread if len(ends) > 1 else None, marker="*", markersize=11, capsize=2,
                        color=style(arm.index)["color"], linestyle="none", markeredgecolor="black",
                        markeredgewidth=0.5, zorder=4, label="" if xs else arm.label)  # fmt: skip
        drawn = drawn or bool(xs or ends)
    describe(ax, "Test accuracy: replicas, ★ averaged model", x_title(arms, x), "accuracy, %")
    draw_resumptions(ax, arms, key)
    return drawn


def draw_end(ax, arm, key):
    """What a real run measures, once: at its end."""
    ends = [(run.network[-1][key], run.summary["consensus_distance"]) for run in arm.runs
            if run.network and (run.summary.get("consensus_distance") or 0) > 0
            and "consensus_distance" not in run.network[-1]]  # fmt: skip
    for at, distance in ends:
        ax.plot([at], [distance], color=style(arm.index)["color"], markeredgecolor="black", markeredgewidth=0.5,
                **marks(arm.index, 6), linestyle="none", zorder=4)  # fmt: skip
    return bool(ends)


def panel_consensus(ax, arms, x, distances=tuple(DISTANCES[:2])):
    key, kinds = X_KEYS[x], {}
    for arm in arms:
        color, drawn = style(arm.index)["color"], {}
        for name, title, look in distances:
            curve = band([network_curve(run, name, key) for run in arm.runs], logarithmic=True)
            if curve[0]:
                draw_band(ax, arm, curve, title != "predicted", color=color, zorder=3 - 0.01 * arm.index, **look)
                drawn[title] = look
        pairs = [binned(run.steps, key, "pair_distance", run.workers) for run in arm.runs]
        if not drawn and any(any(ys) for _, ys in pairs):
            draw_band(ax, arm, band(pairs), color=color, linewidth=0.9)
            drawn["of pairs that met"] = {"linewidth": 0.9}
        if draw_end(ax, arm, key):
            drawn["measured, at the end"] = {"linestyle": "none", "marker": "o"}
        if drawn:
            ax.plot([], [], color=color, label=arm.label)
        kinds.update(drawn)
    ax.set_yscale("log")
    describe(ax, "Consensus distance", x_title(arms, x), "(1/n) Σ ‖x$_i$ − x̄‖²")
    draw_resumptions(ax, arms, key)
    if len(kinds) > 1 or "measured" not in kinds:  # what lines mean, whatever their colour
        handles = [plt.Line2D([], [], color="#555555", label=title, **look) for title, look in kinds.items()]
        ax.legend(handles=handles, loc="best", fontsize=7.5)
    return bool(kinds)


def panel_theory(ax, arms, x):
    return panel_consensus(ax, arms, x, DISTANCES)


def panel_optimum(ax, arms, x):
    for arm in arms:
        curve = band([network_curve(run, "optimum_distance", X_KEYS[x]) for run in arm.runs], logarithmic=True)
        if curve[0]:
            draw_band(ax, arm, curve, label=arm.label, **style(arm.index))
    ax.set_yscale("log")
    describe(ax, "Distance to the minimiser", x_title(arms, x), "‖x̄ − x*‖²")
    return bool(ax.lines)


PANELS = {"accuracy": panel_accuracy, "loss": panel_loss, "consensus": panel_consensus, "theory": panel_theory,
          "optimum": panel_optimum}  # fmt: skip
EMPTY = {
    "accuracy": "no test in metrics.jsonl (run.eval_every_epochs is 0, and the run has not ended?)",
    "loss": "no step reports in metrics.jsonl (run.log_every is 0?)",
    "consensus": "no consensus distance in metrics.jsonl (one worker, or all-reduce, which keeps replicas equal)",
    "optimum": "the minimiser is known for convex models only",
}
EMPTY["theory"] = EMPTY["consensus"]


def in_common(arms):
    """What all curves share: n, which their labels then leave out, and how many seeds. The title of the legend."""
    counts, workers = {len(arm.runs) for arm in arms}, {arm.first.workers for arm in arms}
    words = []
    if len(workers) == 1:
        words.append(f"n = {arms[0].first.workers}")
        for arm in arms:
            arm.label = arm.label.replace(f", n = {arm.first.workers}", "")
    if max(counts) > 1:
        seeds = f"{max(counts)} seeds, " if len(counts) == 1 else ""
        words.append(f"{seeds}mean and standard deviation")
    return "; ".join(words)


def draw_panels(arms, names, x):
    title = in_common(arms)
    figure, axes = new_figure(len(names), 3.0)
    for name, ax in zip(names, axes):
        if not PANELS[name](ax, arms, x):
            raise Missing(f"{name}: {EMPTY[name]}")
    lengths = [high - low for low, high in (ax.get_xlim() for ax in axes)]
    if max(lengths) < 2 * min(lengths):  # else one of them would be mostly empty
        for ax in axes[1:]:
            ax.sharex(axes[0])
    add_legend(figure, axes, title)
    return figure


# --- pictures ---


def draw_training(arms, x):
    arms = [arm for arm in arms if any(run.steps for run in arm.runs)]
    if not arms:
        raise Missing(EMPTY["loss"])
    x_title(arms, x)
    figure, (left, right) = new_figure(2)
    panel_loss(left, arms, x)
    panel_accuracy(right, arms, x)
    add_legend(figure, [left, right])
    return figure


def draw_by_epoch(arms, _):
    return draw_training(arms, "epoch")


def draw_by_time(arms, _):
    return draw_training(arms, "time")


def draw_consensus(arms, _):
    figure, (ax,) = new_figure(height=3.2)
    if not panel_theory(ax, arms, "epoch"):
        raise Missing(EMPTY["consensus"])
    add_legend(figure, [ax])
    return figure


def draw_optimum(arms, _):
    figure, axes = new_figure(2)
    for ax, key, title, unit in ((axes[0], "optimum_distance", "Distance to the minimiser", "‖x̄ − x*‖²"),
                                 (axes[1], "optimum_gap", "Gap of the objective", "F(x̄) − F(x*)")):  # fmt: skip
        for arm in arms:
            curve = band([network_curve(run, key, "epoch") for run in arm.runs], logarithmic=True)
            if curve[0]:
                draw_band(ax, arm, curve, label=arm.label, **style(arm.index))
        ax.set_yscale("log")
        describe(ax, title, x_title(arms, "epoch"), unit)
    if not any(ax.lines for ax in axes):
        raise Missing(EMPTY["optimum"])
    add_legend(figure, axes)
    return figure


def draw_meetings(_, runs):
    runs = [run for run in runs if any(map(any, run.summary.get("meetings", [])))]
    if not runs:
        raise Missing("nobody met anybody in pairs (summary.json, meetings)")
    columns = min(3, len(runs))
    rows = math.ceil(len(runs) / columns)
    figure, axes = plt.subplots(rows, columns, squeeze=False, layout="constrained",
                                figsize=(max(min(4.0, Look.width), Look.width * columns / 3), 2.9 * rows))  # fmt: skip
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


def draw_workers(_, runs):
    runs = [run for run in runs if run.summary.get("gradients_per_worker")]
    if not runs:
        raise Missing("no summary.json: the run has not ended")
    figure, (left, right) = new_figure(2)
    for k, run in enumerate(runs):
        look = {**marks(k, 4), "color": style(k)["color"], "linestyle": "none"}
        beside = 0.5 * (k - (len(runs) - 1) / 2) / len(runs)  # so that equal values do not hide each other
        workers = [worker + beside for worker in range(run.workers)]
        left.plot(workers, run.summary["gradients_per_worker"], label=run.label, **look)
        idle = [math.nan if share is None else 100 * share for share in run.summary["idle"]]  # ideal time has none
        right.plot(workers, idle, clip_on=False, **look)
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
    end = min(max(r["time"] for r in run.last_steps if r["rank"] == rank) for rank in run.ranks)
    times = [end * k / count for k in range(count + 1)]
    curves = []
    for rank in run.ranks:
        points = [(0.0, 0.0)] + [(r["time"], r["step"]) for r in run.last_steps if r["rank"] == rank]
        curve, k = [], 0
        for t in times:
            while k + 2 < len(points) and points[k + 1][0] < t:
                k += 1
            (t0, s0), (t1, s1) = points[k], points[k + 1]
            curve.append(s0 + (s1 - s0) * (t - t0) / (t1 - t0) if t1 > t0 else s1)
        curves.append(curve)
    return times, curves


def draw_lag(_, runs):
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


def draw_staleness(_, runs):
    figure, (left, right) = new_figure(2)
    for k, run in enumerate(runs):
        landed, ages = event_ages(run)
        if not landed:
            continue
        counts = range(max(landed) + 1)
        left.plot(counts, [100 * landed.count(c) / len(landed) for c in counts], label=run.label, **marks(k, 4),
                  **style(k))  # fmt: skip
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


def parse_width(text):
    try:
        inches = WIDTHS.get(text) or float(text)
    except ValueError:
        inches = 0
    if not 1 <= inches <= 40:
        complain(f'--width: "{text}" is none of column, page and a number of inches from 1 to 40')
    return inches


def parse_panels(text):
    names = text.split(",")
    for name in names:
        if name not in PANELS:
            complain(f'--panels: there is no "{name}"; there are {", ".join(PANELS)}')
    return names


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     usage=argparse.SUPPRESS)  # fmt: skip
    parser.error = complain
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--format", choices=["png", "svg", "pdf"], default="png")
    parser.add_argument("--width", type=parse_width, default=WIDTHS["page"])
    parser.add_argument("--x", choices=list(X_KEYS), default="epoch")
    parser.add_argument("--panels", type=parse_panels)
    parser.add_argument("--window", type=parse_window)
    parser.add_argument("--classes", action="store_true")
    return parser.parse_args()


def save(figure, path):
    undated = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(path.suffix)
    figure.savefig(path, dpi=200, bbox_inches="tight", metadata=undated)  # the legend stands above the figure
    plt.close(figure)
    print(path)


def draw_all(runs, options, out):
    arms = make_arms(runs)
    pictures = {name: (draw, (arms, runs)) for name, draw in PICTURES.items()}
    traced = [run for run in runs if (run.path / "trace.json").is_file()]
    for run in traced or runs[:1]:
        number = f"-{runs.index(run) + 1}" if len(runs) > 1 and traced else ""
        pictures[f"timeline{number}"] = (draw_timeline, (run, options.window))
    if options.panels:
        pictures = {"panels": (draw_panels, (arms, options.panels, options.x))}
    for name, (draw, arguments) in pictures.items():
        try:
            save(draw(*arguments), out / f"{name}.{options.format}")
        except Missing as missing:
            plt.close("all")
            print(f"plot_runs: {name} is left out: {missing}")


def main():
    options = parse_arguments()
    runs = [Run(path) for path in find_runs(options.runs)]
    Look.width = options.width
    out = options.out or (runs[0].path / "plots" if len(runs) == 1 else Path("runs/plots"))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        complain(f"--out: cannot make {out}: {error.strerror}")
    plt.rcParams.update({"font.size": 9, "axes.titlesize": 9.5, "legend.fontsize": 8.5, "lines.linewidth": 1.4,
                         "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none",
                         "svg.hashsalt": "grapevine"})  # fmt: skip
    (plot_classes.draw_all if options.classes else draw_all)(runs, options, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
