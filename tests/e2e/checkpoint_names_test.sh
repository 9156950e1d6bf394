#!/usr/bin/env bash
# Checkpoints in mid-run, more often than once an epoch: each has a name of its own, in the order of time, also in a run
# that was asked to leave and went on, and each is a model.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash

config=$scratch/names.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: mlp, width: 16}
train:  {workers: 2, batch: 16, epochs: 6}
device: {name: cpu, threads: 1}
run:    {log_every: 2, eval_every_epochs: 0, checkpoint_every_epochs: 0.5}
YAML

# $1: name, $2: run, $3: how many there are between 0.5 and 5.5.
has_names() {
    local names count
    names=$(cd "$2" && ls checkpoint-*)
    count=$(grep -cxE 'checkpoint-000[0-5]\.[05]\.safetensors' <<<"$names")
    verdict "$1: $3 names" "$([ "$count" = "$3" ] || echo "$count: ${names//$'\n'/ }")"
    verdict "$1: all differ" "$([ "$(cd "$2" && md5sum checkpoint-* | cut -d ' ' -f 1 | sort -u | wc -l)" = "$3" ] ||
        echo "some have the same bytes")"
}

run_well "train" 1 train "$config" "run.dir=$scratch/train"
has_names "train" "$scratch/train" 11
run_well "simulate" 1 simulate "$config" "run.dir=$scratch/simulate"
has_names "simulate" "$scratch/simulate" 11
run_well "eval" 1 eval "$scratch/simulate/checkpoint-0002.5.safetensors" "$config"

start 1 "$scratch/resumed"
wait_for_lines "$scratch/resumed" 0 2
send TERM 0 1
wait "$running"
run_well "it goes on" 1 train "$config" "run.dir=$scratch/resumed" --resume auto
has_names "a run that goes on" "$scratch/resumed" 11
for name in "$scratch"/train/checkpoint-*; do
    check "${name##*/}: the same bytes" cmp "$name" "$scratch/resumed/${name##*/}"
done
run_well "every fourth" 1 train "$config" "run.dir=$scratch/fourth" run.checkpoint_every_epochs=4
check "its name" test -e "$scratch/fourth/checkpoint-0004.safetensors"
finish
