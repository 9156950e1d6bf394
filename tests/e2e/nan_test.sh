#!/usr/bin/env bash
# Gradients that are not numbers (inject.nan), as train.on_nan says: the run stops and names the worker, leaves them
# out, or the worker takes over a neighbor's model. Nothing that is not finite reaches a model, its own or another's.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/nan.yaml
cat >"$config" <<'YAML'
seed: 5
data:          {name: shapes, train_count: 1024, test_count: 64, augment: true}
model:         {name: convnet, width: 16}
graph:         {name: ring}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: 16, epochs: 24}
batch_norm:    {batches: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 5, eval_every_epochs: 4, checkpoint_every_epochs: 0}
YAML

# No number in the run of $1 is anything but finite, and it has learnt something.
check_sound() {
    check "everything is finite, and something was learnt" "$PYTHON" - "$1" <<'PYTHON'
import json, struct, sys
from array import array
run = sys.argv[1]
data = open(f"{run}/final.safetensors", "rb").read()
length = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8:8 + length])
for name, tensor in header.items():
    if name == "__metadata__" or tensor["dtype"] != "F32":
        continue
    values = array("f", data[8 + length + tensor["data_offsets"][0]:8 + length + tensor["data_offsets"][1]])
    assert all(abs(v) < 1e6 for v in values), name
losses = [row["loss"] for row in map(json.loads, open(f"{run}/metrics.jsonl")) if "loss" in row]
assert all(loss is None or loss < 1e6 for loss in losses)
summary = json.load(open(f"{run}/summary.json"))
assert summary["test_accuracy"] > 0.4, summary["test_accuracy"]
PYTHON
}

# A run in $1 that ends itself with a message that says $2; the rest are keys. (The launcher says something too.)
stops() {
    local run=$1 said=$2 errors
    shift 2
    run_ranks 4 train "$config" "run.dir=$run" "$@"
    verdict "${run##*/}: it stops" "$([ "$status" = 2 ] || echo "exit status $status, expected 2")"
    errors=$(grep -hE '^grapevine: (\[rank [0-9]+\] )?error: ' "$scratch/err" "$scratch/out")
    check "as one, or as all at once" test "$(cut -d: -f3- <<<"$errors" | sort -u | wc -l)" = 1
    check "it says what and who" grep -Eq "$said" <<<"$errors"
    check "the status says so" grep -q '^2 ' "$run/status"
}

test_stop() {
    stops "$scratch/stop-acid" 'the norm of gradient [0-9]+ of worker 2 is not finite; .*train.on_nan' \
        algorithm.name=acid 'inject.nan=2 0.3..100'
    stops "$scratch/stop-allreduce" 'the norm of the mean gradient [0-9]+ of all workers is not finite; .*on_nan' \
        algorithm.name=allreduce 'inject.nan=2 0.3..100'
}

test_skip() {
    local algorithm
    for algorithm in acid gossip allreduce; do
        run_well "$algorithm, skip" 4 train "$config" "run.dir=$scratch/skip-$algorithm" "algorithm.name=$algorithm" \
            train.on_nan=skip 'inject.nan=2 0.3..0.34'
        check "it is told" grep -Eq 'the norm of (the mean )?gradient [0-9]+ of .* is not finite: it is left out' \
            "$scratch/err"
        check_sound "$scratch/skip-$algorithm"
    done
    stops "$scratch/always" 'gradient 50 of worker 1 is not finite, as that of many before it' train.on_nan=skip \
        'inject.nan=1 0..1e9'
}

test_rejoin() {
    local algorithm
    for algorithm in acid gossip; do
        run_well "$algorithm, rejoin" 4 train "$config" "run.dir=$scratch/rejoin-$algorithm" \
            "algorithm.name=$algorithm" train.on_nan=rejoin 'inject.nan=2 0.3..0.34'
        check "it is told" grep -q 'takes over the model of worker [13]' "$scratch/err"
        check_sound "$scratch/rejoin-$algorithm"
    done
    refuse "a recorded run" 2 2 'run.record && replayed' train "$config" "run.dir=$scratch/never" run.record=true \
        train.on_nan=rejoin
}

test_simulated() {
    local policy
    for policy in skip rejoin; do
        run_well "simulated, $policy" 1 simulate "$config" "run.dir=$scratch/simulated-$policy" train.workers=4 \
            "train.on_nan=$policy" simulate.time=modelled 'inject.nan=2 1..1.5'
        check_sound "$scratch/simulated-$policy"
    done
    refuse "simulated" 1 2 'the norm of gradient [0-9]+ of worker 2 is not finite' simulate "$config" \
        "run.dir=$scratch/simulated" train.workers=4 simulate.time=modelled 'inject.nan=2 1..1.5'
}

# A part of the name of a test function as argument runs that one only.
for part in stop skip rejoin simulated; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
