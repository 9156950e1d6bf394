"""Grapevine beside PyTorch's DistributedDataParallel (gloo): 2 ranks of one thread, ResNet-18 on images of 32 × 32,
batch 128; images per second of both ranks together, all alike and with rank 1 three times slower.

    tests/bench/peer_bench.sh [--rounds 3] [--steps 2] [--batch 128] [--torch PYTHON ...]

Each PYTHON is an interpreter that has PyTorch (python3 unless given); rows of one that has none are left out. All
measurements of a round take turns, then the next round begins; the table has the median of the rounds, and least and
most of them. A first step of each is not measured. DistributedDataParallel: rank 1 sleeps two steps' time in each step;
Grapevine: inject.slow="1 x3". A round takes about 2 minutes on 2 cores with AVX-512, and one more for each further
PYTHON.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

RANKS, SLOWER = 2, 3

CONFIG = """
data:          {{name: shapes, train_count: {train_count}, test_count: 16}}
model:         {{name: resnet18}}
graph:         {{name: complete}}
train:         {{workers: {ranks}, batch: {batch}}}
optimizer:     {{lr: 0.01}}
batch_norm:    {{policy: own}}
device:        {{name: cpu, threads: 1, precision: fp32}}
run:           {{log_every: 1, eval_every_epochs: 0, checkpoint_every_epochs: 0}}
"""


def steps_of(directory):
    """rank: [(step, seconds)] of the run's record."""
    found = {}
    with open(os.path.join(directory, "metrics.jsonl")) as lines:
        for line in map(json.loads, lines):
            if "loss" in line and "step" in line:
                found.setdefault(line["rank"], []).append((line["step"], line["time"]))
    return found


def images_per_second(directory, batch):
    """Of all ranks together, each from the end of its first step to the end of its last."""
    total = 0
    for rank, steps in sorted(steps_of(directory).items()):
        (first, begin_s), (last, end_s) = min(steps), max(steps)
        if last == first:
            sys.exit(f"rank {rank} has made one step only: give more --steps")
        total += (last - first) * batch / (end_s - begin_s)
    return total


def run_grapevine(options, scratch, algorithm, slow):
    """A rank that is not held up makes SLOWER times as many steps meanwhile."""
    alone = algorithm == "acid" and slow
    gradients = (1 + options.steps) * (RANKS + (SLOWER - 1 if alone else 0))
    directory = os.path.join(scratch, "run")
    subprocess.run(["rm", "-rf", directory], check=True)
    command = os.environ["MPIRUN"].split() + ["-n", str(RANKS), os.path.join(os.environ["BUILD"], "grapevine"), "train",
                                              os.path.join(scratch, "run.yaml"), f"run.dir={directory}",
                                              f"algorithm.name={algorithm}", f"train.epochs={gradients / RANKS}"]
    if slow:
        command.append(f"inject.slow=1 x{SLOWER}")
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {result.returncode}\n{result.stdout}{result.stderr}")
    return images_per_second(directory, options.batch)


def torch_version(python):
    result = subprocess.run([python, "tests/bench/peer_torch.py", "--version"], capture_output=True, text=True)
    return result.stdout.strip() if result.returncode == 0 else None


def run_torch(options, python, precision):
    command = [python, "tests/bench/peer_torch.py", precision] + \
        [str(word) for word in (RANKS, options.batch, options.steps, SLOWER)]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit status {result.returncode}\n{result.stderr}")
    return [float(word) for word in result.stdout.split()[-2:]]


def cell(values):
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def table(rates):
    yield f"| {RANKS} ranks × 1 thread | all alike, images/s | rank 1 {SLOWER} × slower, images/s | kept |"
    yield "|---|---|---|---|"
    for name, (alike, slow) in rates.items():
        share = statistics.median(slow) / statistics.median(alike)
        yield f"| {name} | {cell(alike)} | {cell(slow)} | {100 * share:.0f} % |"


def measure_round(options, scratch, versions, rates):
    def note(name, alike, slow):
        for values, value in zip(rates.setdefault(name, ([], [])), (alike, slow)):
            values.append(value)
        print(f"{name}: {alike:.1f}, {slow:.1f} images/s", file=sys.stderr, flush=True)
    for python, version in versions.items():
        for precision in "fp32", "bf16":
            note(f"DistributedDataParallel, PyTorch {version}, {precision}", *run_torch(options, python, precision))
    for algorithm, name in ("allreduce", "all-reduce"), ("acid", "A²CiD²"):
        note(f"Grapevine, {name}, fp32", *(run_grapevine(options, scratch, algorithm, slow) for slow in (False, True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--torch", nargs="*", metavar="PYTHON", default=["python3"])
    options = parser.parse_args()
    versions = {python: torch_version(python) for python in options.torch}
    for python in [python for python, version in versions.items() if version is None]:
        print(f"{python} has no PyTorch with torch.distributed: its rows are left out", file=sys.stderr)
        del versions[python]
    rates = {}
    with tempfile.TemporaryDirectory() as scratch:
        with open(os.path.join(scratch, "run.yaml"), "w") as config:
            config.write(CONFIG.format(train_count=RANKS * options.batch, ranks=RANKS, batch=options.batch))
        for number in range(options.rounds):
            print(f"round {number + 1}", file=sys.stderr, flush=True)
            measure_round(options, scratch, versions, rates)
    print(f"ResNet-18 on 32 × 32, batch {options.batch}, {options.rounds} rounds, {os.cpu_count()} cores "
          f"({platform.machine()}); medians, least and most:\n")
    print(*table(rates), sep="\n")


main()
