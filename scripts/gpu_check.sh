#!/usr/bin/env bash
# Builds Grapevine on a machine with a GPU, checks it there and measures it beside PyTorch, in stages that each leave
# their result: one that fails stops no other, unless that needs what it makes.
#
#   scripts/gpu_check.sh [--stage NAME]... [DIR]    all stages, or those named; DIR (default runs/gpu-check)
#   scripts/gpu_check.sh --list                     the stages, and about how long they take; "step" is all step-*
#
# In DIR: NAME.log, NAME.stage (verdict, exit status, seconds, reason), NAME.figures, and of all stages figures.txt
# (name, median with least and largest, goal, met or not, GPU, driver, date) and summary.txt, which is printed last.
#
#   BUILD, PYTHON            build folder (build); a python3, with PyTorch for the comparisons
#   CUDA_ARCHITECTURES       of the machine code (default: this GPU's)
#   GRAPEVINE_PREFIX         what scripts/gpu_prefix.sh made, folder or archive, where libraries cannot be installed
#   GRAPEVINE_DATA           where CIFAR-10 is (scripts/get_data.sh); without it `shapes` stands in, and no table
#   GRAPEVINE_PHOTOS         a folder of class folders with photographs; without it the stage photos is left out
#   GRAPEVINE_GPU_MINUTES    for all stages together: what would not fit is left out (default: no limit)
#   GRAPEVINE_GPU_ROUNDS     repeats of every measurement (default 5; exchanges 3)
#   GRAPEVINE_GPU_TRANSPORT  how the stage exchange sends snapshots: communication.transport (default auto)
#   GRAPEVINE_GPU_BUILD=emulated    the emulated GPU, tiny sizes: to try this script; the figures mean nothing
#   GRAPEVINE_GPU_TABLE_WORKERS, _ARMS, _EPOCHS, _SEEDS    of the stage table (4 16 64; all four; 10; 1)
# Measured choices and compiled code are kept in BUILD/gpu-cache. The GPU's settings are left alone.
# Exit status: 0 every stage passed or was left out, 1 one failed, 2 wrong usage, 4 there is no GPU.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 4
export LC_ALL=C

build=${BUILD:-build} python=${PYTHON:-python3} kind=${GRAPEVINE_GPU_BUILD:-real}
original_path=${LD_LIBRARY_PATH:-}
nvcc=$(PATH=$PATH:/usr/local/cuda/bin command -v nvcc)
cuda_home=${CUDA_HOME:-$(dirname "$(dirname "$(realpath -m "${nvcc:-/usr/local/cuda/bin/nvcc}")")")}
readonly build python kind original_path nvcc cuda_home

# name | files that must be there | seconds that it takes, about | its limit in seconds | what it does
stages() {
    local program=$build/grapevine bench=$build/tests/gpu/bench
    if [ "$kind" = emulated ]; then
        program=$build/emulated/grapevine bench=$build/emulated/bench
    fi
    cat <<STAGES
machine||10|60|what is here
build|$nvcc|120|580|the program, its tests and benchmarks; doctor
torch||300|590|PyTorch's compiled steps into the cache; by name only: may run beside build
parity|$bench/gpu_step_bench|90|400|kernels bit for bit, operations and a whole network against the CPU
sanitizer|$bench/gpu_step_bench|120|500|kernel tests under compute-sanitizer: memcheck, racecheck
vectors|$bench/gpu_vector_bench|20|120|passes over vectors beside a copy
step-128|$bench/gpu_step_bench|180|580|ResNet-18, CIFAR, batch 128, beside PyTorch
step-512|$bench/gpu_step_bench|180|580|the same, batch 512
step-resnet50|$bench/gpu_step_bench|300|590|ResNet-50, ImageNet shapes, batch 128, beside PyTorch
train|$program|40|200|one worker from start to end
exchange|$program|240|580|two ranks on one GPU, with and without exchanges
transports|$program|60|400|two ranks by each way of snapshots, and their replays: the same bits
memory|$program|40|200|64 virtual workers: the GPU's memory
determinism|$program|60|300|the same seed twice
photos|$program|120|500|ResNet-50 on photographs: how fast they are made, and whether the GPU waits for them
table|$program|120|550|the arms of the CIFAR-10 table, simulated; goes on where it stopped
STAGES
}

