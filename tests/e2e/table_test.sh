#!/usr/bin/env bash
# grapevine table and compare: groups over seeds, their figures beside Python's, the forms, what is left out and said,
# verdicts on runs that are alike and on runs that are not, and refusals.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/tiny.yaml runs=$scratch/runs
cat >"$config" <<'YAML'
data:       {name: shapes, train_count: 256, test_count: 64}
model:      {name: mlp, width: 16}
optimizer:  {lr: 0.02, lr_per_samples: 8}
train:      {workers: 4, batch: 8, epochs: 2}
device:     {name: cpu, threads: 1}
run:        {log_every: 4, eval_every_epochs: 0.5, checkpoint_every_epochs: 0}
YAML

# $1: folder below $runs, the rest: keys.
simulate() {
    local dir=$runs/$1
    shift
    "$grapevine" simulate "$config" "run.dir=$dir" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    status=$? command_line="simulate $*"
    verdict "run ${dir##*/}" "$([ "$status" = 0 ] || echo "exit status $status")"
}

table() { run_ranks 1 table "$@"; }
compare() { run_ranks 1 compare "$@"; }
says() { grep -qF -- "$1" "$scratch/${2:-out}"; }

make_runs() {
    local seed
    for seed in 1 2 3; do
        simulate "acid/s$seed" "seed=$seed"
        simulate "allreduce/s$seed" "seed=$seed" algorithm.name=allreduce graph.name=complete data.threads=1
    done
    simulate wide/s1 train.workers=8
    simulate slow/s1 optimizer.lr=0.0001
    simulate slow/s2 optimizer.lr=0.0001 seed=2
    mkdir -p "$runs/open/never" "$runs/open/bare"
    cp "$runs/acid/s1/config.yaml" "$runs/open/never"
    cp "$runs/acid/s1/"{config.yaml,status} "$runs/open/bare"
    echo running >"$runs/open/never/status"
}

# The table's JSON in $scratch/out: means, sample deviations and values are those of the summaries that it names.
json_agrees() {
    "$PYTHON" - "$scratch/out" "$@" <<'PYTHON'
import json, math, statistics, sys
rows = json.load(open(sys.argv[1]))["rows"]
assert [row["n"] for row in rows] == [int(n) for n in sys.argv[2].split(",")], [row["n"] for row in rows]
for row in rows:
    assert row["n"] == len(row["runs"]) == len(row["seeds"])
    summaries = [json.load(open(f"{run}/summary.json")) for run in row["runs"]]
    assert row["seeds"] == [s["seed"] for s in summaries]
    for name, figure in row["figures"].items():
        values = [statistics.mean(s[name]) if isinstance(s[name], list) else s[name] for s in summaries]
        assert all(math.isclose(a, b) for a, b in zip(values, figure["values"])), (name, values, figure)
        assert math.isclose(figure["mean"], statistics.mean(values), abs_tol=1e-300), (name, values, figure)
        if len(values) > 1:
            assert math.isclose(figure["deviation"], statistics.stdev(values), rel_tol=1e-9, abs_tol=1e-15)
        else:
            assert figure["deviation"] is None
PYTHON
}

test_table() {
    table "$runs/acid" "$runs/allreduce" "$runs/wide" "$runs/slow" --json
    check "groups in order" json_agrees 2,3,1,3
    table "$runs/acid" --columns test_loss,gradients_per_worker --json
    check "columns, lists by their mean" json_agrees 3

    table "$runs/acid" "$runs/allreduce"
    check "a label for what differs" grep -qE '^\| algorithm +\| +n \| +test accuracy, % ' "$scratch/out"
    check "mean and deviation" grep -qE '^\| acid +\| +3 \| +[0-9]+\.[0-9]{2} ± [0-9]+\.[0-9]{2} \|' "$scratch/out"
    check "a graph without effect is no label" test -z "$(grep -E 'graph|complete' "$scratch/out")"
    check "virtual time of simulations" says "virtual time"
    check "rows" test "$(wc -l <"$scratch/out")" = 4
    table "$runs/acid/s1" "$runs/wide/s1" "$runs/acid/s2" --pivot train.workers --columns test_accuracy
    check "a pivot" grep -qE '^\| workers +\| +4 \| +8 \| +n \|' "$scratch/out"
    check "its cells" grep -qE '^\| test accuracy, % \| +[0-9.]+ ± [0-9.]+ \| +[0-9.]+ \| 2, 1 \|' "$scratch/out"
    table "$runs/acid" --format csv
    check "csv" grep -qx 'run,n,test_accuracy_percent,test_accuracy_percent_deviation,test_loss,.*' "$scratch/out"
    table "$runs/acid" "$runs/allreduce" --format latex
    check "latex" grep -qE '^acid & 3 & [0-9.]+ \$\\pm\$ [0-9.]+ & .* \\\\$' "$scratch/out"

    table "$runs/acid" "$runs/open" "$runs/acid/s1/"
    check "runs that have not ended are left out" test "$status" = 0
    check "the one is named" says "open/never is left out: it has not ended well" err
    check "the other too" says "open/bare is left out: it has no summary.json" err
    check "one that is named twice counts once" says "s1 was named before" err
    check "three are left" grep -qE '^\| 3 runs' "$scratch/out"
    cp -r "$runs/acid/s1" "$scratch/twin"
    table "$runs/acid" "$scratch/twin"
    check "the same seed twice is said" says "have the same configuration and seed" err
}

