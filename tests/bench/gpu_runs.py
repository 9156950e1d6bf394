#!/usr/bin/env python3
"""Figures out of run directories, for scripts/gpu_check.sh.

    gpu_runs.py train RUN               images per second and test accuracy of one run
    gpu_runs.py exchange DIR            DIR/bBATCH-rRATE-kROUND: images per second at rate 1 over those at the lowest
    gpu_runs.py same RUN RUN            whether two runs ended in the same bits
    gpu_runs.py peak FILE LABEL GOAL    the most of a column of MiB, less the first line, in GiB
    gpu_runs.py table DIR               DIR/ARM-nWORKERS-sSEED: a table of test accuracies

Images per second are the sum over ranks of the median of what a rank reports, without the first reports, in which
libraries set themselves up. Lines that begin with "figure" are as tests/bench/gpu_figures.h describes them.
"""
import glob
import json
import os
import re
import statistics
import sys

FIRST_REPORTS = 2  # left out
GOALS = {"128": ">=0.95", "512": ">=0.97"}


def figure(name, values, goal="-"):
    print(f"figure {name} {statistics.median(values):.6g} {min(values):.6g} {max(values):.6g} {goal}")


def summary_of(run):
    with open(os.path.join(run, "summary.json"), encoding="utf-8") as file:
        return json.load(file)


def images_per_second(run):
    """Of all ranks together; of the whole run where it was too short for reports."""
    ranks = {}
    with open(os.path.join(run, "metrics.jsonl"), encoding="utf-8") as file:
        for line in map(json.loads, file):
            if line.get("samples_per_second") and "rank" in line:
                ranks.setdefault(line["rank"], []).append(line["samples_per_second"])
    rates = [statistics.median(rates[FIRST_REPORTS:]) for rates in ranks.values() if len(rates) > FIRST_REPORTS]
    return sum(rates) if rates and len(rates) == len(ranks) else summary_of(run)["samples_per_second"]


def train(run):
    summary = summary_of(run)
    figure("train.images_per_second", [images_per_second(run)])
    figure("train.test_accuracy", [summary["test_accuracy"]])
    figure("train.data_wait", [max(summary["data_wait"])], "<=0.01")
    print(f"{summary['model']} on {summary['data']}, batch {summary['batch']}, {summary['gradients']} gradients: loss "
          f"{summary['test_loss']:.4f}")


def exchange(directory):
    runs = {}
    for run in sorted(glob.glob(os.path.join(directory, "b*-r*-k*"))):
        match = re.fullmatch(r"b(\d+)-r([\d.]+)-k(\d+)", os.path.basename(run))
        if match and os.path.exists(os.path.join(run, "summary.json")):
            batch, rate, number = match.groups()
            runs.setdefault(batch, {}).setdefault(number, {})[float(rate)] = run
    print(f"{'batch':>5} {'round':>5} {'rate':>7} {'images/s':>10} {'exchanges per gradient':>23}  transport")
    for batch, rounds in runs.items():
        shares, rates_with = [], []
        for number, of_rate in rounds.items():
            for rate, run in sorted(of_rate.items()):
                summary = summary_of(run)
                print(f"{batch:>5} {number:>5} {rate:>7g} {images_per_second(run):>10.0f} "
                      f"{summary['exchanges_per_gradient']:>23.3f}  {summary.get('transport')}")
            if len(of_rate) == 2:
                with_exchanges = images_per_second(of_rate[max(of_rate)])
                rates_with.append(with_exchanges)
                shares.append(with_exchanges / images_per_second(of_rate[min(of_rate)]))
        if shares:
            figure(f"exchange.images_per_second_batch_{batch}", rates_with)
            figure(f"exchange.with_over_without_batch_{batch}", shares, GOALS.get(batch, "-"))
    if not runs:
        sys.exit("no run has ended well")


def same(first, second):
    with open(os.path.join(first, "final.safetensors"), "rb") as one:
        with open(os.path.join(second, "final.safetensors"), "rb") as other:
            model = one.read() == other.read()
    digests = [last_digests(first), last_digests(second)]
    for (path, digest), (_, again) in zip(*digests):
        print(f"{os.path.basename(path)}: {digest}{'' if digest == again else ' and ' + again}")
    replicas = digests[0] != [] and [digest for _, digest in digests[0]] == [digest for _, digest in digests[1]]
    print(f"averaged model {'the same' if model else 'DIFFERS'}, replicas {'the same' if replicas else 'DIFFER'}")
    figure("determinism.same_bits", [float(model and replicas)], ">=1")
    sys.exit(0 if model and replicas else 1)


def last_digests(run):
    """The digest of each worker's x when training was over, out of its event log's last line."""
    found = []
    for path in sorted(glob.glob(os.path.join(run, "events-*.jsonl"))):
        with open(path, encoding="utf-8") as file:
            last = json.loads(file.readlines()[-1])
        found.append((path, str(last.get("trained", {}).get("x"))))
    return found


def peak(path, label, goal):
    with open(path, encoding="utf-8") as file:
        values = [float(word) for word in file.read().split() if word.replace(".", "").isdigit()]
    if len(values) < 2:
        sys.exit("no samples of the GPU's memory")
    print(f"{len(values)} samples, {values[0]:.0f} MiB before the run, {max(values):.0f} MiB at most")
    figure(label, [(max(values) - values[0]) / 1024], goal)


def table(directory):
    cells, sizes, arms = {}, set(), []
    for run in sorted(glob.glob(os.path.join(directory, "*-n*-s*"))):
        match = re.fullmatch(r"(.+)-n(\d+)-s(\d+)", os.path.basename(run))
        if match and os.path.exists(os.path.join(run, "summary.json")):
            arm, workers, _ = match.groups()
            cells.setdefault((arm, int(workers)), []).append(summary_of(run))
            sizes.add(int(workers))
            arms += [arm] if arm not in arms else []
    print(f"{'arm':18}" + "".join(f"{f'n = {n}':>18}" for n in sorted(sizes)))
    for arm in arms:
        row = ""
        for n in sorted(sizes):
            values = [100 * summary["test_accuracy"] for summary in cells.get((arm, n), [])]
            text = f"{statistics.mean(values):.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")
            row += f"{text if values else '-':>18}"
        print(f"{arm:18}{row}")
    for (arm, n), summaries in sorted(cells.items()):
        figure(f"table.{arm}_n{n}_accuracy", [summary["test_accuracy"] for summary in summaries])
        seconds = [summary["wall_seconds"] for summary in summaries]
        rates = [summary["gradients"] * summary["batch"] / summary["wall_seconds"] for summary in summaries]
        print(f"{arm}, {n} workers: {statistics.median(seconds):.0f} s a run, {statistics.median(rates):.0f} images/s, "
              f"consensus {statistics.median(s['consensus_distance'] for s in summaries):.3g}, "
              f"{summaries[0]['epochs']:g} epochs, {len(summaries)} seeds")


def main():
    commands = {"train": train, "exchange": exchange, "same": same, "peak": peak, "table": table}
    if len(sys.argv) < 3 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]](*sys.argv[2:])


main()
