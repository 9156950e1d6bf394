#!/usr/bin/env bash
# Snapshots from GPU to GPU (communication.transport ipc), on an emulated GPU, which several processes can share memory
# of. Every real run is replayed in one process and must end in the same bits: a copy that is believed too early, or a
# slot that is given away before it was read, would show there. The emulator runs work as late as it may, or in a random
# order; a rank that is stopped and goes on changes nothing; where ipc cannot be, it is said why, or done otherwise.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

if [ ! -x "$BUILD/emulated/grapevine" ]; then
    echo "this build has no CUDA: make CUDA=1, where the CUDA Toolkit is"
    exit 77
fi
grapevine=$PWD/$BUILD/emulated/grapevine
export XDG_CACHE_HOME=$scratch/cache # of measured engines

# Many meetings for each gradient: what counts is how they follow one another.
config=$scratch/ipc.yaml
cat >"$config" <<'YAML'
seed: 3
data:          {name: shapes, train_count: 160, test_count: 16}
model:         {name: mlp, width: 2}
graph:         {name: complete}
communication: {rate: 4, patience_s: 0.2}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: 4, epochs: 2}
batch_norm:    {batches: 2}
device:        {name: cuda, precision: fp32}
run:           {log_every: 10, record: true, checkpoint_every_epochs: 0}
YAML

# The run $1 went by transport $2, as its summary and the line at its start say, held meetings, and its replay agrees.
went_by() {
    local name=${1##*/} line
    [ "$2" = ipc ] && line='transport ipc: snapshots travel from GPU to GPU$'
    check "$name: by $2" "$PYTHON" tests/e2e/inspect_run.py summary "$1" "transport=$2" rate_tolerance=1
    check "$name: it says so" grep -qE "^grapevine: ${line:-transport $2: snapshots travel through host memory, $3}" \
        "$scratch/err"
    check "$name: meetings were held" test "$(cat "$1"/events-*.jsonl | grep -c '"apply"')" -gt 10
    run_ranks 1 replay "$1"
    verdict "$name: the replay" "$(grep -q 'agrees bit for bit' "$scratch/out" || echo 'does not agree bit for bit')"
}

# Train and replay: $1 name, $2 ranks, keys.
by_ipc() {
    local name=$1 ranks=$2
    shift 2
    run_well "$name" "$ranks" train "$config" "run.dir=$scratch/$name" "$@" && went_by "$scratch/$name" ipc
}

# Whoever meets whom, in whatever order the streams run. With one record every slot is filled again as soon as may be.
test_ranks() {
    local run algorithm ranks schedule records
    for run in "acid 2 lazy 3" "gossip 2 lazy 1" "acid 4 lazy 1" "gossip 4 lazy 3" "acid 4 random:1 1" \
        "gossip 4 random:2 2" "acid 2 random:3 1"; do
        read -r algorithm ranks schedule records <<<"$run"
        GRAPEVINE_EMULATOR_SCHEDULE=$schedule by_ipc "$algorithm-$ranks-$schedule-$records" "$ranks" \
            "algorithm.name=$algorithm" "communication.records=$records"
    done
    # Workers of a line fill no slot at some distances, and nothing of theirs is forced meanwhile.
    by_ipc line 4 graph.name=line communication.transport=ipc
    by_ipc network 2 model.name=convnet device.precision=bf16 graph.name=ring communication.rate=2 train.batch=8
}

# Ranks of several GPUs; words and tags by messages; meetings that are given up for a while; memory that host code
# cannot touch.
test_others() {
    GRAPEVINE_EMULATOR_DEVICES=2 by_ipc two-gpus 3
    case $launcher in
    *mpirun*) # no component is left
        OMPI_MCA_osc=^sm,pt2pt,rdma,ucx by_ipc no-windows 3 train.epochs=1
        ;;
    *) skip "tags by messages" "the settings are Open MPI's" ;;
    esac
    by_ipc slow-links 3 "inject.links=all latency_s=0.02" communication.patience_s=0.01 communication.rate=2
    check "meetings were given up" grep -q '"give_up"' "$scratch"/slow-links/events-0.jsonl
    GRAPEVINE_EMULATOR_PROTECT=1 by_ipc protected 2 train.epochs=1
}

