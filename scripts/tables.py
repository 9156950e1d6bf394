#!/usr/bin/env python3
"""Writes the Markdown table of the runs that scripts/reproduce.sh has made. Standard library only.

    tables.py TABLE DIR [--scale=S] [--command=simulate|train] [--program=VERSION] [key=value ...]

Reads DIR/plan.tsv (one line per run), the runs that ended well, and published.tsv beside this script; writes
DIR/TABLE.md and prints it. Cells are mean ± standard deviation over seeds (of a sample: divided by K − 1).
Exit status 3 where no run has ended well.
"""
import argparse
import json
import math
import statistics
import sys
import time
from pathlib import Path

PLAN_FIELDS = "name arm title workers seed config digest pairs".split()
NOTHING = "–"
# Tables of the arms of cifar10 with another network on other data.
SMALL = ("pattern", "pattern-drawn", "cifar10-small")
# Where the training loss of straggler's runs stands after about half of the budget.
TARGET_LOSS = 0.5
TITLES = {
    "pattern": "A network without batch norm on Fashion-MNIST",
    "pattern-drawn": "A network without batch norm on drawn samples",
    "cifar10": "ResNet-18 on CIFAR-10",
    "cifar10-small": "A small network on Fashion-MNIST",
    "imagenet": "ResNet-50 on ImageNet",
    "time": "Time of 300 epochs of CIFAR-10",
    "straggler": "One worker four times slower",
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TITLES)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--command", default="simulate")
    parser.add_argument("--program", default="")
    parser.add_argument("overrides", nargs="*")
    return parser.parse_intermixed_args()


# --- what is there ---


class Run:
    """One line of the plan; `summary` is None until it has ended well."""

    def __init__(self, directory, fields):
        self.__dict__.update(fields)
        self.workers = int(self.workers)
        self.path = directory / "runs" / self.name
        self.log = directory / "logs" / self.name
        status = self.path / "status"
        self.summary = None
        if status.exists() and status.read_text().strip() == "0 done":
            self.summary = json.loads((self.path / "summary.json").read_text())
            self.ended = status.stat().st_mtime

    def beside(self, ending):
        path = self.log.with_name(self.log.name + ending)
        return path.read_text().strip() if path.exists() else ""

    def took_s(self):
        """Real time, from the start to the last file."""
        started = self.log.with_name(self.log.name + ".settings")
        return self.ended - started.stat().st_mtime if started.exists() else math.nan


def read_plan(directory):
    lines = (directory / "plan.tsv").read_text().splitlines()
    return [Run(directory, dict(zip(PLAN_FIELDS, line.split("\t")))) for line in lines]


