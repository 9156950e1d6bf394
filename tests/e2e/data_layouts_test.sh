#!/usr/bin/env bash
# Data as people have them: PNG and WebP beside JPEG, class folders without a folder for tests, tests alone, arrays of
# NumPy, files under other names and in other folders, and files of one set in the place of another.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

if ! "$PYTHON" -c 'import PIL, numpy' 2>/dev/null; then
    skip "all of it" "Python's Pillow and NumPy make the data: scripts/setup.sh --tests"
    finish
fi
layouts=("$PYTHON" tests/e2e/data_layouts.py)

config=$scratch/c.yaml
cat >"$config" <<YAML
seed: 3
data:          {name: photos, path: $scratch/photos, size: 32}
model:         {name: mlp, width: 16}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: 8, epochs: 2, workers: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 10, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

# $1 name, $2 run directory, the rest are settings: a simulated run that goes well.
trains() {
    local name=$1 run=$2
    shift 2
    run_well "$name" 1 simulate "$config" "run.dir=$scratch/run-$run" "$@"
}

# The latest command said $2 (extended regular expression).
says() {
    verdict "$1: says so" "$(grep -qE -- "$2" "$scratch/out" "$scratch/err" || echo "no /$2/ in its output")"
}

# The data of a plan are told as $2 (extended regular expression); $1 name, the rest are settings.
plans() {
    local name=$1 wanted=$2
    shift 2
    run_well "$name" 1 simulate "$config" --dry-run "run.dir=$scratch/never" "$@" && says "$name" "$wanted"
}

same_weights() {
    check "$1" cmp "$scratch/run-$2/final.safetensors" "$scratch/run-$3/final.safetensors"
}

# PNG, WebP and JPEG in the same folders, and packed; a name says nothing of the format.
test_formats() {
    "${layouts[@]}" photos "$scratch/photos/photos/train" 12 mixed
    "${layouts[@]}" photos "$scratch/photos/photos/val" 4 mixed
    plans "all of them" '24 pictures to train, 0 held out, 8 to test, 2 classes'
    trains "PNG, WebP and JPEG" formats
    verdict "none is bad" "$(grep warning "$scratch/err")"
    run_well "packed" 1 pack "$scratch/photos/photos" "$scratch/packed/photos"
    for split in train val; do
        check "packed as they are, $split" "$PYTHON" tests/e2e/photos.py compare "$scratch/packed/photos/$split" \
            "$scratch/photos/photos/$split"
    done
    run_well "made smaller" 1 pack "$scratch/photos/photos" "$scratch/small/photos" --short-side 40
    trains "from the smaller ones" small "data.path=$scratch/small"
    for name in "0.png" "1.webp"; do
        truncate -s 150 "$scratch/photos/photos/train/left/$name"
    done
    trains "two that are cut short" cut
    for name in "0.png" "1.webp"; do
        verdict "$name is named" "$(grep -qF "train/left/$name: the data end early" "$scratch/err" || echo "not named")"
    done
}

# A part of train is tested on, the same whatever the layout, the format of the set, and the command.
test_without_tests() {
    local note='0\.25 of the images of each class in .*, kept from training by seed 3'
    "${layouts[@]}" photos "$scratch/alone/photos/train" 12 jpg
    cp -r "$scratch/alone/photos/train" "$scratch/root"
    trains "train/ alone" alone "data.path=$scratch/alone" data.test_share=0.25 &&
        says "split" "test images: $note"
    plans "train/ alone" '18 pictures to train, 0 held out, 6 to test' "data.path=$scratch/alone" data.test_share=0.25
    says "the plan" "^test images +$note"
    check "the record says so" grep -qE "\"test_images\":[[:space:]]*\"$note" "$scratch/run-alone/summary.json"
    trains "class folders in data.path" root "data.path=$scratch/root" data.test_share=0.25 &&
        same_weights "the same split" alone root
    run_well "packed" 1 pack "$scratch/root" "$scratch/packed-root"
    run_ranks 1 eval "$scratch/run-alone/final.safetensors" "$scratch/run-alone/config.yaml" \
        "data.path=$scratch/packed-root"
    verdict "a pack is split alike" "$(check_loss "$scratch/run-alone")"
    run_ranks 1 eval "$scratch/run-alone/final.safetensors" "$scratch/run-alone/config.yaml"
    verdict "eval tests on the same" "$(check_loss "$scratch/run-alone")"
    says "eval" "test images: $note"
    trains "another seed" seed "data.path=$scratch/root" data.test_share=0.25 seed=4
    says "another split" 'by seed 4'
    refuse "no share for tests" 1 2 'data.test_share is 0' simulate "$config" "data.path=$scratch/root" \
        data.test_share=0 "run.dir=$scratch/never"
    check "nothing is left of it" test ! -e "$scratch/never/summary.json"
}

# The loss that eval printed is that of the run's record.
check_loss() {
    "$PYTHON" - "$1/summary.json" "$scratch/out" <<'PYTHON'
import json, re, sys
wanted = json.load(open(sys.argv[1]))["test_loss"]
found = re.search(r"test loss ([0-9.]+)", open(sys.argv[2]).read())
if found is None or abs(float(found.group(1)) - wanted) > 1e-4:
    print("eval:", found and found.group(1), "record:", wanted)
PYTHON
}

