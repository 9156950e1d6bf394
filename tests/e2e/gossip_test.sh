#!/usr/bin/env bash
# grapevine gossip: its text, its JSON, what it refuses.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

# The JSON in $scratch/out fulfils these Python conditions, in which its keys are names.
json_holds() {
    "$PYTHON" - "$scratch/out" "$@" <<'PYTHON'
import json, math, sys
found = json.load(open(sys.argv[1]))
for condition in sys.argv[2:]:
    if not eval(condition, {"math": math, "len": len, "abs": abs}, found):
        sys.exit(f"{condition} does not hold: { {k: v for k, v in found.items() if k != 'edges'} }")
PYTHON
}

test_json() {
    run_well "acid" 1 gossip ring -n 16 --time 60 --json
    check "keys" json_holds 'graph == "ring" and workers == 16 and rate == 1' \
        'len(edges) == 16 and edge_count == 16' 'abs(chi1 - 13.137) < 1e-3 and abs(chi2 - 0.9375) < 1e-6' \
        'abs(eta - 0.1425) < 1e-4 and alpha == 0.5 and abs(alpha_tilde - 1.8717) < 1e-4' \
        'algorithm == "acid" and dim == 8 and seeds == 4 and seed == 1 and time == 60' \
        'abs(theory_rate - 1 / math.sqrt(chi1 * chi2)) < 1e-9 and theory_rate_least == theory_rate / 2' \
        '0.14 < decay_rate < 0.30 and 0 < decay_rate_spread < 0.15 and fit_from == 20 and fit_to == 60' \
        'abs(events - 4 * 60 * 8) < 4 * math.sqrt(4 * 60 * 8)'
    cp "$scratch/out" "$scratch/first"
    run_well "again" 1 gossip ring -n 16 --time 60 --json
    check "the same bytes" cmp "$scratch/first" "$scratch/out"
    run_well "another seed" 1 gossip ring -n 16 --time 60 --json --seed 2
    check "other bytes" test "$(cmp -s "$scratch/first" "$scratch/out" || echo other)" = other
    run_well "gossip" 1 gossip ring -n 16 --time 60 --algorithm gossip --dim 3 --seeds 2 --rate 2 --json
    check "its keys" json_holds 'eta == 0 and alpha == 0.5 and alpha_tilde == 0.5 and dim == 3 and seeds == 2' \
        'abs(theory_rate - 1 / chi1) < 1e-9 and abs(chi1 - 13.137 / 2) < 1e-3 and 0.11 < decay_rate < 0.19' \
        'abs(events - 2 * 60 * 16) < 4 * math.sqrt(2 * 60 * 16)'
    run_well "no theory" 1 gossip ring -n 16 --algorithm gossip --no-theory --json
    check "nulls" json_holds 'chi1 is None and chi2 is None and theory_rate is None and theory_rate_least is None' \
        'decay_rate > 0 and time == 60'
    run_well "no theory, given constants" 1 gossip ring -n 16 --no-theory --eta 0.1425 --alpha-tilde 1.8717 --json
    check "constants" json_holds 'eta == 0.1425 and alpha == 0.5 and alpha_tilde == 1.8717 and decay_rate > 0.14'
    run_well "two workers" 1 gossip ring -n 2 --json
    check "agree at once" json_holds 'decay_rate is None and decay_rate_spread is None'
    run_well "rate 0" 1 gossip ring -n 5 --rate 0 --json
    check "nothing happens" json_holds 'decay_rate == 0 and events == 0 and theory_rate == 0 and chi1 is None'
}

