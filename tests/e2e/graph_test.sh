#!/usr/bin/env bash
# Commands that do not train: graph, config, --dry-run, --help, and every file in configs/.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

# The published constants: family, n, chi1, chi2, eta, alpha_tilde at rate 1, eta at rate 2 ("-": not stated).
readonly published='
complete 4 0.750 0.750 0.6667 0.5000 1.3333
complete 16 0.938 0.938 0.5333 0.5000 1.0667
complete 64 0.984 0.984 0.5079 0.5000 1.0159
ring 4 1.000 0.750 0.5774 0.5774 1.1547
ring 8 3.414 0.875 0.2893 0.9877 0.5786
ring 16 13.137 0.938 0.1425 1.8717 0.2849
ring 32 52.043 0.969 0.0704 3.6648 0.1408
ring 64 207.673 0.984 0.0350 7.2624 0.0699
ring 128 830.190 0.992 0.0174 14.4631 0.0348
torus 16 2.000 0.938 0.3651 0.7303 0.7303
torus 64 6.828 0.984 0.1929 1.3169 0.3857'

# The JSON in $scratch/out has these fields (relative or absolute error 1e-3, half a digit of the table).
json_has() {
    "$PYTHON" - "$scratch/out" "$@" <<'PYTHON'
import json, sys
found = json.load(open(sys.argv[1]))
for pair in sys.argv[2:]:
    key, value = pair.split("=")
    if value[:1].isalpha():
        good = found[key] == value
    elif key == "edges":
        good = len(found[key]) == int(value)
    else:
        good = abs(found[key] - float(value)) <= 1e-3 * max(1, abs(float(value)))
    if not good:
        sys.exit(f"{key} is {found[key]}, expected {value}")
missing = {"graph", "workers", "edges", "rate", "chi1", "chi2", "eta", "alpha", "alpha_tilde"} - set(found)
if missing:
    sys.exit(f"fields are missing: {missing}")
PYTHON
}

test_published() {
    local family n chi1 chi2 eta alpha_tilde eta2
    while read -r family n chi1 chi2 eta alpha_tilde eta2; do
        [ -n "$family" ] || continue
        run_well "$family $n" 1 graph "$family" -n "$n" --json
        check "$family $n: constants" json_has "graph=$family" "workers=$n" rate=1 "chi1=$chi1" "chi2=$chi2" \
            "eta=$eta" alpha=0.5 "alpha_tilde=$alpha_tilde"
        run_ranks 1 graph "$family" -n "$n" --rate 2 --json
        check "$family $n: rate 2" json_has rate=2 "eta=$eta2" "alpha_tilde=$alpha_tilde"
    done <<<"$published"
}

# Family, n, number of edges.
test_families() {
    local family n edges
    while read -r family n edges; do
        run_well "$family of $n" 1 graph "$family" -n "$n" --json
        check "$family of $n: edges" json_has "edges=$edges" "workers=$n"
    done <<'TABLE'
ring 2 1
ring 3 3
ring 5 5
complete 5 10
line 6 5
star 7 6
torus 9 18
torus 6 9
grid 9 12
grid 6 7
hypercube 8 12
exponential 8 20
exponential 6 12
tree 7 6
barbell 8 13
random-regular 10 20
TABLE
    for family in ring complete line star torus grid hypercube exponential tree; do
        run_well "$family of 1" 1 graph "$family" -n 1
    done
    run_well "erdos-renyi" 1 graph erdos-renyi -n 12 --probability 0.5 --seed 4 --json
    run_well "random-regular of degree 3" 1 graph random-regular -n 10 --degree 3 --json
    check "15 edges" json_has edges=15
    run_well "text" 1 graph ring -n 16
    check "says chi1" grep -Eq 'chi1 +13\.13' "$scratch/out"
    printf '# a triangle and a tail\n0 1\n1 2\n2 0\n2 3\n' >"$scratch/edges.txt"
    run_well "a file" 1 graph "$scratch/edges.txt" --json
    check "its edges" json_has edges=4 workers=4
    run_well "a file with its n" 1 graph "$scratch/edges.txt" -n 4
}

