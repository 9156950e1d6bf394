#!/usr/bin/env bash
# Everything a user can get wrong, and a machine that lacks something: one message from one rank that names place, value
# and remedy, the documented exit status, no crash and no hang.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/base.yaml
cat >"$config" <<'YAML'
data: {name: shapes, train_count: 512, test_count: 64}
model: {name: mlp, width: 16}
train: {batch: 32, epochs: 2}
run: {log_every: 5, eval_every_epochs: 0}
YAML

# A train run with a configuration file of its own: $1 name, $2 ranks, $3 status, $4 patterns, then lines of the file.
refuse_config() {
    local name=$1 ranks=$2 expected=$3 patterns=$4
    shift 4
    printf '%s\n' "$@" >"$scratch/own.yaml"
    refuse "$name" "$ranks" "$expected" "$patterns" train "$scratch/own.yaml" "run.dir=$scratch/never"
}

# The same on the command line, for one rank and for three.
refuse_keys() {
    local name=$1 expected=$2 patterns=$3 ranks
    shift 3
    for ranks in 1 3; do
        refuse "$name" "$ranks" "$expected" "$patterns" train "$config" "run.dir=$scratch/never" "$@"
    done
}

test_configuration() {
    local good='data: {name: shapes}' model='model: {name: mlp}' ranks
    for ranks in 1 4; do
        refuse_config "unknown key" "$ranks" 2 'own.yaml:3 && optimizer\.lrr && optimizer\.lr[^r]' \
            "$good" "$model" 'optimizer: {lrr: 0.1}'
        refuse_config "unknown section" "$ranks" 2 'own.yaml:3 && optimiser && optimizer' \
            "$good" "$model" 'optimiser: {lr: 0.1}'
    done
    refuse_config "near key" 1 2 'own.yaml:4 && momentun && optimizer\.momentum' \
        "$good" "$model" 'optimizer:' '  momentun: 0.9'
    refuse_config "wrong type" 2 2 'own.yaml:3 && train.batch && "?many' "$good" "$model" 'train: {batch: many}'
    refuse_config "wrong type of truth" 1 2 'own.yaml:3 && run.trace && maybe' "$good" "$model" 'run: {trace: maybe}'
    refuse_config "out of bounds" 2 2 'own.yaml:3 && optimizer.momentum && 1\.5 && 0.*1' \
        "$good" "$model" 'optimizer: {momentum: 1.5}'
    refuse_config "unknown word" 1 2 'own.yaml:3 && schedule.name && cosin && cosine' \
        "$good" "$model" 'schedule: {name: cosin}'
    refuse_config "bad YAML" 2 2 'own.yaml:[0-9]+' "$good" "$model" 'train: {batch: 32'
    refuse_config "a key twice" 1 2 'own.yaml:4 && optimizer.lr|own.yaml:4 && twice|already|again' \
        "$good" "$model" 'optimizer: {lr: 0.1}' 'optimizer: {lr: 0.2}'
    refuse_config "no data.name" 2 2 'own.yaml && data.name' "$model"
    refuse_config "no model.name" 1 2 'own.yaml && model.name' "$good"
    refuse "no such file" 2 2 'nowhere.yaml && No such file' train "$scratch/nowhere.yaml"
    refuse "no file given" 1 2 'configuration file' train
    refuse_keys "bad assignment" 2 'train.batch && "?0' train.batch=0
    refuse_keys "unknown assignment" 2 'train.bach && train.batch' train.bach=3
    refuse "no assignment" 1 2 'hello' train "$config" hello
}

