#!/usr/bin/env bash
# Four ranks train for a long time while everything happens to them at random: processes stop and go on (SIGSTOP,
# SIGCONT), links are slow, meetings get lost, snapshots are torn, doubled and corrupted, states are kept. The run does
# not hang, memory stays flat, every gradient is made, and the sum's law holds (exchange_laws.c checks that under the
# same injections, at its end).
#
#   SOAK_S=1800 tests/e2e/soak_long.sh     how long (300 s unless it says so)
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

soak_s=${SOAK_S:-300}
config=$scratch/soak.yaml
cat >"$config" <<'YAML'
seed: 6
data:          {name: shapes, train_count: 1024, test_count: 64, augment: true}
model:         {name: convnet, width: 16}
optimizer:     {lr: 0.02, lr_per_samples: 0}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: 16, epochs: 1000000}
communication: {patience_s: 0.5}
device:        {name: cpu, threads: 1}
inject:        {links: "all latency_s=0.002", loss: 0.02, duplicate: 0.01, torn: 0.01, corrupt: 0.01}
run:           {log_every: 50, eval_every_epochs: 500, checkpoint_every_epochs: 0, state_every_epochs: 100}
YAML

# Resident KiB of the ranks of job $1.
resident() {
    local pid sum=0 kib
    for pid in $(pgrep -P "$1"); do
        kib=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status" 2>/dev/null)
        sum=$((sum + ${kib:-0}))
    done
    echo "$sum"
}

# Random stops of one of the ranks of job $1, until $2 (seconds of this shell) have passed; resident KiB every 10 s.
disturb() {
    local job=$1 until_s=$2 ranks victim next_s=0
    mapfile -t ranks < <(pgrep -P "$job")
    while [ "$SECONDS" -lt "$until_s" ] && kill -0 "$job" 2>/dev/null; do
        victim=${ranks[RANDOM % ${#ranks[@]}]}
        kill -STOP "$victim"
        sleep "$((RANDOM % 4)).$((RANDOM % 10))"
        kill -CONT "$victim"
        sleep "$((RANDOM % 5)).$((RANDOM % 10))"
        if [ "$SECONDS" -ge "$next_s" ]; then
            resident "$job" >>"$scratch/resident"
            next_s=$((SECONDS + 10))
        fi
    done
}

test_training() {
    local graph words job begin_s
    for graph in ring complete; do
        read -ra words <<<"$launcher -n 4"
        rm -f "$scratch/resident"
        command_line="train on $graph for $((soak_s / 2)) s, disturbed"
        "${words[@]}" "$grapevine" train "$config" "run.dir=$scratch/$graph" "graph.name=$graph" >"$scratch/out" \
            2>"$scratch/err" </dev/null &
        job=$!
        until [ -s "$scratch/$graph/metrics-3.jsonl" ] || ! kill -0 "$job" 2>/dev/null; do sleep 0.1; done
        disturb "$job" $((SECONDS + soak_s / 2))
        pkill -TERM -P "$job" -f 'grapevine train'
        begin_s=$SECONDS
        while kill -0 "$job" 2>/dev/null && [ $((SECONDS - begin_s)) -lt 60 ]; do sleep 0.2; done
        check "$graph: it leaves soon" test $((SECONDS - begin_s)) -lt 60
        kill -KILL "$job" 2>/dev/null
        wait "$job"
        status=$?
        verdict "$graph: with its state" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
        check "$graph: no error" test -z "$(grep -h ' error: ' "$scratch/err" "$scratch/out")"
        check "$graph: memory stays flat" "$PYTHON" - "$scratch/resident" <<'PYTHON'
import sys
sizes = [int(line) for line in open(sys.argv[1])]
third = max(1, len(sizes) // 3)
early, late = (sorted(part)[len(part) // 2] for part in (sizes[third:2 * third] or sizes, sizes[-third:]))
print(f"resident in KiB: {early} in the second third, {late} in the last")
assert late < 1.05 * early + 4096, (early, late)
PYTHON
        check "$graph: all go on to the end" "$PYTHON" - "$scratch/$graph" <<'PYTHON'
import json, sys
run = sys.argv[1]
for rank in range(4):
    rows = [json.loads(line) for line in open(f"{run}/metrics-{rank}.jsonl")]
    rows = [row for row in rows if "loss" in row]
    assert len(rows) > 5, f"rank {rank} has {len(rows)} reports"
    quarter = rows[-1]["time"] * 0.75
    late = [row for row in rows if row["time"] > quarter]
    assert len(late) > 1 and late[-1]["exchanges"] > late[0]["exchanges"], f"rank {rank} met nobody in the end"
PYTHON
        run_well "$graph: goes on from there" 4 train "$config" "run.dir=$scratch/$graph" "graph.name=$graph" \
            "train.epochs=$(($(find "$scratch/$graph" -name 'state-*-rank-0-of-4*' | sort | tail -n 1 |
                sed 's/.*state-0*//; s/-rank.*//') / 64 + 20))" --resume auto
    done
}

# The laws, with random stops of the whole processes on top of all that is injected.
test_laws() {
    local graph words job
    for graph in ring complete; do
        read -ra words <<<"$launcher -n 4"
        command_line="exchange_laws on $graph, disturbed"
        "${words[@]}" "$BUILD/tests/mpi/exchange_laws" "$graph" acid put $((soak_s * 40)) 16 4 \
            'all latency_s=0.001' '' 0.01 >"$scratch/out" 2>"$scratch/err" </dev/null &
        job=$!
        sleep 2
        disturb "$job" $((SECONDS + soak_s))
        wait "$job"
        status=$?
        verdict "$graph: it ends" "$([ "$status" -le 1 ] || echo "exit status $status, expected 0")"
        grep 'exchanges in' "$scratch/out"
        while read -r law; do # but for ticks that were left when a neighbor stood still at the end
            verdict "$graph" "$(sed -n '/meetings served over ticks/!s/^FAIL *//p' <<<"$law")"
        done < <(grep -E '^(ok|FAIL) ' "$scratch/out")
    done
}

# A part of the name of a test function as argument runs that one only.
for part in training laws; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
