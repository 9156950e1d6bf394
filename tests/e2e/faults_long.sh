#!/usr/bin/env bash
# A rank that is stopped for a while (SIGSTOP, as a suspended machine) and goes on: meanwhile the others make gradients
# and meet one another, afterwards it takes part again, and the run can be gone on from. Four ranks, ring and complete
# graph. And one that is killed.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash

readonly STOPPED_S=20 # of one rank
config=$scratch/faults.yaml
cat >"$config" <<'YAML'
seed: 3
data:          {name: shapes, train_count: 1024, test_count: 64, augment: true}
model:         {name: convnet, width: 32}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: 32, epochs: 100000}
device:        {name: cpu, threads: 1}
run:           {log_every: 5, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

test_stopped() {
    local graph run
    for graph in ring complete; do
        run=$scratch/$graph
        start 4 "$run" "graph.name=$graph"
        command_line="train on $graph, a rank stopped"
        stop_a_rank "$run" 8 "$STOPPED_S" 6
        verdict "$graph: it leaves well" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
        "$PYTHON" tests/e2e/inspect_run.py stopped "$run" $stopped_between >"$scratch/judged" 2>&1
        status=$?
        verdict "$graph: the others go on, and it comes back" "$([ "$status" = 0 ] || tail -n 1 "$scratch/judged")"
        cat "$scratch/judged"
        run_well "$graph: it can be gone on from" 4 train "$config" "run.dir=$run" "graph.name=$graph" --resume auto \
            train.epochs="$("$PYTHON" -c 'import json, sys
print(json.loads(open(sys.argv[1]).readlines()[-1])["epoch"] + 20)' "$run/metrics-0.jsonl")"
    done
}

# One is killed: the job ends soon, with what the launcher says, and no rank is left.
test_killed() {
    local run=$scratch/killed words running ranks begin tries
    read -ra words <<<"$launcher -n 4"
    "${words[@]}" "$grapevine" train "$config" "run.dir=$run" graph.name=ring >"$scratch/out" 2>"$scratch/err" \
        </dev/null &
    running=$!
    command_line="train on ring, a rank killed"
    until [ -s "$run/metrics-3.jsonl" ] || ! kill -0 "$running" 2>/dev/null; do sleep 0.05; done
    mapfile -t ranks < <(pgrep -P "$running" -f 'grapevine train')
    begin=$SECONDS
    kill -KILL "${ranks[1]}"
    wait "$running"
    status=$?
    verdict "killed: the job ends, and not well" "$([ "$status" != 0 ] || echo "exit status 0")"
    echo "the job ended $((SECONDS - begin)) s after a rank was killed, with status $status"
    for ((tries = 0; tries < 25; tries++)); do
        pgrep -f "run.dir=$run" >/dev/null || break
        sleep 0.2
    done
    check "no rank is left" test "$tries" -lt 25
}

# A part of the name of a test function as argument runs that one only.
for part in stopped killed; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
