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
    dd if=/dev/zero of="$scratch/dd" bs=1M count=$((bytes >> 20)) conv=fsync 2>"$scratch/dd.log"
    dd_s=$(sed -n 's/.* copied, \([0-9.e-]*\) s.*/\1/p' "$scratch/dd.log")
    rm -rf "$scratch/dd" "$scratch/run$round"
    awk -v round=$round -v begin="$begin" -v end="$end" -v bytes="$bytes" -v dd="$dd_s" -v status=$status 'BEGIN {
        printf "round %d: exit status %d, %.2f s from SIGTERM to the end (at most 4 s); %.0f MB of state, which dd with " \
               "fsync writes in %.2f s\n", round, status, end - begin, bytes / 1e6, dd }'
done
