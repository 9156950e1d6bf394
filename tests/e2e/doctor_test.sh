#!/usr/bin/env bash
# doctor alone and under the launcher; a container's small /dev/shm: advice, and training that works all the same.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

readonly lines="Grapevine|MPI library|thread level|windows|ranks|device cpu|device cuda|GPUs|data"

# The table in $scratch/out has all lines and these.
check_table() {
    local name=$1 line words
    shift
    IFS='|' read -ra words <<<"$lines"
    for line in "${words[@]}" "$@"; do
        check "$name: line $line" grep -Eq "^$line " "$scratch/out"
    done
    check "$name: the library has a name" grep -Eq '^MPI library +[A-Za-z]' "$scratch/out"
    check "$name: the thread level has a name" grep -Eq '^thread level +MPI_THREAD_' "$scratch/out"
    check "$name: oneDNN has a version" grep -Eqi '^device cpu .*oneDNN.*[0-9]+\.[0-9]+' "$scratch/out"
}

export GRAPEVINE_DATA=$scratch/data
mkdir -p "$GRAPEVINE_DATA/mnist"
run_well "doctor alone" 1 doctor
check_table "alone" "puts"
check "alone: the data set is found" grep -Eq '^data .* mnist' "$scratch/out"
check "alone: advice" grep -q 'mpirun -n' "$scratch/out"
run_well "doctor on 3 ranks" 3 doctor
check_table "3 ranks" "transport" "pairs of ranks"
check "3 ranks: a row of figures for each" test "$(grep -Ec '^ +[0-2]( +(-|[0-9]+)){3}$' "$scratch/out")" = 3
check "3 ranks: one table" test "$(grep -c '^MPI library' "$scratch/out")" = 1
unset GRAPEVINE_DATA
run_well "doctor without data" 1 doctor
check "says how to get some" grep -q 'get_data.sh' "$scratch/out"

if [ "$(id -u)" != 0 ] || ! unshare --mount mount -t tmpfs -o size=16m grapevine-test /dev/shm 2>/dev/null; then
    skip "small /dev/shm" "needs root and mount name spaces"
    finish
fi
# Plain launchers, as a user would type them: what helps must come from the program.
small_shm() {
    run_command unshare --mount bash -c 'mount -t tmpfs -o size=16m grapevine-test /dev/shm && exec "$@"' small "$@"
}
read -ra words <<<"$launcher"
small_shm "${words[@]}" -n 3 "$grapevine" doctor
check "small /dev/shm: doctor ends well" test "$status" = 0
check "small /dev/shm: advice" grep -Eq '/dev/shm is small' "$scratch/out"
cat >"$scratch/large.yaml" <<'YAML'
data: {name: shapes, train_count: 256, test_count: 64}
model: {name: mlp, width: 512}
train: {batch: 16, epochs: 4}
YAML
# 7 MB of parameters: six slots and snapshots of four workers would need 170 MB of the 16.
small_shm "${words[@]}" -n 4 "$grapevine" train "$scratch/large.yaml" "run.dir=$scratch/large"
check "small /dev/shm: training works" test "$status" = 0
check "small /dev/shm: by puts still" "$PYTHON" tests/e2e/inspect_run.py summary "$scratch/large" transport=put \
    rate_tolerance=1
small_shm env BUILD="$BUILD" scripts/launch.sh 4 "$scratch/large.yaml" "run.dir=$scratch/launched"
check "small /dev/shm: and by scripts/launch.sh" test "$status" = 0
finish
