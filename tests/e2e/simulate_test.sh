#!/usr/bin/env bash
# `grapevine simulate`: the same bytes whatever the machine does, the same model as `train` where they do the same, what
# it writes, what it refuses.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

readonly inspect=tests/e2e/inspect_run.py
config=$scratch/simulate.yaml
cat >"$config" <<'YAML'
seed: 1
data:          {name: shapes, train_count: 192, test_count: 64, augment: true}
model:         {name: convnet, width: 16}
graph:         {name: ring}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: step, warmup_epochs: 0.5}
train:         {workers: 4, batch: 8, epochs: 2}
batch_norm:    {batches: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 2, eval_every_epochs: 1, checkpoint_every_epochs: 1, trace: true, record: true}
YAML

# Simulate: $1 the name of the run and its directory, keys.
simulate() {
    local name=$1
    shift
    run_well "$name" 1 simulate "$config" "run.dir=$scratch/$name" "$@"
}

# $1: name, $2: run directory, $3: a condition in Python on `s`, the summary, `rows`, the lines of metrics.jsonl, and
# `network`, those about the network.
holds() {
    check "$1" "$PYTHON" - "$2" "$3" <<'PYTHON'
import json, math, sys
run, condition = sys.argv[1:]
s = json.load(open(f"{run}/summary.json"))
rows = [json.loads(line) for line in open(f"{run}/metrics.jsonl")]
network = [row for row in rows if row.get("network")]
sys.exit(0 if eval(f"({condition})") else f"not so: {condition}; summary {s}")
PYTHON
}

# shellcheck disable=SC2317  # as of the next ones, called through check
differ() {
    ! cmp -s "$1" "$2"
}

# Two run directories have the same files, with the same bytes: all but the directory's own name, the real time that it
# took, and what is made of these (digests of the configuration, checksums).
# shellcheck disable=SC2317
same_run() {
    local file
    for file in metrics.jsonl trace.json final.safetensors checkpoint-0001.safetensors; do
        cmp "$1/$file" "$2/$file" || return
    done
    diff <(ls "$1") <(ls "$2") || return
    for file in "$1"/events-*.jsonl; do
        diff <(grep '"event"' "$file") <(grep '"event"' "$2/${file##*/}") || return
    done
    diff <(grep -v ' dir: ' "$1/config.yaml") <(grep -v ' dir: ' "$2/config.yaml") || return
    same_result "$1" "$2"
}

# Keep a core busy until its process is ended.
busy() {
    (while :; do :; done) &
    cleanups+=("kill $! 2>/dev/null")
    busy_pids+=($!)
}

test_determinism() {
    local kind busy_pids=()
    local modelled=(simulate.time=modelled simulate.speed_spread=0.3)
    local threads=(device.threads=2 model.name=mlp train.epochs=1.2)
    simulate ideal
    simulate modelled "${modelled[@]}"
    simulate threads "${threads[@]}"
    busy
    OMP_NUM_THREADS=7 simulate ideal-again
    OMP_NUM_THREADS=7 simulate modelled-again "${modelled[@]}"
    OMP_NUM_THREADS=1 simulate threads-again "${threads[@]}"
    kill "${busy_pids[@]}"
    wait "${busy_pids[@]}" 2>/dev/null
    for kind in ideal modelled threads; do
        check "$kind: the same bytes on a busy machine" same_run "$scratch/$kind" "$scratch/$kind-again"
    done
    run_well "its own config.yaml" 1 simulate "$scratch/modelled/config.yaml" "run.dir=$scratch/from-config"
    check "is the same run" same_run "$scratch/modelled" "$scratch/from-config"
    simulate other-seed seed=2
    for file in metrics.jsonl trace.json final.safetensors; do
        check "another seed: another $file" differ "$scratch/ideal/$file" "$scratch/other-seed/$file"
    done
    check "another time: another model" differ "$scratch/ideal/final.safetensors" "$scratch/modelled/final.safetensors"
}

