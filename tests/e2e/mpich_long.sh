#!/usr/bin/env bash
# The whole program under MPICH: train on both transports, doctor.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/mpi/laws.bash
. tests/mpi/laws.bash
use_mpich || finish

cat >"$scratch/shapes.yaml" <<'YAML'
data: {name: shapes, train_count: 2048, test_count: 200}
model: {name: convnet}
train: {batch: 16, epochs: 2}
run: {log_every: 20, eval_every_epochs: 1}
YAML
run_well "doctor" 3 doctor
check "doctor names the library" grep -Eq '^MPI library +MPICH' "$scratch/out"
check "doctor: puts work" grep -Eq '^transport +put' "$scratch/out"
for kind in "acid put" "gossip sendrecv" "allreduce auto"; do
    read -r algorithm transport <<<"$kind"
    run=$scratch/$algorithm
    run_well "$kind" 3 train "$scratch/shapes.yaml" "run.dir=$run" "algorithm.name=$algorithm" \
        "communication.transport=$transport"
    check "$kind: summary" "$PYTHON" tests/e2e/inspect_run.py summary "$run" workers=3 total=256
    check "$kind: metrics" "$PYTHON" tests/e2e/inspect_run.py metrics "$run" 3
done
refuse "a configuration error" 3 2 'train.bach && train.batch' train "$scratch/shapes.yaml" train.bach=3
finish
