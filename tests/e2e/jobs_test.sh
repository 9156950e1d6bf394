#!/usr/bin/env bash
# Gradients of several workers at once (simulate.jobs) leave every byte of a simulation as it is: of the model, of the
# record, of the event logs, of a run that goes on, and of a failure's message.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/shapes.yaml
cat >"$config" <<'YAML'
data: {name: shapes, train_count: 256, test_count: 32}
model: {name: convnet, width: 8}
graph: {name: ring}
train: {workers: 6, batch: 8, epochs: 2}
run: {log_every: 3, eval_every_epochs: 0.7, record: true, trace: true,
      checkpoint_every_epochs: 0.5, state_every_epochs: 0.5}
YAML

# Simulate: $1 name, $2 jobs, keys.
simulate() {
    local name=$1 jobs=$2
    shift 2
    run_well "$name" 1 simulate "$config" "run.dir=$scratch/$name" "simulate.jobs=$jobs" "$@"
}

# Everything that two runs have left, but for what says when and by which command.
same_run() {
    local file
    for file in "$scratch/$1"/{metrics.jsonl,trace.json,*.safetensors}; do
        cmp "$file" "$scratch/$2/${file##*/}" || return
    done
    for file in "$scratch/$1"/events-*.jsonl; do
        diff <(grep '"event"' "$file") <(grep '"event"' "$scratch/$2/${file##*/}") || return
    done
    same_result "$scratch/$1" "$scratch/$2"
}

compare() {
    local name=$1 jobs
    shift
    simulate "$name-1" 1 "$@"
    for jobs in 2 5; do
        simulate "$name-$jobs" "$jobs" "$@"
        check "$name: $jobs at once are the same bytes" same_run "$name-1" "$name-$jobs"
    done
}

test_bytes() {
    compare acid algorithm.name=acid
    compare gossip algorithm.name=gossip simulate.gradients=regular
    compare complete graph.name=complete communication.rate=3 data.partition=iid
    compare dropout model.name=mlp model.dropout=0.3 run.log_every=1
    compare more-jobs-than-workers train.workers=2
}

test_failure() {
    local jobs
    for jobs in 1 3; do
        run_ranks 1 simulate "$config" "run.dir=$scratch/failure-$jobs" "simulate.jobs=$jobs" model.name=linear \
            model.width=0 optimizer.lr=100 optimizer.clip_norm=0 schedule.warmup_epochs=0 train.epochs=20
        check "$jobs at once: a run that diverges ends" [ "$status" = 2 ]
        grep -o 'gradient [0-9]* of worker [0-9]* is not finite' "$scratch/err" >"$scratch/said-$jobs"
    done
    check "the same gradient is named" cmp "$scratch/said-1" "$scratch/said-3"
    check "one is named" [ -s "$scratch/said-1" ]
}

test_bytes
test_failure
finish
