#!/usr/bin/env bash
# What a run is stays with it, and its directory is its own: one run writes in it at a time, a refused --resume changes
# nothing in it, a run that is done can be made longer, classes and data are known by name.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash

config=$scratch/identity.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: mlp, width: 16}
train:  {workers: 2, batch: 16, epochs: 4}
device: {name: cpu}
run:    {log_every: 5, eval_every_epochs: 0, checkpoint_every_epochs: 0, state_every_epochs: 1}
YAML

# All files of the folder $1 with their contents.
files_of() {
    (cd "$1" && find . -type f -exec cksum {} + | sort)
}

# Wait until the command succeeds, while the run goes on, and not for ever.
await() {
    local tries
    for ((tries = 0; tries < 3000; tries++)); do
        "$@" >/dev/null 2>&1 && return
        kill -0 "$running" 2>/dev/null || return
        sleep 0.02
    done
}

# A state of both ranks of the run in $1 is there.
is_whole() {
    local first
    for first in "$1"/state-*-rank-0-of-2.safetensors; do
        [ -e "${first/-rank-0-/-rank-1-}" ] && return
    done
    return 1
}

# A simulation in $1 that goes on until it is ended.
simulate_long() {
    "$grapevine" simulate "$config" "run.dir=$1" train.epochs=100000 run.state_every_epochs=10 \
        >"$scratch/long" 2>&1 </dev/null &
    running=$!
    await compgen -G "$1/state-*"
}

test_lock() {
    local run=$scratch/lock keys="train.epochs=100000"
    simulate_long "$run"
    refuse "a run that goes on" 1 2 "process $running on .*which still runs" simulate "$config" "run.dir=$run" "$keys" \
        --resume auto
    refuse "by ranks" 2 2 "process $running on .*which still runs" train "$config" "run.dir=$run" "$keys" --resume auto
    refuse "a fresh one" 1 2 'nothing is overwritten|still runs' simulate "$config" "run.dir=$run" "$keys"
    kill -KILL "$running"
    wait "$running" 2>/dev/null
    check "a killed run leaves its lock" test -s "$run/lock"
    run_well "which is taken over" 1 simulate "$config" "run.dir=$run" train.epochs=200000 --resume auto \
        "train.epochs=$(($(find "$run" -name 'state-*' | sort | tail -n 1 | sed 's/.*state-0*//; s/\..*//') / 16 + 3))"
    check "it went on" grep -q 'goes on from' "$scratch/err"
    check "and leaves none" test ! -e "$run/lock"
}

# Of two that start at the same moment, one runs and the other is refused.
test_start() {
    local run=$scratch/start codes
    for _ in 1 2 3; do
        rm -rf "$run"
        for k in 1 2; do
            ("$grapevine" simulate "$config" "run.dir=$run" train.epochs=400 >"$scratch/start-$k" 2>&1
                echo $? >"$scratch/code-$k") &
        done
        wait
        codes=$(cat "$scratch"/code-? | sort | tr '\n' ' ')
        check "one of two runs" test "$codes" = "0 2 "
        check "and ends well" grep -qx '0 done' "$run/status"
    done
}

# Ranks whose launcher was killed do not write beside those of the next attempt.
test_launcher() {
    local run=$scratch/launcher
    start 2 "$run" train.epochs=100000 run.state_every_epochs=10
    await is_whole "$run"
    kill -KILL "$running"
    start 2 "$run" train.epochs=100000 run.state_every_epochs=10 --resume auto
    await grep -q 'goes on from' "$scratch/err"
    sleep 0.5
    send TERM 0 2
    wait "$running"
    status=$?
    verdict "it goes on at once" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
    check "every line is one run's" "$PYTHON" - "$run" <<'PYTHON'
import glob, json, sys
for path in glob.glob(f"{sys.argv[1]}/metrics-*.jsonl"):
    steps = [json.loads(line)["step"] for line in open(path)]
    assert steps == sorted(set(steps)), path
PYTHON
}

# Refused, with the files as they were: $1 name, $2 ranks, $3 status, $4 message, $5 run, arguments.
refused_in() {
    local name=$1 ranks=$2 expected=$3 message=$4 run=$5 before
    shift 5
    before=$(files_of "$run")
    refuse "$name" "$ranks" "$expected" "$message" "$@" "run.dir=$run" --resume auto
    check "$name, $ranks rank(s): no file has changed" test "$before" = "$(files_of "$run")"
}