# What every run leaves behind. $1: its directory, $2: its time.
check_record() {
    local run=$1 time=$2
    check "$time: summary" "$PYTHON" $inspect summary "$run" workers=4 total=48 "time=$time" "transport=$time" \
        rate_tolerance=0.5
    check "$time: trace" "$PYTHON" $inspect trace "$run" 4
    check "$time: status" grep -qx '0 done' "$run/status"
    check "$time: model" "$PYTHON" $inspect tensors "$run/final.safetensors"
    holds "$time: virtual time" "$run" \
        's["virtual_time"] > 0 and abs(s["virtual_time"] - rows[-1]["time"]) < 1e-6'
    holds "$time: consensus" "$run" 's["consensus_distance"] > 0 and s["consensus_predicted"] > 0'
    holds "$time: realised graph" "$run" 's["chi1_realised"] >= s["chi2_realised"] > 0'
    holds "$time: lines about the network" "$run" \
        'len(network) == 48 // (2 * 4) + 1 and all(row["consensus_distance"] >= 0 and {"chi1", "chi2",
         "consensus_predicted", "time", "global_step", "epoch"} <= set(row) for row in network)'
    holds "$time: their last is the summary's" "$run" \
        'all(math.isclose(network[-1][key], s[name], rel_tol=1e-5) for key, name in (("chi1", "chi1_realised"),
         ("chi2", "chi2_realised"), ("consensus_distance", "consensus_distance")))'
    holds "$time: lines of every worker, in order of time" "$run" \
        '{row["rank"] for row in rows if "loss" in row} == {0, 1, 2, 3} and
         [row["time"] for row in rows] == sorted(row["time"] for row in rows)'
    holds "$time: tests" "$run" '[row["rank"] for row in rows if "test_loss" in row] == [0, 1, 2, 3, 0]'
}

test_record() {
    local time run
    for time in ideal modelled; do
        run=$scratch/record-$time
        simulate "record-$time" "simulate.time=$time"
        check_record "$run" "$time"
        run_well "$time: eval" 1 eval "$run/final.safetensors" "$run/config.yaml"
        check "$time: eval agrees" "$PYTHON" $inspect eval "$run" "$scratch/out" 0.0001
        run_well "$time: eval of a checkpoint" 1 eval "$run/checkpoint-0001.safetensors" "$run/config.yaml"
    done
}

# One worker has nobody to meet: it does what `train` does, in whatever time.
test_alone() {
    local algorithm simulated
    for algorithm in acid gossip allreduce; do
        run_well "train alone, $algorithm" 1 train "$config" "run.dir=$scratch/train-$algorithm" \
            "algorithm.name=$algorithm"
        for simulated in "ideal regular" "ideal poisson" "modelled regular"; do
            local run="alone-$algorithm-${simulated// /-}"
            simulate "$run" train.workers=1 "algorithm.name=$algorithm" "simulate.time=${simulated% *}" \
                "simulate.gradients=${simulated#* }"
            check "$run is train's model, bit for bit" "$PYTHON" $inspect same_tensors \
                "$scratch/train-$algorithm/final.safetensors" "$scratch/$run/final.safetensors"
            check "$run has train's curve" "$PYTHON" $inspect curves "$scratch/train-$algorithm" "$scratch/$run" 0
        done
    done
}

# All-reduce leaves nothing to the clock: four ranks that add in their order end with the simulator's bits.
test_rounds() {
    run_well "train, all-reduce" 4 train "$config" "run.dir=$scratch/rounds" algorithm.name=allreduce
    simulate rounds-simulated algorithm.name=allreduce
    check "is the simulated model, bit for bit" "$PYTHON" $inspect same_tensors "$scratch/rounds/final.safetensors" \
        "$scratch/rounds-simulated/final.safetensors"
    check "with the same curves" "$PYTHON" $inspect curves "$scratch/rounds" "$scratch/rounds-simulated" 0
}

# Modelled time makes logs as a real run does, and `replay` is a second implementation of what they say.
test_replay() {
    simulate logged simulate.time=modelled
    run_well "replay" 1 replay "$scratch/logged"
    check "agrees" grep -q 'the replay agrees bit for bit: 4 workers, 48 gradients' "$scratch/out"
    simulate logged-trouble simulate.time=modelled simulate.latency_s=0.05 communication.patience_s=0.1 \
        inject.loss=0.2 "inject.pause=1 0.5..1" "inject.slow=0 x3" communication.rate=2
    run_well "replay of trouble" 1 replay "$scratch/logged-trouble"
    check "agrees too" grep -q 'the replay agrees bit for bit: 4 workers' "$scratch/out"
    simulate logged-rounds simulate.time=modelled algorithm.name=allreduce
    run_well "replay of rounds" 1 replay "$scratch/logged-rounds"
    check "agrees as well" grep -q 'the replay agrees bit for bit: 4 workers' "$scratch/out"
}

