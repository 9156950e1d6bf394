#!/usr/bin/env bash
# Whole runs of every algorithm on both transports: the run directory is complete, its numbers agree with each other,
# and the averaged model is the one that was tested.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

readonly inspect=tests/e2e/inspect_run.py
config=$scratch/shapes.yaml
cat >"$config" <<'YAML'
seed: 3
data: {name: shapes, train_count: 2048, test_count: 500}
model: {name: convnet}
optimizer: {lr: 0.05, lr_per_samples: 0}
schedule: {name: constant, warmup_epochs: 0}
train: {batch: 16, epochs: 4}
device: {name: cpu, threads: 1}
batch_norm: {batches: 8}
run: {log_every: 10, eval_every_epochs: 2, checkpoint_every_epochs: 0, trace: true}
YAML
gradients=512 # 4 epochs of 2048 pictures in batches of 16

# What every run leaves: $1 the run directory, $2 ranks, $3 spans that the trace must have, then fields of the summary.
inspect_run() {
    local run=$1 ranks=$2 spans=$3 name
    name=$(basename "$run")
    shift 3
    check "$name: status" grep -qx '0 done' "$run/status"
    check "$name: summary" "$PYTHON" $inspect summary "$run" "workers=$ranks" "seed=3" "total=$gradients" "$@"
    check "$name: metrics" "$PYTHON" $inspect metrics "$run" "$ranks"
    # shellcheck disable=SC2086  # one word per span
    check "$name: trace" "$PYTHON" $inspect trace "$run" "$ranks" $spans
    check "$name: final.safetensors" "$PYTHON" $inspect tensors "$run/final.safetensors"
    run_ranks 1 eval "$run/final.safetensors" "$run/config.yaml"
    check "$name: eval runs" test "$status" = 0
    check "$name: eval agrees with the summary" "$PYTHON" $inspect eval "$run" "$scratch/out" 5.1e-5
}

# Train and inspect: $1 name, $2 ranks, $3 spans, $4 fields expected (one word each), then keys.
train_and_inspect() {
    local name=$1 ranks=$2 spans=$3 fields=$4
    shift 4
    run_well "$name" "$ranks" train "$config" "run.dir=$scratch/$name" "$@" || return
    check "$name: the table at the end" grep -q "run directory  *$scratch/$name" "$scratch/out"
    # shellcheck disable=SC2086  # one word per field
    inspect_run "$scratch/$name" "$ranks" "$spans" $fields
}

readonly pair_spans="load compute update cast copy put peer apply"
for transport in put sendrecv; do
    train_and_inspect "acid-ring-4-$transport" 4 "$pair_spans" \
        "algorithm=acid graph=ring chi1=1 chi2=0.75 eta=0.57735 alpha_tilde=0.57735 transport=$transport" \
        algorithm.name=acid graph.name=ring communication.transport=$transport
    train_and_inspect "gossip-complete-3-$transport" 3 "$pair_spans" \
        "algorithm=gossip graph=complete eta=0 alpha_tilde=0.5 transport=$transport" \
        algorithm.name=gossip graph.name=complete communication.transport=$transport
done
train_and_inspect allreduce-2 2 "load compute update cast reduce" "algorithm=allreduce exchanges=0" \
    algorithm.name=allreduce
train_and_inspect alone 1 "load compute update cast" "algorithm=acid eta=0 exchanges=0 consensus_distance=0"
check "nothing is printed to standard error" test ! -s "$scratch/err"

# The resolved configuration is one that can be loaded, and says the same again.
first=$scratch/acid-ring-4-put
run_well "the resolved configuration loads" 4 train "$first/config.yaml" --dry-run
run_ranks 1 train "$first/config.yaml" "run.dir=$scratch/again" train.epochs=1
check "the launcher's number of workers stands in it" grep -qx '  workers: 4' "$first/config.yaml"
check "and resolves to itself" diff <(grep -v -e ' dir:' -e ' epochs:' -e ' workers:' "$first/config.yaml") \
    <(grep -v -e ' dir:' -e ' epochs:' -e ' workers:' "$scratch/again/config.yaml")