test_names() {
    refuse_keys "unknown data" 2 'data.name && cifar11 && cifar10' data.name=cifar11
    refuse_keys "unknown model" 2 'model.name && resnet19 && resnet18' model.name=resnet19
    refuse_keys "smoothed labels of a squared error" 2 'train.label_smoothing && linear && squared error && leave' \
        model.name=linear model.width=0 train.label_smoothing=0.1
    refuse_keys "labels smoothed away" 2 'train.label_smoothing && "1" is out of bounds.*[[]0, 1[)]' \
        train.label_smoothing=1
    refuse_keys "unknown algorithm" 2 'algorithm.name && acidd && acid' algorithm.name=acidd
    refuse_keys "unknown graph" 2 'graph.name && rign && ring' graph.name=rign
    refuse_keys "unknown device" 2 'device.name && gpu9 && cpu' device.name=gpu9
    refuse "hypercube of 3" 3 2 'hypercube && 3 && 2.*4' train "$config" "run.dir=$scratch/never" graph.name=hypercube
    refuse "too few gradients" 3 2 'train.epochs && 3 workers' train "$config" "run.dir=$scratch/never" \
        train.epochs=0.01 train.batch=512
}

# bytes FILE COUNT: a file of so many zero bytes.
bytes() {
    mkdir -p "$(dirname "$1")"
    head -c "$2" /dev/zero >"$1"
}

test_data() {
    local folder=$scratch/data k
    unset GRAPEVINE_DATA
    refuse_keys "no data path" 3 'data.path && GRAPEVINE_DATA && get_data.sh' data.name=cifar10
    set -- data.train_count=0 data.test_count=0 "data.path=$folder"
    mkdir -p "$folder"
    refuse_keys "missing data folder" 3 'cifar-10-batches-bin/.*\.bin && get_data.sh' data.name=cifar10 "$@"
    for k in 1 2 3 4 5; do
        bytes "$folder/cifar-10-batches-bin/data_batch_$k.bin" $((3073 * 20))
    done
    bytes "$folder/cifar-10-batches-bin/test_batch.bin" $((3073 * 20))
    run_well "tiny CIFAR-10 is read" 2 train "$config" "run.dir=$scratch/cifar" data.name=cifar10 "$@"
    bytes "$folder/cifar-10-batches-bin/data_batch_3.bin" $((3073 * 20 - 7))
    refuse_keys "short data file" 3 'data_batch_3.bin && 3073' data.name=cifar10 "$@"
    bytes "$folder/cifar-10-batches-bin/data_batch_3.bin" 0
    refuse_keys "empty data file" 3 'data_batch_3.bin' data.name=cifar10 "$@"
    bytes "$folder/cifar-10-batches-bin/data_batch_3.bin" $((3073 * 19))
    { printf '\377' && head -c 3072 /dev/zero; } >>"$folder/cifar-10-batches-bin/data_batch_3.bin"
    refuse_keys "impossible label" 3 'data_batch_3.bin && 255' data.name=cifar10 "$@"
    rm "$folder/cifar-10-batches-bin/data_batch_3.bin"
    refuse_keys "missing data file" 3 'data_batch_3.bin && No such file' data.name=cifar10 "$@"
    refuse "more pictures than there are" 1 2 'asked for' train "$config" "run.dir=$scratch/never" data.name=cifar10 \
        "data.path=$folder" data.test_count=21 data.train_count=0
    test_idx "$folder/mnist" "$@"
}

# Twenty pictures and labels of MNIST, then with damages.
test_idx() {
    local folder=$1 part
    shift
    mkdir -p "$folder"
    for part in train t10k; do
        { printf '\0\0\010\003\0\0\0\024\0\0\0\034\0\0\0\034' && head -c $((20 * 784)) /dev/zero; } \
            >"$folder/$part-images-idx3-ubyte"
        { printf '\0\0\010\001\0\0\0\024' && head -c 20 /dev/zero; } | gzip >"$folder/$part-labels-idx1-ubyte.gz"
    done
    run_well "tiny MNIST is read, plain and packed" 1 train "$config" "run.dir=$scratch/mnist" data.name=mnist "$@"
    truncate -s 1000 "$folder/train-images-idx3-ubyte"
    refuse_keys "short idx file" 3 'train-images-idx3-ubyte' data.name=mnist "$@"
    { printf '\0\0\010\001\0\0\0\024' && head -c $((20 * 784)) /dev/zero; } >"$folder/train-images-idx3-ubyte"
    refuse_keys "wrong magic number" 3 'train-images-idx3-ubyte' data.name=mnist "$@"
    echo "no gzip, no idx" >"$folder/t10k-labels-idx1-ubyte.gz"
    refuse_keys "corrupt packed file" 3 't10k-labels-idx1-ubyte.gz' data.name=mnist "$@"
}

