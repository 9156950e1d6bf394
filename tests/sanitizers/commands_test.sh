#!/usr/bin/env bash
# Every command once, with all that its threads do at the same time: what is to be run under a sanitizer, where the
# other test scripts, with their many runs and their care for results, take too long. Runs of 4 ranks meet, are slowed
# down, asked to leave, and go on; nothing is said about their results but that they come.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/short.yaml
cat >"$config" <<'YAML'
seed: 3
data:          {name: shapes, train_count: 256, test_count: 32, augment: true, validation: 0.125}
model:         {name: convnet, width: 8}
graph:         {name: ring}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: cosine, warmup_epochs: 1}
train:         {batch: 8, epochs: 8, workers: 4}
batch_norm:    {batches: 2}
run:           {log_every: 3, eval_every_epochs: 2, checkpoint_every_epochs: 3, trace: true, tensorboard: true,
                keep_best: true}
YAML

# Start a run in the background: $1 the command, $2 ranks, $3 its directory, keys and options.
start() {
    local command=$1 ranks=$2 directory=$3 words=()
    shift 3
    [ "$ranks" = 1 ] || read -ra words <<<"$launcher -n $ranks"
    "${words[@]}" "$grapevine" "$command" "$config" "run.dir=$directory" "$@" >"$scratch/out" 2>"$scratch/err" \
        </dev/null &
    running=$!
    command_line="$command on $ranks ranks: $*"
}

# Wait until the run in $1 has written more than $2 lines of metrics.
wait_for_lines() {
    until [ "$(cat "$1"/metrics-0.jsonl 2>/dev/null | wc -l)" -gt "$2" ] || ! kill -0 "$running" 2>/dev/null; do
        sleep 0.05
    done
}

# Signal $1 to a process of the running job, or to all of them ($2: its number, or all).
send() {
    local processes
    mapfile -t processes < <(pgrep -P "$running" -f 'grapevine train')
    if [ "${#processes[@]}" = 0 ]; then
        kill -s "$1" "$running"
    elif [ "$2" = all ]; then
        kill -s "$1" "${processes[@]}"
    else
        kill -s "$1" "${processes[$2]}"
    fi
}

# A run that is asked to say how far it is, then to leave, and goes on: $1 name, $2 command, $3 ranks, keys.
leave_and_go_on() {
    local name=$1 command=$2 ranks=$3 run=$scratch/$1 signal which
    shift 3
    for signal in TERM USR1; do
        start "$command" "$ranks" "$run" train.epochs=200 "$@" --resume auto
        wait_for_lines "$run" "$(($(cat "$run"/metrics-0.jsonl 2>/dev/null | wc -l) + 2))"
        send USR2 all
        which=$((ranks - 1))
        [ "$signal" = TERM ] || which=all
        send "$signal" "$which"
        wait "$running"
        status=$?
        verdict "$name: it leaves" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
    done
    run_well "$name: to its end, which comes soon now" "$ranks" "$command" "$config" "run.dir=$run" "$@" \
        "train.epochs=$(($(done_epochs "$run") + 2))" --resume auto
}

# Whole epochs, of 224 pictures, of the newest state in $1.
done_epochs() {
    local newest
    newest=$(find "$1" -name 'state-*.safetensors' | sort | tail -n 1)
    newest=${newest##*/state-}
    echo $((10#${newest%%[-.]*} * 8 / 224))
}

test_meetings() {
    leave_and_go_on acid train 4 algorithm.name=acid
    leave_and_go_on gossip train 4 algorithm.name=gossip graph.name=complete communication.transport=sendrecv \
        model.name=mlp communication.chunk_bytes=4096
}

test_gradients() {
    leave_and_go_on allreduce train 2 algorithm.name=allreduce
    leave_and_go_on alone train 1
}

# Everything that may go wrong at once, and every event recorded.
test_scenario() {
    run_well "a scenario" 4 train "$config" "run.dir=$scratch/scenario" run.record=true train.epochs=4 \
        'inject.slow=0 x2' 'inject.pause=1 0.2..0.5' inject.loss=0.1 'inject.links=0-1 latency_s=0.002' \
        communication.patience_s=0.05 communication.enforce_rate=false
    run_well "its replay" 1 replay "$scratch/scenario"
    run_well "all-reduce, recorded" 3 train "$config" "run.dir=$scratch/reduced" run.record=true train.epochs=2 \
        algorithm.name=allreduce communication.bucket_bytes=4096
    run_well "its replay" 1 replay "$scratch/reduced"
}

test_simulations() {
    leave_and_go_on simulated simulate 1 run.state_every_epochs=1 simulate.jobs=2
    leave_and_go_on modelled simulate 1 simulate.time=modelled simulate.latency_s=0.1 inject.loss=0.1 \
        'inject.pause=1 0..1' model.name=mlp algorithm.name=gossip
    run_well "convex, with its optimum" 1 simulate "$config" "run.dir=$scratch/convex" data.name=gaussian \
        data.augment=false model.name=logistic model.width=0 optimizer.weight_decay=0.01 train.epochs=2
}

test_others() {
    run_well "doctor" 2 doctor
    run_well "eval" 1 eval "$scratch/scenario/final.safetensors" "$config"
    run_well "graph" 1 graph barbell -n 8 --rates best
    run_well "gossip" 1 gossip ring -n 8 --time 20
    run_well "config" 1 config
    run_well "a dry run" 1 train "$config" --dry-run
    refuse "an unknown key" 4 2 'unknown key' train "$config" optimiser.lr=1
    refuse "no data" 2 3 'cifar' train "$config" data.name=cifar10 data.path=/nonexistent "run.dir=$scratch/never"
}

test_packs() {
    "$PYTHON" tests/e2e/photos.py draw "$scratch/photos" 30 200 || return
    "$PYTHON" tests/e2e/photos.py bad "$scratch/photos/train/bad"
    run_well "pack" 1 pack "$scratch/photos" "$scratch/pack" --threads 4 --shard-mib 1
    run_well "pack, made smaller" 1 pack "$scratch/photos" "$scratch/small" --threads 4 --short-side 120
    run_well "verify" 1 pack --verify "$scratch/pack"
    refuse "pack that stops" 1 3 '--on-bad' pack "$scratch/photos" "$scratch/stopped" --threads 4 --on-bad stop
}

# A part of the name of a test function as argument runs that one only.
for part in meetings gradients scenario simulations packs others; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
