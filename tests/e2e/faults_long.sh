#!/usr/bin/env bash
# A rank that is stopped for a while (SIGSTOP, as a suspended machine) and goes on: meanwhile the others make gradients
# and meet one another, afterwards it takes part again, and the run can be gone on from. Four ranks, ring and complete
# graph. And one that is killed.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

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

# The others' gradients and meetings per second before and while rank $2 of the run in $1 was stopped, $3 to $4 seconds
# after the start.
judge() {
    "$PYTHON" - "$@" <<'PYTHON'
import json, sys
run, stopped, begin, end = sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:])
def rows(rank):
    return [json.loads(line) for line in open(f"{run}/metrics-{rank}.jsonl")]
def rate(own, key, first, end):
    inside = [row for row in own if first <= row["time"] <= end]
    assert len(inside) > 3, f"{len(inside)} reports between {first:.1f} and {end:.1f} s"
    return (inside[-1][key] - inside[0][key]) / (inside[-1]["time"] - inside[0]["time"])
before, during = [], []
for rank in range(4):
    if rank == stopped:
        continue
    own = rows(rank)
    before.append(rate(own, "step", 1, begin))
    during.append(rate(own, "step", begin + 1, end))
    assert rate(own, "exchanges", begin + 1, end) > 0, f"worker {rank} met nobody meanwhile"
ratio = sum(during) / sum(before)
print(f"gradients of the others while it is stopped, over before: {ratio:.2f}")
assert ratio >= 0.95, f"the others slowed down to {ratio:.2f}"
own = rows(stopped)
after = [row for row in own if row["time"] > end + 1]
assert len(after) > 3, "it made no gradient afterwards"
assert after[-1]["exchanges"] > after[0]["exchanges"], "it met nobody afterwards"
PYTHON
}

test_stopped() {
    local graph run words running begin_s ranks begin end status
    for graph in ring complete; do
        run=$scratch/$graph
        read -ra words <<<"$launcher -n 4"
        "${words[@]}" "$grapevine" train "$config" "run.dir=$run" "graph.name=$graph" >"$scratch/out" \
            2>"$scratch/err" </dev/null &
        running=$!
        command_line="train on $graph, a rank stopped"
        until [ -s "$run/metrics-3.jsonl" ] || ! kill -0 "$running" 2>/dev/null; do sleep 0.05; done
        begin_s=$("$PYTHON" -c 'import json, sys, time
print(time.time() - json.loads(open(sys.argv[1]).readlines()[-1])["time"])' "$run/metrics-3.jsonl")
        sleep 8
        mapfile -t ranks < <(pgrep -P "$running" -f 'grapevine train')
        begin=$("$PYTHON" -c 'import sys, time; print(time.time() - float(sys.argv[1]))' "$begin_s")
        kill -STOP "${ranks[2]}"
        sleep "$STOPPED_S"
        kill -CONT "${ranks[2]}"
        end=$("$PYTHON" -c 'import sys, time; print(time.time() - float(sys.argv[1]))' "$begin_s")
        sleep 6
        kill -TERM "${ranks[0]}"
        wait "$running"
        status=$?
        verdict "$graph: it leaves well" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
        # Which rank was the third of mpirun's children?
        local stopped
        stopped=$("$PYTHON" -c 'import json, sys
begin, end = map(float, sys.argv[2:])
def inside(rank):
    return sum(begin + 1 < json.loads(line)["time"] < end for line in open(f"{sys.argv[1]}/metrics-{rank}.jsonl"))
print(min(range(4), key=inside))' "$run" "$begin" "$end")
        judge "$run" "$stopped" "$begin" "$end" >"$scratch/judged" 2>&1
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