# Ranks are stopped in turn, in the middle of whatever they do, and go on.
test_stopped() {
    local run=$scratch/stopped words background ranks=() k
    read -ra words <<<"$launcher -n 3"
    "${words[@]}" "$grapevine" train "$config" "run.dir=$run" train.epochs=4 communication.patience_s=0.05 \
        >"$scratch/out" 2>"$scratch/err" </dev/null &
    background=$!
    cleanups+=("kill -9 $background 2>/dev/null")
    until [ -e "$run/events-2.jsonl" ] || ! kill -0 "$background" 2>/dev/null; do sleep 0.05; done
    for ((k = 0; k < 12; k++)); do
        mapfile -t ranks < <(pgrep -P "$background" -f 'grapevine train')
        [ ${#ranks[@]} = 3 ] || break
        kill -STOP "${ranks[k % 3]}" && sleep 0.4
        kill -CONT "${ranks[k % 3]}" && sleep 0.1
    done
    check "ranks were stopped" test "$k" -gt 2
    wait "$background"
    status=$?
    verdict "stopped ranks: the run ends" "$([ "$status" = 0 ] || echo "exit status $status")"
    check "others gave up waiting for them" test "$(cat "$run"/events-*.jsonl | grep -c '"give_up"')" -gt 0
    went_by "$run" ipc
}

# Where it cannot be: one message of all ranks where it was asked for, another way where it was not.
test_refusals() {
    local ranks
    for ranks in 2 3; do
        refuse "ipc on the CPU" "$ranks" 2 'transport=ipc && is cpu && device\.name=cuda && transport=auto' \
            train "$config" "run.dir=$scratch/cpu-$ranks" communication.transport=ipc device.name=cpu
    done
    cat >"$scratch/nodes.c" <<'C'
#include <mpi.h>
/* Every second rank is on another node. */
int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *out)
{
    int rank;
    (void)type, (void)info;
    MPI_Comm_rank(comm, &rank);
    return MPI_Comm_split(comm, rank % 2, key, out);
}
C
    ${MPICC:-mpicc} -shared -fPIC -o "$scratch/nodes.so" "$scratch/nodes.c"
    LD_PRELOAD=$scratch/nodes.so refuse "ipc between nodes" 4 2 'transport=ipc && one node && transport=auto' \
        train "$config" "run.dir=$scratch/between" communication.transport=ipc
    LD_PRELOAD=$scratch/nodes.so run_well "auto between nodes" 2 train "$config" "run.dir=$scratch/nodes" &&
        went_by "$scratch/nodes" put "the ranks are on several nodes"
    GRAPEVINE_EMULATOR_IPC=refuse refuse "GPUs that do not reach one another" 2 4 \
        'peer access is not supported && nvidia-smi topo && transport=auto' \
        train "$config" "run.dir=$scratch/no-peers" communication.transport=ipc
    GRAPEVINE_EMULATOR_IPC=lose refuse "copies that get lost" 3 4 \
        'GPU of rank [0-2] .* does not arrive && transport=put' \
        train "$config" "run.dir=$scratch/lost" communication.transport=ipc
    for way in refuse lose; do
        GRAPEVINE_EMULATOR_IPC=$way run_well "auto then" 3 train "$config" "run.dir=$scratch/otherwise-$way" &&
            went_by "$scratch/otherwise-$way" put "GPUs do not reach one another"
    done
    # One rank is enough, and all know.
    cat >"$scratch/one.sh" <<SH
#!/usr/bin/env bash
[ "\${OMPI_COMM_WORLD_RANK:-\${PMI_RANK:-}}" = 1 ] && export GRAPEVINE_EMULATOR_IPC=lose
exec "$grapevine" "\$@"
SH
    chmod +x "$scratch/one.sh"
    grapevine=$scratch/one.sh run_well "auto, one rank's copies get lost" 3 train "$config" \
        "run.dir=$scratch/one" && went_by "$scratch/one" put "GPUs do not reach one another"
    run_well "put where ipc could be" 2 train "$config" "run.dir=$scratch/put" communication.transport=put &&
        went_by "$scratch/put" put "as communication.transport asks"
}

# A part of the name of a test function as argument runs that one only.
for part in ranks others stopped refusals; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
