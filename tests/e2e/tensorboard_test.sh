#!/usr/bin/env bash
# TensorBoard's event files, read as TensorBoard reads them: file by file in the order of names, where the start of a
# session makes void what was before it from its step on. A run that was killed and went on shows what its metrics say,
# no more and no less; the network and the averaged model stand apart from the workers.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # functions are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash

config=$scratch/events.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: mlp, width: 16}
train:  {workers: 2, batch: 8, epochs: 200}
device: {name: cpu, threads: 1}
run:    {log_every: 5, eval_every_epochs: 3, checkpoint_every_epochs: 0, state_every_epochs: 10, tensorboard: true}
YAML

# The run in $1 with $2 workers; $3: how many sessions it had.
reads_as_metrics() {
    "$PYTHON" - "$@" <<'PYTHON'
import json, struct, sys
from pathlib import Path

run, workers, sessions = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind, size = key & 7, {1: 8, 5: 4}.get(key & 7)
        if kind == 0:
            value, at = varint(data, at)
        else:
            if kind == 2:
                size, at = varint(data, at)
            value, at = data[at:at + size], at + size
        yield key >> 3, value


def messages(path):
    data = path.read_bytes()
    while data:
        length, = struct.unpack("<Q", data[:8])
        if len(data) < length + 16:
            return  # cut off by a kill
        yield dict(fields(data[12:12 + length])), [v for k, v in fields(data[12:12 + length]) if k == 5]
        data = data[16 + length:]


def read(folder):
    scalars, starts, orphans = {}, 0, 0
    for path in sorted(folder.iterdir()):
        for event, summaries in messages(path):
            step = event.get(2, 0)
            if 7 in event:
                assert dict(fields(event[7])) == {1: 1}, event
                starts += 1
                for tag, points in scalars.items():
                    kept = [point for point in points if point[0] < step]
                    orphans += len(points) - len(kept)
                    scalars[tag] = kept
            for summary in summaries:
                for _, value in fields(summary):
                    value = dict(fields(value))
                    scalars.setdefault(value[1].decode(), []).append((step, struct.unpack("<f", value[2])[0]))
    return scalars, starts, orphans


def same(points, rows, key, what):
    want = [(row["global_step"], row[key]) for row in rows if row.get(key) is not None]
    assert [step for step, _ in points] == [step for step, _ in want], (what, key, points[-3:], want[-3:])
    assert all(abs(a - b) <= 1e-6 * abs(b) for (_, a), (_, b) in zip(points, want)), (what, key)
    assert want, f"{what} has no {key}"


rows = [json.loads(line) for line in open(run / "metrics.jsonl")]
network = [row for row in rows if row.get("network")]
folders = sorted(path.name for path in (run / "tensorboard").iterdir())
assert folders == (["network"] if network else []) + [f"worker-{i}" for i in range(workers)], folders
lost = 0
for i in range(workers):
    own = [row for row in rows if row.get("rank") == i]
    scalars, starts, orphans = read(run / "tensorboard" / f"worker-{i}")
    lost += orphans
    assert starts == sessions, f"{starts} session starts of worker {i}"
    for key in "loss", "lr", "accuracy", "pair_distance", "consensus_estimated":
        if key in scalars or workers > 1:
            same(scalars.get(key, []), own, key, f"worker {i}")
    tests = [row for row in own if "test_accuracy" in row]
    same(scalars["test/accuracy"], [row for row in tests if not row["averaged"]], "test_accuracy", f"worker {i}")
    averaged = [row for row in tests if row["averaged"]]
    assert bool(averaged) == (i == 0) == ("test_averaged/accuracy" in scalars)
    if averaged:
        same(scalars["test_averaged/accuracy"], averaged, "test_accuracy", "averaged")
assert sessions == 1 or lost > 0, "nothing was void"
if network:
    scalars, starts, _ = read(run / "tensorboard" / "network")
    measured = "consensus_distance" if "consensus_distance" in network[0] else "consensus_estimated"
    for key in measured, "consensus_predicted", "chi1", "chi2", "exchanges_per_gradient":
        same(scalars[key], network, key, "network")
    assert 0 < scalars["exchanges_per_gradient"][-1][1] < 2
PYTHON
}

# Kill the background run in $1 once it has a state, and more after it.
kill_after_state() {
    until [ -n "$(find "$1" -name 'state-*.safetensors' 2>/dev/null)" ] || ! kill -0 "$running" 2>/dev/null; do
        sleep 0.02
    done
    wait_for_lines "$1" 0 $(($(lines_of "$1" 0) + 5))
    pkill -KILL -P "$running"
    kill -KILL "$running"
    { wait "$running"; } 2>/dev/null
}

simulated=$scratch/simulated
"$grapevine" simulate "$config" "run.dir=$simulated" >"$scratch/out" 2>"$scratch/err" </dev/null &
running=$!
kill_after_state "$simulated"
run_well "simulate: it goes on" 1 simulate "$config" "run.dir=$simulated" --resume auto
check "simulate: it was killed" grep -q 'goes on from' "$scratch/err"
check "simulate: events and metrics" reads_as_metrics "$simulated" 2 2

start 2 "$scratch/ranks"
kill_after_state "$scratch/ranks"
run_well "two ranks: they go on" 2 train "$config" "run.dir=$scratch/ranks" --resume auto
check "two ranks: they were killed" grep -q 'goes on from' "$scratch/err"
check "two ranks: events and metrics" reads_as_metrics "$scratch/ranks" 2 2

run_well "one rank" 1 train "$config" "run.dir=$scratch/alone" train.epochs=20
check "one rank: events and metrics" reads_as_metrics "$scratch/alone" 1 1
finish
