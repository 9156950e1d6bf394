#!/usr/bin/env bash
# Memory: what --dry-run states is what a run takes, a plan takes nothing of what it plans, and a run without memory
# says so: how much, what for, and what to do.
# shellcheck source=tests/script_fixture.bash disable=SC2317,SC2016  # parts are called by name; bash -c expands its own
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

# Whatever the limit, the program ends well or says why not, from where the system can load it at all.
never_silent() {
    local limit wrong
    for limit in 80000 100000 150000 290000; do
        [ "$limit" = 290000 ] || (ulimit -v "$limit" && "$grapevine" --version) >/dev/null 2>&1 || continue
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
    local batch="out of memory: .*iB for .*ulimit -v.*lower train.batch.*--dry-run"
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

# The largest resident memory of the command $2..., on each rank, into files $1.RANK.
cat >"$scratch/peak.py" <<'PYTHON'
import os, resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
open(f"{sys.argv[1]}.{os.environ.get('OMPI_COMM_WORLD_RANK', '0')}", "w").write(str(peak))
sys.exit(status)
PYTHON

# The bytes that --dry-run states ($1: its output) are within a tenth of the largest of the peaks.
cat >"$scratch/compare.py" <<'PYTHON'
import glob, re, sys
number, unit = re.search(r"^memory +([0-9.]+) (\w+)", open(sys.argv[1]).read(), re.M).groups()
stated = float(number) * 1024 ** ["B", "KiB", "MiB", "GiB", "TiB"].index(unit)
peak = max(float(open(path).read()) for path in glob.glob(sys.argv[2] + ".*"))
assert peak > 150 << 20, f"too small to tell: {peak / 2**20:.0f} MiB"
assert abs(stated / peak - 1) < 0.1, f"stated {stated / 2**20:.0f} MiB, seen {peak / 2**20:.0f} MiB"
PYTHON

# What is stated for a run is what it takes: $1 ranks, then the arguments.
state_memory() {
    local ranks=$1 words=()
    shift
    [ "$ranks" = 1 ] || read -ra words <<<"$launcher -n $ranks"
    run_well "$*: the plan" "$ranks" "$@" --dry-run
    mv "$scratch/out" "$scratch/plan"
    run_command "${words[@]}" "$PYTHON" "$scratch/peak.py" "$scratch/seen" "$grapevine" "$@" "run.dir=$scratch/run"
    check "$* runs" test "$status" = 0
    check "$* on $ranks rank(s) takes what its plan states" "$PYTHON" "$scratch/compare.py" "$scratch/plan" \
        "$scratch/seen"
    rm -rf "$scratch/run" "$scratch"/seen.*
}

stated_memory() {
    state_memory 1 train "$config" train.batch=4000 train.epochs=32
    state_memory 1 train "$config" model.name=convnet train.batch=1000 train.epochs=8
    state_memory 1 train "$config" model.name=resnet20 model.width=0 train.batch=128 train.epochs=1 batch_norm.batches=1
    state_memory 1 simulate "$config" model.width=512 train.workers=16
    state_memory 1 simulate "$config" model.width=512 train.workers=16 simulate.time=modelled algorithm.name=acid
    state_memory 2 train "$config" model.width=1024 algorithm.name=acid
    state_memory 2 train "$config" model.width=1024 algorithm.name=allreduce
}

# A plan of what does not fit anywhere, in 500 MB of address space.
plan_takes_nothing() {
    local wrong
    run_command bash -c 'ulimit -v 500000; exec "$@"' limited "$grapevine" simulate "$config" train.workers=100000 \
        model.name=resnet50 model.width=0 train.epochs=200000 --dry-run
    check "100000 workers: a plan" test "$status" = 0
    check "100000 workers: tens of TiB" grep -Eq '^memory +[0-9.]+ TiB at the peak' "$scratch/out"
    check "100000 workers: more than there is" grep -q 'more than this machine has' "$scratch/out"
    run_command bash -c 'ulimit -v 500000; exec "$@"' limited "$grapevine" train "$config" train.batch=100000 \
        train.epochs=10000 --dry-run
    check "a batch of 100000: a plan" test "$status" = 0
    check "a batch of 100000: GiB" grep -Eq '^memory +[0-9.]+ GiB at the peak' "$scratch/out"
    run_command "$grapevine" simulate "$config" "run.dir=$scratch/run" train.workers=100000 model.name=resnet50 \
        model.width=0 train.epochs=200000
    wrong=$([ "$status" = 4 ] && grep -q 'out of memory: this machine has .*TiB for vectors of 100000 workers' \
        "$scratch/err" || echo "it is not refused")
    verdict "100000 workers: not tried" "$wrong"
}

[ "${1:-all}" = stated ] || out_of_memory
stated_memory
plan_takes_nothing
finish