# Field $2 (from 1) of stage $1.
stage_field() {
    stages | awk -F'|' -v name="$1" -v field="$2" '$1 == name { print $field }'
}

has_gpu() {
    [ "$kind" = emulated ] || [ -e /dev/nvidia0 ] || nvidia-smi -L 2>/dev/null | grep -q '^GPU '
}

# "NVIDIA H100 80GB HBM3 | 580.159.04"
gpu_and_driver() {
    if [ "$kind" = emulated ]; then
        echo "emulated | -"
    else
        nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null | sed -n '1s/, */ | /p' | grep . ||
            echo "no GPU | -"
    fi
}

# --- where things are: for the stages, not for what is measured beside us ---

# Folders in which Python's packages keep the parts of CUDA: .../site-packages/nvidia/*
nvidia_packages() {
    "$python" -c 'import glob, importlib.util as u
spec = u.find_spec("nvidia")
print("\n".join(d for p in (spec.submodule_search_locations if spec else []) for d in sorted(glob.glob(p + "/*"))))' \
        2>/dev/null || true
}

# The folder of header $1: the toolkit's, the system's or a Python package's.
header_folder() {
    local folder
    for folder in "$cuda_home"/include $(nvidia_packages | sed 's/$/\/include/') /usr/include{,/x86_64-linux-gnu}; do
        [ ! -r "$folder/$1" ] || { echo "$folder" && return; }
    done
}

# The archive $1 into folder $2, unless that is newer. Python has xz where the system may not.
unpack_prefix() {
    [ "$2/environment" -nt "$1" ] && return
    rm -rf "$2" && mkdir -p "$2" || return
    "$python" -m tarfile -e "$1" "$2" || tar -xf "$1" -C "$2" || return
    touch "$2/environment"
}

use_prefix() {
    local prefix=${GRAPEVINE_PREFIX:-}
    [ -n "$prefix" ] || return 0
    if [ -f "$prefix" ]; then
        unpack_prefix "$prefix" "$build/gpu-prefix" || return 4
        prefix=$build/gpu-prefix
    fi
    GRAPEVINE_PREFIX=$(realpath "$prefix")
    export GRAPEVINE_PREFIX
    # shellcheck source=/dev/null
    . "$GRAPEVINE_PREFIX/environment"
}