test_refusals() {
    refuse "no graph" 1 2 'graph ring -n 16' graph
    refuse "no n" 1 2 'number of workers' graph ring
    refuse "n of 0" 1 2 '-n 0' graph ring -n 0
    refuse "n in words" 1 2 'four' graph ring -n four
    refuse "n and a half" 1 2 '2\.5' graph ring -n 2.5
    refuse "no value" 1 2 '-n needs a value' graph ring -n
    refuse "unknown family" 1 2 'toruss && torus' graph toruss -n 16
    refuse "unknown option" 1 2 '--jsn && --json' graph ring -n 4 --jsn
    refuse "negative rate" 1 2 'rate' graph ring -n 4 --rate -1
    refuse "hypercube of 12" 1 2 'hypercube && 12 && 8' graph hypercube -n 12
    refuse "odd barbell" 1 2 'barbell && 7 && 6|barbell && 7 && 8' graph barbell -n 7
    refuse "random-regular of odd sum" 1 2 'random-regular && 9' graph random-regular -n 9 --degree 3
    refuse "missing file" 1 2 'none.txt && No such file' graph "$scratch/none.txt"
    refuse "config of an unknown key" 1 2 'optimizer.lrr && optimizer.lr' config optimizer.lrr
    refuse "config of two keys" 1 2 'one key' config optimizer.lr train.batch
}

test_words() {
    local keys
    run_well "--version" 1 --version
    check "name and number" grep -Eqx 'grapevine [0-9]+\.[0-9]+\.[0-9]+' "$scratch/out"
    run_well "--help" 1 --help
    for word in train eval graph config doctor --version --dry-run; do
        check "help names $word" grep -q -e "$word" "$scratch/out"
    done
    run_ranks 1
    check "no arguments: help and status 2" test "$status" = 2
    run_well "config" 1 config
    cp "$scratch/out" "$scratch/all"
    keys=$(grep -c . "$scratch/all")
    check "config lists the keys ($keys lines)" test "$keys" -gt 50
    for key in seed data.name optimizer.lr communication.rate run.keep_best; do
        run_well "config $key" 1 config "$key"
        check "config $key tells more than its line" test "$(wc -w <"$scratch/out")" -gt 5
        check "$key is in the list" grep -q -e "${key#*.}" "$scratch/all"
    done
}

test_plan() {
    cat >"$scratch/plan.yaml" <<'YAML'
data: {name: shapes, train_count: 1280, test_count: 320}
model: {name: convnet}
train: {batch: 32, epochs: 10}
YAML
    run_well "--dry-run" 4 train "$scratch/plan.yaml" --dry-run "run.dir=$scratch/never"
    for pattern in 'memory.*[KM]i?B' '400 gradients' 'learning rate.*at 50 %.*at 75 %' 'chi1 1, chi2 0.75' \
        'eta 0.5774, alpha 0.5, alpha_tilde 0.5774' 'edges +0-1.*0-3.*1-2.*2-3' 'transport +(auto|put)' \
        '[0-9]+ parameters'; do
        check "the plan has: $pattern" grep -Eq "$pattern" "$scratch/out"
    done
    check "nothing is written" test ! -e "$scratch/never"
}

# Pictures of the shape that a configuration wants, few of them; the plan needs nothing more.
few_pictures() {
    local folder=$1 k part
    mkdir -p "$folder"/{cifar-10-batches-bin,cifar-100-binary,mnist,fashion-mnist}
    for k in data_batch_{1,2,3,4,5} test_batch; do
        head -c $((3073 * 200)) /dev/zero >"$folder/cifar-10-batches-bin/$k.bin"
    done
    for k in train test; do
        head -c $((3074 * 1000)) /dev/zero >"$folder/cifar-100-binary/$k.bin"
    done
    for part in mnist/train mnist/t10k fashion-mnist/train fashion-mnist/t10k; do
        { printf '\0\0\010\003\0\0\003\350\0\0\0\034\0\0\0\034' && head -c 784000 /dev/zero; } \
            >"$folder/$part-images-idx3-ubyte"
        { printf '\0\0\010\001\0\0\003\350' && head -c 1000 /dev/zero; } >"$folder/$part-labels-idx1-ubyte"
    done
    for part in train val; do
        "$PYTHON" tests/e2e/draw_photos.py "$folder/imagenet/$part" 12 4
    done
}

test_configs() {
    local file smaller=()
    few_pictures "$scratch/data"
    for file in configs/*.yaml; do
        smaller=() # a ResNet-50 with 128 large pictures is more than this machine may have memory for
        [[ $file != *imagenet* ]] || smaller=(train.batch=2)
        run_well "$file" 2 train "$file" --dry-run "data.path=$scratch/data" "${smaller[@]}"
    done
}

# A part of the name of a test function as argument runs that one only.
for part in published families refusals words plan configs; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
