#!/usr/bin/env bash
# Edge lists with rates: what a run reports as wanted follows from them; best rates name what they are compared with.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/base.yaml
cat >"$config" <<'YAML'
data: {name: shapes, train_count: 256, test_count: 64}
model: {name: mlp, width: 16}
train: {batch: 32, epochs: 2, workers: 4}
run: {log_every: 5, eval_every_epochs: 0}
YAML
printf 'source,target,rate\n0,1,1\n1,2,0.5\n2,3,0.5\n3,0,2\n' >"$scratch/rates.csv"

# $1 of summary.json in folder $2.
summary() {
    "$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[2]))[sys.argv[1]])' "$1" "$2/summary.json"
}

test_wanted() {
    run_well "a run with rates" 1 simulate "$config" "graph.file=$scratch/rates.csv" "run.dir=$scratch/a"
    check "wanted is the mean of the rates" test "$(summary rate_wanted "$scratch/a")" = 2
    run_well "twice the rates" 1 simulate "$config" "graph.file=$scratch/rates.csv" "run.dir=$scratch/b" \
        communication.rate=2
    check "wanted is twice" test "$(summary rate_wanted "$scratch/b")" = 4
    run_well "a family" 1 simulate "$config" "run.dir=$scratch/c" communication.rate=0.7
    check "wanted is the rate" test "$(summary rate_wanted "$scratch/c")" = 0.7
    run_well "the plan" 1 simulate "$config" "graph.file=$scratch/rates.csv" --dry-run communication.rate=2
    check "its rate" grep -q '4 edges, rate 4 per gradient' "$scratch/out"
    check "its edges" grep -qF '0-1 (2) 0-3 (4) 1-2 (1) 2-3 (1)' "$scratch/out"
}

test_baselines() {
    run_well "rates are shown" 1 graph "$scratch/rates.csv"
    check "each edge" grep -qE '^ +0-3  2$' "$scratch/out"
    check "their mean" grep -q 'rate 2 per gradient' "$scratch/out"
    run_well "best, total" 1 graph "$scratch/rates.csv" --rates best
    check "the given ones" grep -qE "^given +0\.715779 .*the edge list's rates, the same total" "$scratch/out"
    check "uniform ones" grep -qE '^uniform +0\.433013 .*uniform rates, the same total' "$scratch/out"
    run_well "best, worker" 1 graph "$scratch/rates.csv" --rates best --budget worker --rate 3
    check "the given ones by worker" grep -qE "^given .*the busiest worker has the same" "$scratch/out"
    check "uniform ones by worker" grep -qE '^uniform +0\.288675 ' "$scratch/out"
    run_well "of a family" 1 graph line -n 6 --rates best
    check "uniform alone" test "$(grep -cE '^(given|uniform) ' "$scratch/out")" = 1
    run_well "JSON" 1 graph "$scratch/rates.csv" --rates best --json
    check "both baselines" "$PYTHON" -c 'import json, sys
f = json.load(open(sys.argv[1]))
assert abs(f["uniform"]["chi1"] - 0.5) < 1e-9 and abs(f["given"]["chi1"] - 0.805105) < 1e-6
assert f["sqrt_chi1_chi2"] <= f["uniform"]["sqrt_chi1_chi2"] * (1 + 1e-6) < f["given"]["sqrt_chi1_chi2"]' "$scratch/out"
}

for part in test_wanted test_baselines; do
    $part
done
finish
