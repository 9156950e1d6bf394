#!/usr/bin/env bash
# Training under Slurm, started by mpirun: where srun knows no PMIx. As train_srun.sh, but for the signal.
#
#   sbatch --ntasks=16 --cpus-per-task=2 scripts/slurm/train_mpirun.sh CONFIG [key=value ...]
#
# At the end of its time Slurm kills what mpirun has started without asking, and --signal=USR1 does not reach it: here
# the signal goes to this script (B:), two minutes before, which hands it on to mpirun, and mpirun to all ranks.
#SBATCH --job-name=grapevine
#SBATCH --cpus-per-task=2
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail

: "${1:?usage: sbatch scripts/slurm/train_mpirun.sh CONFIG [key=value ...]}"
build=${BUILD:-build}
# Slurm runs a copy of this script. Where the program is not below the folder of the submission, it lies beside the
# original.
if [[ $build != /* ]] && [ ! -x "$build/grapevine" ]; then
    script=$(scontrol show job "${SLURM_JOB_ID:-0}" 2>/dev/null | sed -n 's/^ *Command=\([^ ]*\).*/\1/p' | head -n 1)
    build=$(cd "$(dirname "$(readlink -f "${script:-$0}")")/../.." && pwd)/$build
fi
run=$("$build/grapevine" config --get run.dir "$@") || exit
before=$(stat -c %y "$run/status" 2>/dev/null)

# In the background, since the shell looks at signals between commands only.
read -ra launcher <<<"${MPIRUN:-mpirun --bind-to none}"
"${launcher[@]}" -n "${SLURM_NTASKS:-1}" "$build/grapevine" train "$@" --resume auto &
mpirun=$!
trap 'kill -USR1 "$mpirun"' USR1 TERM
wait "$mpirun"
status=$?
while kill -0 "$mpirun" 2>/dev/null; do # the wait was ended by the signal, the run was not
    wait "$mpirun"
    status=$?
done

# The status in the run directory is what the run itself says, if it is this job's: a launcher may replace the one that
# it returns, and may fail before the run begins.
if grep -qs '^75 ' "$run/status" && [ "$(stat -c %y "$run/status")" != "$before" ]; then
    echo "job ${SLURM_JOB_ID:-?}: the state is kept, and the job goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
    exit
fi
exit "$status"
