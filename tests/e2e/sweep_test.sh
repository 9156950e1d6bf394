#!/usr/bin/env bash
# scripts/sweep.sh: the combinations, their names and commands; runs, their table, what is done is skipped; runs that
# fail are named; Ctrl-C keeps the states, and the same command ends in the same bytes; ranks; the array for Slurm.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/tiny.yaml
cat >"$config" <<'YAML'
data:       {name: shapes, train_count: 256, test_count: 48}
model:      {name: mlp, width: 16}
train:      {workers: 2, batch: 8, epochs: 1}
device:     {name: cpu, threads: 1}
run:        {log_every: 8, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

sweep() { run_command scripts/sweep.sh "$config" --out "$scratch/$1" "${@:2}"; }
says() { grep -qF -- "$1" "$scratch/${2:-out}"; }
count() { grep -cE -- "$1" "$scratch/${2:-out}"; }

test_plan() {
    sweep plan algorithm.name=acid,gossip seed=1..3,7 'schedule.milestones=[0.5,0.75],[0.6]' \
        "inject.slow='0 x4, 1 x2'" --dry-run
    check "a plan" test "$status:$(count "^'.*grapevine' 'simulate' ")" = 0:16
    check "nothing is made" test ! -e "$scratch/plan"
    check "a range and a value" test "$(count "'seed=7'"):$(count "'seed=2'")" = 4:4
    check "commas in brackets belong to a value" says "'schedule.milestones=[0.5,0.75]'"
    check "and in quotes" test "$(count "'inject.slow='.*0 x4, 1 x2")" = 16
    check "a name of keys that vary" \
        says "'run.dir=$scratch/plan/algorithm.name=acid,seed=1,schedule.milestones=0.5,0.75' '--resume' 'auto'"
    sweep plan 'inject.slow="0 x2","1 x2"' --dry-run
    check "names that differ in signs alone are apart" \
        test "$(grep -oE 'run.dir=[^ ]*' "$scratch/out" | sort -u | wc -l)" = 2
    check "and safe" test -z "$(grep -oE "run.dir=$scratch/plan/[^']*" "$scratch/out" | grep -E '[ "]')"
    sweep plan seed=1..2 --train 3 --dry-run
    check "ranks" test "$(count "launch.sh' '3' '$config' 'seed=[12]'")" = 2
    sweep plan train.workers=2,4 --train 3 --dry-run
    check "ranks that vary" test "$(count "launch.sh' '2'"):$(count "launch.sh' '4'")" = 1:1
}

test_runs() {
    sweep runs train.workers=2,3 seed=1,2 --jobs 2
    check "four runs" test "$status" = 0
    check "they are done" test "$(cat "$scratch/runs/"*/status | grep -cx '0 done')" = 4
    check "the table" grep -qE '^\| 3 +\| +2 \| +[0-9.]+ ± ' "$scratch/out"
    sweep runs train.workers=2,3 seed=1,2,3 --jobs 2
    check "what is done is skipped" says "6 runs in $scratch/runs, 4 of them done" err
    check "and in the table" grep -qE '^\| 3 +\| +3 \| ' "$scratch/out"
    sweep runs train.workers=2,3 seed=1,2,3 train.epochs=2
    check "other settings are refused" test "$status" = 2
    check "and named" says 'was started with other settings' err

    sweep failing algorithm.name=acid,gossip,none
    check "a run that fails" test "$status" = 2
    check "is named, with its reason" grep -qE 'algorithm.name=none: status 2: .*error: .*none' "$scratch/err"
    check "the others have run" test "$(count '^\| (acid|gossip) ')" = 2
    sweep ranks seed=1..2 --train 2 --jobs 1
    check "real ranks" test "$status:$(cat "$scratch/ranks/"*/status | grep -cx '0 done')" = 0:2
}

# Ctrl-C once the runs have made gradients: all keep their states. Then the same command, and the same bytes as of runs
# that were never stopped.
test_interrupt() {
    local arguments=(seed=1..3 train.epochs=200 run.state_every_epochs=5 --jobs 2) k
    command_line="a sweep that is interrupted"
    # A shell has the signal ignored in what it starts in the background.
    env --default-signal=INT scripts/sweep.sh "$config" --out "$scratch/stopped" "${arguments[@]}" \
        >"$scratch/out" 2>"$scratch/err" </dev/null &
    local sweep=$!
    cleanups+=("kill $sweep 2>/dev/null")
    for ((k = 0; k < 300; k++)); do
        compgen -G "$scratch/stopped/seed=1/state-*" >"$scratch/kept" && compgen -G "$scratch/stopped/seed=2/state-*" \
            >"$scratch/kept" && break
        sleep 0.1
    done
    kill -INT "$sweep"
    wait "$sweep"
    status=$?
    check "interrupted" test "$status" = 130
    check "both states are kept" test "$(cat "$scratch/stopped/"*/status)" = $'75 requeue\n75 requeue'
    check "the third was not begun" test ! -e "$scratch/stopped/seed=3"
    check "it says so" says "the same command goes on from there" err
    check "nothing is left running" test -z "$(pgrep -f "run.dir=$scratch/stopped/")"
    sweep stopped "${arguments[@]}"
    check "the same command goes on" test "$status" = 0
    run_well "a run that was never stopped" 1 simulate "$config" "${arguments[@]:1:2}" seed=1 "run.dir=$scratch/whole"
    check "it ends in the same bytes" cmp "$scratch/whole/final.safetensors" "$scratch/stopped/seed=1/final.safetensors"
}

test_slurm() {
    sweep array seed=1..3 --slurm --jobs 2 --partition=short --dry-run
    check "one array" grep -qE "^'sbatch' '--ntasks=1' '--array=1-3%2' .*'--partition=short'" "$scratch/out"
    sed -n '/^#!/,$p' "$scratch/out" >"$scratch/array.slurm"
    check "a script" bash -n "$scratch/array.slurm"
    mkdir "$scratch/bin"
    # A stand-in for srun: runs what it is given, without its options.
    # shellcheck disable=SC2016  # for that shell to expand
    printf '%s\n' '#!/usr/bin/env bash' 'while [[ $1 == --* ]]; do shift; done' 'exec "$@"' >"$scratch/bin/srun"
    chmod +x "$scratch/bin/srun"
    run_command env "PATH=$scratch/bin:$PATH" SLURM_ARRAY_TASK_ID=2 bash "$scratch/array.slurm"
    check "element 2 runs" test "$status" = 0
    check "it is seed 2" grep -qx 'seed: 2' "$scratch/array/seed=2/config.yaml"
    sweep array seed=1..3 train.workers=4 --train 2 --slurm --dry-run
    check "tasks" grep -qE "'--ntasks=4' '--array=1-2'" "$scratch/out"
}

test_refusals() {
    local mistake
    for mistake in "seed=3..1" "seed=1,1" "--jobs 0" "run.dir=x" "--trian 2" "another.yaml" "--train two"; do
        # shellcheck disable=SC2086  # several words
        sweep refused $mistake
        check "refused: $mistake" test "$status:$(wc -l <"$scratch/err")" = 2:1
    done
    run_command scripts/sweep.sh "$scratch/none.yaml" seed=1
    check "no configuration" test "$status" = 2
}

test_plan
test_runs
test_interrupt
test_slurm
test_refusals
finish
