#!/usr/bin/env bash
# Input that means harm, and a disk that fails in mid-run: numbers without bounds, names with line breaks, links planted
# in the run directory, files that claim more than they have, never end or shrink while they are read. The run goes on
# where it can and says what it lacks, or ends with one message; nothing outside of the run directory is touched.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/base.yaml
cat >"$config" <<'YAML'
data: {name: shapes, train_count: 512, test_count: 64}
model: {name: mlp, width: 16}
train: {batch: 32, epochs: 2}
run: {log_every: 5, eval_every_epochs: 0}
YAML

# Run the program in the background; leaves $pid. await_end leaves $status as run_command does.
begin() {
    command_line=$*
    "$grapevine" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null &
    pid=$!
}

await_end() {
    local tries
    for ((tries = 0; tries < 10 * limit_s; tries++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
    status=$?
}

# Wait until the command succeeds, while the program runs.
await() {
    until "$@" >/dev/null 2>&1; do
        kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.01
    done
}

test_numbers() {
    local never="run.dir=$scratch/never" value
    for value in optimizer.lr=.nan train.epochs=.inf train.batch=1e30 seed=18446744073709551616 optimizer.lr=1e400 \
        inject.corrupt=nan 'schedule.milestones=[.nan]' data.train_count=1000000000000; do
        refuse "$value" 1 2 "${value%%=*}" train "$config" "$never" "$value"
    done
    # Periods too short to be counted in.
    run_well "a test after every gradient" 1 train "$config" "run.dir=$scratch/often" run.eval_every_epochs=1e-300 \
        run.checkpoint_every_epochs=1e-17 train.epochs=0.5
    check "comes after every gradient" test "$(grep -c test_loss "$scratch/often/metrics.jsonl")" = 8
    run_well "simulated too" 1 simulate "$config" "run.dir=$scratch/often-simulated" run.eval_every_epochs=1e-300 \
        train.workers=2 train.epochs=0.5
}

test_names() {
    local odd=$'a b\n"c" #d: {e}' run
    run=$scratch/$odd
    mkdir "$run" && cp "$config" "$run/in.yaml"
    printf '0 1\n1 2\n2 0\n' >"$run/edges.txt"
    # In YAML's quotes a line break is \n.
    run_well "names with quotes and line breaks" 1 simulate "$run/in.yaml" train.workers=3 \
        "run.dir=\"$scratch/a b\\n\\\"c\\\" #d: {e}/run\"" "graph.file=\"$scratch/a b\\n\\\"c\\\" #d: {e}/edges.txt\""
    check "stand in its configuration" test -s "$run/run/config.yaml"
    run_well "which can be read again" 1 eval "$run/run/final.safetensors" "$run/run/config.yaml" train.workers=3
    refuse "a line break in a message" 3 2 'graph.file = no\?such\?\[31mfile: ' train "$config" \
        "run.dir=$scratch/never" 'graph.file="no\nsuch\e[31mfile"'
}

test_links() {
    local secret=$scratch/secret run=$scratch/linked name
    seq 100000 >"$secret"
    cp "$secret" "$scratch/copy"
    (umask 000 && exec "$grapevine" train "$config" "run.dir=$run" run.trace=true "inject.pause=0 0..1" \
        >"$scratch/out" 2>"$scratch/err") &
    pid=$!
    await test -e "$run/metrics-0.jsonl"
    for name in final.safetensors summary.json metrics.jsonl status trace.json trace-0.part; do
        ln -sf "$secret" "$run/$name"
    done
    await_end
    check "a run among planted links" test "$status" = 0
    for name in final.safetensors summary.json metrics.jsonl status trace.json; do
        check "$name is a file of its own" test -f "$run/$name" -a ! -L "$run/$name"
    done
    check "with umask 000 it is not everybody's to change" test -z "$(find "$run" -perm -o+w ! -type l)"
    begin simulate "$config" "run.dir=$run-state" run.state_every_epochs=1 train.workers=2 train.epochs=2000
    await compgen -G "$run-state/state-*.safetensors"
    kill -TERM "$pid"
    await_end
    check "a simulation to go on with" test "$status" = 75
    ln -sf "$secret" "$run-state/metrics-0.jsonl"
    refuse "metrics that are a link" 1 3 'metrics-0.jsonl' simulate "$config" "run.dir=$run-state" \
        run.state_every_epochs=1 train.workers=2 train.epochs=2000 --resume auto
    check "what the links name is as it was" cmp "$secret" "$scratch/copy"
}

# A safetensors file $1: the header says that fc1.weight has 10 GB; no byte of them is there.
claim() {
    local header='{"fc1.weight":{"dtype":"F32","shape":[16,156250000],"data_offsets":[0,10000000000]}}'
    # shellcheck disable=SC2059  # the length is the format: eight bytes, the lowest first
    { printf "\\x$(printf %x ${#header})\0\0\0\0\0\0\0" && printf %s "$header"; } >"$1"
}

test_claims() {
    local file=$scratch/claims.safetensors
    claim "$file"
    grapevine=$scratch/little # a program with little memory
    printf '#!/bin/sh\nulimit -v 6000000 && exec "%s" "$@"\n' "$PWD/$BUILD/grapevine" >"$grapevine"
    chmod +x "$grapevine"
    refuse "10 GB that are not there" 1 3 'fc1.weight && 10000000000' eval "$file" "$config"
    truncate -s +10000000000 "$file" # a hole
    refuse "10 GB of another model" 1 3 'claims.safetensors && mlp' eval "$file" "$config"
    refuse "as a start" 1 3 'claims.safetensors && mlp' train "$config" "run.dir=$scratch/never" "model.init=$file"
    grapevine=$PWD/$BUILD/grapevine
    mkfifo "$scratch/pipe.safetensors"
    refuse "a checkpoint from a pipe" 1 3 'pipe.safetensors && not a file' eval "$scratch/pipe.safetensors" "$config"
    refuse "an endless configuration" 1 2 '/dev/zero' train /dev/zero
    refuse "an endless edge list" 3 2 '/dev/zero && not a file' train "$config" "run.dir=$scratch/never" \
        graph.file=/dev/zero
}

test_shrinking_data() {
    local folder=$scratch/data/cifar-10-batches-bin k wrong
    local arguments=(train "$config" data.name=cifar10 "data.path=$scratch/data" data.train_count=0 data.test_count=0)
    mkdir -p "$folder"
    for k in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
        truncate -s $((3073 * 100)) "$folder/$k.bin"
    done
    begin "${arguments[@]}" "run.dir=$scratch/shrinks" "inject.pause=0 0..0.5"
    await test -e "$scratch/shrinks/metrics-0.jsonl"
    truncate -s 100 "$folder"/*.bin
    await_end
    check "data that shrink once they are read" test "$status" = 0
    # While they are read, or just before or after: the reader is faster on some machines.
    for k in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
        truncate -s $((3073 * 20000)) "$folder/$k.bin"
    done
    begin "${arguments[@]}" "run.dir=$scratch/shrinks-2" train.epochs=0.01
    await bash -c "ls -l /proc/$pid/fd | grep -q data_batch_"
    truncate -s 100 "$folder"/*.bin
    await_end
    wrong="exit status $status, expected 3 and one message, or 0"
    [ "$status" = 0 ] && wrong=""
    [ "$status" = 3 ] && [ "$(grep -c 'error: .*_batch.*\.bin' "$scratch/err")" = 1 ] && wrong=""
    verdict "data that shrink while they are read" "$wrong"
}

test_full_disk() {
    local reason disk=$scratch/disk states
    if ! reason=$(mount_small "$disk" 1024); then
        skip "a disk that fills up" "$reason"
        return
    fi
    cleanups+=("umount -l '$disk'")
    begin train "$config" "run.dir=$disk/run" "inject.pause=0 0..0.5" "inject.slow=0 x100" train.epochs=4 \
        run.checkpoint_every_epochs=1
    await test -e "$disk/run/metrics-0.jsonl"
    head -c 2000000 /dev/zero >"$disk/filler" 2>/dev/null
    await grep -q 'warning: .*checkpoint-' "$scratch/err"
    rm "$disk/filler"
    await_end
    check "a disk that is full for a while" test "$status" = 0
    check "the metrics that are missing" grep -q "warning: cannot write $disk/run/metrics-0.jsonl: No space" \
        "$scratch/err"
    check "the checkpoint that is missing" grep -q 'checkpoint-.*No space.*the run goes on without it' "$scratch/err"
    check "no error" test -z "$(grep 'error: ' "$scratch/err")"
    check "the rest is there" test -s "$disk/run/final.safetensors" -a -s "$disk/run/summary.json"
    rm -rf "${disk:?}"/*
    # One state of two workers (590 kB) and the model find room, two states do not.
    run_well "no room for a second state" 1 simulate "$config" "run.dir=$disk/run" run.state_every_epochs=1 \
        train.workers=2 train.epochs=3 algorithm.name=gossip
    check "says so" grep -q 'warning: cannot write .*/state-.*No space.*goes on without it' "$scratch/err"
    states=$(cd "$disk/run" && ls state-*)
    check "the first one stays" test "$states" = state-000000000016.safetensors
}

# A part of the name of a test function as argument runs that one only.
for part in numbers names links claims shrinking_data full_disk; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