test_many() {
    local time
    for time in ideal modelled; do
        simulate "many-$time" train.workers=64 graph.name=torus train.epochs=12 train.batch=4 model.name=mlp \
            model.width=8 "simulate.time=$time" run.record=false
        holds "many-$time: everybody takes part" "$scratch/many-$time" \
            's["workers"] == 64 and s["gradients"] == 576 and min(s["gradients_per_worker"]) > 0 and
             len(s["meetings"]) == 64 and all(sum(row) > 0 for row in s["meetings"])'
        holds "many-$time: metrics of each" "$scratch/many-$time" \
            '{row["rank"] for row in rows if "loss" in row} == set(range(64))'
    done
}

test_plan() {
    run_well "a dry run" 1 simulate "$config" --dry-run "run.dir=$scratch/dry" simulate.time=modelled
    check "says what memory it needs" grep -Eq '^memory +[0-9.]+ [KM]iB at the peak:$' "$scratch/out"
    check "of it for workers" grep -Eq '^ +[0-9.]+ [KM]iB +vectors of 4 workers$' "$scratch/out"
    check "of it for exchanges" grep -Eq '^ +[0-9.]+ [KM]iB +snapshots in flight$' "$scratch/out"
    check "what the workers are" grep -Eq '^algorithm +acid on 4 workers$' "$scratch/out"
    check "what they will do" grep -Eq '^steps +48 gradients of 8 pictures by all workers' "$scratch/out"
    check "and in which time" grep -Eq '^simulation +modelled time$' "$scratch/out"
    check "nothing is written" test ! -e "$scratch/dry"
    run_well "a dry run of two" 1 simulate "$config" --dry-run train.workers=2 algorithm.name=allreduce
    check "has no snapshots in flight" test "$(grep -c 'snapshots in flight' "$scratch/out")" = 0
}

test_refusals() {
    local never="run.dir=$scratch/never"
    refuse "no configuration" 1 2 'a configuration file is missing' simulate
    refuse "an unreadable one" 1 2 'never.yaml' simulate "$scratch/never.yaml" "$never"
    refuse "an unknown time" 1 2 'simulate.time' simulate "$config" "$never" simulate.time=real
    refuse "an unknown law" 1 2 'simulate.distribution' simulate "$config" "$never" simulate.distribution=uniform
    refuse "no workers" 1 2 'train.workers' simulate "$config" "$never" train.workers=0
    refuse "a duration that is none" 1 2 'simulate.step_s' simulate "$config" "$never" simulate.step_s=0
    refuse "a mistyped key" 1 2 'simulate.jiter && did you mean' simulate "$config" "$never" simulate.jiter=0.1
    refuse "fewer gradients than workers" 1 2 'train.epochs' simulate "$config" "$never" train.workers=64
    refuse "a graph that cannot be" 1 2 'graph' simulate "$config" "$never" train.workers=6 graph.name=hypercube
    refuse "no such worker" 1 2 'inject.death: "4 at 1" && this run has 4' simulate "$config" "$never" \
        "inject.death=4 at 1"
    refuse "a loss of everything" 1 2 'inject.loss' simulate "$config" "$never" inject.loss=1
    check "nothing was written" test ! -e "$scratch/never"
    refuse "a lost all-reduce" 1 2 'worker 1 has died at 0.3 s' simulate "$config" "run.dir=$scratch/lost" \
        simulate.time=modelled algorithm.name=allreduce "inject.death=1 at 0.3"
    check "its status" grep -qx '2 usage' "$scratch/lost/status"
    refuse "a run without survivors" 1 2 'no worker can go on' simulate "$config" "run.dir=$scratch/dead" \
        simulate.time=modelled "inject.death=all at 0.3"
    check "its status too" grep -qx '2 usage' "$scratch/dead/status"
    refuse "a directory in use" 1 2 'lost' simulate "$config" "run.dir=$scratch/lost"
}

# A part of the name of a test function as argument runs that one only.
for part in determinism record alone rounds replay many plan refusals; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
