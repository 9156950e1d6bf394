#!/usr/bin/env bash
# Standard output: what cannot be written ends with an error, whatever the command; a closed one is nobody's file; and
# of several tasks that one launcher has started each speaks, unless they are the ranks of one run.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/output.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: mlp, width: 16}
train:  {workers: 2, batch: 16, epochs: 1}
device: {name: cpu, threads: 1}
run:    {log_every: 4, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

# The program with the arguments, its output to /dev/full.
to_full_disk() {
    run_command bash -c 'exec "$@" >/dev/full' bash "$grapevine" "$@"
    verdict "$* >/dev/full" "$([ "$status" = 4 ] || echo "exit status $status, expected 4")"
    check "$*: one message says so" \
        test "$(grep -c 'error: .*: cannot write to standard output: .*all there' "$scratch/err")" = 1
}

test_full() {
    local run=$scratch/recorded words line
    run_well "a run" 1 simulate "$config" "run.dir=$run" run.record=true simulate.time=modelled
    while read -r line; do
        read -ra words <<<"$line"
        to_full_disk "${words[@]}"
    done <<COMMANDS
--version
--help
config
config seed
config --get run.dir $config
graph ring -n 4
graph ring -n 4 --json
gossip ring -n 4 --time 20
gossip ring -n 4 --time 20 --json
pack --help
doctor
eval $run/final.safetensors $config
replay $run
replay $run --json
bench data $config
train $config --dry-run
simulate $config --dry-run
train $config run.dir=$scratch/full-train
simulate $config run.dir=$scratch/full-simulate
COMMANDS
    for run in "$scratch"/full-*; do
        check "${run##*/}: the run itself is whole" grep -qx '0 done' "$run/status"
    done
}

# A closed output gives its number to no file of the run.
test_closed() {
    run_command bash -c 'exec "$@" >&-' bash "$grapevine" graph ring -n 4
    verdict "graph >&-" "$([ "$status" = 4 ] || echo "exit status $status, expected 4")"
    run_command bash -c 'exec "$@" <&- >&- 2>&-' bash "$grapevine" train "$config" "run.dir=$scratch/closed"
    verdict "train, all closed" "$([ "$status" = 0 ] || echo "exit status $status, expected 0")"
    check "its metrics are its own" "$PYTHON" -c 'import json, sys
for line in open(sys.argv[1]): json.loads(line)' "$scratch/closed/metrics.jsonl"
    check "its model is whole" "$grapevine" eval "$scratch/closed/final.safetensors" "$config"
}

# A reader that has seen enough ends a short command without a word, as it does others.
test_reader() {
    { "$grapevine" config; echo $? >"$scratch/status"; } 2>"$scratch/err" | true
    check "config | true: ends with SIGPIPE, or before" grep -qxE '141|0' "$scratch/status"
    check "no message" test ! -s "$scratch/err"
}

# Independent tasks of one srun: a command without ranks speaks in each of them.
test_tasks() {
    local words line
    while read -r line; do
        read -ra words <<<"$line"
        run_command env SLURM_PROCID=3 SLURM_NTASKS=4 SLURM_JOB_ID=7 "$grapevine" "${words[@]}"
        verdict "$line" "$([ "$status" = 2 ] || [ "$status" = 3 ] || echo "exit status $status, expected 2 or 3")"
        check "$line: a message" grep -q 'grapevine: error: ' "$scratch/err"
    done <<COMMANDS
simulate $config optimizer.lrr=1
eval $scratch/none.safetensors $config
replay $scratch/none
graph rign -n 4
gossip rign -n 4
pack $scratch/none $scratch/pack
bench $config
config foo.bar
trian
--log loud config
COMMANDS
    run_command env SLURM_PROCID=3 "$grapevine" train "$config" optimizer.lrr=1 --dry-run
    check "train: the only rank speaks" grep -q 'error: .*lrr' "$scratch/err"
    refuse "ranks speak once" 2 2 'lrr' train "$config" optimizer.lrr=1
    refuse "about options too" 2 2 'log' --log loud train "$config"
}

# A part of the name of a test function as argument runs that one only.
for part in full closed reader tasks; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
