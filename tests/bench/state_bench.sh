#!/usr/bin/env bash
# What a state that is kept while training goes on costs: ResNet-18, batch 128, 4 ranks on this machine. Runs without
# states and with one at every step of each worker take turns; the cost of one state is how much longer a step takes, as
# a share of it. All ranks share the cores here, so that the writing itself is in it; and how long the lock is held, in
# which the vectors are copied.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
scratch=$(mktemp -d -p "${TMPDIR:-/tmp}")
trap 'rm -rf "$scratch"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
read -ra launcher <<<"${MPIRUN:-$(BUILD=$build scripts/launch.sh --mpirun)}"
cat >"$scratch/run.yaml" <<YAML
data:          {name: shapes, train_count: 512, test_count: 16}
model:         {name: resnet18}
graph:         {name: ring}
train:         {batch: 128, epochs: 8}
batch_norm:    {policy: own}
device:        {name: cpu, threads: 1}
run:           {log_every: 1, eval_every_epochs: 0, checkpoint_every_epochs: 0, trace: true, log_level: debug}
YAML

# Mean seconds of a step from the metrics of all ranks, the first two of each left out.
step_s() {
    cat "$1"/metrics.jsonl | awk -F'[:,]' '/"loss"/ {
        for (k = 1; k < NF; k++) {
            if ($k ~ /"rank"/) rank = $(k + 1) + 0
            if ($k ~ /"step"/) step = $(k + 1) + 0
            if ($k ~ /"time"/) time = $(k + 1) + 0
        }
        if (step == 2) first[rank] = time
        if (step > 2) { last[rank] = time; steps[rank] = step - 2 }
    } END { for (rank in last) { sum += last[rank] - first[rank]; count += steps[rank] } printf "%.4f", sum / count }'
}

for round in 1 2 3; do
    for every in 0 1; do # one epoch is a step of each worker
        "${launcher[@]}" -n 4 "$build/grapevine" train "$scratch/run.yaml" "run.dir=$scratch/run$every" \
            "run.state_every_epochs=$every" >"$scratch/out$every" 2>&1 </dev/null
    done
    without=$(step_s "$scratch/run0") with=$(step_s "$scratch/run1")
    states=$(grep -c 'is written' "$scratch/out1" || true)
    held=$(tr '{' '\n' <"$scratch/run1/trace.json" |
        awk -F'[:,}]' '/"checkpoint"/ { for (k = 1; k < NF; k++) if ($k ~ /"dur"/) { sum += $(k + 1); count++ } }
            END { if (count) printf "%.1f", sum / count / 1e3 }')
    awk -v round=$round -v without="$without" -v with="$with" -v states="$states" -v held="$held" 'BEGIN {
        printf "round %d: a step takes %.2f s without states, %.2f s with one each (%d of worker 0 written): a state " \
               "costs %.1f %% of a step (at most 5 %%); vectors copied in %s ms\n", round, without, with, states,
               100 * (with / without - 1), held }'
    rm -rf "$scratch/run0" "$scratch/run1"
done