test_checkpoints() {
    local good=$scratch/start/final.safetensors size
    run_well "a run to start from" 1 train "$config" "run.dir=$scratch/start" || return
    size=$(stat -c %s "$good")
    head -c $((size / 2)) "$good" >"$scratch/half.safetensors"
    head -c 5 "$good" >"$scratch/five.safetensors"
    { printf '\377\377\377\377\377\377\377\177' && tail -c +9 "$good"; } >"$scratch/length.safetensors"
    { head -c 8 "$good" && printf 'x' && tail -c +10 "$good"; } >"$scratch/json.safetensors"
    for damaged in half five length json; do
        refuse "checkpoint: $damaged" 1 3 "$damaged.safetensors" eval "$scratch/$damaged.safetensors" "$config"
        refuse "model.init: $damaged" 2 3 "$damaged.safetensors" \
            train "$config" "run.dir=$scratch/never" "model.init=$scratch/$damaged.safetensors"
    done
    refuse "no checkpoint" 1 3 'none.safetensors && No such file' eval "$scratch/none.safetensors" "$config"
    refuse "a folder as checkpoint" 1 3 "$scratch" eval "$scratch" "$config"
    refuse "checkpoint of another model" 1 3 'final.safetensors && convnet' eval "$good" "$config" model.name=convnet
    refuse "model.init of another model" 3 3 'final.safetensors && convnet' \
        train "$config" "run.dir=$scratch/never" model.name=convnet "model.init=$good"
    refuse "checkpoint of another width" 1 3 'final.safetensors && mlp' eval "$good" "$config" model.width=32
    refuse "eval without a configuration" 1 2 'configuration' eval "$good"
}

test_graph_files() {
    local list=$scratch/edges.txt
    set -- train "$config" "run.dir=$scratch/never" "graph.file=$list"
    printf '0 1\n1 2\n2 2\n' >"$list"
    refuse "self-loop" 3 2 'edges.txt:3 && self-loop && 2' "$@"
    printf '0 1\n# a remark\n1 2\n0 1\n' >"$list"
    refuse "duplicate edge" 3 2 'edges.txt:4 && duplicate && 1' "$@"
    printf '0 1 1\n1 2 1\n1 0 2\n' >"$list"
    refuse "two directions, two rates" 3 2 'edges.txt:3 && line 1 && rate 2 && the other way round' "$@"
    printf '0 1\n1 2\n2 7\n' >"$list"
    refuse "worker out of range" 3 2 'edges.txt:3 && 7 && 3 workers' "$@"
    printf '0 1\n2 3\n' >"$list"
    refuse "disconnected" 4 2 'connected && 0, 1|0 1|\{0 && 2, 3|2 3|\{2' "$@"
    printf '0 1\n1 2\n' >"$list"
    refuse "more ranks than the list" 4 2 'edges.txt && 0 to 2 && 4 && 3' "$@"
    printf '0 1\n1 two\n' >"$list"
    refuse "not a number" 3 2 'edges.txt:2 && two' "$@"
    : >"$list"
    refuse "empty list" 2 2 'edges.txt && empty' "$@"
    rm "$list"
    refuse "missing list" 2 2 'edges.txt && No such file' "$@"
    printf '0 1\n1 2\n2 0\n' >"$list"
    run_well "a good list" 3 train "$config" "run.dir=$scratch/listed" "graph.file=$list"
}

test_run_directory() {
    local ranks
    mkdir -p "$scratch/used" && echo 1 >"$scratch/used/file"
    for ranks in 1 3; do
        refuse "existing run directory" "$ranks" 2 'used && run.dir=.*used-2' train "$config" "run.dir=$scratch/used"
    done
    echo 1 >"$scratch/file"
    refuse "run directory below a file" 2 2 'file/run' train "$config" "run.dir=$scratch/file/run"
    refuse "unwritable run directory" 2 4 '/proc/nowhere' train "$config" run.dir=/proc/nowhere/run
    check "a refused run leaves nothing" test ! -e "$scratch/never"
}

