#!/usr/bin/env bash
# Memory: what --dry-run states is what a run takes, a plan takes nothing of what it plans, and a run without memory
# says so: how much, what for, and what to do.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/memory.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: mlp, width: 16}
train:  {batch: 32, epochs: 2}
run:    {log_every: 5, eval_every_epochs: 0}
YAML

# The program on $2 ranks under `ulimit -v $1` (KiB) ends with status 4 and one line that says it, on every rank that
# has none; $3: what the message says. The arguments follow.
run_out_of_memory() {
    local limit=$1 ranks=$2 pattern=$3 words=() wrong=""
    shift 3
    [ "$ranks" = 1 ] || read -ra words <<<"$launcher -n $ranks"
    run_command bash -c 'ulimit -c 0; ulimit -v "$1"; shift; exec "$@"' limited "$limit" "${words[@]}" "$grapevine" "$@"
    [ "$status" = 4 ] || wrong+="exit status $status, expected 4; "
    grep -qE "error: $pattern" "$scratch/err" || wrong+="no message says /$pattern/; "
    ! grep -qE 'core dumped|signal [0-9]|Segmentation fault|Assertion|terminate called|libgomp' "$scratch/err" ||
        wrong+="crashed; "
    verdict "$1 under $limit KiB on $ranks rank(s)" "${wrong%; }"
    rm -rf "$scratch/run"
}

# Whatever the limit, the program ends well or says why not.
never_silent() {
    local limit wrong
    for limit in 80000 100000 150000 290000; do
        run_command bash -c 'ulimit -c 0; ulimit -v "$1"; shift; exec "$@"' limited "$limit" "$grapevine" "$@"
        wrong=""
        [ "$status" = 0 ] || [ "$status" = 4 ] || wrong+="exit status $status; "
        [ "$status" = 0 ] || grep -qE 'error: (out of memory: .* for .*; |cannot start )' "$scratch/err" ||
            wrong+="no message; "
        verdict "$1 under $limit KiB" "${wrong%; }"
        rm -rf "$scratch/run"
    done
}

out_of_memory() {
    local batch="out of memory: .*iB for .*train.batch=20000.*ulimit -v.*lower train.batch.*--dry-run"
    run_out_of_memory 500000 1 "$batch" train "$config" "run.dir=$scratch/run" train.batch=20000 train.epochs=200
    run_out_of_memory 500000 2 "$batch" train "$config" "run.dir=$scratch/run" train.batch=20000 train.epochs=200
    check "a rank other than 0 says it" grep -q 'rank 1. error: out of memory' "$scratch/err"
    run_out_of_memory 300000 1 "$batch" simulate "$config" "run.dir=$scratch/run" train.batch=20000 train.epochs=400
    run_out_of_memory 100000 1 "out of memory: .*iB for starting MPI" train "$config" "run.dir=$scratch/run"
    run_out_of_memory 200000 1 "out of memory: .* for the simulated workers .*\(-n\)" gossip complete -n 4000
    run_out_of_memory 200000 1 "out of memory: .* for the graph .*\(-n\)" graph complete -n 4000
    run_out_of_memory 200000 1 "out of memory: .* for 100000 images of data set shapes" bench data "$config" \
        data.train_count=100000
    run_out_of_memory 300000 1 "cannot start 256 threads \(device.threads=256\)" simulate "$config" device.threads=256
    run_well "a checkpoint" 1 train "$config" "run.dir=$scratch/kept" run.record=true
    run_out_of_memory 200000 1 "out of memory: .* for .*train.batch=30000" eval "$scratch/kept/final.safetensors" \
        "$config" train.batch=30000
    never_silent train "$config" "run.dir=$scratch/run"
    never_silent simulate "$config" "run.dir=$scratch/run" train.workers=2
    never_silent eval "$scratch/kept/final.safetensors" "$config"
    never_silent replay "$scratch/kept"
    never_silent bench data "$config"
    never_silent gossip torus -n 1024
    never_silent graph torus -n 1024
}

out_of_memory
finish
