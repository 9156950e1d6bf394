#!/usr/bin/env bash
# Signals from outside: those that ask a run to leave keep its state, those that were ignored at the start stay ignored,
# and neither a reader of the output that is gone nor a limit on file sizes leaves a run whose status is not right.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash

config=$scratch/signals.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: mlp, width: 16}
train:  {workers: 2, batch: 16, epochs: 2}
device: {name: cpu, threads: 1}
run:    {log_every: 4, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML
readonly endless=train.epochs=100000

# Start command $1 in the run directory $2 in the background: the rest stands before the program.
start_alone() {
    local command=$1 run=$2
    shift 2
    "$@" "$grapevine" "$command" "$config" "run.dir=$run" "$endless" >"$scratch/out" 2>"$scratch/err" </dev/null &
    running=$! command_line="$* grapevine $command run.dir=$run"
}

# The run in $2 was left as asked: $1 name, $3 exit status.
has_left() {
    verdict "$1" "$([ "$3" = 75 ] || echo "exit status $3, expected 75")"
    check "$1: its status" grep -qx '75 requeue' "$2/status"
    check "$1: its state" test -n "$(find "$2" -name 'state-*.safetensors')"
}

test_asking() {
    local signal command run
    for command in train simulate; do
        for signal in HUP XCPU INT; do
            run=$scratch/$command-$signal
            start_alone "$command" "$run" env --default-signal="$signal"
            wait_for_lines "$run" 0 0
            kill -s "$signal" "$running"
            wait "$running"
            has_left "$command, SIG$signal" "$run" $?
        done
    done
    start 2 "$scratch/ranks" "$endless"
    wait_for_lines "$scratch/ranks" 0 0
    send HUP 1 2
    wait "$running"
    has_left "two ranks, SIGHUP to one" "$scratch/ranks" $?
    run_command bash -c "ulimit -S -t 1; exec '$grapevine' train '$config' 'run.dir=$scratch/cpu' $endless"
    has_left "a limit on CPU time" "$scratch/cpu" "$status"
}

test_ignored() {
    local signal lines run=$scratch/ignored
    start_alone train "$run" env --ignore-signal=HUP,INT,TERM,XCPU,USR2
    wait_for_lines "$run" 0 0
    for signal in HUP INT TERM XCPU USR2; do kill -s "$signal" "$running"; done
    lines=$(lines_of "$run" 0)
    wait_for_lines "$run" 0 $((lines + 20))
    check "it goes on" kill -0 "$running"
    kill -USR1 "$running"
    wait "$running"
    has_left "one that is not ignored" "$run" $?
}

# Nobody reads what is printed any more.
test_lost_reader() {
    local run=$scratch/reader fifo=$scratch/fifo
    command_line="train | head -n 1"
    "$grapevine" train "$config" "run.dir=$run" 2>"$scratch/err" | head -n 1 >"$scratch/out"
    status=${PIPESTATUS[0]}
    verdict "train | head" "$([ "$status" = 0 ] || echo "exit status $status, expected 0")"
    check "it has come to its end" grep -qx '0 done' "$run/status"
    check "no message" test ! -s "$scratch/err"
    "$grapevine" simulate "$config" "run.dir=$run-simulated" 2>&1 | true
    check "simulate | true" grep -qx '0 done' "$run-simulated/status"
    mkfifo "$fifo"
    head -c 1 <"$fifo" >"$scratch/out" &
    "$grapevine" train "$config" "run.dir=$run-left" "$endless" >"$fifo" 2>"$scratch/err" &
    running=$!
    wait_for_lines "$run-left" 0 20
    kill -TERM "$running"
    wait "$running"
    has_left "asked to leave when nobody reads" "$run-left" $?
}

test_file_size() {
    local run=$scratch/size
    run_command bash -c "ulimit -f 64; exec '$grapevine' simulate '$config' 'run.dir=$run'"
    verdict "a model that is too large" "$([ "$status" = 4 ] || echo "exit status $status, expected 4")"
    check "what, why, and what to do" \
        grep -q 'error: cannot write .*final.safetensors: File too large; .*ulimit -f' "$scratch/err"
    check "its status" grep -qx '4 machine' "$run/status"
    start_alone train "$run-train" env
    wait_for_lines "$run-train" 0 0
    prlimit --pid "$running" --fsize=65536 # not before: MPI has large files of its own
    kill -TERM "$running"
    wait "$running"
    status=$?
    verdict "a state that is too large" "$([ "$status" = 4 ] || echo "exit status $status, expected 4")"
    check "it is named" grep -q 'error: cannot write .*state-.*File too large' "$scratch/err"
    check "its status" grep -qx '4 machine' "$run-train/status"
    run_command bash -c "ulimit -f 1; '$grapevine' config >'$scratch/keys'"
    verdict "what is printed is too large" "$([ "$status" = 4 ] || echo "exit status $status, expected 4")"
}

# A part of the name of a test function as argument runs that one only.
for part in asking ignored lost_reader file_size; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
