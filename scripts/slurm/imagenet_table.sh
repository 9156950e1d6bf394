#!/usr/bin/env bash
# The ImageNet table on a cluster: an array of Slurm jobs, one for each arm and seed, each `train` on all GPUs it has.
#
#   scripts/slurm/imagenet_table.sh --nodes=4 --gpus-per-node=4 DATA [key=value ...]               # 16 workers
#   scripts/slurm/imagenet_table.sh --nodes=8 --gpus-per-node=4 --partition=gpu DATA               # 32
#   scripts/slurm/imagenet_table.sh --nodes=8 --gpus-per-node=8 --time=08:00:00 DATA               # 64
#   scripts/reproduce.sh imagenet --cluster --table        # then, or meanwhile: the table of what is there
#
# DATA is the folder that holds imagenet/, best as `grapevine pack` makes it, where all nodes see it.
#
#   --cpus-per-gpu=C       CPUs of a worker (default 12), most of whose work is decoding pictures (data.threads)
#   --workers-per-node=W   (default: one for each GPU; with --gpus-per-node=0 on the CPU)
#   --seeds=K              seeds 1 to K of every arm (default 3)
#   --arms=LIST            some of allreduce,gossip-complete,acid-complete,acid-complete-rate2,gossip-ring,acid-ring,
#                          gossip-ring-rate2,acid-ring-rate2 (default: all)
#   --jobs=J               at most so many at a time (default: as Slurm sees fit)
#   --local=DIR            on each node's own disk: DATA/imagenet is copied there before training, and stays there
#   --out=DIR              where runs and logs go, seen by all nodes (default runs/tables/imagenet)
#   --dry-run              show the submission and what its jobs would run; submit nothing
#   --partition=, --account=, --time=, ... and whatever else is sbatch's
#   key=value              for every run, and last: they win
#
# Element k of the array is arm (k - 1) mod (their number) with seed 1 + (k - 1) / (their number), in
# DIR/runs/<arm>-n<workers>-s<seed>. A job may be shorter than its run: two minutes before its time is up all ranks keep
# their state and leave, the job goes back into the queue, and the next one goes on. States are also kept every five
# epochs, for jobs that end without a warning. BUILD is the build folder; SRUN_MPI (pmix) is srun's --mpi.
#SBATCH --time=12:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

# A job's copy of this script lies elsewhere; Slurm starts it in the folder of the submission.
caller=$PWD
[ -n "${SLURM_ARRAY_TASK_ID:-}" ] || cd "$(dirname "$(readlink -f "$0")")/../.." || exit 4
build=${BUILD:-build}
all_arms=allreduce,gossip-complete,acid-complete,acid-complete-rate2,gossip-ring,acid-ring,gossip-ring-rate2
all_arms+=,acid-ring-rate2

refuse() {
    echo "imagenet_table: $1" >&2
    exit 2
}

# $1 is option $2's value, a whole number of at least $3.
expect_count() {
    if ! [[ $1 =~ ^[0-9]+$ ]] || [ "$1" -lt "$3" ]; then
        refuse "$2=$1: give a whole number, $3 or more"
    fi
}

