#!/usr/bin/env bash
# What must repeat: a run alone, byte for byte; all-reduce, up to nothing either, since its sums have a fixed order; and
# one worker's A²CiD² is plain SGD.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

readonly inspect=tests/e2e/inspect_run.py
config=$scratch/shapes.yaml
cat >"$config" <<'YAML'
data: {name: shapes, train_count: 512, test_count: 200, augment: true}
model: {name: convnet}
optimizer: {lr: 0.05, lr_per_samples: 0}
train: {batch: 16, epochs: 2}
batch_norm: {policy: own}
run: {log_every: 1, eval_every_epochs: 1}
YAML

# Train: $1 name, $2 ranks, keys.
train() {
    local name=$1 ranks=$2
    shift 2
    run_well "$name" "$ranks" train "$config" "run.dir=$scratch/$name" "$@"
}

# shellcheck disable=SC2317  # called through check
differ() {
    ! cmp -s "$1" "$2"
}

final() {
    echo "$scratch/$1/final.safetensors"
}

train one 1 seed=1
train one-again 1 seed=1
train other-seed 1 seed=2
train two-threads 1 seed=1 device.threads=2
check "the same seed gives the same bytes" cmp "$(final one)" "$(final one-again)"
check "and the same curve" "$PYTHON" $inspect curves "$scratch/one" "$scratch/one-again" 0
check "another seed gives others" differ "$(final one)" "$(final other-seed)"
check "threads change no more than rounding" "$PYTHON" $inspect curves "$scratch/one" "$scratch/two-threads" 0.05

train gossip-alone 1 algorithm.name=gossip
train allreduce-alone 1 algorithm.name=allreduce
check "one worker: acid is gossip, bit for bit" "$PYTHON" $inspect same_tensors "$(final one)" "$(final gossip-alone)"
check "one worker: acid is SGD, bit for bit" "$PYTHON" $inspect same_tensors "$(final one)" "$(final allreduce-alone)"

train allreduce 2 algorithm.name=allreduce
train allreduce-again 2 algorithm.name=allreduce
# Two addends have one order: the sums, and so the curves, are the same bits.
check "all-reduce repeats its curve" "$PYTHON" $inspect curves "$scratch/allreduce" "$scratch/allreduce-again" 0
check "all-reduce repeats its bytes" cmp "$(final allreduce)" "$(final allreduce-again)"
finish
