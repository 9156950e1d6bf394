#!/usr/bin/env bash
# The whole CUDA backend on an emulated GPU (tests/emulator): every operation against float64, whole runs in one process
# and on several ranks, their replays, and what is said where a GPU, memory or a library is missing. The emulator runs
# the streams' work as late as it may, or in a random order: an order that is not asked for is an order that fails.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

emulated=$PWD/$BUILD/emulated
if [ ! -x "$emulated/grapevine" ]; then
    echo "this build has no CUDA: make CUDA=1, where the CUDA Toolkit is"
    exit 77
fi
real=$grapevine
grapevine=$emulated/grapevine
export XDG_CACHE_HOME=$scratch/cache # of measured engines

config=$scratch/gpu.yaml
cat >"$config" <<'YAML'
seed: 1
data:          {name: shapes, train_count: 256, test_count: 64}
model:         {name: convnet}
algorithm:     {name: acid}
graph:         {name: ring}
optimizer:     {lr: 0.5}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: 8, epochs: 1}
device:        {name: cuda}
run:           {log_every: 4, eval_every_epochs: 0, checkpoint_every_epochs: 0, record: true}
YAML

# A value of a run's summary.
summary() {
    "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1] + "/summary.json"))[sys.argv[2]])' "$1" "$2"
}

# $1 and $2 differ by at most $3.
near() {
    "$PYTHON" -c 'import sys; a, b, most = map(float, sys.argv[1:])
sys.exit(0 if abs(a - b) <= most else f"{a} and {b} differ by more than {most}")' "$@"
}

test_operations() {
    run_command env GRAPEVINE_TEST_DEVICE=cuda "$emulated/parity/device_ops_test"
    verdict "operations against float64, streams as late as may be" "$([ "$status" = 0 ] || echo failed)"
    run_command env GRAPEVINE_TEST_DEVICE=cuda GRAPEVINE_EMULATOR_SCHEDULE=random:2 GRAPEVINE_EMULATOR_ORDER=random:3 \
        "$emulated/parity/device_ops_test"
    verdict "operations, streams and threads in a random order" "$([ "$status" = 0 ] || echo failed)"
    run_command env GRAPEVINE_TEST_DEVICE=cuda GRAPEVINE_EMULATOR_NO_GENSTATS=1 GRAPEVINE_EMULATOR_NO_POINTWISE=1 \
        "$emulated/parity/device_ops_test"
    verdict "operations without anything in a convolution's epilogue" "$([ "$status" = 0 ] || echo failed)"
    run_command env GRAPEVINE_TEST_DEVICE=cuda "$emulated/parity/device_loss_test"
    verdict "losses and hits by hand" "$([ "$status" = 0 ] || echo failed)"
    run_command env GRAPEVINE_TEST_DEVICE=cuda "$emulated/parity/device_sizes_test"
    verdict "pictures of several sizes" "$([ "$status" = 0 ] || echo failed)"
    run_command env GRAPEVINE_TEST_DEVICE=cuda "$emulated/parity/device_distances_test"
    verdict "distances and digest" "$([ "$status" = 0 ] || echo failed)"
}

# One process: pictures are made by the host on the CPU, by a kernel on the device; the course must be the same.
test_simulate() {
    local precision
    grapevine=$real run_well "four simulated workers on the CPU" 1 simulate "$config" train.workers=4 device.name=cpu \
        optimizer.lr=0.05 "run.dir=$scratch/on-cpu"
    for precision in fp32 tf32 bf16 fp16; do
        run_well "the same on the device, $precision" 1 simulate "$config" train.workers=4 optimizer.lr=0.05 \
            "device.precision=$precision" "run.dir=$scratch/sim-$precision"
        check "$precision: the loss is the CPU's" near "$(summary "$scratch/sim-$precision" test_loss)" \
            "$(summary "$scratch/on-cpu" test_loss)" 0.05
    done
    check "fp32: it is so to four digits" near "$(summary "$scratch/sim-fp32" test_loss)" \
        "$(summary "$scratch/on-cpu" test_loss)" 0.002
    run_well "again" 1 simulate "$config" train.workers=4 optimizer.lr=0.05 device.precision=bf16 \
        "run.dir=$scratch/again"
    check "the same bytes" cmp "$scratch/sim-bf16/final.safetensors" "$scratch/again/final.safetensors"
    run_well "with states" 1 simulate "$config" train.workers=4 optimizer.lr=0.05 device.precision=bf16 \
        run.state_every_epochs=0.4 run.keep_states=9 "run.dir=$scratch/states"
    check "the same bytes with them" cmp "$scratch/sim-bf16/final.safetensors" "$scratch/states/final.safetensors"
    # As a run that was killed after the first of them.
    mv "$scratch/states/metrics.jsonl" "$scratch/states/metrics-0.jsonl" && echo running >"$scratch/states/status"
    find "$scratch/states" -name 'state-*' | sort | tail -n +2 | xargs rm -f
    run_well "on from a state" 1 simulate "$config" train.workers=4 optimizer.lr=0.05 device.precision=bf16 \
        run.state_every_epochs=0.4 run.keep_states=9 "run.dir=$scratch/states" --resume auto
    check "the same bytes then" cmp "$scratch/sim-bf16/final.safetensors" "$scratch/states/final.safetensors"
    run_well "all-reduce, simulated" 1 simulate "$config" train.workers=2 algorithm.name=allreduce \
        "run.dir=$scratch/sim-allreduce"
    run_well "modelled time" 1 simulate "$config" train.workers=4 simulate.time=modelled "run.dir=$scratch/modelled"
}

