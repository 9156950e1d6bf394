#!/usr/bin/env bash
# The batch scripts of scripts/slurm under a real Slurm with two virtual nodes: four ranks on both, jobs that are
# signalled or run out of time and go on by themselves, arrays, and a launcher that MPI does not know.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/slurm/slurm.bash
. tests/slurm/slurm.bash
enter_namespaces "$@"
start_slurm || { echo "Slurm does not start: $(tail -n 3 "$slurm"/log/* "$slurm"/munge/log 2>&1)" && exit 1; }

export GRAPEVINE_RUNS=$scratch/runs
config=$scratch/job.yaml
cat >"$config" <<'YAML'
seed: 3
data:          {name: shapes, train_count: 512, test_count: 64, augment: true}
model:         {name: convnet, width: 16}
graph:         {name: ring}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: cosine, warmup_epochs: 1}
train:         {workers: 4, batch: 16, epochs: 30}
batch_norm:    {batches: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 10, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

# The job $1 ends within $2 seconds, and its run in $3 has come to its end.
ends_well() {
    local name=$1 limit=$2 run=$3
    wait_until "$limit" is_over "$job"
    cp "$scratch/job.out" "$scratch/out" 2>/dev/null
    verdict "$name: the job is over" "$(is_over "$job" || echo "it is $(state_of "$job") after $limit s")"
    check "$name: Slurm calls it completed" grep -q COMPLETED <(state_of "$job")
    check "$name: the run has come to its end" grep -qx '0 done' "$run/status"
}

in_job() {
    rm -f "$scratch/job.out"
    submit --output="$scratch/job.out" "$@"
    check "submitted: $1" test -n "$job"
}

steps_told() {
    [ -e "$1/metrics-0.jsonl" ] && [ "$(wc -l <"$1/metrics-0.jsonl")" -gt "$2" ]
}

test_two_nodes() {
    local run=$scratch/two
    in_job --nodes=2 --ntasks-per-node=2 scripts/slurm/train_srun.sh "$config" "run.dir=$run"
    ends_well "four ranks on two nodes" 60 "$run"
    check "four workers" "$PYTHON" tests/e2e/inspect_run.py summary "$run" rate_tolerance=0.3
    check "really" grep -Eq '"workers":[[:space:]]*4' "$run/summary.json"
}

# Signalled in the middle: it leaves, is queued again, goes on. By srun, and by mpirun, to which the script hands it on.
test_signalled() {
    local how run
    for how in srun mpirun; do
        run=$scratch/signalled-$how
        in_job --ntasks=4 --nodes=1 "scripts/slurm/train_$how.sh" "$config" "run.dir=$run" train.epochs=200
        check "$how: it runs" wait_until 40 steps_told "$run" 2
        if [ "$how" = srun ]; then scancel --signal=USR1 "$job"; else scancel --batch --signal=USR1 "$job"; fi
        check "$how: it leaves, and is queued again" wait_until 30 grep -q 'goes back into the queue' "$scratch/job.out"
        check "$how: its state is kept" test -n "$(find "$run" -name 'state-*-rank-3-of-4.safetensors')"
        ends_well "$how" 120 "$run"
        check "$how: it went on" grep -q 'goes on from' "$scratch/job.out"
        check "$how: once started again" grep -q 'Restarts=1 ' <(scontrol show job "$job" -o)
    done
}

# Out of time: Slurm signals a while before, the job goes on in another, to the same bytes.
test_time_limit() {
    local run=$scratch/limited whole=$scratch/whole epochs=10
    run_well "without a limit, to know the pace" 1 simulate "$config" "run.dir=$scratch/pace" train.epochs=10
    # Long enough for a limit of a minute to come in between.
    epochs=$("$PYTHON" -c 'import json, sys
print(int(10 * 75 / json.load(open(sys.argv[1] + "/summary.json"))["wall_seconds"]))' "$scratch/pace")
    in_job --ntasks=1 --cpus-per-task=1 --time=1 --signal=USR1@15 scripts/slurm/simulate.sh "$config" \
        "run.dir=$run" "train.epochs=$epochs"
    limit_s=300 run_well "without a limit" 1 simulate "$config" "run.dir=$whole" "train.epochs=$epochs" seed=1
    ends_well "a limit of a minute" 240 "$run"
    check "it was stopped" grep -q 'goes back into the queue' "$scratch/job.out"
    check "the same model" cmp "$whole/final.safetensors" "$run/final.safetensors"
    check "the same metrics" cmp "$whole/metrics.jsonl" "$run/metrics.jsonl"
}

test_array() {
    local element
    cp "$config" "$scratch/other.yaml"
    in_job --array=1-4 --ntasks=1 --cpus-per-task=1 scripts/slurm/simulate.sh "$config $scratch/other.yaml" \
        train.epochs=2
    wait_until 60 is_over "$job"
    for element in job-s1 other-s1 job-s2 other-s2; do
        check "element $element" grep -qx '0 done' "$scratch/runs/$element/status"
    done
    check "arms of one seed agree" cmp "$scratch"/runs/{job,other}-s1/final.safetensors
    check "seeds differ" bash -c "! cmp -s '$scratch'/runs/job-s{1,2}/final.safetensors"
}

# srun with a kind of start that this MPI does not know.
test_mismatch() {
    run_command srun --mpi=none -n 3 "$grapevine" train "$config" "run.dir=$scratch/alone"
    verdict "every rank alone is refused" "$([ "$status" = 4 ] || echo "exit status $status, expected 4")"
    check "it says why" grep -q 'rank 0 of 1; start them with srun --mpi=pmix' "$scratch/err"
    check "nothing was written" test ! -e "$scratch/alone"
}

# A part of the name of a test function as argument runs that one only.
for part in two_nodes signalled time_limit array mismatch; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