test_full_disk() {
    local reason disk=$scratch/disk ranks
    if ! reason=$(mount_small "$disk" 64); then
        skip "full disk" "$reason"
        return
    fi
    cleanups+=("umount -l '$disk'")
    for ranks in 1 3; do
        rm -rf "${disk:?}"/*
        # The model alone (196 kB) is larger than the disk: the metrics fit, the final checkpoint does not.
        refuse "full disk at the end" "$ranks" 4 "$disk/run && No space" train "$config" "run.dir=$disk/run"
        check "the status file tells, $ranks rank(s)" grep -q '^4 ' "$disk/run/status"
    done
    rm -rf "${disk:?}"/*
    refuse "full disk, by metrics" 1 4 "$disk/run && No space" train "$config" "run.dir=$disk/run" run.log_every=1 \
        train.epochs=400
    check "the status file tells all the same" grep -q '^4 machine$' "$disk/run/status"
    check "no part of a line" test -z "$(tail -c 1 "$disk/run/metrics-0.jsonl")"
    rm -rf "${disk:?}"/*
    head -c 65536 /dev/zero >"$disk/filler" 2>/dev/null
    refuse "full disk at the start" 2 4 "$disk/run && No space" train "$config" "run.dir=$disk/run"
}

test_transport() {
    case $launcher in
    *mpirun*) ;;
    *) skip "unusable transport" "the settings are Open MPI's" && return ;;
    esac
    export OMPI_MCA_osc=^sm,pt2pt,rdma,ucx # no component is left
    refuse "put does not work" 2 4 'osc sm,pt2pt && transport=sendrecv' \
        train "$config" "run.dir=$scratch/never" communication.transport=put
    run_well "auto falls back" 2 train "$config" "run.dir=$scratch/fallback" communication.transport=auto
    check "and says so" grep -q 'warning: .*two-sided' "$scratch/err"
    check "and records it" "$PYTHON" tests/e2e/inspect_run.py summary "$scratch/fallback" transport=sendrecv \
        rate_tolerance=1
    export OMPI_MCA_osc=sm OMPI_MCA_osc_sm_backing_directory=$scratch/nowhere # one rank fails, the other is stuck
    run_ranks 2 train "$config" "run.dir=$scratch/stuck" communication.limit_s=5
    check "a window that one rank cannot open ends the run" test "$status" = 4
    check "with the step that it waited in" grep -q 'error: waited 5 s .*"open transport"' "$scratch/err"
    check "and in the status file" grep -q '^4 ' "$scratch/stuck/status"
    unset OMPI_MCA_osc OMPI_MCA_osc_sm_backing_directory
}

# A launcher ends all ranks as soon as one has failed: the message must come even if rank 0 starts last.
test_late_rank() {
    local words
    read -ra words <<<"$launcher -n 3"
    # shellcheck disable=SC2016  # expanded by each rank
    run_command "${words[@]}" bash -c '[ "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}" != 0 ] || sleep 2; exec "$@"' late \
        "$grapevine" train "$config" optimizer.lrr=1
    check "rank 0 late: the message comes" grep -q 'error: .*optimizer\.lrr' "$scratch/err"
}

test_command_line() {
    refuse "unknown command" 1 2 'trian && train' trian
    refuse "bad log level" 1 2 'loud' --log loud train "$config"
    refuse "unknown argument of doctor" 1 2 'hello' doctor hello
    refuse "a key before the file" 1 2 'run.dir=x && the file comes first' simulate run.dir=x "$config"
    refuse "a key with dashes" 1 2 'without dashes: train.batch=8' simulate "$config" --train.batch=8
    refuse "a section where a key is expected" 1 2 'keys of section train' config --get train "$config"
    refuse "a list without value" 1 2 'numbers in \[0, 1\]$' simulate "$config" data.mean=
}

# A part of the name of a test function as argument runs that one only.
for part in configuration names data checkpoints graph_files run_directory full_disk transport late_rank \
    command_line; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
