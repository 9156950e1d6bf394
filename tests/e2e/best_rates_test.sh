#!/usr/bin/env bash
# Best rates: grapevine graph --rates best, graph.rates=best in a configuration, and what is refused.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

# The JSON in $scratch/out keeps what best rates promise; the arguments are Python expressions over it: f is the record,
# u that of uniform rates, sums the rates by worker.
promises() {
    "$PYTHON" - "$scratch/out" "$@" <<'PYTHON'
import json, math, sys
f = json.load(open(sys.argv[1]))
u = f["uniform"]
sums = [0.0] * f["workers"]
for a, b, rate in f["edges"]:
    sums[a] += rate
    sums[b] += rate
near = lambda x, y, tolerance=1e-9: abs(x - y) <= tolerance * abs(y)
always = [
    'f["rates"] == "best"',
    'near(f["sqrt_chi1_chi2"], math.sqrt(f["chi1"] * f["chi2"]))',
    'near(f["eta"], 1 / (2 * f["sqrt_chi1_chi2"]))',
    'near(f["alpha_tilde"], 0.5 * math.sqrt(f["chi1"] / f["chi2"]))',
    'f["sqrt_chi1_chi2"] <= u["sqrt_chi1_chi2"]',
    'near(f["sqrt_chi1_chi2_bound"], f["sqrt_chi1_chi2"], 1e-6)',
    'f["silent_edges"] == sum(rate == 0 for _, _, rate in f["edges"])',
]
for expression in always + sys.argv[2:]:
    if not eval(expression):
        sys.exit(f"{expression} does not hold of {f}")
PYTHON
}

test_graph() {
    local family
    for family in line barbell grid tree; do
        run_well "$family, total" 1 graph "$family" -n 12 --rates best --json
        check "$family, total: promises" promises 'f["budget"] == "total"' 'near(sum(sums), 12)' \
            'f["sqrt_chi1_chi2"] < 0.999 * u["sqrt_chi1_chi2"]'
        run_well "$family, worker" 1 graph "$family" -n 12 --rates best --budget worker --rate 2 --json
        check "$family, worker: promises" promises 'f["budget"] == "worker"' 'near(max(sums), 2)' \
            'f["sqrt_chi1_chi2"] < 0.999 * u["sqrt_chi1_chi2"]'
    done
    for family in ring star complete hypercube torus; do
        run_well "$family of 16" 1 graph "$family" -n 16 --rates best --json
        check "$family of 16 is uniform" promises 'f["chi1"] == u["chi1"] and f["chi2"] == u["chi2"]' \
            'len({rate for _, _, rate in f["edges"]}) == 1'
    done
    run_well "text" 1 graph barbell -n 8 --rates best
    for pattern in 'chi1 +5\.449' 'chi2 +1 ' 'rates +best, budget total$' 'uniform +4\.646' 'bound +2\.334' \
        'edges +0-1 +0\.2347' 'and 1 more'; do
        check "the text has: $pattern" grep -Eq "$pattern" "$scratch/out"
    done
    run_well "text of a ring" 1 graph ring -n 8 --rates best
    check "says that uniform rates stay" grep -q 'the uniform ones' "$scratch/out"
    run_well "no communication" 1 graph ring -n 5 --rate 0 --rates best --json
    check "null" grep -q '"sqrt_chi1_chi2":null' "$scratch/out"
    run_well "one worker" 1 graph line -n 1 --rates best
}

test_plan() {
    cat >"$scratch/plan.yaml" <<'YAML'
data: {name: shapes, train_count: 1280, test_count: 320}
model: {name: convnet}
graph: {name: line, rates: best}
train: {batch: 32, epochs: 10}
YAML
    run_well "--dry-run" 4 train "$scratch/plan.yaml" --dry-run "run.dir=$scratch/never"
    for pattern in 'rates best, budget total' 'chi1 2\.561, chi2 0\.75' 'eta 0\.3608, alpha 0.5, alpha_tilde 0\.9239' \
        'edges +0-1 \(0\.667\) 1-2 \(0\.667\) 2-3 \(0\.667\)'; do
        check "the plan has: $pattern" grep -Eq "$pattern" "$scratch/out"
    done
    run_well "budget worker" 4 train "$scratch/plan.yaml" --dry-run graph.budget=worker "run.dir=$scratch/never"
    check "says so" grep -Eq 'rates best, budget worker' "$scratch/out"
    check "its edges" grep -Eq 'edges +0-1 \(0\.[0-9]+\) 1-2 \(0\.[0-9]+\) 2-3' "$scratch/out"
    refuse "unknown rates" 4 2 'graph.rates && fast && uniform' train "$scratch/plan.yaml" --dry-run graph.rates=fast
}

# An edge that is best left alone: its ends list each other as neighbors and never meet.
test_silent_edge() {
    run_well "a graph with a silent edge" 1 graph erdos-renyi -n 7 --probability 0.4 --seed 3 --rates best --json
    check "has one" promises 'f["silent_edges"] == 1'
    cat >"$scratch/silent.yaml" <<'YAML'
data: {name: shapes, train_count: 448, test_count: 112}
model: {name: mlp}
graph: {name: erdos-renyi, probability: 0.4, seed: 3, rates: best}
train: {batch: 16, epochs: 7}
YAML
    run_well "a run with a silent edge" 7 train "$scratch/silent.yaml" "run.dir=$scratch/silent"
    check "its constants are the best rates'" "$PYTHON" - "$scratch/out" "$scratch/silent/summary.json" <<'PYTHON'
import json, sys
summary = json.load(open(sys.argv[2]))
product = summary["chi1"] * summary["chi2"]
sys.exit(0 if summary["exchanges"] > 0 and abs(product - 1.5245**2) < 1e-3 else f"{summary}")
PYTHON
}

test_refusals() {
    refuse "unknown rates" 1 2 '--rates fast && uniform && best' graph line -n 4 --rates fast
    refuse "unknown budget" 1 2 '--budget each && total && worker' graph line -n 4 --rates best --budget each
    refuse "budget of uniform rates" 1 2 '--budget && --rates best' graph line -n 4 --budget worker
    refuse "too many workers" 1 2 'line && 300 workers && uniform' graph line -n 300 --rates best
    refuse "too many unknowns" 1 2 'erdos-renyi && 90 workers && uniform' graph erdos-renyi -n 90 --rates best
}

# A part of the name of a test function as argument runs that one only.
for part in graph plan silent_edge refusals; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
