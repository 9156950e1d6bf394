#!/usr/bin/env bash
# scripts/plot_runs.py: every picture from a run and a hand-made record, those without data left out with a reason, and
# the figures that it computes from records whose values are known.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

if ! "$PYTHON" -c 'import matplotlib' 2>/dev/null; then
    skip "pictures" "no matplotlib for $PYTHON (scripts/setup.sh --plots)"
    finish
fi

plot() {
    run_command "$PYTHON" scripts/plot_runs.py "$@"
}

# Is every file a PNG, at least 600 columns wide, with something in it?
pictures_show() {
    "$PYTHON" - "$@" <<'PYTHON'
import sys
from matplotlib import image
for path in sys.argv[1:]:
    assert open(path, "rb").read(8) == b"\x89PNG\r\n\x1a\n", f"{path} is no PNG"
    pixels = image.imread(path)[:, :, :3]
    inked = (pixels.min(axis=2) < 0.9).mean()
    assert pixels.shape[1] >= 600, f"{path} has {pixels.shape[1]} columns"
    assert inked > 0.005, f"{path}: {inked} of it is inked"
PYTHON
}

# One worker's network, reports and events, by hand: what only some models and keys give.
make_record() {
    mkdir -p "$scratch/record"
    printf '%s\n' 'seed: 1' '' 'algorithm:' '  name: acid' '' 'graph:' '  name: ring' '' 'train:' '  workers: 2' \
        >"$scratch/record/config.yaml"
    for k in 1 2 3 4; do
        echo '{"network": true, "time": '$k', "global_step": '$k', "epoch": '$k', "consensus_distance": 0.'$k',
            "consensus_predicted": 0.3, "chi1": 1, "chi2": 1, "optimum_distance": 0.'$k', "optimum_gap": 0.1}' |
            tr -d '\n'
        echo
        # Worker 0 makes a gradient per unit of time, worker 1 two.
        echo '{"rank": 0, "time": '$k', "step": '$k', "epoch": '$k', "loss": '$k', "pair_distance": null}'
        echo '{"rank": 1, "time": '$k', "step": '$((2 * k))', "epoch": '$k', "loss": '$((k + 2))', "pair_distance": 1}'
    done >"$scratch/record/metrics.jsonl"
    cat >"$scratch/record/events-0.jsonl" <<'EVENTS'
{"grapevine": "0", "worker": 0, "workers": 2}
{"n": 1, "event": "begin", "t": 0, "step": 0, "time": 0}
{"n": 2, "event": "snapshot", "t": 0.25, "step": 0, "time": 1, "peer": 1, "meeting": 1}
{"n": 3, "event": "apply", "t": 0.75, "step": 0, "time": 1, "peer": 1, "meeting": 1}
{"n": 4, "event": "update", "t": 1, "step": 1, "time": 1}
{"n": 5, "event": "begin", "t": 1, "step": 1, "time": 1}
{"n": 6, "event": "update", "t": 2, "step": 2, "time": 1}
EVENTS
}

test_values() {
    make_record
    run_command "$PYTHON" - "$scratch/record" <<'PYTHON'
import sys
sys.path.insert(0, "scripts")
sys.dont_write_bytecode = True
import plot_runs
run = plot_runs.Run(sys.argv[1])
assert run.workers == 2 and run.name() == "A²CiD², ring, n = 2", run.name()
assert plot_runs.event_ages(run) == ([1, 0], [0.5]), plot_runs.event_ages(run)
assert plot_runs.binned(run.steps, "epoch", "loss", 2) == ([1, 2, 3, 4], [2, 3, 4, 5])
times, (slow, fast) = plot_runs.steps_over_time(run)
assert slow == times and fast == [2 * t for t in times]
PYTHON
}