# Headers and libraries of CUDA that the toolkit lacks come from Python's packages; caches stay in the build folder.
use_cuda() {
    local header folder libraries=""
    for header in nccl.h cublas_v2.h; do
        folder=$(header_folder $header)
        [ -z "$folder" ] || [ "$folder" = "$cuda_home/include" ] || [ "$folder" = /usr/include ] ||
            export CPPFLAGS="-isystem $folder ${CPPFLAGS:-}"
    done
    cudnn_include=$(header_folder cudnn_backend.h)
    [[ $cudnn_include != */site-packages/* && $cudnn_include != */dist-packages/* ]] ||
        libraries=${cudnn_include%/include}/lib:
    libraries+=$cuda_home/lib64:$(nvidia_packages | sed 's/$/\/lib/' | paste -sd :)
    export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
    mkdir -p "$build/gpu-cache"
    cache=$(realpath "$build/gpu-cache")
    export XDG_CACHE_HOME=$cache TORCHINDUCTOR_CACHE_DIR=$cache/inductor TRITON_CACHE_DIR=$cache/triton
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OPENBLAS_NUM_THREADS=1
}

# What differs between a GPU and its emulator.
choose_sizes() {
    program=$build/grapevine tests=$build/tests/gpu/parity bench=$build/tests/gpu/bench
    rounds=${GRAPEVINE_GPU_ROUNDS:-5} model=resnet18 pictures=50000 batches="128 512" log_every=20 epochs=8
    memory_workers=64 few_epochs=0.5
    data=shapes
    [ ! -d "${GRAPEVINE_DATA:-/nowhere}/cifar-10-batches-bin" ] || data=cifar10
    if [ "$kind" = emulated ]; then
        program=$build/emulated/grapevine tests=$build/emulated/parity bench=$build/emulated/bench
        rounds=2 model=convnet pictures=64 batches=8 log_every=2 epochs=2 memory_workers=4 few_epochs=2 data=shapes
    fi
    exchange_rounds=${GRAPEVINE_GPU_ROUNDS:-$((rounds < 3 ? rounds : 3))}
}

# --- the stages ---

stage_machine() {
    nvidia-smi || true
    nvidia-smi --query-gpu=name,compute_cap,memory.total,driver_version,clocks.max.sm,pcie.link.gen.max,power.limit \
        --format=csv || true
    scripts/machine.sh
    uname -srm
    echo "nvcc: $("${nvcc:-nvcc}" --version 2>&1 | sed -n 's/.*release/release/p')"
    echo "cc: $(${CC:-cc} --version 2>&1 | head -n 1); make: $(make --version 2>&1 | head -n 1)"
    echo "mpirun: $(mpirun --version 2>&1 | head -n 1)"
    echo "cudnn_backend.h in: ${cudnn_include:-nowhere}; nccl.h in: $(header_folder nccl.h)"
    # shellcheck disable=SC2016  # not the shell's
    in_python -c 'import torch; print("PyTorch", torch.__version__, "cuDNN", torch.backends.cudnn.version(), "GPU",
torch.cuda.is_available())' || true
    df -h /dev/shm "$build"
}

# PyTorch finds its own libraries: ours are not for it.
in_python() {
    env LD_LIBRARY_PATH="$original_path" "$python" "$@"
}

architectures() {
    nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | tr -d . | grep -x '[0-9]*' | sort -un |
        paste -sd ' ' | grep . || echo 90
}

stage_build() {
    local targets=(all gpu-tests gpu-bench) arguments=(CUDA=1 "BUILD=$build" "CUDA_HOME=$cuda_home") test
    arguments+=("CUDA_ARCHITECTURES=${CUDA_ARCHITECTURES:-$(architectures)}")
    [ -z "$cudnn_include" ] || arguments+=("CUDNN_INCLUDE=$cudnn_include")
    if [ "$kind" = emulated ]; then
        targets=(all emulated-bench "$build/emulated/grapevine")
        for test in tests/parity/{cuda,device}_*_test.c; do
            test=${test#tests/} && targets+=("$build/emulated/${test%.c}")
        done
    fi
    make -j"$(getconf _NPROCESSORS_ONLN)" "${arguments[@]}" "${targets[@]}" || return
    "$program" --version && "$program" doctor
}

stage_torch() {
    local status=0
    in_python tests/bench/gpu_step_torch.py resnet18 128 --warm compile || status=$?
    in_python tests/bench/gpu_step_torch.py resnet18 512 --warm compile || status=$?
    in_python tests/bench/gpu_step_torch.py resnet50 128 --size 224 --classes 1000 --warm compile || status=$?
    return "$status"
}

stage_parity() {
    local status=0
    TIME_LIMIT_S=180 GRAPEVINE_TEST_DEVICE=cuda PYTHON=$python scripts/run_tests.sh "$tests"/*_test || status=$?
    [ "$kind" != emulated ] || model=resnet20
    "$bench/gpu_step_bench" --model "$model" --batch $((kind_is_real ? 32 : 4)) --precision fp32 --pictures 512 \
        --rounds 1 --steps $((kind_is_real ? 20 : 1)) --label parity | grep -v '^figure' || status=$?
    return "$status"
}

stage_sanitizer() {
    local sanitizer tool test status worst=0 scratch
    sanitizer=$(PATH=$PATH:$cuda_home/bin:$cuda_home/compute-sanitizer command -v compute-sanitizer)
    if [ "$kind" = emulated ] || [ -z "$sanitizer" ]; then
        echo "there is no compute-sanitizer, or no GPU for it" && return 77
    fi
    scratch=$(mktemp)
    for tool in memcheck racecheck; do
        for test in "$tests"/cuda_*_test; do
            status=0 SECONDS=0
            timeout --kill-after=10 150 "$sanitizer" --tool "$tool" --report-api-errors no --error-exitcode 99 "$test" \
                >"$scratch" 2>&1 || status=$?
            if grep -q 'Device not supported' "$scratch"; then
                echo "compute-sanitizer does not support this device" && return 77
            fi
            echo "$tool, ${test##*/}: status $status, $SECONDS s, $(grep -E 'SUMMARY' "$scratch" | tail -n 1)"
            [ "$status" = 0 ] || { worst=1 && grep -E '=========|FAILED' "$scratch" | head -n 60; }
        done
    done
    rm -f "$scratch"
    return "$worst"
}

stage_vectors() {
    if [ "$kind" = emulated ]; then
        "$bench/gpu_vector_bench" --model convnet --rounds 2 --passes 2
    else
        "$bench/gpu_vector_bench"
    fi
}

# What starts PyTorch for gpu_step_bench; it is asked first whether it is there at all.
torch_option() {
    in_python -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null || return 0
    printf '%s\n' --torch "exec env LD_LIBRARY_PATH=$original_path $python tests/bench/gpu_step_torch.py $*"
}

# A step at batch $1; the rest: goals and what else differs.
bench_step() {
    local batch=$1 torch=()
    shift
    mapfile -t torch < <(torch_option "$model" "$batch" "${torch_shape[@]}")
    if [ "$kind" = emulated ]; then
        "$bench/gpu_step_bench" "$@" --label "$label" --model convnet --batch 8 --data shapes --pictures 64 --steps 2 \
            --rounds 2
    else
        "$bench/gpu_step_bench" --label "$label" --model "$model" --batch "$batch" --rounds "$rounds" \
            --limit "$((limit - 60))" "${torch[@]}" "$@"
    fi
}

stage_step-128() {
    bench_step 128 --data "$data" --pictures "$pictures" --goal-eager 2.5 --goal-compile 1.3
}

stage_step-512() {
    bench_step 512 --data "$data" --pictures "$pictures" --goal-eager 1.6
}

stage_step-resnet50() {
    model=resnet50 torch_shape=(--size 224 --classes 1000)
    bench_step 128 --data noise --pictures 1024 --size 224 --classes 1000 --seconds 3 --goal-compile 1.1 \
        --compile-limit 400
}

# A configuration in file $1 for batch $2: $3 epochs over all workers.
write_config() {
    local count=$pictures
    [ "$data" = shapes ] || count=0
    cat >"$1" <<CONFIG
seed: 1
data:          {name: $data, train_count: $count, test_count: 2000}
model:         {name: $model}
algorithm:     {name: acid}
graph:         {name: ring}
schedule:      {name: constant, warmup_epochs: 0}
optimizer:     {lr: 0.05, lr_per_samples: 0}
train:         {batch: $2, epochs: $3}
device:        {name: cuda}
run:           {log_every: $log_every, eval_every_epochs: 0, checkpoint_every_epochs: 0}
CONFIG
}

stage_train() {
    local batch=${batches%% *}
    rm -rf "$dir/train"
    write_config "$dir/train.yaml" "$batch" "$epochs"
    "$program" train "$dir/train.yaml" "run.dir=$dir/train" || return
    "$python" tests/bench/gpu_runs.py train "$dir/train"
}

# Rounds of runs that differ in the rate alone, those with exchanges and those without in turn.
stage_exchange() {
    local launcher round batch rate run status=0
    command -v mpirun >/dev/null || { echo "there is no mpirun" && return 77; }
    launcher=$(BUILD=$build scripts/launch.sh --mpirun) || return
    rm -rf "$dir/exchange" && mkdir -p "$dir/exchange"
    for ((round = 1; round <= exchange_rounds; round++)); do
        for batch in $batches; do
            write_config "$dir/exchange/b$batch.yaml" "$batch" "$epochs"
            for rate in 1 0.001; do
                run=$dir/exchange/b$batch-r$rate-k$round
                # shellcheck disable=SC2086  # the launcher and its flags
                timeout --kill-after=10 120 $launcher -n 2 "$program" train "$dir/exchange/b$batch.yaml" \
                    "communication.rate=$rate" "communication.transport=${GRAPEVINE_GPU_TRANSPORT:-auto}" \
                    batch_norm.policy=own "run.dir=$run" >"$run.log" 2>&1 || {
                    status=$? && echo "$run failed with status $status:" && tail -n 20 "$run.log"
                }
            done
        done
        "$python" tests/bench/gpu_runs.py exchange "$dir/exchange" || status=$?
        [ "$status" = 0 ] || break
    done
    return "$status"
}

# Real ranks by each way of snapshots, recorded, and replayed in one process. What MPI knows of GPUs it says itself.
stage_transports() {
    local launcher way run status=0
    command -v mpirun >/dev/null || { echo "there is no mpirun" && return 77; }
    launcher=$(BUILD=$build scripts/launch.sh --mpirun) || return
    write_config "$dir/transports.yaml" "${batches%% *}" "$few_epochs"
    for way in put ipc cuda; do
        run=$dir/transports-$way
        rm -rf "$run"
        # shellcheck disable=SC2086  # the launcher and its flags
        if ! timeout --kill-after=10 120 $launcher -n 2 "$program" train "$dir/transports.yaml" "run.dir=$run" \
            run.record=true device.deterministic=true communication.transport=$way >"$run.log" 2>&1; then
            if [ "$way" = cuda ] && grep -q 'needs an MPI library that puts from GPU memory' "$run.log"; then
                echo "$way: left out: this MPI library does not know GPU memory" && continue
            fi
            status=1 && echo "$way: failed:" && tail -n 20 "$run.log" && continue
        fi
        "$program" replay "$run" | tail -n 3 || status=1
    done
    return "$status"
}

stage_memory() {
    local sampler="" status=0
    rm -rf "$dir/memory"
    write_config "$dir/memory.yaml" "${batches%% *}" "$few_epochs"
    "$program" simulate "$dir/memory.yaml" "train.workers=$memory_workers" --dry-run || return
    if [ "$kind" = real ]; then
        nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 200 >"$dir/memory.samples" &
        sampler=$!
        sleep 1
    fi
    "$program" simulate "$dir/memory.yaml" "train.workers=$memory_workers" "run.dir=$dir/memory" || status=$?
    [ -n "$sampler" ] || { echo "no GPU memory to look at" && return "$((status > 0 ? status : 77))"; }
    kill "$sampler"
    [ "$status" = 0 ] || return "$status"
    "$python" tests/bench/gpu_runs.py peak "$dir/memory.samples" memory.peak_gib "<=12"
}

stage_determinism() {
    local run
    write_config "$dir/determinism.yaml" "${batches%% *}" "$few_epochs"
    for run in one other; do
        rm -rf "$dir/determinism-$run"
        "$program" simulate "$dir/determinism.yaml" train.workers=4 device.deterministic=true run.record=true \
            "run.dir=$dir/determinism-$run" || return
    done
    "$python" tests/bench/gpu_runs.py same "$dir/determinism-one" "$dir/determinism-other"
}

# The photographs are repeated, under other names, until there are enough for some hundred steps.
stage_photos() {
    local photos=${GRAPEVINE_PHOTOS:-} wanted=8192 copies=0 count=0 size=224 network=resnet50 batch=128 file class rate
    [ -d "$photos" ] || { echo "GRAPEVINE_PHOTOS names no folder" && return 77; }
    if [ "$kind" = emulated ]; then
        wanted=32 size=32 network=convnet batch=8
    fi
    rm -rf "$dir/photos" && mkdir -p "$dir/photos/files/train"
    while [ "$count" -lt "$wanted" ]; do
        while read -r file; do
            class=$dir/photos/files/train/$(basename "$(dirname "$file")")
            mkdir -p "$class" && ln -s "$file" "$class/$copies-$(basename "$file")"
            count=$((count + 1))
        done < <(find -L "$(realpath "$photos")" -mindepth 2 -maxdepth 2 -iname '*.jp*g')
        copies=$((copies + 1))
        [ "$count" -gt 0 ] || { echo "no photographs in the folders of $photos" && return 77; }
    done
    ln -s train "$dir/photos/files/val"
    "$program" pack "$dir/photos/files" "$dir/photos/packed/photos" || return
    cat >"$dir/photos.yaml" <<CONFIG
data:          {name: photos, path: $dir/photos/packed, size: $size, test_count: $batch}
model:         {name: $network}
optimizer:     {lr: 0.01, lr_per_samples: 0}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: $batch, epochs: 2}
device:        {name: cuda}
run:           {log_every: $log_every, eval_every_epochs: 0, checkpoint_every_epochs: 0, dir: $dir/photos/run}
CONFIG
    "$program" train "$dir/photos.yaml" || return
    "$python" tests/bench/gpu_runs.py train "$dir/photos/run" | sed 's/^figure train/figure photos/'
    rate=$(grep -o '"samples_per_second":[^,}]*' "$dir/photos/run/summary.json" | grep -o '[0-9.]*$')
    "$program" bench data "$dir/photos.yaml" --rate "$rate"
    rm -rf "$dir/photos/files" "$dir/photos/packed"
}