# Folders for tests under other names; both; one without labels; one that is all there is.
test_folders() {
    local name
    mkdir -p "$scratch/named/photos"
    "${layouts[@]}" photos "$scratch/named/photos/train" 8 jpg
    for name in test valid validation val; do
        "${layouts[@]}" photos "$scratch/named/photos/$name" 3 jpg
        plans "$name/" '16 pictures to train, .* 6 to test' "data.path=$scratch/named"
        [ "$name" = test ] || rm -r "$scratch/named/photos/$name"
    done
    "${layouts[@]}" photos "$scratch/named/photos/val" 2 jpg
    plans "val/ and test/" '^test images +.*/val; .*/test is not used' "data.path=$scratch/named"
    trains "with val/" named "data.path=$scratch/named"
    run_well "pack train/ and test/" 1 pack "$scratch/named/photos" "$scratch/named-pack"
    rm -r "$scratch/named/photos/val" "$scratch/named/photos/test"
    mkdir "$scratch/named/photos/test"
    cp "$scratch/named/photos/train/left/"*.jpg "$scratch/named/photos/test"
    plans "test/ without labels" 'kept from training' "data.path=$scratch/named"
    rm -r "$scratch/named/photos/train" "$scratch/named/photos/test"
    "${layouts[@]}" photos "$scratch/named/photos/test" 3 jpg
    run_well "eval without train/" 1 eval "$scratch/run-named/final.safetensors" "$scratch/run-named/config.yaml"
    refuse "training without train/" 1 3 'no folder train/' simulate "$config" "data.path=$scratch/named" \
        "run.dir=$scratch/never"
    refuse "nothing there" 1 3 "no photographs are in it && train/ && data.path" simulate "$config" \
        "data.path=$scratch" data.folder=run-named "run.dir=$scratch/never"
}

# Arrays: train and eval, on tests of their own and on a share, and tests alone with the scale of the record.
test_arrays() {
    local run=$scratch/run-arrays mean deviation
    "${layouts[@]}" arrays "$scratch/arrays" 60 20
    trains "arrays" arrays data.name=npy "data.path=$scratch/arrays" data.validation=0.1
    check "the record and the checkpoint have mean and deviation" "${layouts[@]}" scale "$scratch/arrays" "$run"
    run_ranks 1 eval "$run/final.safetensors" "$run/config.yaml"
    verdict "eval tests on the same" "$(check_loss "$run")"
    plans "no test arrays" '48 pictures to train, 0 held out, 12 to test, 3 classes' data.name=npy data.test_share=0.2 \
        "data.path=$scratch/arrays" data.folder=bare
    says "no test arrays" 'test images: 0.2 of the images of each class in .*/bare/images.npy, kept .* by seed 3'
    verdict "a share that is used is not idle" "$(grep 'has no effect' "$scratch/err")"
    plans "a share without effect" 'data.test_share has no effect: the set has test images' data.name=npy \
        "data.path=$scratch/arrays" data.test_share=0.2
    rm "$scratch/arrays/npy/x_train.npy"
    refuse "tests alone" 1 2 'data.mean and data.deviation' eval "$run/final.safetensors" "$run/config.yaml"
    mean=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["mean"])' "$run/summary.json")
    deviation=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["deviation"])' "$run/summary.json")
    run_ranks 1 eval "$run/final.safetensors" "$run/config.yaml" "data.mean=$mean" "data.deviation=$deviation"
    verdict "with the scale of the record" "$(check_loss "$run")"
}

# Images that are narrower than a crop's largest shift (4 pixels): a crop may be all padding.
test_narrow_arrays() {
    "$PYTHON" - "$scratch/narrow" <<'PYTHON'
import os, struct, sys
def save(name, kind, shape, data):
    head = str({"descr": kind, "fortran_order": False, "shape": shape}).ljust(117).encode() + b"\n"
    open(name, "wb").write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data)
for rows, columns in (1, 1), (3, 3), (9, 1), (1, 9):
    folder = f"{sys.argv[1]}/{rows}x{columns}"
    os.makedirs(folder)
    save(f"{folder}/train_images.npy", "|u1", (64, rows, columns), bytes(k % 251 for k in range(64 * rows * columns)))
    save(f"{folder}/train_labels.npy", "|u1", (64,), bytes(k % 4 for k in range(64)))
PYTHON
    local shape
    for shape in 1x1 3x3 9x1 1x9; do
        trains "images of $shape" "$shape" data.name=npy "data.path=$scratch/narrow/$shape"
    done
}

# Python's version of CIFAR becomes the binary one; what else a pickle would do is not let in.
test_pickles() {
    local place=$scratch/torchvision
    "${layouts[@]}" pickles "$place"
    refuse "Python's version" 1 3 'cifar-10-batches-py: this is the set.s Python version && scripts/cifar_binary.py' \
        simulate "$config" data.name=cifar10 "data.path=$place" "run.dir=$scratch/never"
    run_command "$PYTHON" scripts/cifar_binary.py "$place"
    check "made anew" test "$status" = 0
    check "byte for byte" diff -r "$place/expected" "$place/cifar-10-batches-bin"
    plans "and read" '20 pictures to train, 0 held out, 4 to test, 10 classes' data.name=cifar10 "data.path=$place"
    plans "from the folder itself" '20 pictures to train' data.name=cifar10 "data.path=$place/cifar-10-batches-bin"
    "${layouts[@]}" evil "$place/cifar-10-batches-py/data_batch_2"
    run_command "$PYTHON" scripts/cifar_binary.py "$place/cifar-10-batches-py"
    verdict "no program is run" "$([ "$status" = 3 ] && grep -q 'data_batch_2: cannot be read' "$scratch/err" ||
        echo "status $status")"
}

# A part of the name of a test function as argument runs that one only.
for part in formats without_tests folders arrays narrow_arrays pickles; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
