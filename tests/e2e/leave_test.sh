#!/usr/bin/env bash
# A real run that is asked to leave keeps the state of all its workers, leaves with status 75, and goes on where it was
# (`train --resume auto`). Where nothing depends on time (one worker; two that add their gradients) it ends in the same
# bits as a run that never stopped, also when a gradient was broken off; else in the same number of gradients and
# meetings. Whoever gets the signal tells the others.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash

config=$scratch/leave.yaml
cat >"$config" <<'YAML'
seed: 3
data:          {name: shapes, train_count: 1024, test_count: 64, augment: true}
model:         {name: convnet, width: 16}
graph:         {name: ring}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: cosine, warmup_epochs: 1}
train:         {batch: 16, epochs: 24}
batch_norm:    {batches: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 10, eval_every_epochs: 4, checkpoint_every_epochs: 0}
YAML

# Run on $2 ranks in $1, keys: asked to leave again and again, by another rank and signal each time; then to its end.
in_parts() {
    local run=$1 ranks=$2 turn signal which lines
    shift 2
    for turn in 0 1 2; do
        lines=$(lines_of "$run" 0)
        start "$ranks" "$run" "$@" --resume auto
        wait_for_lines "$run" 0 $((lines + 1 + turn))
        signal=TERM which=$((turn % ranks))
        [ "$turn" = 1 ] && signal=USR1 which=all
        sleep "0.0$((turn * 3))"
        send "$signal" "$which" "$ranks"
        wait "$running"
        status=$?
        verdict "${run##*/}, turn $turn: it leaves" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
        check "its status" grep -qx '75 requeue' "$run/status"
        check "how to go on is said" grep -q 'resume auto goes on' "$scratch/err"
        check "every rank's state is there" \
            test "$(find "$run" -name "state-*-of-$ranks.safetensors" | wc -l)" -ge "$ranks"
    done
    run_well "${run##*/}: to its end" "$ranks" train "$config" "run.dir=$run" "$@" --resume auto
    check "it went on" grep -q 'goes on from' "$scratch/err" "$scratch/out"
    check "no more states than are to be kept" test "$(find "$run" -name "state-*" | wc -l)" -le $((2 * ranks))
}

# What does not depend on time ends in the same bits.
test_same_bits() {
    ends_in_the_same_bits 1 acid
    ends_in_the_same_bits 1 gossip
    ends_in_the_same_bits 2 allreduce
}

# Workers that meet: all gradients are made, every tick is served once, nobody starts anew.
test_meetings() {
    local case algorithm graph
    for case in "acid ring" "gossip complete"; do
        read -r algorithm graph <<<"$case"
        in_parts "$scratch/$algorithm" 4 "algorithm.name=$algorithm" "graph.name=$graph" train.epochs=60
        check "$algorithm: its summary" "$PYTHON" tests/e2e/inspect_run.py summary "$scratch/$algorithm" \
            rate_tolerance=0.2
        check "$algorithm: gradients, meetings and time go on" "$PYTHON" tests/e2e/inspect_run.py goes_on \
            "$scratch/$algorithm" 3840 exact
    done
}

# A part of the state is missing or damaged: the one before it is taken, on all ranks.
test_damage() {
    local run=$scratch/damaged newest
    start 2 "$run" algorithm.name=allreduce
    wait_for_lines "$run" 0 1
    send TERM 0 2
    wait "$running"
    start 2 "$run" algorithm.name=allreduce --resume auto
    wait_for_lines "$run" 0 5
    send TERM 1 2
    wait "$running"
    newest=$(find "$run" -name 'state-*-rank-1-of-2.safetensors' | sort | tail -n 1)
    printf '\xff' | dd of="$newest" bs=1 seek=100000 conv=notrunc status=none
    run_well "a damaged part" 2 train "$config" "run.dir=$run" algorithm.name=allreduce --resume auto
    check "it is told" grep -q 'is not whole' "$scratch/err"
    check "an older one is taken" grep -q 'goes on from' "$scratch/err" "$scratch/out"
    [ -d "$scratch/whole-allreduce" ] &&
        check "the same model" cmp "$scratch/whole-allreduce/final.safetensors" "$run/final.safetensors"
    run_well "a run that is done" 2 train "$config" "run.dir=$run" algorithm.name=allreduce --resume auto
    check "it says so" grep -q 'has come to its end' "$scratch/err" "$scratch/out"
}

# Another number of ranks, or another graph: all begin with the mean model of those before, and do what is left.
test_others() {
    local run=$scratch/others key ranks before
    start 4 "$run-start" train.epochs=200
    wait_for_lines "$run-start" 0 3
    send TERM 2 4
    wait "$running"
    before=$(find "$run-start" -name 'state-*' | head -n 1 | sed 's/.*state-0*//; s/-.*//')
    for key in "3 algorithm.name=acid" "1 algorithm.name=acid" "4 graph.name=complete" "2 algorithm.name=allreduce"; do
        read -r ranks key <<<"$key"
        rm -rf "$run" && cp -r "$run-start" "$run"
        run_well "$ranks ranks, $key" "$ranks" train "$config" "run.dir=$run" "$key" \
            "train.epochs=$((before / 64 + 6))" --resume auto
        check "it says so" grep -q "mean of 4 workers after $before gradients is the start" "$scratch/err"
        check "old metrics stay" test "$(find "$run" -name 'before-*-metrics-*.jsonl' | wc -l)" = 4
        check "it does the rest" "$PYTHON" - "$run" "$before" <<'PYTHON'
import json, sys
run, done = sys.argv[1], int(sys.argv[2])
s = json.load(open(f"{run}/summary.json"))
left = (done // 64 + 6) * 64 - done
assert left <= s["gradients"] <= 1.1 * left + 8, (s["gradients"], left)
PYTHON
    done
}

# SIGUSR2: every rank says how far it is, and goes on.
test_report() {
    local rank
    start 3 "$scratch/report" train.epochs=200
    wait_for_lines "$scratch/report" 0 1
    send USR2 all 3
    sleep 0.5
    for rank in 0 1 2; do
        check "rank $rank says how far it is" \
            grep -q "worker $rank: [0-9]* gradients ([0-9]* of 12800 by all)" "$scratch/err"
    done
    send TERM all 3
    wait "$running"
    status=$?
    verdict "then it leaves" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
}

test_refusals() {
    refuse "a file" 2 2 'resume && auto' train "$config" "run.dir=$scratch/never" --resume "$config"
    refuse "a recorded run" 2 2 'run.record && replay' train "$config" "run.dir=$scratch/never" run.record=true \
        --resume auto
    check "nothing was written" test ! -e "$scratch/never"
}

# A part of the name of a test function as argument runs that one only.
for part in same_bits meetings damage others report refusals; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
