#!/usr/bin/env bash
# The batch scripts of scripts/slurm with stand-ins for srun, mpirun and scontrol: whatever names the run's folder, a
# run that is asked to leave is put back into the queue, and one that was never begun is not. Under a real Slurm they
# run in tests/slurm/slurm_long.sh.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

mkdir "$scratch/bin"
cat >"$scratch/bin/srun" <<'SH'
#!/usr/bin/env bash
# Starts the program, asks it to leave once it has begun, and returns another status than it does.
while [ "${1#-}" != "$1" ]; do
    [ "$1" != -n ] || shift
    shift
done
"$@" &
until [ -s "$RUN/metrics-0.jsonl" ] || ! kill -0 $! 2>/dev/null; do sleep 0.02; done
kill -USR1 $!
wait $!
exit 1
SH
printf '#!/bin/bash\necho "scontrol $*"\n' >"$scratch/bin/scontrol"
printf '#!/bin/bash\nexit 1\n' >"$scratch/bin/fails"
cp "$scratch/bin/srun" "$scratch/bin/srun.real"
chmod +x "$scratch"/bin/*

config=$scratch/batch.yaml
cat >"$config" <<YAML
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: mlp, width: 16}
train:  {workers: 2, batch: 16, epochs: 100000}
device: {name: cpu, threads: 1}
run:    {dir: "$scratch/a run of its own", log_every: 4, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

# Script $1 of scripts/slurm with the arguments after $2, in the scratch folder; $2: the run's folder.
batch() {
    local script=$PWD/scripts/slurm/$1.sh
    export RUN=$2
    shift 2
    # shellcheck disable=SC2016  # for that shell to expand
    run_command env PATH="$scratch/bin:$PATH" BUILD="$(dirname "$grapevine")" SLURM_JOB_ID=7 SLURM_NTASKS=1 \
        MPIRUN="${mpirun:-srun}" bash -c 'cd "$1" && shift && exec bash "$@"' bash "$scratch" "$script" "$@"
}

requeued() {
    check "$1: it is put back" grep -qx 'scontrol requeue 7' "$scratch/out"
    check "$1: its status" grep -qx '75 requeue' "$RUN/status"
}

for script in train_srun train_mpirun; do
    batch "$script" "$scratch/a run of its own" "$config"
    requeued "$script, run.dir in the configuration"
    rm -r "$scratch/a run of its own"
    batch "$script" "$scratch/given" "$config" run.dir=first "run.dir=$scratch/given"
    requeued "$script, run.dir twice"
    rm -r "$scratch/given"
    batch "$script" "$scratch/runs/batch" "$config" run.dir=
    requeued "$script, no run.dir"
    [ "$script" = train_mpirun ] || cp "$scratch/bin/fails" "$scratch/bin/srun"
    mpirun=fails batch "$script" "$scratch/runs/batch" "$config" run.dir=
    check "$script: a launcher that fails is not tried for ever" bash -c "! grep -q scontrol '$scratch/out'"
    verdict "$script: its status is passed on" "$([ "$status" = 1 ] || echo "exit status $status, expected 1")"
    rm -r "$scratch/runs"
    [ "$script" = train_mpirun ] || cp "$scratch/bin/srun.real" "$scratch/bin/srun"
done
batch train_srun "" "$config" train.epoch=1
verdict "a wrong key" "$([ "$status" = 2 ] || echo "exit status $status, expected 2")"
batch simulate "$scratch/elsewhere" "$config" "run.dir=$scratch/elsewhere"
requeued "simulate, run.dir"
batch simulate "$scratch/runs/batch-s1" "$config"
requeued "simulate"

run_command "$grapevine" config --get run.dir "$config"
check "what a script is told" grep -qxF "$scratch/a run of its own" "$scratch/out"
run_command "$grapevine" config --get train.epochs "$config" train.epochs=7 --resume auto --dry-run
check "of any key" grep -qx 7 "$scratch/out"
refuse "no such key" 1 2 'train.epochs' config --get train.epoch "$config"
refuse "no configuration" 1 2 'configuration file is missing' config --get run.dir
finish
