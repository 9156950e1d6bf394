#!/usr/bin/env bash
# Ranks that do not agree on what they are to do find out before anything is done: one message names the key, its values
# and the ranks that have each, the status is 2, and nothing is written. What is a rank's own may differ.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/agree.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64}
model:  {name: mlp, width: 16}
train:  {batch: 16, epochs: 2}
device: {name: cpu}
run:    {eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

# One program for all ranks, which is what its second part is on the last of $1 ranks: PROGRAM ARGUMENT... "::"
# PROGRAM ARGUMENT... (Lists of programs behind ":" crash some versions of mpirun.)
run_split() {
    local ranks=$1 script=$scratch/rank words=()
    shift
    printf '#!/usr/bin/env bash\n' >"$script"
    printf 'if [ "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}" != %d ]; then\nexec' $((ranks - 1)) >>"$script"
    while [ "$1" != :: ]; do
        printf ' %q' "$1" >>"$script"
        shift
    done
    shift
    printf '\nfi\nexec%s\n' "$(printf ' %q' "$@")" >>"$script"
    chmod +x "$script"
    read -ra words <<<"$launcher"
    run_command "${words[@]}" -n "$ranks" "$script"
}

# Rank 0 and 1 have the arguments before ":", rank 2 those after it: $1 name, $2 what the one message must say. The last
# rank's program may be another one: `odd`, "PROGRAM COMMAND CONFIG". `expected`: the status.
disagree() {
    local name=$1 patterns=$2 usual=() wrong="" errors pattern
    local odd=${odd:-$grapevine train $config}
    shift 2
    while [ $# -gt 0 ] && [ "$1" != : ]; do
        usual+=("$1")
        shift
    done
    shift
    read -ra odd <<<"$odd"
    run_split 3 "$grapevine" train "$config" "run.dir=$scratch/never" "${usual[@]}" :: \
        "${odd[@]}" "run.dir=$scratch/never" "$@"
    errors=$(grep -hE '^grapevine: (\[rank [0-9]+\] )?error: ' "$scratch/err" "$scratch/out")
    [ "$(grep -c . <<<"$errors")" = 1 ] || wrong+="not one error message; "
    [ "$status" = "${expected:-2}" ] || wrong+="exit status $status, expected ${expected:-2}; "
    while read -r pattern; do
        grep -qE -- "$pattern" <<<"$errors" || wrong+="the message does not say /$pattern/; "
    done <<<"${patterns// && /$'\n'}"
    [ ! -e "$scratch/never" ] || wrong+="there is a run directory; "
    verdict "$name" "${wrong%; }"
    rm -rf "$scratch/never"
}

test_settings() {
    local key
    disagree "a learning rate" 'optimizer.lr is 0.1 on ranks 0-1 and 0.2 on rank 2; give every rank the same' \
        : optimizer.lr=0.2
    disagree "the seed" 'seed is 1 on ranks 0-1 and 2 on rank 2' : seed=2
    disagree "batch and model" 'model.width is 16 on ranks 0-1 and 32 on rank 2; train.batch is 16.* and 8 on rank 2' \
        : train.batch=8 model.width=32
    for key in algorithm.name=allreduce run.record=true run.dir="$scratch/elsewhere"; do
        disagree "$key" "${key%%=*} is .* on rank 2" : "$key"
    done
    check "no other directory either" test ! -e "$scratch/elsewhere"
    disagree "--resume" '--resume is not given on ranks 0-1 and auto on rank 2' : --resume auto
    disagree "--dry-run" '--dry-run is given on ranks 0-1 and not given on rank 2' --dry-run :
    odd="$grapevine train" disagree "no configuration" \
        '\[rank 2\] error: .run.dir=.*never. stands where the configuration' :
}

test_files() {
    local folder k
    printf '0 1\n1 2\n' >"$scratch/line" && printf '0 1\n1 2\n0 2\n' >"$scratch/ring"
    disagree "an edge list" 'the graph is 2 edges, .* on ranks 0-1 and 3 edges' \
        "graph.file=$scratch/line" : "graph.file=$scratch/ring"
    for folder in a b c; do
        mkdir -p "$scratch/$folder/cifar-10-batches-bin"
        for k in data_batch_1 data_batch_2 data_batch_3 data_batch_4 data_batch_5 test_batch; do
            truncate -s $((3073 * 20)) "$scratch/$folder/cifar-10-batches-bin/$k.bin"
        done
    done
    printf 'x' | dd of="$scratch/b/cifar-10-batches-bin/data_batch_3.bin" bs=1 seek=5000 conv=notrunc status=none
    local cifar=(data.name=cifar10 data.train_count=0 data.test_count=0)
    disagree "one pixel" 'the training data is 100 images, 10 classes, digest .* on ranks 0-1 and 100 images' \
        "${cifar[@]}" "data.path=$scratch/a" : "${cifar[@]}" "data.path=$scratch/b"
    expected=3 disagree "no data" '\[rank 2\] error: .*/none/' "${cifar[@]}" "data.path=$scratch/a" : "${cifar[@]}" \
        "data.path=$scratch/none"
    own "the same data elsewhere" "${cifar[@]}" "data.path=$scratch/a" : "${cifar[@]}" "data.path=$scratch/c"
    for k in 1 2; do
        run_well "a model to start from" 1 train "$config" "run.dir=$scratch/start-$k" "seed=$k" train.epochs=1
    done
    local first=model.init=$scratch/start-1/final.safetensors
    disagree "another model.init" 'the model to start from is a file .* on ranks 0-1 and a file of .* on rank 2' \
        "$first" : "model.init=$scratch/start-2/final.safetensors"
    disagree "model.init on one rank" 'the model to start from is drawn .* on ranks 0-1 and a file' : "$first"
    cp "$scratch/start-1/final.safetensors" "$scratch/same.safetensors"
    own "the same model elsewhere" "$first" : "model.init=$scratch/same.safetensors"
    cp "$scratch/ring" "$scratch/ring-2"
    own "the same edges elsewhere" "graph.file=$scratch/ring" : "graph.file=$scratch/ring-2"
}

# What is a rank's own: $1 name, arguments of ranks 0 and 1, ":", those of rank 2.
own() {
    local name=$1 usual=()
    shift
    while [ "$1" != : ]; do
        usual+=("$1")
        shift
    done
    shift
    rm -rf "$scratch/own"
    run_split 3 "$grapevine" train "$config" "run.dir=$scratch/own" "${usual[@]}" :: \
        "$grapevine" train "$config" "run.dir=$scratch/own" "$@"
    check "$name" grep -qx '0 done' "$scratch/own/status"
}

test_own() {
    own "what is a rank's own" : device.threads=2 data.threads=2 run.log_level=warning
}

# Its first steps with others, as a program has them that greets nobody: it hears what is wrong, and leaves.
older_program() {
    cat >"$scratch/older.c" <<'C'
#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
int main(void)
{
    int provided, size, users[CPU_SETSIZE] = {0};
    double own = 0, *all;
    MPI_Comm node;
    MPI_Request request;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
    MPI_Allreduce(MPI_IN_PLACE, users, CPU_SETSIZE, MPI_INT, MPI_SUM, node);
    all = calloc((size_t)size, sizeof *all);
    for (int step = 0; step < 2; step++) {
        MPI_Iallgather(&own, 1, MPI_DOUBLE, all, 1, MPI_DOUBLE, MPI_COMM_WORLD, &request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        for (int i = 0; i < size; i++)
            if ((int)all[i] > 0) {
                MPI_Finalize();
                return (int)all[i];
            }
    }
    return 0;
}
C
    ${MPICC:-mpicc} -D_GNU_SOURCE -o "$scratch/older" "$scratch/older.c"
}

test_programs() {
    if older_program 2>"$scratch/err"; then
        odd="$scratch/older" disagree "an older program" 'rank 2 has an older version of grapevine' :
    else
        skip "an older program" "no mpicc"
    fi
    # The launcher may end the job by itself.
    GRAPEVINE_START_S=2 run_split 2 "$grapevine" train "$config" "run.dir=$scratch/never" :: "$grapevine" config seed
    verdict "another command on one rank" \
        "$([ "$status" != 0 ] && [ "$status" != 124 ] && [ ! -e "$scratch/never" ] || echo "exit status $status")"
    check "it is told" grep -Eq 'not all ranks have come|exited without calling|exiting improperly|aborted' \
        "$scratch/err" "$scratch/out"
}

for part in settings files own programs; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