test_compare() {
    compare "$runs/acid/s1" "$runs/acid/s1" --strict
    check "a run is as itself" test "$status" = 0
    check "its configuration, too" says "The same configuration"
    compare "$runs/acid" -- "$runs/slow" --json
    check "what a tiny rate does is outside" "$PYTHON" - "$scratch/out" "$runs" <<'PYTHON'
import json, math, statistics, sys
found, runs = json.load(open(sys.argv[1])), sys.argv[2]
assert found["keys"] == {"optimizer.lr": ["0.02", "0.0001"]}, found["keys"]
by_name = {f["figure"]: f for f in found["figures"] if "epoch" not in f}
loss = by_name["test_loss"]
a = [json.load(open(f"{runs}/acid/s{k}/summary.json"))["test_loss"] for k in (1, 2, 3)]
b = [json.load(open(f"{runs}/slow/s{k}/summary.json"))["test_loss"] for k in (1, 2)]
assert math.isclose(loss["difference"], statistics.mean(b) - statistics.mean(a), rel_tol=1e-9), loss
distance = by_name["consensus_distance"]
assert distance["verdict"] == "outside" and distance["of_logarithms"] and found["outside"] >= 1, found
assert loss["verdict"] == "within" and not loss["of_logarithms"], loss
curve = [f for f in found["figures"] if f["figure"] == "replica_accuracy"]
assert [f["epoch"] for f in curve] == [0.5, 1.0, 1.5], curve
PYTHON
    compare "$runs/acid" -- "$runs/slow"
    check "without --strict that is well" test "$status" = 0
    compare "$runs/acid" -- "$runs/slow" --strict
    check "with it, it is not" test "$status" = 1
    compare "$runs/acid/s1" "$runs/allreduce/s1"
    check "the key is named" grep -qE '^\| algorithm.name \| acid \| allreduce \|' "$scratch/out"
    check "one run a side says little" says "what seeds spread is not known"
    compare "$runs/acid" "$runs/wide" -- "$runs/slow"
    check "a mixture is said" says "the runs of side A differ in train.workers" err
}

test_refusals() {
    refuse "no runs" 1 2 'table: which runs' table
    refuse "no run directory" 1 2 'is no run directory' table "$scratch/none"
    refuse "none has ended" 1 3 'none of the runs has ended well' table "$runs/open"
    refuse "no such column" 1 2 'did you mean "test_loss"' table "$runs/acid" --columns test_los
    refuse "no such pivot" 1 2 'did you mean "train.workers"' table "$runs/acid" --pivot train.worker
    refuse "a pivot that is none" 1 2 'runs are put together' table "$runs/acid" --pivot seed
    refuse "no such format" 1 2 'markdown \| csv \| latex' table "$runs/acid" --format html
    refuse "three, and no --" 1 2 'two sets of them' compare a b c
    refuse "one side" 1 2 'two run directories' compare a --
    cp -r "$runs/acid/s1" "$scratch/damaged"
    echo '{"test_accuracy": 0.5' >"$scratch/damaged/summary.json"
    refuse "a damaged summary" 1 3 'damaged/summary.json: this is no JSON object' table "$scratch/damaged"
}

make_runs
test_table
test_compare
test_refusals
finish
