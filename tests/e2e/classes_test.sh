#!/usr/bin/env bash
# Class counts per worker under data.partition: in the plan, in summary.json, and as a picture.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/classes.yaml
cat >"$config" <<'YAML'
data:   {name: shapes, train_count: 256, test_count: 64, partition: dirichlet, alpha: 0.5}
model:  {name: mlp, width: 16}
train:  {batch: 16, epochs: 2, workers: 3}
run:    {log_every: 5, eval_every_epochs: 0}
YAML

# The table of the plan in $1 says what summary.json of run $2 does, and the counts sum to the set.
cat >"$scratch/same.py" <<'PYTHON'
import json, re, sys
lines = open(sys.argv[1]).read().split("\n")
begin = next(i for i, line in enumerate(lines) if line.startswith("classes "))
workers = list(map(int, re.findall(r"\d+", lines[begin])))
rows = [list(map(int, line.split()[-len(workers):])) for line in lines[begin + 1:begin + 12]]
counts = json.load(open(f"{sys.argv[2]}/summary.json"))["class_counts"]
assert workers == list(range(len(counts))), lines[begin]
assert [list(row) for row in zip(*counts)] == rows[:10], (counts, rows)
assert rows[10] == [sum(row) for row in counts] and sum(rows[10]) == 256, rows[10]
assert len(set(map(tuple, counts))) == len(counts), "workers differ"
PYTHON

for partition in dirichlet iid; do
    run_well "$partition: a plan" 1 simulate "$config" "data.partition=$partition" --dry-run
    mv "$scratch/out" "$scratch/plan"
    run_well "$partition: simulate" 1 simulate "$config" "data.partition=$partition" "run.dir=$scratch/$partition"
    check "$partition: the plan's table is the summary's" "$PYTHON" "$scratch/same.py" "$scratch/plan" \
        "$scratch/$partition"
done
run_well "a plan on ranks" 2 train "$config" --dry-run
mv "$scratch/out" "$scratch/plan"
run_well "train" 2 train "$config" "run.dir=$scratch/trained"
check "train: the plan's table is the summary's" "$PYTHON" "$scratch/same.py" "$scratch/plan" "$scratch/trained"
run_well "many workers" 1 simulate "$config" train.workers=20 train.epochs=10 data.partition=iid --dry-run
check "a line for many" grep -Eq '^classes +a worker has 12 to 13 images, of [0-9]+ to [0-9]+ of the 10 classes; ' \
    "$scratch/out"
run_well "shared" 1 simulate "$config" data.partition=shared "run.dir=$scratch/shared"
check "shared: none" test "$(grep -c class_counts "$scratch/shared/summary.json")" = 0

if "$PYTHON" -c 'import matplotlib' 2>/dev/null; then
    run_command "$PYTHON" scripts/plot_runs.py "$scratch/dirichlet" --classes
    check "a picture" test "$status" = 0
    check "of the classes alone" test "$(ls "$scratch/dirichlet/plots")" = classes.png
    run_command "$PYTHON" scripts/plot_runs.py "$scratch/dirichlet" "$scratch/shared" --classes --out "$scratch/plots"
    check "of two runs, the one that has them" test "$(ls "$scratch/plots")" = classes-1.png
    check "why not of the other" grep -q 'classes of .*shared are left out' "$scratch/out"
else
    skip "the picture" "no matplotlib for $PYTHON"
fi
finish
