#!/usr/bin/env bash
# The course of small runs, event by event, against tests/sim/golden: who does what, when and with whom. Only what the
# clock decides is in there (timeline.py), so that it is the same on every processor. Acid and gossip meet at the same
# times, so they share their files.
#
#   tests/sim/golden_test.sh             compares
#   tests/sim/golden_test.sh --update    writes the golden files anew; look at the difference before it is committed
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

readonly golden=tests/sim/golden
update=${1:-}
config=$scratch/golden.yaml
cat >"$config" <<'YAML'
seed: 1
data:          {name: gaussian, dimension: 4, classes: 2, train_count: 48, test_count: 8}
model:         {name: linear}
graph:         {name: ring}
optimizer:     {lr: 0.01, lr_per_samples: 0}
schedule:      {name: constant, warmup_epochs: 0}
train:         {workers: 4, batch: 2, epochs: 1}
simulate:      {step_s: 0.125, jitter: 0.25, latency_s: 0.002, bytes_per_second: 10000}
device:        {name: cpu, threads: 1}
run:           {log_every: 2, eval_every_epochs: 0.5, checkpoint_every_epochs: 0, trace: true, record: true}
YAML

# A run with the keys $3 ... has the course of the golden file $1; $2 says what it is. Several files may share one.
course() {
    local name=$1 what=$2 run
    shift 2
    run=$(mktemp -d -p "$scratch")
    run_well "$name, $what, runs" 1 simulate "$config" "run.dir=$run/run" "$@" || return
    {
        echo "# $name: the course of a small run, by golden_test.sh --update"
        "$PYTHON" tests/sim/timeline.py "$run/run"
    } >"$run/course"
    if [ "$update" = --update ]; then
        cp "$run/course" "$golden/$name.txt"
    fi
    check "$name, $what" diff "$golden/$name.txt" "$run/course"
}

course ideal_pairs acid algorithm.name=acid
course ideal_pairs gossip algorithm.name=gossip
course ideal_regular acid algorithm.name=acid simulate.gradients=regular
course ideal_rounds allreduce algorithm.name=allreduce
course modelled_pairs acid algorithm.name=acid simulate.time=modelled
course modelled_pairs gossip algorithm.name=gossip simulate.time=modelled
course modelled_backlog acid algorithm.name=acid simulate.time=modelled graph.name=star communication.rate=4 \
    simulate.latency_s=0.02 communication.enforce_rate=false simulate.distribution=exponential
course modelled_rounds allreduce algorithm.name=allreduce simulate.time=modelled
course modelled_scenario acid algorithm.name=acid simulate.time=modelled simulate.speed_spread=0.3 \
    communication.rate=2 communication.patience_s=0.05 "inject.slow=0 x2 0.5..1" "inject.pause=1 0.25..0.75" \
    "inject.death=3 at 0.875" "inject.links=0-1 latency_s=0.03, all loss=0.2"
finish
