#!/usr/bin/env bash
# scripts/slurm/imagenet_table.sh with stand-ins for sbatch, srun and scontrol: what it submits, what its jobs run, data
# on the nodes' own disks, jobs that leave, and the table of it all.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

readonly table=scripts/slurm/imagenet_table.sh
data=$scratch/data out=$scratch/runs
mkdir -p "$data/imagenet/train" "$data/imagenet/val" "$scratch/bin"
echo index >"$data/imagenet/train/index.bin"
echo "a shard" >"$data/imagenet/val/shard-00000.bin"

# A word of the submission, as a whole.
submits() {
    check "it submits $1" grep -qE -- " $1 " <(sed -n 1p "$scratch/out")
}

# One message of one line and exit status 2: $1 what it must say, the rest the arguments.
refused() {
    local pattern=$1
    shift
    run_command $table "$@"
    check "refused: $*" test "$status:$(wc -l <"$scratch/err")" = 2:1
    check "it says why" grep -qE -- "$pattern" "$scratch/err"
}

test_refusals() {
    refused 'no DATA: name the folder' --nodes=4 --gpus-per-node=4
    refused 'nowhere: name the folder' --nodes=4 --gpus-per-node=4 "$scratch/nowhere"
    refused 'give --nodes and --gpus-per-node' --nodes=4 "$data"
    refused '--nodes=x: give a whole number' --nodes=x --gpus-per-node=4 "$data"
    refused '--seeds=0: give a whole number, 1 or more' --nodes=4 --gpus-per-node=4 --seeds=0 "$data"
    refused 'no arm "ring"; there are allreduce' --nodes=4 --gpus-per-node=4 --arms=ring "$data"
    refused 'more" is neither an option nor' --nodes=4 --gpus-per-node=4 "$data" more
    refused 'workers-per-node' --nodes=4 --gpus-per-node=0 "$data"
}

test_dry_run() {
    local k config wrong="" names='train \(configs[^ ]*\) train.workers=32'
    run_command $table --nodes=8 --gpus-per-node=a100:4 --cpus-per-gpu=6 --partition=gpu --jobs=2 --dry-run \
        --local=/scratch "--out=$scratch/never" "$data" optimizer.clip_norm=1
    for word in --nodes=8 --ntasks-per-node=4 --gpus-per-node=a100:4 --cpus-per-task=6 --array=1-24%2 --partition=gpu \
        --job-name=grapevine-imagenet-n32 --local=/scratch "$data" optimizer.clip_norm=1; do
        submits "$word"
    done
    check "eight arms, three seeds" test "$(wc -l <"$scratch/out")" = 25
    for ((k = 1; k <= 24; k++)); do
        config=$(sed -n "s/^$k: .* $names seed=$(((k + 7) / 8)) .*/\1/p" "$scratch/out")
        [ -r "$config" ] || wrong+="element $k: \"$config\" is no configuration; "
    done
    verdict "each has its configuration" "$wrong"
    check "all of them differ" test "$(cut -d: -f2- "$scratch/out" | sort -u | wc -l)" = 25
    for word in data.path=/scratch 'optimizer.clip_norm=1 run.dir=.* --resume auto$'; do
        check "a run is given $word" test "$(grep -cE " $word" <(tail -n +2 "$scratch/out"))" = 24
    done
    check "nothing is written" test ! -e "$scratch/never"
    run_command $table --nodes=1 --gpus-per-node=0 --workers-per-node=2 --dry-run "$data"
    check "no GPUs are asked for" bash -c "! grep -q gpus-per-node '$scratch/out'"
}

# sbatch runs every element at once and in turn, each as a copy of the script; srun is the launcher that the tests have.
fake_slurm() {
    cat >"$scratch/bin/sbatch" <<'SBATCH'
#!/usr/bin/env bash
export SLURM_JOB_ID=7
for word in "$@"; do
    case $word in
    --nodes=*) export SLURM_JOB_NUM_NODES=${word#*=} ;;
    --ntasks-per-node=*) per_node=${word#*=} ;;
    --cpus-per-task=*) export SLURM_CPUS_PER_TASK=${word#*=} ;;
    --array=*) elements=${word#*=1-} && elements=${elements%\%*} ;;
    --*) ;;
    *) break ;;
    esac
    shift
done
export SLURM_NTASKS=$((SLURM_JOB_NUM_NODES * per_node))
cp "$1" "$FAKE_SPOOL/slurm_script"
shift
for ((k = 1; k <= elements; k++)); do
    SLURM_ARRAY_TASK_ID=$k bash "$FAKE_SPOOL/slurm_script" "$@" >>"$FAKE_SPOOL/out" 2>&1
    echo "$k ended with $?" >>"$FAKE_SPOOL/ended"
