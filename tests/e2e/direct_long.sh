#!/usr/bin/env bash
# Snapshots from GPU to GPU (communication.transport ipc and cuda), on an emulated GPU, which several processes can
# share memory of, and whose memory every MPI library can put from. Every real run is replayed in one process and must
# end in the same bits: a copy that is believed too early, or a slot that is given away before it was read, would show
# there. The emulator runs work as late as it may, or in a random order; a rank that is stopped and goes on changes
# nothing; what MPI delivers late and in pieces is waited for; where a way cannot be, it is said why, or done otherwise.
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
    [ "$2" = cuda ] && line='transport cuda: snapshots travel from GPU to GPU, by MPI$'
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

# Train and replay by MPI: $1 name, $2 ranks, keys.
by_cuda() {
    local name=$1 ranks=$2
    shift 2
    run_well "$name" "$ranks" train "$config" "run.dir=$scratch/$name" communication.transport=cuda "$@" &&
        went_by "$scratch/$name" cuda
}

# Floats are what snapshots are put as: they arrive in two halves, the second one $LATE looks into MPI after the first,
# long after the put was locally complete; 0: never.
write_late() {
    cat >"$scratch/late.c" <<'C'
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
static struct half {
    float *values;
    int count, rank, left;
    MPI_Aint place;
    MPI_Win window;
    struct half *next;
} *halves;
int MPI_Rput(const void *from, int count, MPI_Datatype type, int rank, MPI_Aint place, int target_count,
             MPI_Datatype target_type, MPI_Win window, MPI_Request *request)
{
    int first = count / 2;
    if (type != MPI_FLOAT || count < 2)
        return PMPI_Rput(from, count, type, rank, place, target_count, target_type, window, request);
    struct half *half = malloc(sizeof *half);
    *half = (struct half){malloc((size_t)(count - first) * sizeof(float)), count - first, rank,
                          atoi(getenv("LATE")), place + first, window, halves};
    memcpy(half->values, (const float *)from + first, (size_t)(count - first) * sizeof(float));
    halves = half;
    return PMPI_Rput(from, first, type, rank, place, first, type, window, request);
}
static void put_halves(void)
{
    for (struct half *half = halves; half != NULL; half = half->next)
        if (half->left > 0 && --half->left == 0)
            PMPI_Put(half->values, half->count, MPI_FLOAT, half->rank, half->place, half->count, MPI_FLOAT,
                     half->window);
}
int MPI_Iprobe(int source, int tag, MPI_Comm comm, int *flag, MPI_Status *status)
{
    put_halves();
    return PMPI_Iprobe(source, tag, comm, flag, status);
}
int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    put_halves();
    return PMPI_Test(request, flag, status);
}
C
    ${MPICC:-mpicc} -shared -fPIC -o "$scratch/late.so" "$scratch/late.c"
}

# By an MPI library that knows device memory: whoever meets whom, in whatever order, however late what was put arrives.
test_mpi() {
    local run algorithm ranks schedule records late
    for run in "acid 2 lazy 3" "gossip 4 lazy 1" "acid 4 random:1 2"; do
        read -r algorithm ranks schedule records <<<"$run"
        GRAPEVINE_EMULATOR_SCHEDULE=$schedule by_cuda "mpi-$algorithm-$ranks-$schedule" "$ranks" \
            "algorithm.name=$algorithm" "communication.records=$records"
    done
    by_cuda mpi-line 4 graph.name=line
    GRAPEVINE_EMULATOR_DEVICES=2 by_cuda mpi-two-gpus 3
    by_cuda mpi-network 2 model.name=convnet device.precision=bf16 graph.name=ring communication.rate=2 train.batch=8
    write_late
    for late in 20 400; do
        LATE=$late LD_PRELOAD=$scratch/late.so by_cuda "mpi-late-$late" 3 communication.rate=2
    done
    LATE=0 LD_PRELOAD=$scratch/late.so refuse "puts that arrive in part" 2 4 \
        'GPU of rank [01] .* does not arrive whole && transport=put' \
        train "$config" "run.dir=$scratch/in-part" communication.transport=cuda
    GRAPEVINE_EMULATOR_MPI=refuses refuse "an MPI that does not know device memory" 3 2 \
        'transport=cuda && built with CUDA && transport=auto' \
        train "$config" "run.dir=$scratch/not-aware" communication.transport=cuda
    refuse "cuda on the CPU" 2 2 'transport=cuda && is cpu && device\.name=cuda' \
        train "$config" "run.dir=$scratch/cuda-cpu" communication.transport=cuda device.name=cpu
    grapevine=$PWD/$BUILD/grapevine refuse "cuda without a GPU" 2 2 'transport=cuda && is cpu' \
        train "$config" "run.dir=$scratch/cuda-none" communication.transport=cuda device.name=cpu device.precision=auto
}

# A part of the name of a test function as argument runs that one only.
for part in ranks others stopped refusals mpi; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