# A run by hand: $1 its folder, $2 seed, $3 a number that its losses and distances are multiples of. Two workers, four
# lines each, tests at 1 and 2; an MPI run, whose distances are estimates until the end.
make_seed() {
    local run=$scratch/$1 k
    mkdir -p "$run"
    printf '%s\n' "seed: $2" '' 'algorithm:' '  name: acid' '' 'graph:' '  name: ring' '' 'train:' '  workers: 2' '' \
        'run:' "  dir: $run" >"$run/config.yaml"
    for k in 1 2 3 4; do
        local at="\"time\": $k, \"step\": $k, \"global_step\": $((2 * k)), \"epoch\": $k"
        echo "{\"network\": true, $at, \"consensus_estimated\": $3, \"consensus_predicted\": 7}"
        echo "{\"rank\": 0, $at, \"loss\": $(($3 * k))}"
        echo "{\"rank\": 1, $at, \"loss\": $(($3 * k))}"
    done >"$run/metrics.jsonl"
    for k in 0 1; do
        echo '{"rank": '$k', "time": 2, "global_step": 4, "epoch": 2, "pictures": 8, "averaged": false,' \
            '"test_accuracy": 0.'"$3}"
    done >>"$run/metrics.jsonl"
    echo '{"command": "grapevine train", "workers": 2, "consensus_distance": 0.5}' >"$run/summary.json"
}

# Seeds are one arm, whose band is what Python says; a run that went on with other workers is one curve.
test_arms() {
    make_seed arm/s1 1 2
    make_seed arm/s2 2 4
    make_seed other 1 3
    sed -i 's/acid/gossip/' "$scratch/other/config.yaml"
    make_seed resumed 1 2
    mkdir "$scratch/kept"
    mv "$scratch/resumed/metrics.jsonl" "$scratch/kept/metrics.jsonl"
    # After 4 gradients the run went on with three workers; what two had done beyond that is forgotten.
    cp "$scratch/kept/metrics.jsonl" "$scratch/resumed/before-000000000004-metrics-0.jsonl"
    for k in 0 1 2; do
        echo '{"rank": '$k', "time": 1.5, "step": 1, "global_step": 7, "epoch": 3.5, "loss": 1}'
    done >"$scratch/resumed/metrics.jsonl"
    run_command "$PYTHON" - "$scratch" <<'PYTHON'
import math, statistics, sys
sys.path.insert(0, "scripts")
sys.dont_write_bytecode = True
import plot_data
scratch = sys.argv[1]
runs = [plot_data.Run(f"{scratch}/{name}") for name in ("arm/s1", "other", "arm/s2", "resumed")]
arms = plot_data.make_arms(runs[:3])
assert [[run.path.name for run in arm.runs] for arm in arms] == [["s1", "s2"], ["other"]]
assert [arm.label for arm in arms] == ["A²CiD², ring, n = 2", "gossip, ring, n = 2"], [arm.label for arm in arms]
assert runs[2].label == "A²CiD², ring, n = 2, seed 2" and runs[1].label == arms[1].label

x, mean, low, high = plot_data.band([plot_data.binned(run.steps, "time", "loss", 2) for run in arms[0].runs])
assert (x[0], x[-1], mean[0], mean[-1]) == (1, 4, 3, 12), (x[0], x[-1], mean[0], mean[-1])
assert math.isclose(high[-1] - mean[-1], statistics.stdev([8, 16])) and math.isclose(mean[0] - low[0], math.sqrt(2))
_, mean, low, high = plot_data.band([plot_data.network_curve(run, "consensus_estimated", "epoch")
                                     for run in arms[0].runs], logarithmic=True)
assert math.isclose(mean[7], math.sqrt(8)) and math.isclose(high[7] / mean[7], mean[7] / low[7])
at, mean, spread = plot_data.together([plot_data.replica_tests(run, "global_step") for run in arms[0].runs])
assert (at, mean) == ([4], [30]) and math.isclose(spread[0], statistics.stdev([20, 40])), (at, mean, spread)

resumed = runs[3]
assert [mark["global_step"] for mark in resumed.marks] == [4]
steps = [(r["time"], r["rank"], r["global_step"]) for r in resumed.steps]
assert steps == [(1, 0, 2), (1, 1, 2), (2, 0, 4), (2, 1, 4), (3.5, 0, 7), (3.5, 1, 7), (3.5, 2, 7)], steps
assert resumed.ranks == [0, 1, 2] and len(resumed.last_steps) == 3 and len(resumed.network) == 2
PYTHON
    check "arms and bands" test "$status" = 0

    plot "$scratch/arm/s1" "$scratch/arm/s2" "$scratch/other" --panels accuracy,consensus,loss --x time --format svg \
        --out "$scratch/panels"
    check "panels" test "$status" = 0
    for label in 'A²CiD², ring' 'n = 2; mean and standard deviation' 'estimated from pairs' 'measured, at the end' \
        'time in seconds' 'Training loss'; do
        check "they say: $label" grep -qF ">$label" "$scratch/panels/panels.svg"
    done
    check "a curve for each arm, one legend" \
        test "$(grep -oF '>A²CiD², ring<' "$scratch/panels/panels.svg" | wc -l)" = 1
    check "no seed in a label" test -z "$(grep -F 'seed 1' "$scratch/panels/panels.svg")"
    mv "$scratch/panels/panels.svg" "$scratch/panels/first.svg"
    plot "$scratch/arm" "$scratch/other" --panels accuracy,consensus,loss --x time --format svg --out "$scratch/panels"
    check "the same bytes again" cmp "$scratch/panels/first.svg" "$scratch/panels/panels.svg"
    plot "$scratch/resumed" --panels loss --x gradients --format pdf --width column
    check "pdf" test "$(head -c 5 "$scratch/resumed/plots/panels.pdf")" = "%PDF-"
    check "without a date" test -z "$(grep -a CreationDate "$scratch/resumed/plots/panels.pdf")"
    plot "$scratch/other" --panels optimum
    check "a panel without data" grep -qx 'plot_runs: panels is left out: optimum: .*convex.*' "$scratch/out"
}