# Real ranks: a run and its replay in one process end in the same bits.
test_ranks() {
    local run
    for run in "acid 4 lazy" "gossip 2 lazy" "acid 3 random:5" "allreduce 2 lazy"; do
        read -r algorithm ranks schedule <<<"$run"
        export GRAPEVINE_EMULATOR_SCHEDULE=$schedule
        run_well "$algorithm on $ranks ranks, streams $schedule" "$ranks" train "$config" "algorithm.name=$algorithm" \
            graph.name=complete "run.dir=$scratch/$algorithm-$ranks"
        run_command "$grapevine" replay "$scratch/$algorithm-$ranks"
        verdict "its replay" "$(grep -q 'agrees bit for bit' "$scratch/out" || echo 'does not agree bit for bit')"
        unset GRAPEVINE_EMULATOR_SCHEDULE
    done
    run_well "damaged snapshots" 3 train "$config" communication.chunk_bytes=65536 inject.duplicate=0.2 \
        inject.torn=0.1 inject.corrupt=0.3 "run.dir=$scratch/damaged"
    check "are sent again" [ "$(summary "$scratch/damaged" payloads_repeated)" -gt 0 ]
    check "and not from GPU to GPU" [ "$(summary "$scratch/damaged" transport)" = put ]
    run_command "$grapevine" replay "$scratch/damaged"
    verdict "its replay" "$(grep -q 'agrees bit for bit' "$scratch/out" || echo 'does not agree bit for bit')"
    run_well "snapshots from GPU to GPU by MPI" 3 train "$config" communication.transport=cuda "run.dir=$scratch/cuda"
    check "by that way" [ "$(summary "$scratch/cuda" transport)" = cuda ]
    run_command "$grapevine" replay "$scratch/cuda"
    verdict "their replay" "$(grep -q 'agrees bit for bit' "$scratch/out" || echo 'does not agree bit for bit')"
    run_well "one rank runs ahead of its results" 1 train "$config" "run.dir=$scratch/alone"
    run_well "all-reduce among the devices" 2 train "$config" algorithm.name=allreduce run.record=false \
        "run.dir=$scratch/nccl"
    check "by NCCL" [ "$(summary "$scratch/nccl" transport)" = nccl ]
    check "as good as through MPI" near "$(summary "$scratch/nccl" test_loss)" \
        "$(summary "$scratch/allreduce-2" test_loss)" 1e-4
    GRAPEVINE_EMULATOR_NCCL_REFUSE=1 run_well "two ranks on one GPU, which NCCL refuses" 2 train "$config" \
        algorithm.name=allreduce run.record=false "run.dir=$scratch/refused"
    check "then through MPI" [ "$(summary "$scratch/refused" transport)" = allreduce ]
    GRAPEVINE_EMULATOR_DEVICES=2 run_well "two GPUs, three ranks" 3 train "$config" graph.name=ring \
        "run.dir=$scratch/two-gpus"
}

