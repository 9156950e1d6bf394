#!/usr/bin/env python3
"""What N replicas in one process cost: time per gradient of 64 workers over that of one, the simulator's own share of
a run, the memory of 64 replicas, and what several gradients at once gain. By the whole command: a long run minus a
short one leaves gradients alone, with what they need (exchanges, reports), without start and end. One thread and one
gradient at a time, but for the gain, so that other work on the machine matters little."""
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

GRAPEVINE = os.path.join(os.environ.get("BUILD", "build"), "grapevine")
SAMPLES = 8192

CONFIG = """
data:          {{name: {data}, train_count: 8192, test_count: 16}}
model:         {{name: {model}}}
algorithm:     {{name: acid}}
graph:         {{name: ring}}
train:         {{batch: {batch}}}
batch_norm:    {{policy: own}}
device:        {{name: cpu, threads: 1}}
simulate:      {{jobs: {jobs}}}
run:           {{log_every: 100, eval_every_epochs: 0, optimum: false, checkpoint_every_epochs: 0}}
"""


class Simulator:
    """Runs of one model, in a scratch directory."""

    def __init__(self, scratch, model, batch, data="shapes", jobs=1):
        self.scratch, self.batch, self.count = scratch, batch, 0
        self.config = os.path.join(scratch, f"{model}-{batch}-{jobs}.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(model=model, batch=batch, data=data, jobs=jobs))

    def command(self, workers, gradients):
        self.count += 1
        epochs = gradients * self.batch / SAMPLES
        directory = os.path.join(self.scratch, f"run-{os.path.basename(self.config)}-{self.count}")
        return [GRAPEVINE, "simulate", self.config, f"train.workers={workers}", f"train.epochs={epochs!r}",
                f"run.dir={directory}"], directory

    def seconds(self, workers, gradients):
        """Of the whole run, and the gradients that it made."""
        command, directory = self.command(workers, gradients)
        begin = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        end = time.monotonic()
        with open(os.path.join(directory, "summary.json"), encoding="utf-8") as file:
            return end - begin, json.load(file)["gradients"]

    def per_gradient(self, workers, few, many):
        """A first run makes the machine have the memory at hand: new pages cost more than pages just given back."""
        self.seconds(workers, few)
        (long, b), (short, a) = self.seconds(workers, many), self.seconds(workers, few)
        return (long - short) / (b - a)


def spread(values):
    return f"{statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def cost_of_workers(scratch, model, batch, count, repeats):
    """Of `count` gradients, beyond a short run: 64 workers make at least one each."""
    simulator = Simulator(scratch, model, batch)
    ratios, ones = [], []
    for _ in range(repeats):
        before = simulator.per_gradient(1, 4, 4 + count)
        of_64 = simulator.per_gradient(64, 64, 64 + count)
        after = simulator.per_gradient(1, 4, 4 + count)
        ones += [before, after]
        ratios.append(of_64 / (0.5 * (before + after)))
    print(f"{model}, batch {batch}, {count} gradients: cost per gradient, 64 workers over 1: {spread(ratios)} "
          f"(at most 1.05); one gradient {statistics.median(ones) * 1e3:.1f} ms", flush=True)
    return statistics.median(ones)


def gain_of_jobs(scratch, model, batch, count, repeats):
    """Gradients at once, one per core, over one at a time: in turns."""
    jobs = len(os.sched_getaffinity(0))
    simulators = [Simulator(scratch, model, batch, jobs=number) for number in (1, jobs)]
    gains = []
    for _ in range(repeats):
        alone, together = (simulator.per_gradient(64, 64, 64 + count) for simulator in simulators)
        gains.append(alone / together)
    print(f"{model}, batch {batch}, 64 workers: gradients per second with {jobs} at once over one at a time: "
          f"{spread(gains)} (at least {0.8 * jobs:.1f})", flush=True)


def own_share(scratch, gradient_s):
    """A network of one weight per input on samples of a few numbers: what is left is the simulator's, and a little."""
    simulator = Simulator(scratch, "linear", 1, data="gaussian")
    costs = [simulator.per_gradient(64, 8192, 32768) for _ in range(3)]
    cost = statistics.median(costs)
    print(f"simulator alone, 64 workers, with a gradient of next to nothing: {cost * 1e6:.1f} us per gradient: "
          f"{100 * cost / gradient_s:.3f} % of resnet20's, batch 32 (at most 0.5 %)", flush=True)


def memory(scratch):
    """Real peak memory of ResNet-18 with 64 workers; as many gradients."""
    simulator = Simulator(scratch, "resnet18", 8)
    for arguments in ["simulate.time=ideal"], ["simulate.time=modelled"]:
        command, _ = simulator.command(64, 64)
        pid = subprocess.Popen(command + arguments, stdout=subprocess.DEVNULL).pid
        _, status, usage = os.wait4(pid, 0)
        if status != 0:
            sys.exit("sim_bench: the run for memory failed")
        print(f"resnet18, 64 workers, {arguments[0]}: peak memory {usage.ru_maxrss / 2**20:.2f} GiB "
              "(at most 12 in ideal time)", flush=True)


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as scratch:
        gradient_s = cost_of_workers(scratch, "resnet20", 32, 128, 3)
        gain_of_jobs(scratch, "resnet20", 32, 256, 3)
        own_share(scratch, gradient_s)
        memory(scratch)
        cost_of_workers(scratch, "resnet18", 32, 64, 2)


main()
