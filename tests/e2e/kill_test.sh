#!/usr/bin/env bash
# A real run that is killed without a warning goes on from the newest of the states that it has kept at intervals
# (run.state_every_epochs, `train --resume auto`), also when it was killed while it wrote one. Where nothing depends on
# time it ends in the same bits as a run that was never killed. A killed rank ends the job soon, with a message.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash

config=$scratch/kill.yaml
cat >"$config" <<'YAML'
seed: 4
data:          {name: shapes, train_count: 1024, test_count: 64, augment: true}
model:         {name: convnet, width: 16}
graph:         {name: ring}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: cosine, warmup_epochs: 1}
train:         {batch: 16, epochs: 24}
batch_norm:    {batches: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 10, eval_every_epochs: 4, checkpoint_every_epochs: 0, state_every_epochs: 1.5}
YAML

# States of the run in $1 that $2 ranks have all kept: one line each, the gradients.
whole_states() {
    find "$1" -name "state-*-of-$2.safetensors" -printf '%f\n' | sed 's/-rank.*//' | sort | uniq -c |
        awk -v ranks="$2" '$1 == ranks { sub(/state-0*/, "", $2); print $2 }'
}

# Wait until the run in $1 of $2 ranks has kept a state after more than $3 gradients.
wait_for_state() {
    until [ "$(whole_states "$1" "$2" 2>/dev/null | sort -n | tail -n 1)0" -gt "${3}0" ] ||
        ! kill -0 "$running" 2>/dev/null; do
        sleep 0.02
    done
}

# Kill the running job of $1 ranks: all its processes at once.
kill_job() {
    local processes
    mapfile -t processes < <(pgrep -P "$running" -f 'grapevine train')
    kill -s KILL "$running" "${processes[@]}" 2>/dev/null
    wait "$running" 2>/dev/null
    while pgrep -f "grapevine train $config" >/dev/null; do sleep 0.05; done
}

# Run on $2 ranks in $1, keys: killed again and again; then to its end.
in_parts() {
    local run=$1 ranks=$2 turn newest=0
    shift 2
    for turn in 0 1 2; do
        start "$ranks" "$run" "$@" --resume auto
        wait_for_state "$run" "$ranks" "$newest"
        sleep "0.$((turn * 7))"
        kill_job
        newest=$(whole_states "$run" "$ranks" | sort -n | tail -n 1)
        check "${run##*/}, turn $turn: a state is there" test -n "$newest"
    done
    touch "$run/state-000000000001-rank-0-of-$ranks.safetensors.part-1" # cut off in the middle
    # Of a later state only one part was written: it is not to be mixed with those that come.
    [ "$ranks" = 1 ] || cp "$run/state-$(printf %012d "$newest")-rank-0-of-$ranks.safetensors" \
        "$run/state-000000999999-rank-0-of-$ranks.safetensors"
    run_well "${run##*/}: to its end" "$ranks" train "$config" "run.dir=$run" "$@" --resume auto
    check "it went on" grep -q 'goes on from' "$scratch/err" "$scratch/out"
    check "nothing unfinished or foreign is left" test -z "$(find "$run" -name '*.part-*' -o -name 'state-*999999*')"
    check "no more states than are to be kept" test "$(find "$run" -name "state-*" | wc -l)" -le $((4 * ranks))
    check "two whole ones are there" test "$(whole_states "$run" "$ranks" | wc -l)" -ge 2
}

test_same_bits() {
    ends_in_the_same_bits 1 acid run.state_every_epochs=0
    check "no state that was not asked for" test -z "$(find "$scratch/whole-acid" -name 'state-*')"
    ends_in_the_same_bits 2 allreduce run.state_every_epochs=0
}

test_meetings() {
    local case algorithm graph
    for case in "acid ring" "gossip complete"; do
        read -r algorithm graph <<<"$case"
        in_parts "$scratch/$algorithm" 4 "algorithm.name=$algorithm" "graph.name=$graph" train.epochs=60
        check "$algorithm: its summary" "$PYTHON" tests/e2e/inspect_run.py summary "$scratch/$algorithm" \
            rate_tolerance=0.2
        check "$algorithm: gradients, meetings and time go on" "$PYTHON" tests/e2e/inspect_run.py goes_on \
            "$scratch/$algorithm" 3840
    done
}

# Another number of ranks begins with the mean model of the newest whole state.
test_others() {
    local run=$scratch/others before
    start 4 "$run" train.epochs=200
    wait_for_state "$run" 4 500
    kill_job
    before=$(whole_states "$run" 4 | sort -n | tail -n 1)
    run_well "3 ranks" 3 train "$config" "run.dir=$run" "train.epochs=$((before / 64 + 6))" --resume auto
    check "it says so" grep -q "mean of 4 workers after $before gradients is the start" "$scratch/err"
}

# One rank is killed: the launcher ends the job, a message says which rank, and the run can go on.
test_killed_rank() {
    local run=$scratch/rank ranks begin_s took
    start 4 "$run" train.epochs=2000
    wait_for_state "$run" 4 200
    mapfile -t ranks < <(pgrep -P "$running" -f 'grapevine train')
    kill -KILL "${ranks[2]}"
    begin_s=$SECONDS
    wait "$running"
    status=$? took=$((SECONDS - begin_s))
    verdict "the job ends" "$([ "$status" != 0 ] || echo "exit status 0")"
    echo "a rank was killed: the job ended after $took s"
    check "soon" test "$took" -le 60
    check "a message says what happened" grep -Eqi 'signal 9|killed' "$scratch/err" "$scratch/out"
    check "a whole state is there" test -n "$(whole_states "$run" 4)"
    run_well "and it goes on" 4 train "$config" "run.dir=$run" \
        "train.epochs=$(($(whole_states "$run" 4 | sort -n | tail -n 1) / 64 + 6))" --resume auto
    check "from there" grep -q 'goes on from' "$scratch/err" "$scratch/out"
}

# No room for a state in mid-run: it is said, training goes on, and the state before stays whole.
test_full_disk() {
    local disk=$scratch/disk
    mkdir "$disk"
    if ! mount -t tmpfs -o size=12m tmpfs "$disk" 2>/dev/null; then
        skip "a full disk" "tmpfs cannot be mounted here"
        return
    fi
    cleanups+=("umount '$disk'")
    dd if=/dev/zero of="$disk/other" bs=1M count=9 status=none
    start 2 "$disk/run" run.state_every_epochs=3 run.keep_states=40 train.epochs=60
    until grep -q 'the run goes on without it' "$scratch/err" || ! kill -0 "$running" 2>/dev/null; do
        sleep 0.02
    done
    rm "$disk/other"
    wait "$running"
    status=$?
    verdict "training goes on on a full disk" "$([ "$status" = 0 ] || echo "exit status $status, expected 0")"
    check "it is said" grep -q 'the run goes on without it' "$scratch/err"
    check "with the reason" grep -q 'No space left on device' "$scratch/err"
    check "a whole state is there" test -n "$(whole_states "$disk/run" 2)"
}

# A part of the name of a test function as argument runs that one only.
for part in same_bits meetings others killed_rank full_disk; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