# An arm that has ended is kept; one that was cut off goes on from the state that it kept when it was asked to leave.
stage_table() {
    local arms=${GRAPEVINE_GPU_TABLE_ARMS:-allreduce gossip_complete gossip_ring acid_ring} arm n seed run status=0
    local workers=${GRAPEVINE_GPU_TABLE_WORKERS:-4 16 64} epochs=${GRAPEVINE_GPU_TABLE_EPOCHS:-10} settings more
    # The warm-up is 5 of 300 epochs.
    more=("train.epochs=$epochs" "schedule.warmup_epochs=$(awk -v epochs="$epochs" 'BEGIN { print epochs / 60 }')")
    if [ "$kind" = emulated ]; then
        more+=(data.name=shapes data.train_count=128 data.test_count=64 model.name=convnet train.batch=8)
    elif [ "$data" != cifar10 ]; then
        echo "GRAPEVINE_DATA names no folder with CIFAR-10" && return 77
    fi
    mkdir -p "$dir/table"
    trap : TERM # the simulation, which is asked too, keeps its state first
    for ((seed = 1; seed <= ${GRAPEVINE_GPU_TABLE_SEEDS:-1}; seed++)); do
        for n in $workers; do
            for arm in $arms; do
                run=$dir/table/$arm-n$n-s$seed
                settings="$arm $n $seed $data ${more[*]}"
                if grep -qx '0 done' "$run/status" 2>/dev/null && [ "$(cat "$run.settings")" = "$settings" ]; then
                    echo "$run: kept" && continue
                fi
                [ "$(cat "$run.settings" 2>/dev/null)" = "$settings" ] || rm -rf "$run"
                echo "$settings" >"$run.settings"
                "$program" simulate "configs/cifar10_resnet18_$arm.yaml" "train.workers=$n" "seed=$seed" \
                    device.name=cuda "${more[@]}" run.checkpoint_every_epochs=0 run.eval_every_epochs=0 \
                    run.keep_states=1 "run.dir=$run" --resume auto >>"$run.log" 2>&1 || {
                    status=$? && tail -n 5 "$run.log"
                    [ "$status" != 75 ] || return "$status"
                }
                "$python" tests/bench/gpu_runs.py table "$dir/table"
            done
        done
    done
    return "$status"
}

