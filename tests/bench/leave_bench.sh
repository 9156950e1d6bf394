#!/usr/bin/env bash
# From SIGTERM to the end of a run with its state kept: ResNet-18, batch 128, 4 ranks on this machine; and how fast the
# state was written, beside dd of as many bytes with fsync.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
scratch=$(mktemp -d -p "${TMPDIR:-/tmp}")
trap 'rm -rf "$scratch"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
read -ra launcher <<<"${MPIRUN:-$(BUILD=$build scripts/launch.sh --mpirun)}"
cat >"$scratch/run.yaml" <<YAML
data:          {name: shapes, train_count: 4096, test_count: 16}
model:         {name: resnet18}
graph:         {name: ring}
train:         {batch: 128, epochs: 100}
device:        {name: cpu, threads: 1}
run:           {log_every: 1, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

for round in 1 2 3; do
    "${launcher[@]}" -n 4 "$build/grapevine" train "$scratch/run.yaml" "run.dir=$scratch/run$round" \
        >"$scratch/out" 2>&1 </dev/null &
    job=$!
    until [ -s "$scratch/run$round/metrics-3.jsonl" ] || ! kill -0 $job 2>/dev/null; do sleep 0.1; done
    sleep "1.$round"
    begin=$(date +%s.%N)
    pkill -TERM -P $job -f 'grapevine train' # its ranks
    status=0
    wait $job || status=$?
    end=$(date +%s.%N)
    bytes=$(du -cb "$scratch/run$round"/state-*-of-4.safetensors | tail -n 1 | cut -f1)
    for file in "$scratch/run$round"/state-*-of-4.safetensors; do
        dd if="$file" of="$scratch/dd" bs=1M conv=fsync 2>&1 | sed -n 's/.* copied, \([0-9.e-]*\) s.*/\1/p'
    done >"$scratch/dd.log"
    dd_s=$(awk '{ sum += $1 } END { print sum }' "$scratch/dd.log")
    rm -rf "$scratch/dd" "$scratch/run$round"
    write_s=$(sed -n 's/.* (in \([0-9.]*\) s); the same.*/\1/p' "$scratch/out")
    awk -v round=$round -v begin="$begin" -v end="$end" -v bytes="$bytes" -v dd="$dd_s" -v status=$status \
        -v write="$write_s" 'BEGIN {
        printf "round %d: exit status %d, %.2f s from SIGTERM to the end (at most 4 s); %.0f MB of state in %.2f s, " \
               "by dd with fsync in %.2f s: bandwidth over that of dd %.2f (at least 0.7)\n", round, status,
               end - begin, bytes / 1e6, write, dd, dd / write }'
done