# Training from a checkpoint begins where it ended.
run_well "model.init" 2 train "$config" "run.dir=$scratch/continued" "model.init=$first/final.safetensors" \
    train.epochs=0.1 optimizer.lr=0 batch_norm.policy=own
check "a rate of 0 leaves its accuracy alone" "$PYTHON" - "$first" "$scratch/continued" <<'PYTHON'
import json, sys
before, after = (json.load(open(run + "/summary.json"))["test_accuracy"] for run in sys.argv[1:])
sys.exit(0 if abs(before - after) < 0.05 else f"accuracy {after} after a start at {before}")
PYTHON
# A head for another number of classes is drawn afresh, the rest is kept.
mkdir -p "$scratch/data/cifar-100-binary"
for part in train test; do
    head -c $((3074 * 64)) /dev/zero >"$scratch/data/cifar-100-binary/$part.bin"
done
run_well "model.init with a fresh head" 2 train "$config" "run.dir=$scratch/fresh-head" data.name=cifar100 \
    data.train_count=0 data.test_count=0 "data.path=$scratch/data" "model.init=$first/final.safetensors" optimizer.lr=0
check "and only the head" "$PYTHON" - "$first" "$scratch/fresh-head" <<'PYTHON'
import sys
sys.path.insert(0, "tests/e2e")
from inspect_run import read_tensors
old, new = (read_tensors(run + "/final.safetensors") for run in sys.argv[1:])
other = [name for name in old if name in new and old[name][1] != new[name][1]]
kept = [name for name in old if name.endswith("weight") and old[name] == new[name]]
good = sorted({name.rsplit(".", 1)[0] for name in other}) == ["fc"] and len(kept) == len(
    [name for name in old if name.endswith("weight")]) - 1
sys.exit(0 if good else f"other shapes: {other}; the same: {kept}")
PYTHON

# Among the five best guesses: told of sets with many classes only, alike everywhere.
run_ranks 1 eval "$scratch/alone/final.safetensors" "$scratch/alone/config.yaml"
check "ten classes: no top-5" "$PYTHON" $inspect top5 "$scratch/alone" "$scratch/out" absent
run_well "twenty classes, smoothed labels" 3 train "$config" "run.dir=$scratch/twenty" data.name=gaussian \
    data.dimension=16 data.classes=20 model.name=mlp train.label_smoothing=0.1
check "the table has the five best" grep -q 'among the five best  *[0-9.]* %' "$scratch/out"
run_ranks 1 eval "$scratch/twenty/final.safetensors" "$scratch/twenty/config.yaml"
check "top-5" "$PYTHON" $inspect top5 "$scratch/twenty" "$scratch/out" there

# A validation split, and the best model by it.
run_well "keep_best" 2 train "$config" "run.dir=$scratch/best" data.validation=0.1 run.keep_best=true \
    run.eval_every_epochs=1 train.epochs=3
check "best.safetensors" "$PYTHON" $inspect tensors "$scratch/best/best.safetensors"
check "validation in the metrics" grep -q validation_accuracy "$scratch/best/metrics.jsonl"
run_well "the best model can be tested" 1 eval "$scratch/best/best.safetensors" "$config"

# Checkpoints in mid-run, TensorBoard, and a rate below 1 and without enforcement.
run_well "checkpoints and TensorBoard" 2 train "$config" "run.dir=$scratch/more" run.checkpoint_every_epochs=1 \
    run.tensorboard=true communication.rate=0.5 communication.enforce_rate=false train.epochs=3
check "a checkpoint of mid-run" "$PYTHON" $inspect tensors "$scratch/more/checkpoint-0001.safetensors"
check "event files" test -n "$(find "$scratch/more" -name '*tfevents*')"
check "half the rate" "$PYTHON" $inspect summary "$scratch/more" rate_wanted=0.5 rate_tolerance=0.3
finish