test_pictures() {
    local arguments=(data.train_count=640 data.test_count=80 train.epochs=2 run.eval_every_epochs=0.5 run.log_every=5)
    run_well "a run" 2 train configs/quickstart.yaml "${arguments[@]}" "run.dir=$scratch/acid"
    run_well "all-reduce" 2 train configs/quickstart.yaml "${arguments[@]}" "run.dir=$scratch/allreduce" \
        algorithm.name=allreduce run.trace=false

    plot "$scratch/acid"
    check "one run" test "$status" = 0
    for name in training_by_epoch training_by_time consensus meetings workers lag timeline; do
        check "picture $name" pictures_show "$scratch/acid/plots/$name.png"
    done
    check "a reason for optimum" grep -qx 'plot_runs: optimum is left out: .*convex.*' "$scratch/out"
    check "a reason for staleness" grep -qx 'plot_runs: staleness is left out: .*run.record=true.*' "$scratch/out"

    plot "$scratch/acid" "$scratch/allreduce" --out "$scratch/both" --format svg --window 0..0.5
    check "two runs" test "$status" = 0
    for label in 'A²CiD², ring, n = 2' 'all-reduce, n = 2' 'Test accuracy' 'cross-entropy'; do
        check "they are told apart: $label" grep -q "$label" "$scratch/both/training_by_epoch.svg"
    done
    check "a timeline for the one with a trace" test -s "$scratch/both/timeline-1.svg"
    check "and for that one only" test ! -e "$scratch/both/timeline-2.svg"
    plot "$scratch/allreduce"
    check "a reason for none" grep -qx 'plot_runs: timeline is left out: .*run.trace=true.*' "$scratch/out"

    plot "$scratch/record"
    check "a run that has not ended" test "$status" = 0
    check "optimum, staleness" pictures_show "$scratch/record/plots/"{optimum,staleness,consensus,training_by_epoch}.png
    check "a reason for workers" grep -qx 'plot_runs: workers is left out: .*not ended.*' "$scratch/out"
    check "no other errors" test ! -s "$scratch/err"
}

test_refusals() {
    for mistake in "$scratch/kept" "$scratch/none" "" "$scratch/record --window 3" "$scratch/record --window 2..1" \
        "$scratch/record --format gif" "$scratch/record --out /proc/none" "$scratch/record --width wide" \
        "$scratch/record --panels accuracy,none" "$scratch/record --x hours"; do
        # shellcheck disable=SC2086  # several words
        plot $mistake
        check "refused: $mistake" test "$status:$(wc -l <"$scratch/err")" = 2:1
    done
}

test_values
check "figures" test "$status" = 0
test_arms
test_pictures
test_refusals
finish