test_refused() {
    local run=$scratch/refused
    simulate_long "$run"
    kill -TERM "$running"
    wait "$running"
    refused_in "another model" 1 3 'of another model' "$run" simulate "$config" model.width=32 train.epochs=100000
    refused_in "another time" 1 3 'cannot be gone on from' "$run" simulate "$config" simulate.time=modelled \
        train.epochs=100000
    refused_in "another seed" 1 3 'not of this run|other data|training data' "$run" simulate "$config" seed=2 \
        train.epochs=100000
    refused_in "an end before" 1 3 'ends before it' "$run" simulate "$config" train.epochs=0.5
    refused_in "no such data" 1 3 'cifar' "$run" simulate "$config" data.name=cifar10 data.path=/nowhere
    start 2 "$run-ranks" train.epochs=100000
    await is_whole "$run-ranks"
    send TERM 0 2
    wait "$running"
    refused_in "another model" 2 3 'of another model' "$run-ranks" train "$config" model.width=32 train.epochs=100000
    refused_in "a mean of another model" 3 3 'of another model' "$run-ranks" train "$config" model.width=32 \
        train.epochs=100000
    refused_in "an unknown algorithm" 2 2 'unknown algorithm' "$run-ranks" train "$config" algorithm.name=acids
}

# What the run in $1 has done: gradients and epochs in its summary, and one course of steps in its metrics.
is_longer_run() {
    "$PYTHON" - "$1" "$2" "$3" <<'PYTHON'
import json, sys
run, least, most = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
summary = json.load(open(f"{run}/summary.json"))
assert least <= summary["gradients"] <= most, summary["gradients"]
lines = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
for rank in {line["rank"] for line in lines if "rank" in line}:
    steps = [line["step"] for line in lines if line.get("rank") == rank and "loss" in line]
    assert steps == sorted(set(steps)) and steps, (rank, steps)
    assert steps[0] <= 5, steps
assert sum("test_loss" in line and line["averaged"] for line in lines) == 1
PYTHON
}

test_longer() {
    local run=$scratch/longer command ranks key no_state='kept no state.*run.state_every_epochs=.*model.init='
    # Ranks learn from each other how many gradients are done: a gradient must take longer than that.
    for command in "simulate 1" "simulate 1 simulate.time=modelled" "train 2 inject.slow=0-1 x50" \
        "train 2 algorithm.name=allreduce" "train 1"; do
        read -r command ranks key <<<"$command"
        rm -rf "$run"
        run_well "$command, $key" "$ranks" "$command" "$config" "run.dir=$run" ${key:+"$key"}
        run_well "the same again" "$ranks" "$command" "$config" "run.dir=$run" ${key:+"$key"} --resume auto
        check "is nothing to do" grep -q 'has come to its end' "$scratch/err"
        run_well "with another seed" "$ranks" "$command" "$config" "run.dir=$run" ${key:+"$key"} seed=2 --resume auto
        check "is nothing to do, and said so" grep -q 'with other settings (seed: 2, was 1).*run.dir' "$scratch/err"
        run_well "$command on $ranks, $key: longer" "$ranks" "$command" "$config" "run.dir=$run" ${key:+"$key"} \
            train.epochs=8 --resume auto
        check "it goes on from the last state" grep -Eq 'goes on from .*state-0*(6[4-9]|7[0-9])' "$scratch/err"
        check "and says that the schedule is another one" grep -q \
            'schedule is now that of 8 epochs (it was of 4): at epoch 4.* learning rate' "$scratch/err"
        check "all gradients, one course" is_longer_run "$run" 128 144
        check "what was before is kept" test -s "$(find "$run" -name 'before-*-metrics.jsonl')"
    done
    rm -rf "$run"
    run_well "without states" 1 simulate "$config" "run.dir=$run" run.state_every_epochs=0
    refused_in "no state to go on from" 1 2 "$no_state" "$run" simulate "$config" train.epochs=8
    run_well "ranks without states" 2 train "$config" "run.dir=$run-ranks" run.state_every_epochs=0
    refused_in "no state to go on from" 2 2 "$no_state" "$run-ranks" train "$config" train.epochs=8
}

