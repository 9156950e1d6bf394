#!/usr/bin/env bash
# Training under Slurm, one rank for each task, started by srun. On one node or on several:
#
#   sbatch --ntasks=16 --cpus-per-task=2 scripts/slurm/train_srun.sh CONFIG [key=value ...]
#   sbatch --nodes=4 --ntasks-per-node=4 --gpus-per-node=4 scripts/slurm/train_srun.sh CONFIG [key=value ...]
#
# A rank has two threads that must not share a core: two CPUs for each task at least (or device.threads + 1).
#
# The job may be shorter than the run. Two minutes before its time is up, or when it is pre-empted, Slurm signals all
# ranks; they keep their state and leave, this script puts the job back into the queue, and the next one goes on. Give
# run.dir where several jobs use one configuration. It must lie where all nodes see it.
#SBATCH --job-name=grapevine
#SBATCH --cpus-per-task=2
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

: "${1:?usage: sbatch scripts/slurm/train_srun.sh CONFIG [key=value ...]}"
build=${BUILD:-build}
# Slurm runs a copy of this script. Where the program is not below the folder of the submission, it lies beside the
# original.
if [[ $build != /* ]] && [ ! -x "$build/grapevine" ]; then
    script=$(scontrol show job "${SLURM_JOB_ID:-0}" 2>/dev/null | sed -n 's/^ *Command=\([^ ]*\).*/\1/p' | head -n 1)
    build=$(cd "$(dirname "$(readlink -f "${script:-$0}")")/../.." && pwd)/$build
fi
run=$("$build/grapevine" config --get run.dir "$@") || exit
before=$(stat -c %y "$run/status" 2>/dev/null)

# PMIx is how Open MPI's ranks find each other (`srun --mpi=list` shows what this Slurm has). With another kind every
# rank would believe to be alone; Grapevine says so and stops. --kill-on-bad-exit: a rank that leaves with 75 is no
# reason to kill the others, which are about to do the same.
srun --mpi="${SRUN_MPI:-pmix}" --cpus-per-task="${SLURM_CPUS_PER_TASK:-2}" --kill-on-bad-exit=0 \
    "$build/grapevine" train "$@" --resume auto
status=$?

# The status in the run directory is what the run itself says, if it is this job's: a launcher may replace the one that
# it returns, and may fail before the run begins.
if grep -qs '^75 ' "$run/status" && [ "$(stat -c %y "$run/status")" != "$before" ]; then
    echo "job ${SLURM_JOB_ID:-?}: the state is kept, and the job goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
    exit
fi
exit "$status"
