#!/usr/bin/env bash
# Short runs under valgrind's memcheck, as they are built for use: no invalid access, no value that depends on memory
# that was never written (which the sanitizers do not look for), nothing lost. What libraries do wrong by themselves is
# in tests/sanitizers/valgrind.supp. About three minutes on two cores.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
limit_s=${LIMIT_S:-900}

if ! command -v valgrind >/dev/null; then
    skip "runs under valgrind" "valgrind is not installed"
    finish
fi

config=$scratch/short.yaml
cat >"$config" <<'YAML'
seed: 3
data:          {name: shapes, train_count: 64, test_count: 16, augment: true}
model:         {name: convnet, width: 8}
optimizer:     {lr: 0.05, lr_per_samples: 0}
train:         {batch: 8, epochs: 2, workers: 2}
batch_norm:    {batches: 1}
communication: {limit_s: 600}
run:           {log_every: 2, eval_every_epochs: 1, checkpoint_every_epochs: 1, trace: true}
YAML

# Its threads take turns; fair-sched lets the one that computes have its turn beside one that polls.
memcheck=(valgrind -q "--log-file=$scratch/memcheck.%p" --error-exitcode=66 --fair-sched=yes --num-callers=40
    --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite
    "--suppressions=$PWD/tests/sanitizers/valgrind.supp")

# $1 name, $2 ranks, the arguments of the program.
clean() {
    local name=$1 ranks=$2 words=()
    shift 2
    [ "$ranks" = 1 ] || read -ra words <<<"$launcher -n $ranks"
    rm -f "$scratch"/memcheck.*
    run_command "${words[@]}" "${memcheck[@]}" "$grapevine" "$@"
    cat "$scratch"/memcheck.* >>"$scratch/err"
    verdict "$name" "$([ "$status" = 0 ] || echo "exit status $status, expected 0")"
}

clean "acid, put" 2 train "$config" "run.dir=$scratch/acid" run.record=true
clean "its replay" 1 replay "$scratch/acid"
clean "gossip, sendrecv" 3 train "$config" "run.dir=$scratch/gossip" algorithm.name=gossip model.name=mlp \
    communication.transport=sendrecv communication.chunk_bytes=4096
clean "all-reduce" 2 train "$config" "run.dir=$scratch/allreduce" algorithm.name=allreduce

# Asked to leave once there is a state, and then to its end.
rm -f "$scratch"/memcheck.*
"${memcheck[@]}" "$grapevine" simulate "$config" "run.dir=$scratch/simulated" run.state_every_epochs=0.5 \
    >"$scratch/out" 2>"$scratch/err" </dev/null &
running=$! command_line="a simulation"
until [ -n "$(find "$scratch" -name 'state-*.safetensors')" ] || ! kill -0 "$running" 2>/dev/null; do
    sleep 0.05
done
kill -s TERM "$running"
wait "$running"
status=$?
cat "$scratch"/memcheck.* >>"$scratch/err"
verdict "a simulation that leaves" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
clean "and goes on" 1 simulate "$config" "run.dir=$scratch/simulated" run.state_every_epochs=0.5 --resume auto
clean "doctor" 2 doctor
finish