test_workers() {
    local run=$scratch/workers
    run_well "two workers" 2 train "$config" "run.dir=$run"
    check "the launcher's number stands in its configuration" grep -q 'workers: 2$' "$run/config.yaml"
    run_well "three" 3 train "$config" "run.dir=$run" train.epochs=8 --resume auto
    check "the peak is told" grep -q "had 2 workers and has 3 now: .* peak is 0.01875, and was 0.0125" "$scratch/err"
}

# Photographs of three classes.
draw_photos() {
    "$PYTHON" - "$1" <<'PYTHON'
import os, random, sys
from PIL import Image
draw = random.Random(4)
for split, count in (("train", 16), ("val", 4)):
    for name in ("ape", "cat", "dog"):
        os.makedirs(os.path.join(sys.argv[1], split, name))
        for k in range(count):
            image = Image.frombytes("RGB", (48, 48), draw.randbytes(48 * 48 * 3))
            image.save(os.path.join(sys.argv[1], split, name, f"{k:03}.jpg"))
PYTHON
}

rename_class() {
    mv "$scratch/photos/train/$1" "$scratch/photos/train/$2" && mv "$scratch/photos/val/$1" "$scratch/photos/val/$2"
}

test_classes() {
    local run=$scratch/classes keys=(data.name=photos "data.path=$scratch" data.size=32 data.train_count=0
        data.test_count=0) renamed='class 1 is "cat" there and "dog" here; only there: "cat"; only here: "wolf"'
    if ! draw_photos "$scratch/photos" 2>/dev/null; then
        skip "classes" "Python's Pillow draws the images: scripts/setup.sh --tests"
        return
    fi
    run_well "photographs" 1 simulate "$config" "${keys[@]}" "run.dir=$run"
    run_well "their own classes" 1 eval "$run/final.safetensors" "$run/config.yaml"
    rename_class cat wolf
    refuse "a renamed class" 1 3 "other classes than this data set has: $renamed" eval "$run/final.safetensors" \
        "$run/config.yaml"
    refused_in "a renamed class" 1 3 "began with other classes: $renamed" "$run" simulate "$config" "${keys[@]}" \
        train.epochs=8
    run_well "as a start" 1 simulate "$config" "${keys[@]}" "run.dir=$run-start" "model.init=$run/final.safetensors"
    check "its last layer is fresh" grep -q "$renamed; its last layer starts fresh" "$scratch/err"
    rename_class wolf cat
    rm "$scratch/photos/train/cat/003.jpg"
    refused_in "other data" 1 3 'the training data are others .*48 images, 3 classes, .* were, 47 images' "$run" \
        simulate "$config" "${keys[@]}" train.epochs=8
}

# The record of a run means the same in every folder; data are found where $GRAPEVINE_DATA says.
test_paths() {
    local folder=$scratch/data/cifar-10-batches-bin k
    mkdir -p "$folder"
    for k in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
        truncate -s $((3073 * 20)) "$folder/$k.bin"
    done
    printf '0 1\n' >"$scratch/edges.txt"
    (cd "$scratch" && GRAPEVINE_DATA=data "$grapevine" simulate "$config" data.name=cifar10 data.train_count=0 \
        data.test_count=0 graph.file=edges.txt run.dir=paths 'inject.slow=0 x2' >/dev/null 2>&1)
    check "paths are absolute" grep -qx "  path: $scratch/data" "$scratch/paths/config.yaml"
    check "that of the edges too" grep -qx "  file: $scratch/edges.txt" "$scratch/paths/config.yaml"
    run_well "it works from another folder" 1 simulate "$scratch/paths/config.yaml" "run.dir=$scratch/paths-2"
    run_well "eval does" 1 eval "$scratch/paths/final.safetensors" "$scratch/paths/config.yaml"
    check "the record has the command, every key and the data" "$PYTHON" - "$scratch/paths" <<'PYTHON'
import json, shlex, sys
summary = json.load(open(sys.argv[1] + "/summary.json"))
assert shlex.split(summary["command"])[-1] == "inject.slow=0 x2", summary["command"]
config = summary["config"]
assert config["seed"] == 1 and config["train"]["batch"] == 16 and config["data"]["augment"] is True, config
assert config["algorithm"]["eta"] == "auto" and config["schedule"]["milestones"] == [0.5, 0.75], config
assert config["data"]["path"].endswith("/data") and abs(summary["learning_rate"] - 0.0125) < 1e-12, summary
assert summary["data_fingerprint"]["train"].startswith("100 images, 10 classes, digest "), summary
PYTHON
}

for part in longer workers classes paths lock start launcher refused; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
