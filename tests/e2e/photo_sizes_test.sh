#!/usr/bin/env bash
# Photographs that grow while a run goes on (data.size=32-96): on ranks that meet and on ranks that add, simulated,
# broken off and taken up again; tests at the last size. And models that have other parameters for other sizes.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

readonly inspect=tests/e2e/inspect_run.py
"$PYTHON" tests/e2e/draw_photos.py "$scratch/photos/train" 3 20
"$PYTHON" tests/e2e/draw_photos.py "$scratch/photos/val" 3 5 2
config=$scratch/photos.yaml
cat >"$config" <<YAML
seed: 3
data: {name: photos, path: $scratch, size: 32-96}
model: {name: convnet}
optimizer: {lr: 0.05, lr_per_samples: 0}
schedule: {name: constant, warmup_epochs: 0}
train: {batch: 4, epochs: 6}
device: {name: cpu}
batch_norm: {batches: 2}
run: {log_every: 4, eval_every_epochs: 2, checkpoint_every_epochs: 0}
YAML

# A run, and what must be true of it: $1 name, $2 ranks, then the command and its keys.
run_and_test() {
    local name=$1
    run_well "$@" "run.dir=$scratch/$name" || return
    check "$name: status" grep -qx '0 done' "$scratch/$name/status"
    run_ranks 1 eval "$scratch/$name/final.safetensors" "$scratch/$name/config.yaml"
    check "$name: eval agrees with the summary" "$PYTHON" $inspect eval "$scratch/$name" "$scratch/out" 5.1e-5
}

# A replay makes every gradient again, at the same weights and sizes: networks of its own, one for all workers.
replays() {
    run_command "$grapevine" replay "$scratch/$1"
    verdict "$1: its replay" "$(grep -q 'agrees bit for bit' "$scratch/out" || echo 'does not agree bit for bit')"
}

test_ranks() {
    run_and_test acid 3 train "$config" run.record=true
    replays acid
    run_and_test allreduce 2 train "$config" algorithm.name=allreduce run.record=true
    replays allreduce
    run_and_test alone 1 train "$config"
    run_and_test fixed 1 train "$config" data.size=96
    check "growing differs from not growing" bash -c \
        "! cmp -s '$scratch/fixed/final.safetensors' '$scratch/alone/final.safetensors'"
}

test_simulate() {
    run_and_test ideal 1 simulate "$config" train.workers=3
    run_and_test modelled 1 simulate "$config" train.workers=3 simulate.time=modelled run.record=true
    replays modelled
}

# As a run that was killed after its second state: it goes on at the size of its next batch, to the same bytes.
test_going_on() {
    local command run
    for command in "train" "simulate train.workers=2"; do
        run=$scratch/states-${command%% *}
        # shellcheck disable=SC2086  # words
        set -- ${command%% *} "$config" ${command#"${command%% *}"} run.state_every_epochs=2 run.keep_states=9 \
            "run.dir=$run"
        run_well "$1: with states" 1 "$@"
        cp "$run/final.safetensors" "$scratch/whole.safetensors"
        mv "$run/metrics.jsonl" "$run/metrics-0.jsonl" && echo running >"$run/status"
        find "$run" -name 'state-*' | sort | tail -n +2 | xargs rm -f
        run_well "$1: on from a state" 1 "$@" --resume auto
        check "$1: it went on" grep -q 'goes on from' "$scratch/err"
        check "$1: the same bytes" cmp "$scratch/whole.safetensors" "$run/final.safetensors"
    done
}

test_refusals() {
    refuse "a model with other parameters" 1 2 'data.size: mlp && 32 × 32 && 96 × 96 && resnet' train "$config" \
        model.name=mlp "run.dir=$scratch/never"
    refuse "a ResNet with another stem" 2 2 'data.size: resnet18 && 64 × 64 && 128 × 128' train "$config" \
        model.name=resnet18 data.size=64-128 "run.dir=$scratch/never"
    check "nothing was written" test ! -e "$scratch/never"
    run_well "one stem for all sizes" 1 train "$config" model.name=resnet18 data.size=32-64 --dry-run
}

# A part of the name of a test function as argument runs that one only.
for part in ranks simulate going_on refusals; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