# --- running them ---

# In a process of its own, so that its limit ends all that it started.
inside() {
    torch_shape=() label=$1 kind_is_real=$([ "$kind" = real ] && echo 1 || echo 0)
    use_prefix || exit 4
    use_cuda
    choose_sizes
    "stage_$1"
}

# Why stage $1 cannot or should not run, or nothing.
why_not() {
    local file
    for file in $(stage_field "$1" 2); do
        [ -e "$file" ] || { echo "there is no $file" && return; }
    done
    [ "$1" != build ] || [ -n "$nvcc" ] || { echo "there is no nvcc" && return; }
    [ "$seconds_left" = none ] || [ "$seconds_left" -ge "$(stage_field "$1" 3)" ] ||
        echo "$seconds_left s left, about $(stage_field "$1" 3) s needed"
}

# "NAME | MEDIAN (LEAST to LARGEST) | GOAL | met | GPU | DRIVER | DATE" of the lines "figure ..." in a log; where one
# name has several, of the last.
figures_of() {
    awk -v gpu="$(gpu_and_driver)" -v date="$(date -u +%Y-%m-%d)" '
        $1 == "figure" && NF == 6 {
            goal = substr($6, 3) + 0
            met = $6 == "-" ? "-" : (index($6, ">=") == 1 ? $3 >= goal : $3 <= goal) ? "met" : "missed"
            if (!($2 in line))
                order[++count] = $2
            line[$2] = sprintf("%s | %s (%s to %s) | %s | %s | %s | %s", $2, $3, $4, $5, $6, met, gpu, date)
        }
        END { for (k = 1; k <= count; k++) print line[order[k]] }' "$1"
}