read_arguments() {
    local option value
    nodes="" gpus="" cpus=12 per_node="" seeds=3 arms=$all_arms jobs="" local_disk="" out=runs/tables/imagenet
    dry_run=false data="" pairs=() passed_on=()
    for option in "$@"; do
        value=${option#*=}
        case $option in
        -h | --help) sed -n '2,/^#SBATCH/{/^#SBATCH/d;s/^# \{0,1\}//p}' scripts/slurm/imagenet_table.sh && exit 0 ;;
        --dry-run) dry_run=true ;;
        --nodes=*) nodes=$value && expect_count "$value" --nodes 1 ;;
        --gpus-per-node=*) gpus=$value && expect_count "${value##*:}" --gpus-per-node 0 ;;
        --cpus-per-gpu=*) cpus=$value && expect_count "$value" --cpus-per-gpu 1 ;;
        --workers-per-node=*) per_node=$value && expect_count "$value" --workers-per-node 1 ;;
        --seeds=*) seeds=$value && expect_count "$value" --seeds 1 ;;
        --jobs=*) jobs=$value && expect_count "$value" --jobs 1 ;;
        --arms=*) arms=$value ;;
        --local=*) local_disk=$value ;;
        --out=*) out=$value ;;
        -*) passed_on+=("$option") ;;
        *=*) pairs+=("$option") ;;
        *)
            [ -z "$data" ] || refuse "\"$option\" is neither an option nor key=value"
            data=$option
            ;;
        esac
    done
    IFS=, read -ra arms <<<"$arms"
    for option in "${arms[@]}"; do
        [[ ,$all_arms, == *,$option,* ]] || refuse "--arms: no arm \"$option\"; there are $all_arms"
    done
    [[ -z $data || $data == /* || ! -d $caller/$data ]] || data=$caller/$data
    [[ $out == /* || $caller == "$PWD" ]] || out=$caller/$out
    [ -d "$data" ] || refuse "${data:-no DATA}: name the folder that holds imagenet/"
}

# Sets run (its name) and words (what the program is given) of element $1 for $2 workers.
choose_run() {
    local k=$(($1 - 1)) arm seed
    arm=${arms[k % ${#arms[@]}]} seed=$((1 + k / ${#arms[@]}))
    run=$arm-n$2-s$seed
    words=(train "configs/imagenet_resnet50_${arm//-/_}.yaml" "train.workers=$2" "seed=$seed"
        "data.path=${local_disk:-$data}" run.checkpoint_every_epochs=0
        run.state_every_epochs=5 "${pairs[@]}" "run.dir=$out/runs/$run" --resume auto)
}

# --- by hand: the submission ---

submit() {
    local k count=$((${#arms[@]} * seeds)) workers command
    if [ -z "$nodes" ] || [ -z "$gpus" ]; then
        refuse "give --nodes and --gpus-per-node (--help tells more)"
    fi
    per_node=${per_node:-${gpus##*:}}
    [ "$per_node" -gt 0 ] || refuse "without GPUs, --workers-per-node says how many workers a node has"
    workers=$((nodes * per_node))
    command=(sbatch "--job-name=grapevine-imagenet-n$workers" "--nodes=$nodes" "--ntasks-per-node=$per_node"
        "--cpus-per-task=$cpus" "--array=1-$count${jobs:+%$jobs}" "--output=$out/logs/slurm-%x-%a.out")
    [ "${gpus##*:}" = 0 ] || command+=("--gpus-per-node=$gpus")
    command+=("${passed_on[@]}" scripts/slurm/imagenet_table.sh "--arms=$(IFS=, && echo "${arms[*]}")" "--out=$out")
    command+=(${local_disk:+"--local=$local_disk"} "$data" "${pairs[@]}")
    if ! $dry_run; then
        mkdir -p "$out/logs" || exit 4
        exec "${command[@]}"
    fi
    printf '%q ' "${command[@]}" && echo
    for ((k = 1; k <= count; k++)); do
        choose_run "$k" "$workers"
        echo "$k: $(printf ' %q' "$build/grapevine" "${words[@]}")"
    done
}

# --- in a job: one element ---

# $1/imagenet to $2, file by file: what is whole stays, what was broken off is copied again. One at a time on a node.
copy_data() {
    local file from=$1/imagenet to=$2/imagenet
    mkdir -p "$to" && exec 9>"$2/imagenet.lock" && flock 9 || return
    (cd "$from" && find . -type f -print0) | while IFS= read -rd '' file; do
        [ "$(stat -c %s "$from/$file")" != "$(stat -c %s "$to/$file" 2>/dev/null)" ] || continue
        mkdir -p "$(dirname "$to/$file")" && cp "$from/$file" "$to/$file.part" && mv "$to/$file.part" "$to/$file" ||
            return
    done
}

run_element() {
    local cpus=${SLURM_CPUS_PER_TASK:-2} status before
    choose_run "$SLURM_ARRAY_TASK_ID" "$SLURM_NTASKS"
    mkdir -p "$out/runs" "$out/logs" || exit 4
    # The table says when a run began and where.
    [ -e "$out/logs/$run.settings" ] || echo "${words[*]}" >"$out/logs/$run.settings"
    scripts/machine.sh >"$out/logs/$run.machine"
    if [ -n "$local_disk" ]; then
        export -f copy_data
        # shellcheck disable=SC2016  # for that shell to expand
        srun "--ntasks=$SLURM_JOB_NUM_NODES" --ntasks-per-node=1 "--cpus-per-task=$cpus" \
            bash -c 'set -o pipefail && copy_data "$@"' _ "$data" "$local_disk" || {
            echo "imagenet_table: $data/imagenet could not be copied to $local_disk on every node" >&2
            exit 4
        }
    fi
    before=$(stat -c %y "$out/runs/$run/status" 2>/dev/null)
    # --kill-on-bad-exit: a rank that leaves with 75 is no reason to kill the others, which are about to do the same.
    srun --mpi="${SRUN_MPI:-pmix}" "--cpus-per-task=$cpus" --kill-on-bad-exit=0 "$build/grapevine" "${words[@]}" \
        >>"$out/logs/$run.log" 2>&1
    status=$?
    # The status in the run directory is what the run itself says, if it is this job's: a launcher may replace the one
    # that it returns, and may fail before the run begins.
    if grep -qs '^75 ' "$out/runs/$run/status" && [ "$(stat -c %y "$out/runs/$run/status")" != "$before" ]; then
        echo "job ${SLURM_JOB_ID:-?}: the state of $run is kept, and the job goes back into the queue"
        scontrol requeue "$SLURM_JOB_ID"
        exit
    fi
    [ "$status" = 0 ] || tail -n 3 "$out/logs/$run.log"
    exit "$status"
}

read_arguments "$@"
if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then run_element; else submit; fi