# Without --time the fit has many e-folds, so that decay and theory agree.
test_families() {
    local arguments
    while read -r arguments; do
        # shellcheck disable=SC2086  # words
        run_well "$arguments" 1 gossip $arguments --json
        check "$arguments: within theory" json_holds '0.9 * theory_rate_least < decay_rate < 1.15 * theory_rate'
    done <<'TABLE'
ring -n 30
line -n 20 --algorithm gossip
star -n 20
complete -n 40
torus -n 36
hypercube -n 32 --rate 3
tree -n 31 --algorithm gossip
barbell -n 12
random-regular -n 40 --degree 3
erdos-renyi -n 30 --probability 0.3 --seed 5
TABLE
    printf '0 1 2\n1 2 0.5\n2 3 1\n3 0 0.25\n' >"$scratch/rates.txt"
    run_well "a file with rates" 1 gossip "$scratch/rates.txt" --time 100 --json
    check "meets by them" json_holds 'abs(events - 4 * 375) < 4 * math.sqrt(1500) and workers == 4'
}

test_text() {
    run_well "text" 1 gossip ring -n 16
    for pattern in '^graph +ring, 16 workers, 16 edges, rate 1' '^algorithm +acid, 4 seeds, dimension 8' \
        '^chi1 +13\.1' '^chi2 +0\.9375' '^eta +0\.1424' '^alpha +0\.5$' '^alpha_tilde +1\.871' \
        '^decay_rate +0\.[0-9]+ .*\+- .* from seed to seed' '^theory_rate +0\.2849.*0\.1424' \
        '^events +[0-9.e+]+ .*per second'; do
        check "has: $pattern" grep -Eq "$pattern" "$scratch/out"
    done
    run_well "one seed" 1 gossip ring -n 16 --seeds 1 --no-theory --algorithm gossip
    check "no theory, no spread" test "$(grep -Ec 'chi|theory|seed to seed' "$scratch/out")" = 0
    run_well "one worker" 1 gossip ring -n 1
    check "has no rate" grep -q 'decay_rate   not known' "$scratch/out"
    run_well "a time that float64 does not resolve" 1 gossip complete -n 16 --time 1e6
    check "says so" grep -Eq 'decay_rate +not known.*1e-24' "$scratch/out"
    run_well "--help" 1 --help
    check "names gossip" grep -q 'grapevine gossip' "$scratch/out"
}

# As large as it gets: drawn, connected and simulated within a breath.
test_large() {
    run_well "a million edges" 1 gossip random-regular -n 250000 --degree 8 --time 4 --dim 1 --seeds 1 --no-theory \
        --algorithm gossip --json
    check "measured" json_holds '0.3 < decay_rate < 0.6 and edge_count == 1000000 and edges is None' \
        'abs(events - 500000) < 4 * 708'
}

test_refusals() {
    refuse "no graph" 1 2 'gossip ring -n 16' gossip
    refuse "no n" 1 2 'number of workers' gossip ring
    refuse "unknown option" 1 2 '--tmie && --time' gossip ring -n 4 --tmie 3
    refuse "unknown algorithm" 1 2 'allreduce && acid \| gossip' gossip ring -n 4 --algorithm allreduce
    refuse "dimension 0" 1 2 '--dim 0 && \[1, 4096\]' gossip ring -n 4 --dim 0
    refuse "time 0" 1 2 '--time 0' gossip ring -n 4 --time 0
    refuse "seeds of one half" 1 2 '--seeds 0\.5 && whole' gossip ring -n 4 --seeds 0.5
    refuse "hypercube of 12" 1 2 'hypercube && 12 && 8 and 16' gossip hypercube -n 12
    refuse "too many edges" 1 2 'complete && 60000 workers && at most 268435456' gossip complete -n 60000 --no-theory \
        --algorithm gossip
    refuse "too many workers" 1 2 '-n 16777216 && 16777215' gossip ring -n 16777216
    refuse "acid without theory" 1 2 'no-theory && --eta && --algorithm gossip' gossip ring -n 4 --no-theory
    refuse "eta without momentum" 1 2 '--eta && acid' gossip ring -n 4 --algorithm gossip --eta 1
}

# A part of the name of a test function as argument runs that one only.
for part in json families text large refusals; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
