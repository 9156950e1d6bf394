#!/usr/bin/env bash
# What `eval` tells of a model: means, classes, confusion matrix and every image agree with one another, as a table, as
# JSON and as CSV, on the CPU and on an emulated GPU; class and file names; what cannot be written.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/eval.yaml
cat >"$config" <<'YAML'
seed: 1
data:          {name: shapes, train_count: 256, test_count: 75}
model:         {name: mlp}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: constant, warmup_epochs: 0}
train:         {workers: 1, batch: 8, epochs: 3}
run:           {log_every: 100, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML
run=$scratch/run
run_well "a model" 1 simulate "$config" "run.dir=$run" model.width=16
model=$run/final.safetensors

# All of the results in $scratch/json, $scratch/confusion.csv and $scratch/predictions.csv of a set whose classes are
# "$1", "$2" …, or of the numbers 0 … $1 − 1: each follows from the images'.
agree() {
    "$PYTHON" - "$scratch" "$@" <<'PYTHON'
import csv, json, math, sys
folder, *names = sys.argv[1:]
known = len(names) > 1
names = names if known else [str(c) for c in range(int(names[0]))]
result = json.load(open(f"{folder}/json"))
images = list(csv.DictReader(open(f"{folder}/predictions.csv", newline="")))
matrix = list(csv.reader(open(f"{folder}/confusion.csv", newline="")))
assert result["images"] == len(images) > 0
assert [int(image["index"]) for image in images] == list(range(len(images)))
counts = [[0] * len(names) for _ in names]
for image in images:
    label, predicted, probability = int(image["label"]), int(image["predicted"]), float(image["probability"])
    counts[label][predicted] += 1
    assert 1 / len(names) - 1e-6 <= probability <= 1 and float(image["loss"]) >= 0, image
    if label == predicted:
        assert abs(math.exp(-float(image["loss"])) - probability) < 1e-6, image
    if known:
        assert (image["label_name"], image["predicted_name"]) == (names[label], names[predicted]), image
assert matrix == [["label"] + names] + [[name] + [str(n) for n in row] for name, row in zip(names, counts)], matrix
assert result["confusion"] == counts
correct = [counts[c][c] for c in range(len(names))]
assert sum(correct) == result["correct"] and abs(sum(correct) / len(images) - result["test_accuracy"]) < 1e-12
loss = sum(float(image["loss"]) for image in images) / len(images)
assert abs(loss - result["test_loss"]) < 1e-4 * (1 + loss), (loss, result["test_loss"])
shares = []
for c, row in enumerate(result["classes"]):
    total = sum(counts[c])
    share = correct[c] / total if total else None
    assert row == {"class": c, "name": names[c], "images": total, "correct": correct[c], "accuracy": share,
                   "predicted": sum(of[c] for of in counts)}, row
    shares += [share] if total else []
assert abs(result["mean_class_accuracy"] - sum(shares) / len(shares)) < 1e-12
PYTHON
}

# `eval` of the rest, with all that it writes.
tell_all() {
    local name=$1
    shift
    run_well "$name" 1 eval "$@" --json --confusion "$scratch/confusion.csv" --predictions="$scratch/predictions.csv"
    cp "$scratch/out" "$scratch/json"
}

readonly shapes="disc ring square frame triangle cross star crescent stripes diamond"

test_agreement() {
    tell_all "all of it" "$model" "$run/config.yaml"
    # shellcheck disable=SC2086  # one word per class
    check "it agrees with itself" agree $shapes
    check "and with the run's summary" "$PYTHON" -c 'import json, sys
a, b = (json.load(open(path)) for path in sys.argv[1:])
assert (a["test_accuracy"], a["test_loss"]) == (b["test_accuracy"], b["test_loss"]), (a, b)' \
        "$scratch/json" "$run/summary.json"
    tell_all "another size of batches" "$model" "$run/config.yaml" train.batch=32
    # shellcheck disable=SC2086
    check "a last batch that is not full" agree $shapes
    run_well "a table" 1 eval "$model" "$run/config.yaml"
    check "its first line is the mean" grep -Eq '^.*/final.safetensors on shapes: test accuracy 0\.[0-9]+, test loss ' \
        <(head -n 1 "$scratch/out")
    check "the worst class comes first" "$PYTHON" - "$scratch/out" "$scratch/json" <<'PYTHON'
import json, sys
classes = {row["name"]: row for row in json.load(open(sys.argv[2]))["classes"]}
rows = [line.split() for line in open(sys.argv[1]).read().splitlines()[2:]]
assert sorted(row[0] for row in rows) == sorted(classes)
assert [float(row[2]) for row in rows] == sorted(float(row[2]) for row in rows)
for row in rows:
    assert int(row[1]) == classes[row[0]]["images"] and abs(float(row[2]) - classes[row[0]]["accuracy"]) <= 5e-5
PYTHON
}

test_other_models() {
    local features="data.name=gaussian data.classes=3 data.dimension=4" words
    read -ra words <<<"$features model.name=logistic"
    run_well "logistic" 1 simulate "$config" "run.dir=$scratch/logistic" "${words[@]}"
    tell_all "classes without names" "$scratch/logistic/final.safetensors" "$scratch/logistic/config.yaml"
    check "they have numbers" agree 3
    check "no columns of names" grep -qx 'index,label,predicted,probability,loss' "$scratch/predictions.csv"
    read -ra words <<<"$features model.name=quadratic"
    run_well "quadratic" 1 simulate "$config" "run.dir=$scratch/quadratic" "${words[@]}"
    refuse "classes of none" 1 2 'quadratic && labels' eval "$scratch/quadratic/final.safetensors" \
        "$scratch/quadratic/config.yaml" --confusion "$scratch/none.csv"
    run_well "its loss" 1 eval "$scratch/quadratic/final.safetensors" "$scratch/quadratic/config.yaml" --json
    check "without classes" "$PYTHON" -c 'import json, sys
result = json.load(open(sys.argv[1]))
assert result["test_loss"] > 0 and "classes" not in result' "$scratch/out"
}

test_photos() {
    local data="data.name=photos data.path=$scratch data.size=32 data.train_count=0 data.test_count=0" words
    if ! "$PYTHON" -c 'import PIL' 2>/dev/null; then
        skip "photographs" "Python's Pillow draws them: scripts/setup.sh --tests"
        return
    fi
    "$PYTHON" - "$scratch/photos" <<'PYTHON'
import os, sys
from PIL import Image
for split, count in (("train", 8), ("val", 5)):
    for name, color in (("blue, dark", (0, 0, 90)), ('the "reds"', (200, 20, 20))):
        os.makedirs(f"{sys.argv[1]}/{split}/{name}")
        for k in range(count):
            Image.new("RGB", (40 + k, 50), color).save(f"{sys.argv[1]}/{split}/{name}/{k}, {name[0]}.jpg")
PYTHON
    read -ra words <<<"$data"
    run_well "photographs" 1 simulate "$config" "run.dir=$scratch/pictures" "${words[@]}" \
        model.name=convnet model.width=8 train.epochs=1
    tell_all "eval of photographs" "$scratch/pictures/final.safetensors" "$scratch/pictures/config.yaml"
    check "class names with commas and quotes" agree "blue, dark" 'the "reds"'
    check "files" "$PYTHON" - "$scratch/predictions.csv" <<'PYTHON'
import csv, os, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
assert [os.path.basename(row["file"]) for row in rows] == [f"{k}, {c}.jpg" for c in "bt" for k in range(5)], rows
PYTHON
}

# The same contract on both backends.
test_emulated_gpu() {
    local emulated=$PWD/$BUILD/emulated/grapevine precision
    if [ ! -x "$emulated" ]; then
        skip "an emulated GPU" "this build has no CUDA"
        return
    fi
    export XDG_CACHE_HOME=$scratch/cache
    tell_all "on the CPU" "$model" "$run/config.yaml" device.name=cpu
    cp "$scratch/predictions.csv" "$scratch/predictions-cpu.csv"
    for precision in fp32 bf16; do
        grapevine=$emulated tell_all "on an emulated GPU, $precision" "$model" "$run/config.yaml" device.name=cuda \
            "device.precision=$precision"
        # shellcheck disable=SC2086
        check "$precision: it agrees with itself" agree $shapes
        check "$precision: and with the CPU" "$PYTHON" - "$scratch" "$precision" <<'PYTHON'
import csv, json, sys
folder, precision = sys.argv[1:]
ours, cpu = (list(csv.DictReader(open(f"{folder}/predictions{tail}.csv"))) for tail in ("", "-cpu"))
assert json.load(open(f"{folder}/json"))["device"] == "cuda" and len(ours) == len(cpu)
most = 1e-4 if precision == "fp32" else 0.05
assert all(abs(float(a["loss"]) - float(b["loss"])) <= most * (1 + float(b["loss"])) for a, b in zip(ours, cpu))
PYTHON
    done
}

# A model whose outputs are not numbers calls nothing; its own values are finite and overflow on the way.
test_not_numbers() {
    "$PYTHON" - "$model" "$scratch/huge.safetensors" <<'PYTHON'
import json, struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
start = 8 + struct.unpack("<Q", data[:8])[0]
tensors = {name: t for name, t in json.loads(data[8:start]).items() if name != "__metadata__"}
fill = {"fc1.weight": (0, 0), "fc3.weight": (3e38, -3e38)}  # fc2 gives infinity, fc3 infinity minus infinity
for name, tensor in tensors.items():
    low, high = tensor["data_offsets"]
    data[start + low : start + high] = struct.pack("<2f", *fill.get(name, (3e38, 3e38))) * ((high - low) // 8)
open(sys.argv[2], "wb").write(data)
PYTHON
    tell_all "not numbers" "$scratch/huge.safetensors" "$run/config.yaml"
    check "no prediction, no loss" "$PYTHON" - "$scratch" <<'PYTHON'
import csv, json, sys
result = json.load(open(f"{sys.argv[1]}/json"))
images = list(csv.DictReader(open(f"{sys.argv[1]}/predictions.csv")))
assert result["test_loss"] is None and result["correct"] == 0 and sum(map(sum, result["confusion"])) == 0
assert sum(row["images"] for row in result["classes"]) == len(images) == result["images"]
assert all(image["predicted"] == image["predicted_name"] == image["probability"] == "" for image in images)
PYTHON
}

test_unwritable() {
    local what reason disk=$scratch/disk
    for what in confusion predictions; do
        refuse "$what: no such folder" 1 4 "$scratch/none/file.csv && --$what FILE" eval "$model" "$run/config.yaml" \
            "--$what" "$scratch/none/file.csv"
        refuse "$what: a folder" 1 4 'is not a file' eval "$model" "$run/config.yaml" "--$what" "$scratch"
        refuse "$what: a device" 1 4 '/dev/full is not a file' eval "$model" "$run/config.yaml" "--$what=/dev/full"
        refuse "$what: no file named" 1 2 "$what" eval "$model" "$run/config.yaml" "--$what"
    done
    refuse "an empty name" 1 2 '--predictions && empty' eval "$model" "$run/config.yaml" --predictions=
    refuse "the wrong way round" 1 2 'the checkpoint comes first' eval "$run/config.yaml" "$model"
    refuse "one file for both" 1 2 'same file' eval "$model" "$run/config.yaml" --confusion "$scratch/x" \
        --predictions "$scratch/x"
    refuse "an unknown option" 1 2 'jsn && --json' eval "$model" "$run/config.yaml" --jsn
    if reason=$(mount_small "$disk" 4); then
        cleanups+=("umount '$disk'")
        refuse "no space" 1 4 'predictions.csv && No space' eval "$model" "$run/config.yaml" \
            --predictions "$disk/predictions.csv" data.test_count=2000
        check "no part of it is left" test -z "$(ls "$disk")"
    else
        skip "a full disk" "$reason"
    fi
    for what in "eval $model $run/config.yaml" "eval $model $run/config.yaml --json" "graph ring -n 4 --json" config; do
        # shellcheck disable=SC2086  # words
        timeout "$limit_s" "$grapevine" $what >/dev/full 2>"$scratch/err"
        verdict "${what%% *}: standard output is full" "$([ $? = 4 ] || echo "exit status is not 4")"
        check "${what%% *}: it says so" grep -q "error: ${what%% *}: cannot write to standard output" "$scratch/err"
    done
}

# A part of the name of a test function as argument runs that one only.
for part in agreement other_models photos emulated_gpu not_numbers unwritable; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
