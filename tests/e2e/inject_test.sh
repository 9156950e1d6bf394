#!/usr/bin/env bash
# Scenarios in real runs of four ranks: slow, paused and dying workers, slow and lossy links, damaged snapshots, and
# texts that say none. Counts and order only, no durations: they hold on a loaded machine too.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/inject.yaml
cat >"$config" <<'YAML'
seed: 1
data:          {name: shapes, train_count: 2000, test_count: 100}
model:         {name: mlp, width: 32}
algorithm:     {name: acid}
graph:         {name: ring}
communication: {rate: 1.0, patience_s: 0.05}
optimizer:     {lr: 0.01}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: 16, epochs: 4}
device:        {name: cpu, threads: 1}
run:           {log_every: 10, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

# A run of four ranks with the arguments $3 ..., into the directory $2, ends well and its counts fit together.
run_injected() {
    local name=$1 run=$2
    shift 2
    run_well "$name" 4 train "$config" "run.dir=$run" "$@"
    check "$name: its record is whole" "$PYTHON" tests/e2e/inspect_run.py summary "$run" workers=4 rate_tolerance=1
}

# $1: name, $2: run directory, $3: a condition in Python on `s`, the summary, and `rows`, the steps in metrics.jsonl.
holds() {
    check "$1" "$PYTHON" - "$2" "$3" <<'PYTHON'
import json, sys
run, condition = sys.argv[1:]
s = json.load(open(f"{run}/summary.json"))
rows = [row for row in map(json.loads, open(f"{run}/metrics.jsonl")) if "loss" in row]
g = s["gradients_per_worker"]
sys.exit(0 if eval(condition) else f"not so: {condition}; gradients {g}, ticks {s['ticks']}, "
         f"unserved {s['ticks_unserved']}, lost {s.get('meetings_lost')}, meetings {s['meetings']}")
PYTHON
}

test_slow() {
    local run=$scratch/slow
    # Gradients that dwarf the rest of a step. A loaded machine alone gives one worker half of another's, not a quarter.
    run_injected "a slow worker" "$run" "inject.slow=0 x16" communication.enforce_rate=false model.name=convnet \
        train.batch=32 train.epochs=2
    holds "makes fewer gradients" "$run" '4 * g[0] < min(g[1:])'
    holds "and that is on record" "$run" 's["injected"] == {"slow": "0 x16"}'
    run_injected "a slow worker, all-reduce" "$scratch/slow-allreduce" "inject.slow=0 x32" algorithm.name=allreduce \
        train.epochs=1
    holds "all wait for it" "$scratch/slow-allreduce" 'len(set(g)) == 1'
    holds "the others are idle while it sleeps" "$scratch/slow-allreduce" 's["idle"][0] < min(s["idle"][1:])'
}

test_pause() {
    local run=$scratch/pause
    run_injected "a paused worker" "$run" "inject.pause=1 0..2"
    check "it says so" grep -q 'rank 1.* stands still until 2 s: injected' "$scratch/err"
    holds "it does nothing in its pause" "$run" 'all(row["time"] >= 2 for row in rows if row["rank"] == 1)'
    holds "the others go on" "$run" '{row["rank"] for row in rows if row["time"] < 2} == {0, 2, 3}'
    run_injected "a paused worker, all-reduce" "$scratch/pause-allreduce" "inject.pause=1 0..1" \
        algorithm.name=allreduce train.epochs=1
    holds "all wait for it" "$scratch/pause-allreduce" 'len(set(g)) == 1 and all(row["time"] >= 1 for row in rows)'
}

test_loss() {
    local run=$scratch/loss
    run_injected "lost meetings" "$run" inject.loss=0.25
    holds "are lost in their share, within 5 standard deviations" "$run" \
        'abs(s["meetings_lost"] - 0.25 * s["ticks"]) <= 5 * (s["ticks"] * 0.25 * 0.75) ** 0.5'
    holds "and that is on record" "$run" 's["injected"] == {"loss": 0.25}'
    run_injected "one lossy link" "$scratch/loss-link" "inject.links=0-1 loss=0.99"
    holds "meets hardly ever, others do" "$scratch/loss-link" \
        '4 * s["meetings"][0][1] < min(s["meetings"][i][j] for i, j in ((1, 2), (2, 3), (3, 0)))'
}

test_links() {
    local run=$scratch/links
    # 2 latencies are above the patience; 400 kB at 10 MB/s are 40 ms.
    run_injected "slow links" "$run" "inject.links=0-1 latency_s=0.1, 2-3 bytes_per_second=1e7" train.epochs=1
    holds "meetings are held over them" "$run" \
        'all(s["meetings"][i][j] > 0 for i, j in ((0, 1), (1, 2), (2, 3), (3, 0)))'
    run_ranks 4 train "$config" "run.dir=$scratch/links-allreduce" "inject.links=0-1 latency_s=1" \
        algorithm.name=allreduce train.epochs=1
    check "all-reduce ignores links and says so" grep -q 'warning: inject.links.*allreduce' "$scratch/err"
}

test_damage() {
    local run=$scratch/damage shares="inject.duplicate=0.1 inject.torn=0.05 inject.corrupt=0.05"
    # shellcheck disable=SC2086  # three arguments
    run_injected "damaged snapshots" "$run" $shares train.epochs=2 communication.chunk_bytes=65536 run.record=true
    holds "are found and sent again" "$run" 's["payloads_damaged"] > 0 and s["payloads_repeated"] > 0'
    holds "and that is on record" "$run" 's["injected"] == {"duplicate": 0.1, "torn": 0.05, "corrupt": 0.05}'
    check "and in the table" grep -q 'damaged snapshots .*none was applied' "$scratch/out"
    run_command "$grapevine" replay "$run"
    check "a replay without any ends in the same bits" grep -q 'agrees bit for bit' "$scratch/out"
    refuse "damage between GPUs" 2 2 'inject\.corrupt && communication\.transport=ipc' train "$config" \
        "run.dir=$scratch/never" inject.corrupt=0.1 communication.transport=ipc
    run_well "damage in a simulation" 1 simulate "$config" "run.dir=$scratch/damage-simulated" inject.corrupt=0.1 \
        train.workers=4 train.epochs=1 simulate.time=modelled
    check "is ignored and says so" grep -q 'warning: inject.duplicate.*ignored' "$scratch/err"
}

test_death() {
    local algorithm
    for algorithm in acid allreduce; do
        run_ranks 4 train "$config" "run.dir=$scratch/death-$algorithm" "inject.death=2 at 0.5" train.epochs=10000 \
            "algorithm.name=$algorithm"
        check "a dead worker ends the job, $algorithm" test "$status" != 0 -a "$status" != 124
        check "and has said why, $algorithm" test \
            "$(grep -c 'rank 2.* dies at 0.5 s: injected (inject.death)' "$scratch/err")" = 1
    done
}

test_texts() {
    local never="run.dir=$scratch/never"
    refuse "a factor that is none" 4 2 'inject\.slow: "0 4" && WORKERS xFACTOR' train "$config" "$never" \
        "inject.slow=0 4"
    refuse "no such worker" 1 2 'inject\.death: "4 at 1" && this run has 1' train "$config" "$never" \
        "inject.death=4 at 1"
    refuse "no such property" 1 2 'inject\.links && did you mean latency_s=' train "$config" "$never" \
        "inject.links=all latenc_s=1"
    refuse "no such link" 4 2 'inject\.links && 0 and 2 are no neighbors' train "$config" "$never" \
        "inject.links=0-2 loss=0.5"
    run_well "a dry run" 4 train "$config" --dry-run "inject.slow=0 x4" inject.loss=0.5
    check "tells what is injected" grep -q '^injected  *slow: 0 x4; loss: 0.5$' "$scratch/out"
}

# A part of the name of a test function as argument runs that one only.
for part in slow pause loss links damage death texts; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