# Photographs that grow: another network on the device, with the results that were still to come of the one before.
test_sizes() {
    local run keys=(data.name=photos "data.path=$scratch" data.train_count=0 data.test_count=0 data.size=32-64
        train.batch=2 train.epochs=1.5 run.log_every=3)
    "$PYTHON" tests/e2e/draw_photos.py "$scratch/photos/train" 3 4
    "$PYTHON" tests/e2e/draw_photos.py "$scratch/photos/val" 3 2 2
    for run in "acid 2 bf16" "allreduce 2 fp16" "acid 1 fp32"; do
        read -r algorithm ranks precision <<<"$run"
        run_well "pictures that grow: $run" "$ranks" train "$config" "${keys[@]}" "algorithm.name=$algorithm" \
            "device.precision=$precision" "run.dir=$scratch/grown-$algorithm-$ranks"
        run_command "$grapevine" replay "$scratch/grown-$algorithm-$ranks"
        verdict "its replay" "$(grep -q 'agrees bit for bit' "$scratch/out" || echo 'does not agree bit for bit')"
    done
}

# States that are kept while training goes on, and gradients that are not numbers, on the device.
test_states() {
    local run=$scratch/kept
    run_well "one rank, with states" 1 train "$config" run.record=false run.state_every_epochs=0.4 run.keep_states=9 \
        "run.dir=$run"
    cp "$run/final.safetensors" "$scratch/kept.safetensors"
    # As if it had been killed after the first of them.
    mv "$run/metrics.jsonl" "$run/metrics-0.jsonl" && echo running >"$run/status"
    find "$run" -name 'state-*' | sort | tail -n +2 | xargs rm -f
    run_well "on from a state" 1 train "$config" run.record=false run.state_every_epochs=0.4 run.keep_states=9 \
        "run.dir=$run" --resume auto
    check "it went on" grep -q 'goes on from' "$scratch/err"
    check "the same bytes" cmp "$scratch/kept.safetensors" "$run/final.safetensors"
    run_well "three ranks that meet, with states" 3 train "$config" run.record=false run.state_every_epochs=0.4 \
        run.keep_states=9 "run.dir=$scratch/three"
    check "states of all ranks are there" test "$(find "$scratch/three" -name 'state-*-of-3.safetensors' |
        sed 's/-rank.*//' | sort | uniq -c | awk '$1 == 3' | wc -l)" -ge 1
    run_well "gradients that are not numbers" 2 train "$config" run.record=false train.on_nan=rejoin \
        'inject.nan=1 0..0.5' "run.dir=$scratch/nan"
    check "they are left out" grep -q 'is not finite: it is left out' "$scratch/err"
    check "a neighbor's model is taken over" grep -q 'worker 1 takes over the model of worker 0' "$scratch/err"
}

test_errors() {
    grapevine=$real
    if [ ! -e /dev/nvidiactl ]; then
        refuse "no driver" 1 4 'no NVIDIA driver && device.name=cpu' train "$config" "run.dir=$scratch/e1"
        run_well "auto takes the CPU then" 1 train "$config" device.name=auto "run.dir=$scratch/auto"
        run_command "$grapevine" doctor
        verdict "doctor says so" "$(grep -q '^device cuda .*no NVIDIA driver' "$scratch/out" || echo 'it does not')"
    fi
    grapevine=$emulated/grapevine
    GRAPEVINE_EMULATOR_DEVICES=0 refuse "no GPU" 1 4 'no NVIDIA (GPU|driver) && device.name=cpu' train "$config" \
        "run.dir=$scratch/e2"
    GRAPEVINE_EMULATOR_CAPABILITY=7.5 refuse "a GPU that is too old" 1 4 '7\.5, and 8\.0' train "$config" \
        "run.dir=$scratch/e3"
    GRAPEVINE_EMULATOR_MEMORY_MIB=34 refuse "too little memory" 1 4 'needs .* of GPU memory, and .* are free' train \
        "$config" "run.dir=$scratch/e4"
    refuse "an unknown precision" 1 2 'device.precision && bf16' train "$config" device.precision=int8
    refuse "a model that needs fp32" 1 2 'fp32 only' train "$config" data.name=gaussian model.name=quadratic \
        device.precision=bf16 "run.dir=$scratch/e5"
    GRAPEVINE_CUDA_CHECK=1 run_well "every operation waited for" 1 train "$config" train.epochs=0.2 \
        "run.dir=$scratch/checked"
    run_command "$grapevine" doctor
    verdict "doctor lists the GPUs" "$(grep -q '^device cuda .*GPU 0: ' "$scratch/out" || echo 'it does not')"
    verdict "and what MPI says" "$(grep -q '^GPU memory .*known to this MPI' "$scratch/out" || echo 'it does not')"
}

# A part of the name of a test function as argument runs that one only.
for part in operations simulate ranks sizes states errors; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