def read_published(table):
    """{(arm, workers): "94.5 ± 0.1"} of a table."""
    cells = {}
    for line in (Path(__file__).parent / "published.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        name, arm, workers, mean, deviation = line.split("\t")
        if name == table:
            cells[arm, int(workers)] = mean if deviation == "-" else f"{mean} ± {deviation}"
    return cells


def grouped(runs):
    """{(arm, workers): runs}, {arm: title} in the plan's order, and the numbers of workers."""
    cells, titles = {}, {}
    for run in runs:
        cells.setdefault((run.arm, run.workers), []).append(run)
        titles.setdefault(run.arm, run.title)
    return cells, titles, sorted({run.workers for run in runs})


# --- cells ---


def cell(runs, value, digits=2, form="f"):
    """Mean ± deviation of value(run) over the runs that ended; None values count as missing."""
    values = [value(run) for run in runs if run.summary is not None]
    values = [v for v in values if v is not None and math.isfinite(v)]
    if not values:
        return NOTHING
    text = f"{statistics.mean(values):.{digits}{form}}"
    if len(values) > 1:
        text += f" ± {statistics.stdev(values):.{digits}{form}}"
    if len(values) < len(runs):
        text += f" ({len(values)} of {len(runs)})"
    return text


def percent(key):
    def value(run):
        share = run.summary.get(key)
        return None if share is None else 100 * share

    return value


def markdown(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows] + [""]


def published_rows(published, arm, counts, label="published"):
    """The row beside an arm's, or none where nothing was published."""
    if any((arm, n) in published for n in counts):
        yield [label] + [published.get((arm, n), NOTHING) for n in counts]


def accuracy_rows(runs, published, key, label):
    cells, titles, counts = grouped(runs)
    for arm, title in titles.items():
        yield [title] + [cell(cells[arm, n], percent(key)) for n in counts]
        yield from published_rows(published, arm, counts, label)


def consensus(key):
    """Mean of a figure of the network over the second quarter of a run: after the start, before the first step down of
    the learning rate."""

    def value(run):
        values = []
        with open(run.path / "metrics.jsonl", encoding="utf-8") as lines:
            for report in map(json.loads, lines):
                share = report["epoch"] / run.summary["epochs"]
                if report.get("network") and report.get(key) is not None and 0.25 <= share <= 0.5:
                    values.append(report[key])
        return statistics.mean(values) if values else None

    return value


def write_consensus(options, runs):
    cells, titles, counts = grouped(runs)
    measured = "consensus_distance" if options.command == "simulate" else "consensus_estimated"
    rows = []
    for arm, title in titles.items():
        if not arm.startswith("allreduce"):
            rows.append([title] + [cell(cells[arm, n], consensus(measured), 3, "g") for n in counts])
            theory = consensus("consensus_predicted")
            rows.append(["by theory"] + [cell(cells[arm, n], theory, 3, "g") for n in counts])
    lines = ["Consensus distance (1/n) Σ ‖x_i − x̄‖², mean over the second quarter of the run (before the learning "
             "rate steps down), and the level of theory for the same learning rate and momentum:", ""]
    return lines + markdown(["workers"] + [str(n) for n in counts], rows)


def write_accuracies(options, runs, published):
    _, _, counts = grouped(runs)
    header = ["workers"] + [str(n) for n in counts]
    label = "published (ResNet-18, CIFAR-10)" if options.table in SMALL else "published"
    own, recomputed = "test_accuracy_own_statistics", "test_accuracy"
    lines = ["Test accuracy of the averaged model in %"]
    if all(r.summary[own] == r.summary[recomputed] for r in runs if r.summary is not None):
        lines[0] += "."
        lines += [""] + markdown(header, accuracy_rows(runs, published, recomputed, label))
        return lines + write_consensus(options, runs)
    lines[0] += ", with worker 0's batch-norm statistics, as published:"
    lines += [""] + markdown(header, accuracy_rows(runs, published, own, label))
    lines += ["The same, batch-norm statistics recomputed at the averaged weights:", ""]
    lines += markdown(header, accuracy_rows(runs, {}, recomputed, label))
    return lines + write_top5(runs) + write_consensus(options, runs)


def write_top5(runs):
    """Told of sets with many classes alone."""
    own, recomputed = "test_accuracy_top5_own_statistics", "test_accuracy_top5"
    if not any(run.summary is not None and own in run.summary for run in runs):
        return []
    cells, titles, counts = grouped(runs)
    rows = []
    for arm, title in titles.items():
        rows.append([title] + [cell(cells[arm, n], percent(own)) for n in counts])
        rows.append(["recomputed"] + [cell(cells[arm, n], percent(recomputed)) for n in counts])
    lines = ["The label among the five best guesses, in %, with worker 0's statistics and with recomputed ones:", ""]
    return lines + markdown(["workers"] + [str(n) for n in counts], rows)


def write_times(options, runs, published):
    cells, titles, counts = grouped(runs)
    minutes = lambda run: run.summary.get("virtual_time", run.summary["wall_seconds"]) / 60 / options.scale
    idle = lambda run: 100 * statistics.mean(run.summary["idle"])
    rows = []
    for arm, title in titles.items():
        rows.append([f"{title}: minutes"] + [cell(cells[arm, n], minutes) for n in counts])
        rows += published_rows(published, arm, counts)
        rows.append([f"{title}: waiting, %"] + [cell(cells[arm, n], idle, 1) for n in counts])
    kind = "Virtual" if options.command == "simulate" else "Real"
    lines = [f"{kind} time for all gradients of the budget, and the mean share of it that workers waited for others."]
    if options.scale != 1:
        lines[0] += f" Times are those of {options.scale:g} of the budget, divided by {options.scale:g}."
    return lines + [""] + markdown(["workers"] + [str(n) for n in counts], rows)


def time_to_loss(run):
    """When the mean of the last n step reports, in time's order, first was at most the target: every worker's latest,
    as long as they are equally fast."""
    window, total = [], 0.0
    with open(run.path / "metrics.jsonl", encoding="utf-8") as lines:
        for line in lines:
            report = json.loads(line)
            if report.get("loss") is None:
                continue
            window.append(report["loss"])
            total += report["loss"]
            if len(window) > run.workers:
                total -= window.pop(0)
            if len(window) == run.workers and total <= TARGET_LOSS * run.workers:
                return report["time"]
    return None


def write_stragglers(options, runs, published):
    cells, titles, counts = grouped(runs)
    rows = []
    for n in counts:
        for arm in [a for a in titles if a + "-slow" in titles]:
            calm, slow = cells[arm, n], cells[arm + "-slow", n]
            factors = [b and a and b / a for a, b in zip(map(safe_time, calm), map(safe_time, slow))]
            factors = [f for f in factors if f]
            rows.append([str(n), titles[arm], cell(calm, time_to_loss, 1), cell(slow, time_to_loss, 1),
                         f"{statistics.mean(factors):.2f}" if factors else NOTHING,
                         cell(slow, lambda run: 100 * statistics.mean(run.summary["idle"]), 1),
                         cell(slow, percent("test_accuracy"))])
    kind = "virtual" if options.command == "simulate" else "real"
    header = ["workers", "algorithm", "all alike, s", "worker 0 slow, s", "ratio", "waiting, %", "test accuracy, %"]
    lines = [f"Seconds ({kind}) until the training loss, as the mean of the workers' latest reports, is at most "
             f"{TARGET_LOSS:g}; {NOTHING}: not within the budget. Waiting and accuracy are those of the slow case."]
    return lines + [""] + markdown(header, rows)


def safe_time(run):
    return time_to_loss(run) if run.summary is not None else None


# --- where it comes from ---


def distinct(values):
    return "; ".join(dict.fromkeys(v for v in values if v)) or "not recorded"


def day(seconds):
    return time.strftime("%-d %B %Y", time.localtime(seconds))


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else \
        f"{seconds / 3600:.1f} h"


def provenance(options, runs):
    done = [run for run in runs if run.summary is not None]
    seeds = sorted({int(run.seed) for run in runs})
    first, last = day(min(r.ended for r in done)), day(max(r.ended for r in done))
    took_s = sum(run.took_s() for run in done)
    which = f"seed {seeds[0]}" if len(seeds) == 1 else \
        f"seeds {', '.join(map(str, seeds))}; mean ± standard deviation over seeds"
    lines = [f"* {len(done)} of {len(runs)} runs; {which}."]
    if options.scale != 1:
        lines.append(f"* **Epochs times {options.scale:g}** (and the warm-up where it is given): not the published "
                     "length.")
    if options.table in SMALL:
        lines.append("* The published rows are ResNet-18's on CIFAR-10, 300 epochs: compare the order of the arms, "
                     "not the figures.")
    lines += [f"* Made with `grapevine {options.command}`; {options.program or distinct(run_versions(done))}.",
              f"* Machine: {distinct(run.beside('.machine') for run in done)}.",
              f"* {first if first == last else first + ' to ' + last}; {duration(took_s)} of runs, one after another."]
    if options.overrides:
        lines.append(f"* For every run: `{' '.join(options.overrides)}`.")
    return lines + [""] + settings(runs)


def run_versions(runs):
    return (f"grapevine {run.summary.get('version')}" for run in runs)


def settings(runs):
    rows = {}
    for run in runs:
        pairs = run.pairs.replace(";", "`, `")
        rows[run.arm] = [run.arm, f"`{run.config}`", f"`{run.digest}`", f"`{pairs}`" if pairs else ""]
    return markdown(["runs", "configuration", "sha256", "and"], rows.values())


WRITERS = {"time": write_times, "straggler": write_stragglers}


def main():
    options = parse_arguments()
    runs = read_plan(options.directory)
    if all(run.summary is None for run in runs):
        print(f"tables: no run in {options.directory} has ended well", file=sys.stderr)
        return 3
    published = read_published("cifar10" if options.table in SMALL else options.table)
    write = WRITERS.get(options.table, write_accuracies)
    lines = [f"# {TITLES[options.table]}", ""] + write(options, runs, published) + provenance(options, runs)
    text = "\n".join(lines)
    (options.directory / f"{options.table}.md").write_text(text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