done
SBATCH
    cat >"$scratch/bin/srun" <<'SRUN'
#!/usr/bin/env bash
ranks=$SLURM_NTASKS
while [[ $1 == --* ]]; do
    case $1 in --ntasks=*) ranks=${1#*=} ;; esac
    shift
done
[ -n "${FAKE_LEAVING:-}" ] && exec "$FAKE_LEAVING" "$@"
exec $MPIRUN -n "$ranks" "$@"
SRUN
    # shellcheck disable=SC2016  # for the stand-in to expand
    printf '#!/usr/bin/env bash\necho "$@" >>"$FAKE_SPOOL/scontrol"\n' >"$scratch/bin/scontrol"
    # As a run that was asked to leave.
    cat >"$scratch/bin/leaves" <<'LEAVES'
#!/usr/bin/env bash
for word in "$@"; do
    case $word in run.dir=*) mkdir -p "${word#*=}" && echo "75 requeue" >"${word#*=}/status" ;; esac
done
exit 1
LEAVES
    chmod +x "$scratch/bin"/*
    mkdir -p "$scratch/spool"
    export PATH=$scratch/bin:$PATH FAKE_SPOOL=$scratch/spool MPIRUN
}

# Pictures that are drawn, few and small enough that a run takes about a second.
submit_tiny() {
    run_command $table --nodes=1 --gpus-per-node=0 --workers-per-node=2 --cpus-per-gpu=4 --arms=acid-ring,allreduce \
        --seeds=2 "--local=$scratch/local" "--out=$out" "$data" data.name=shapes data.train_count=320 \
        data.test_count=40 model.name=convnet train.batch=8 train.epochs=0.5 batch_norm.batches=1 run.log_every=2 \
        device.name=cpu "$@"
}

test_array() {
    local run
    fake_slurm
    mkdir -p "$scratch/local/imagenet/train"
    echo ind >"$scratch/local/imagenet/train/index.bin" # as a copy that was broken off
    submit_tiny
    check "every element ends well" test "$(grep -c 'ended with 0' "$FAKE_SPOOL/ended")" = 4
    for run in acid-ring-n2-s1 allreduce-n2-s1 acid-ring-n2-s2 allreduce-n2-s2; do
        check "$run is done" grep -qx '0 done' "$out/runs/$run/status"
        check "its seed" grep -q "^seed: ${run##*-s}$" "$out/runs/$run/config.yaml"
    done
    check "the data are on the node's disk" diff -r "$data/imagenet" "$scratch/local/imagenet"
    BUILD=$(with_imagenet) run_command scripts/reproduce.sh imagenet --cluster --table --workers 2 --seeds 2 \
        --out "$out"
    check "the table" test "$status" = 0
    check "has what was run" grep -qE '^\| ring, A²CiD² \| [0-9.]+ ± [0-9.]+ \|$' "$out/imagenet.md"
    check "and what was not" grep -qE '^\| ring, async baseline \| – \|$' "$out/imagenet.md"
    check "and how many" grep -q '^\* 4 of 16 runs' "$out/imagenet.md"
    : >"$FAKE_SPOOL/ended"
    submit_tiny
    check "again: nothing is left to do" test "$(grep -c 'ended with 0' "$FAKE_SPOOL/ended")" = 4
    rm -r "$out/runs" "$FAKE_SPOOL/ended"
    FAKE_LEAVING=$scratch/bin/leaves submit_tiny --local=
    check "jobs that leave go back into the queue" test "$(grep -cx 'requeue 7' "$FAKE_SPOOL/scontrol")" = 4
    check "and have not failed" test "$(grep -c 'ended with 0' "$FAKE_SPOOL/ended")" = 4
    rm "$FAKE_SPOOL/ended"
    submit_tiny --local=/proc/nowhere
    check "a disk that is not there fails" test "$(grep -c 'ended with 4' "$FAKE_SPOOL/ended")" = 4
    check "and is named" grep -q 'could not be copied to /proc/nowhere' "$FAKE_SPOOL/out"
}

# A build folder whose program says that it reads imagenet, and is the real one for the rest.
with_imagenet() {
    mkdir -p "$scratch/build"
    cat >"$scratch/build/grapevine" <<PROGRAM
#!/usr/bin/env bash
if [ "\$*" = "config data.name" ]; then echo "data.name: imagenet" && exit; fi
exec "$grapevine" "\$@"
PROGRAM
    chmod +x "$scratch/build/grapevine"
    echo "$scratch/build"
}

# A part of the name of a test function as argument runs that one only.
for part in refusals dry_run array; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
