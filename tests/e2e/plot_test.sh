#!/usr/bin/env bash
# scripts/plot_runs.py: every picture from a run and a hand-made record, those without data left out with a reason, and
# the figures that it computes from records whose values are known.
# shellcheck source=tests/script_fixture.bash
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
    for mistake in "$scratch" "" "$scratch/record --window 3" "$scratch/record --window 2..1" \
        "$scratch/record --format gif" "$scratch/record --out /proc/none"; do
        # shellcheck disable=SC2086  # several words
        plot $mistake
        check "refused: $mistake" test "$status:$(wc -l <"$scratch/err")" = 2:1
    done
}

test_values
check "figures" test "$status" = 0
test_pictures
test_refusals
finish