run_stage() {
    local name=$1 verdict status=0 reason limit begin=$SECONDS seconds
    seconds_left=none
    [ -z "${GRAPEVINE_GPU_MINUTES:-}" ] || seconds_left=$((GRAPEVINE_GPU_MINUTES * 60 - SECONDS))
    limit=$(stage_field "$name" 4)
    [ "$seconds_left" = none ] || [ "$seconds_left" -ge "$limit" ] || limit=$seconds_left
    reason=$(why_not "$name")
    rm -f "$dir/$name.figures"
    if [ -n "$reason" ]; then
        verdict="left out" status=77
        echo "$reason" >"$dir/$name.log"
    else
        timeout --kill-after=40 "$limit" bash scripts/gpu_check.sh --inside "$name" "$dir" "$limit" \
            >"$dir/$name.log" 2>&1 </dev/null || status=$?
        case $status in
        0) verdict=passed ;;
        77) verdict="left out" reason=$(tail -n 1 "$dir/$name.log") ;;
        124 | 137) verdict=failed reason="stopped at its limit of $limit s, or killed" ;;
        *) verdict=failed reason=$(grep -E 'rror|WRONG|failed' "$dir/$name.log" | tail -n 1 | cut -c 1-150) ;;
        esac
        figures_of "$dir/$name.log" >"$dir/$name.figures"
    fi
    seconds=$((SECONDS - begin))
    echo "$verdict|$status|$seconds|$reason" >"$dir/$name.stage"
    [ "$verdict" != failed ] || failed=1
    printf '%-14s %-9s %4d s  %s\n' "$name" "$verdict" "$seconds" "$reason"
}

