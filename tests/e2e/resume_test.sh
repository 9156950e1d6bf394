#!/usr/bin/env bash
# A simulated run that is stopped and goes on (`simulate --resume`) ends in the same bytes as one that never stopped: at
# whatever moment it was asked to leave, killed, or cut off in the middle of a state. What is damaged is found, what is
# another run's is refused.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/resume.yaml
cat >"$config" <<'YAML'
seed: 3
data:          {name: shapes, train_count: 256, test_count: 32, augment: true}
model:         {name: convnet, width: 16}
graph:         {name: ring}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: cosine, warmup_epochs: 0.5}
train:         {workers: 4, batch: 8, epochs: 4}
batch_norm:    {batches: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 3, eval_every_epochs: 1, checkpoint_every_epochs: 1, trace: true, record: true,
                state_every_epochs: 0.7}
YAML

# Start a simulation in the background: $1 its directory, keys and options.
start() {
    local directory=$1
    shift
    : >"$scratch/out" 2>"$scratch/err" # now: whoever waits for a word is not to find that of the run before
    # The shell has what it starts in the background ignore Ctrl-C.
    env --default-signal=INT "$grapevine" simulate "$config" "run.dir=$directory" "$@" >"$scratch/out" \
        2>"$scratch/err" </dev/null &
    running=$!
    command_line="simulate ... $*"
}

states_of() {
    find "$1" -name 'state-*.safetensors' 2>/dev/null | sort
}

# Two runs have left the same, but for their directory's name and what is made of it, and the real time.
same_run() {
    local file
    diff <(cd "$1" && ls checkpoint-*) <(cd "$2" && ls checkpoint-*) || return
    for file in "$1"/{metrics.jsonl,trace.json,final.safetensors,checkpoint-*}; do
        cmp "$file" "$2/${file##*/}" || return
    done
    for file in "$1"/events-*.jsonl; do
        diff <(grep '"event"' "$file") <(grep '"event"' "$2/${file##*/}") || return
    done
    same_result "$1" "$2"
}

# The kinds of runs: algorithm, time, and what happens in it.
kinds() {
    cat <<'KINDS'
acid ideal
acid ideal simulate.jobs=3
gossip ideal simulate.gradients=regular
allreduce ideal
acid modelled simulate.latency_s=0.1 communication.rate=2
gossip modelled simulate.latency_s=0.3 communication.patience_s=0.1 inject.loss=0.2 inject.pause=1@0..1
acid modelled simulate.latency_s=0.2 communication.patience_s=0.1 inject.death=2@at@2
allreduce modelled
KINDS
}

# Words of $1 as keys: "@" stands for a space.
keys_of() {
    local words word
    read -ra words <<<"$1"
    keys=("algorithm.name=${words[0]}" "simulate.time=${words[1]}")
    for word in "${words[@]:2}"; do
        keys+=("${word//@/ }")
    done
}

# Asked to leave, or killed, again and again, until it has come to its end.
test_stops() {
    local kind number=0 whole parts starts signal
    while read -r kind; do
        keys_of "$kind"
        keys+=(train.epochs=48 run.state_every_epochs=2.9 run.checkpoint_every_epochs=16 run.eval_every_epochs=12)
        number=$((number + 1)) starts=0
        whole=$scratch/whole-$number parts=$scratch/parts-$number
        run_well "$kind: without a stop" 1 simulate "$config" "run.dir=$whole" "${keys[@]}"
        for signal in TERM KILL USR1 TERM KILL TERM KILL USR1 TERM NONE; do
            start "$parts" "${keys[@]}" --resume auto
            starts=$((starts + 1))
            sleep "0.$((20 + starts * 7))"
            [ "$signal" = NONE ] || kill -s "$signal" "$running" 2>/dev/null
            { wait "$running"; } 2>/dev/null # the shell says that it was killed
            status=$?
            [ "$status" != 0 ] || break
            case $signal in
            KILL) [ "$status" = 137 ] || break ;;
            NONE) ;;
            # Or it was ended before it listened to signals.
            *) [ "$status" = 143 ] || [ "$status" = 138 ] || grep -qx '75 requeue' "$parts/status" || break ;;
            esac
        done
        verdict "$kind: it comes to its end" "$([ "$status" = 0 ] || echo "exit status $status after $starts starts")"
        check "$kind: it was stopped" test "$starts" -gt 2
        check "$kind: the same bytes" same_run "$whole" "$parts"
    done < <(kinds)
}

