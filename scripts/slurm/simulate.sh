#!/usr/bin/env bash
# A simulation under Slurm: one process. It ends in the same bytes however often the job is put back into the queue.
#
#   sbatch --cpus-per-task=8 scripts/slurm/simulate.sh CONFIG [key=value ...]
#   sbatch --array=1-3 scripts/slurm/simulate.sh CONFIG [key=value ...]                 # seeds 1, 2, 3
#   sbatch --array=1-12 scripts/slurm/simulate.sh "A.yaml B.yaml C.yaml D.yaml" ...     # 4 arms, each with 3 seeds
#
# Element k of an array takes configuration (k - 1) mod (their number) and seed 1 + (k - 1) / (their number), and runs
# in a folder of its own, <configuration>-s<seed> under $GRAPEVINE_RUNS (default runs).
#SBATCH --job-name=grapevine
#SBATCH --cpus-per-task=2
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

read -ra configs <<<"${1:?usage: sbatch scripts/slurm/simulate.sh CONFIG [key=value ...]}"
shift
build=${BUILD:-build}
# Slurm runs a copy of this script. Where the program is not below the folder of the submission, it lies beside the
# original.
if [[ $build != /* ]] && [ ! -x "$build/grapevine" ]; then
    script=$(scontrol show job "${SLURM_JOB_ID:-0}" 2>/dev/null | sed -n 's/^ *Command=\([^ ]*\).*/\1/p' | head -n 1)
    build=$(cd "$(dirname "$(readlink -f "${script:-$0}")")/../.." && pwd)/$build
fi
element=$((${SLURM_ARRAY_TASK_ID:-1} - 1))
config=${configs[element % ${#configs[@]}]} seed=$((1 + element / ${#configs[@]}))
arguments=("$config" "seed=$seed" "run.dir=${GRAPEVINE_RUNS:-runs}/$(basename "$config" .yaml)-s$seed"
    "device.threads=${SLURM_CPUS_PER_TASK:-1}" "$@")
run=$("$build/grapevine" config --get run.dir "${arguments[@]}") || exit
before=$(stat -c %y "$run/status" 2>/dev/null)

# srun, so that the signal reaches the program and not this script alone.
srun --ntasks=1 --kill-on-bad-exit=0 "$build/grapevine" simulate "${arguments[@]}" --resume auto
status=$?
# The status in the run directory is what the run itself says, if it is this job's: a launcher may replace the one that
# it returns, and may fail before the run begins.
if grep -qs '^75 ' "$run/status" && [ "$(stat -c %y "$run/status")" != "$before" ]; then
    echo "job ${SLURM_JOB_ID:-?}: the state is kept, and the job goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
    exit
fi
exit "$status"