# All stages that have left a result in DIR, now or earlier.
write_summary() {
    local name
    : >"$dir/figures.txt"
    {
        printf '%-14s %-9s %6s %7s  %s\n' stage verdict status seconds reason
        for name in $(stages | cut -d'|' -f1); do
            [ ! -f "$dir/$name.stage" ] || awk -F'|' -v name="$name" \
                '{ printf "%-14s %-9s %6s %7s  %s\n", name, $1, $2, $3, $4 }' "$dir/$name.stage"
            [ ! -f "$dir/$name.figures" ] || cat "$dir/$name.figures" >>"$dir/figures.txt"
        done
        echo
        awk -F' [|] ' '{ printf "%-46s %-38s %-8s %s\n", $1, $2, $3, $4; count[$4]++ }
            END { printf "%d goals met, %d missed, %d figures without one\n", count["met"], count["missed"],
                count["-"] }' "$dir/figures.txt"
        gpu_and_driver
    } >"$dir/summary.txt"
    echo
    cat "$dir/summary.txt"
}

list_stages() {
    printf '%-14s %8s %7s  %s\n' stage seconds limit "what it does"
    stages | awk -F'|' '{ printf "%-14s %8s %7s  %s\n", $1, $3, $4, $5 }'
}

usage() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' scripts/gpu_check.sh >&2
    exit 2
}

# Sets wanted (names of stages) and dir.
read_arguments() {
    wanted="" dir=runs/gpu-check
    while [ $# -gt 0 ]; do
        case $1 in
        --list) list_stages && exit 0 ;;
        --stage)
            if [ "${2:-}" = step ]; then
                wanted+=" step-128 step-512 step-resnet50"
            elif [ -n "$(stage_field "${2:-}" 1)" ]; then
                wanted+=" $2"
            else
                echo "gpu_check: there is no stage \"${2:-}\"; --list names them" >&2 && exit 2
            fi
            shift
            ;;
        -* | "") usage ;;
        *) dir=$1 ;;
        esac
        shift
    done
    [ -n "$wanted" ] || wanted=$(stages | cut -d'|' -f1 | grep -vx torch)
}

main() {
    local name gpu=true ran=""
    if [ "${1:-}" = --inside ]; then
        dir=$3 limit=$4
        inside "$2"
        return
    fi
    read_arguments "$@"
    [[ $kind =~ ^(real|emulated)$ ]] || usage
    mkdir -p "$dir" && dir=$(realpath "$dir") || return 4
    failed=0
    has_gpu || gpu=false
    for name in $wanted; do
        if $gpu || [ "$name" = machine ] || [ "$name" = build ]; then
            run_stage "$name" && ran+=" $name"
        fi
    done
    write_summary
    if ! $gpu; then
        echo "gpu_check: there is no GPU here (nvidia-smi lists none); stages done all the same:${ran:- none}" >&2
        return 4
    fi
    return "$failed"
}

main "$@"