# Killed in the middle of writing a state, at many places: by a limit on the size of files, whose signal the program is
# kept from ignoring.
test_cut_off() {
    local whole=$scratch/whole run=$scratch/cut kib mortal=$scratch/mortal.so
    cc -shared -fPIC -o "$mortal" -x c - <<'C' || { skip "cut off" "there is no C compiler" && return; }
#include <signal.h>
void (*signal(int number, void (*handler)(int)))(int)
{
    struct sigaction action = {.sa_handler = number == SIGXFSZ ? SIG_DFL : handler}, before;
    return sigaction(number, &action, &before) == 0 ? before.sa_handler : SIG_ERR;
}
C
    run_well "without a stop" 1 simulate "$config" "run.dir=$whole"
    for kib in 40 64 100 200 400; do
        rm -rf "$run"
        {
            (ulimit -f "$kib" && exec env LD_PRELOAD="$mortal" ASAN_OPTIONS=verify_asan_link_order=0 \
                "$grapevine" simulate "$config" "run.dir=$run" run.keep_states=9 >/dev/null)
            status=$?
        } 2>/dev/null </dev/null # the shell says that it was killed
        check "at $kib KiB: it is cut off" test "$status" != 0
        check "no state is there in part" test -z "$(states_of "$run")"
        run_well "it goes on" 1 simulate "$config" "run.dir=$run" --resume auto run.keep_states=9
        check "the same bytes" same_run "$whole" "$run"
        check "nothing unfinished is left" test -z "$(find "$run" -name '*.part*')"
    done
    check "all states are kept, and one at the end" test "$(states_of "$run" | wc -l)" = 6
}

# A run that has been stopped late, with several states: $1 its directory.
stopped_run() {
    rm -rf "$1"
    (ulimit -f 100000 && exec "$grapevine" simulate "$config" "run.dir=$1" run.keep_states=9 train.epochs=400) \
        >/dev/null 2>&1 </dev/null &
    running=$!
    until [ "$(states_of "$1" | wc -l)" -ge 3 ] || ! kill -0 "$running" 2>/dev/null; do sleep 0.02; done
    kill -KILL "$running"
    wait "$running" 2>/dev/null
}

# Another byte, a missing end, nothing: the state before it is taken.
test_damage() {
    local run=$scratch/damaged newest damage
    stopped_run "$scratch/several"
    for damage in flip cut empty text; do
        rm -rf "$run" && cp -r "$scratch/several" "$run"
        newest=$(states_of "$run" | tail -n 1)
        case $damage in
        flip) printf '\xff' | dd of="$newest" bs=1 seek=200000 conv=notrunc status=none ;;
        cut) truncate -s -5 "$newest" ;;
        empty) : >"$newest" ;;
        text) echo "no state" >"$newest" ;;
        esac
        start "$run" train.epochs=400 --resume auto run.log_level=info
        until grep -q 'goes on from' "$scratch/err" "$scratch/out" || ! kill -0 "$running" 2>/dev/null; do
            sleep 0.02
        done
        kill -TERM "$running" 2>/dev/null
        wait "$running"
        check "$damage: it is told" grep -q "${newest##*/} is not whole" "$scratch/err"
        check "$damage: an older one is taken" grep -q "goes on from .*/state-" "$scratch/err" "$scratch/out"
    done
    rm -rf "$run" && cp -r "$scratch/several" "$run"
    newest=$(states_of "$run" | tail -n 1)
    printf '\xff' | dd of="$newest" bs=1 seek=200000 conv=notrunc status=none
    refuse "a damaged state by name" 1 3 'has changed since it was written && start anew' simulate "$config" \
        "run.dir=$run" train.epochs=400 --resume "$newest"
    refuse "a state as a model" 1 3 'state of a run && final.safetensors' eval "$newest" "$run/config.yaml"
    truncate -s 10 "$run/metrics-0.jsonl"
    refuse "metrics that are cut" 1 3 'metrics-0.jsonl && bytes' simulate "$config" "run.dir=$run" train.epochs=400 \
        --resume "$(states_of "$run" | head -n 1)"
}

# What may differ and what may not; what there is to go on from.
test_settings() {
    local run=$scratch/settings several=$scratch/several
    [ -d "$several" ] || stopped_run "$several"
    run_well "a run" 1 simulate "$config" "run.dir=$scratch/done" train.epochs=1
    local again=(simulate "$config" "run.dir=$run" train.epochs=400 --resume auto)
    rm -rf "$run" && cp -r "$several" "$run"
    refuse "another seed" 1 3 'not of this run && seed' "${again[@]}" seed=4
    check "it says what differs" grep -q 'other settings.*seed: 4, was 3' "$scratch/err"
    rm -rf "$run" && cp -r "$several" "$run"
    refuse "another model" 1 3 'another model' "${again[@]}" model.width=17
    rm -rf "$run" && cp -r "$several" "$run"
    refuse "an end before the state" 1 3 'ends before it && train.epochs' simulate "$config" "run.dir=$run" \
        train.epochs=0.5 --resume auto
    refuse "no value" 1 2 'resume needs a value' simulate "$config" --resume
    refuse "no such state" 1 3 'nothing.safetensors' simulate "$config" "run.dir=$run" \
        --resume "$scratch/nothing.safetensors"
    refuse "a model that is no state" 1 3 'no state of a run' simulate "$config" "run.dir=$run" \
        --resume "$scratch/done/final.safetensors"
    refuse "no run's folder" 1 2 'is no run.s folder' simulate "$config" "run.dir=$scratch/none" \
        --resume "$(states_of "$run" | head -n 1)"
    run_well "a run that is done" 1 simulate "$config" "run.dir=$scratch/done" train.epochs=1 --resume auto
    check "it says so" grep -q 'has come to its end' "$scratch/err" "$scratch/out"
    run_well "nothing to go on from" 1 simulate "$config" "run.dir=$scratch/fresh" --resume auto train.epochs=1
    refuse "a folder in use, without --resume" 1 2 'nothing is overwritten && --resume auto' simulate "$config" \
        "run.dir=$scratch/fresh"
}

# Workers that the state does not fit begin with its mean model, and do what is left of the gradients.
test_others() {
    local run=$scratch/others several=$scratch/several key before
    [ -d "$several" ] || stopped_run "$several"
    before=$(states_of "$several" | tail -n 1 | sed 's/.*state-0*//; s/\..*//')
    for key in train.workers=5 algorithm.name=gossip graph.name=complete "simulate.time=modelled train.workers=3"; do
        read -ra keys <<<"$key"
        rm -rf "$run" && cp -r "$several" "$run"
        run_well "$key" 1 simulate "$config" "run.dir=$run" train.epochs=20 --resume auto "${keys[@]}"
        check "$key: it says so" grep -q "mean of 4 workers after $before gradients is the start" "$scratch/err"
        check "$key: old metrics stay" test -s "$run/before-$(printf %012d "$before")-metrics-0.jsonl"
        check "$key: the rest of the gradients" "$PYTHON" - "$run" "$before" <<'PYTHON'
import json, sys
run, done = sys.argv[1], int(sys.argv[2])
s = json.load(open(f"{run}/summary.json"))
first = json.loads(open(f"{run}/metrics.jsonl").readline())
assert abs(s["gradients"] - (20 * 256 // 8 - done)) < 8, (s["gradients"], done)
assert first["global_step"] > done and first["epoch"] > done * 8 / 256, first
PYTHON
    done
    # Such a run is stopped and goes on as any other.
    start "$run-twice" train.epochs=400 && sleep 0.5 && kill -TERM "$running"
    wait "$running"
    start "$run-twice" train.epochs=400 train.workers=2 --resume auto && sleep 0.7 && kill -TERM "$running"
    wait "$running"
    before=$(states_of "$run-twice" | tail -n 1 | sed 's/.*state-0*//; s/\..*//')
    run_well "twice" 1 simulate "$config" "run.dir=$run-twice" train.workers=2 \
        "train.epochs=$((before * 8 / 256 + 5))" --resume auto
    check "it goes on from its own" grep -q "goes on from .*state-0*$before" "$scratch/err"
}

# Ctrl-C once keeps the state, twice leaves at once.
test_interrupt() {
    start "$scratch/interrupted" train.epochs=400
    sleep 0.6
    kill -USR2 "$running"
    sleep 0.2
    check "SIGUSR2: it says how far everybody is" \
        grep -q 'worker 3: [0-9]* gradients ([0-9]* of 12800 by all)' "$scratch/err"
    kill -INT "$running"
    wait "$running"
    status=$?
    verdict "Ctrl-C" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
    check "its state is kept" test -n "$(states_of "$scratch/interrupted")"
    check "how to go on is said" grep -q 'resume auto goes on' "$scratch/err"
}

# A part of the name of a test function as argument runs that one only.
for part in stops cut_off damage settings others interrupt; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
