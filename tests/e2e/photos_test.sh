#!/usr/bin/env bash
# Training on photographs: from class folders and from a pack of them, to a network that tells the classes apart; the
# same bytes whatever the number of threads; a few steps of ResNet-50; pictures that cannot be read. Photographs are
# drawn here: stripes across and along. With GRAPEVINE_PHOTOS=FOLDER (train/ and val/ in it, a folder for each of two
# classes) a small network learns those as well, beyond chance on pictures that it has not seen.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

if ! "$PYTHON" -c 'import PIL' 2>/dev/null; then
    skip "all of it" "Python's Pillow draws the pictures: scripts/setup.sh --tests"
    finish
fi

# Stripes across or along, of random width, colors and size, with noise.
"$PYTHON" - "$scratch/photos" <<'PYTHON'
import os, random, sys
from PIL import Image

draw = random.Random(4)

def picture(along):
    width, height, period = draw.randrange(60, 200), draw.randrange(60, 200), draw.uniform(12, 30)
    colors = [bytes(draw.randrange(256) for _ in range(3)) for _ in range(2)]
    length = width if along else height
    line = b"".join(colors[int(2 * k / period) % 2] for k in range(length))
    stripes = Image.frombytes("RGB", (length, 1) if along else (1, length), line).resize((width, height))
    noise = Image.frombytes("L", (width, height), draw.randbytes(width * height)).convert("RGB")
    return Image.blend(stripes, noise, 0.2)

for split, count in (("train", 64), ("val", 16)):
    for name in ("across", "along"):
        os.makedirs(os.path.join(sys.argv[1], split, name))
        for k in range(count):
            picture(name == "along").save(os.path.join(sys.argv[1], split, name, f"{k:03}.jpg"), quality=90)
PYTHON

config=$scratch/photos.yaml
cat >"$config" <<YAML
seed: 2
data:          {name: photos, path: $scratch, size: 32}
model:         {name: convnet, width: 16}
graph:         {name: ring}
optimizer:     {lr: 0.05, lr_per_samples: 0}
schedule:      {name: constant, warmup_epochs: 0}
train:         {batch: 16, epochs: 12}
device:        {name: cpu, threads: 1}
run:           {log_every: 10, eval_every_epochs: 0, checkpoint_every_epochs: 0}
YAML

# The model of run $1 has at least the accuracy $2 on the test pictures.
learnt() {
    check "${1##*/}: has learnt" "$PYTHON" - "$1" "$2" <<'PYTHON'
import json, sys
summary = json.load(open(sys.argv[1] + "/summary.json"))
assert summary["test_accuracy"] >= float(sys.argv[2]), summary["test_accuracy"]
PYTHON
}

test_learning() {
    run_well "pack" 1 pack "$scratch/photos" "$scratch/packed/photos"
    run_well "from folders" 2 train "$config" "run.dir=$scratch/folders" && learnt "$scratch/folders" 0.85
    run_well "from a pack" 2 train "$config" "run.dir=$scratch/pack" "data.path=$scratch/packed" data.threads=3 &&
        learnt "$scratch/pack" 0.85
    run_well "in blocks" 2 train "$config" "run.dir=$scratch/blocks" "data.path=$scratch/packed" data.shuffle=blocks \
        data.block_mib=0.02 data.pool_mib=0.2 && learnt "$scratch/blocks" 0.85
    run_ranks 1 eval "$scratch/pack/final.safetensors" "$scratch/pack/config.yaml"
    verdict "eval" "$(grep -q ' 32 pictures' "$scratch/out" || echo "does not say that it tested 32 pictures")"
}

# Order, crops and flips are functions of seed, worker and epoch.
test_threads() {
    local threads
    for threads in 1 3; do
        run_well "simulated, $threads threads" 1 simulate "$config" train.workers=2 train.epochs=4 \
            "data.threads=$threads" "run.dir=$scratch/threads-$threads"
    done
    check "the same bytes" cmp "$scratch/threads-1/final.safetensors" "$scratch/threads-3/final.safetensors"
    run_well "another size" 1 simulate "$config" train.workers=2 train.epochs=4 data.size=40 \
        "run.dir=$scratch/threads-size"
    check "other bytes" bash -c \
        "! cmp -s '$scratch/threads-1/final.safetensors' '$scratch/threads-size/final.safetensors'"
}

test_resnet50() {
    run_well "resnet50" 2 train "$config" "run.dir=$scratch/resnet50" model.name=resnet50 model.width=0 data.size=96 \
        train.batch=8 train.epochs=0.3 batch_norm.batches=1 data.test_count=8
    check "resnet50: four gradients at least" "$PYTHON" -c \
        "import json, sys; assert json.load(open(sys.argv[1]))['gradients'] >= 4" "$scratch/resnet50/summary.json"
}

test_bad_pictures() {
    local bad=$scratch/bad
    mkdir -p "$bad" && cp -r "$scratch/photos" "$bad/photos"
    printf 'GIF89a not a photograph' >"$bad/photos/train/along/000.jpg"
    truncate -s 700 "$bad/photos/train/across/001.jpg"
    : >"$bad/photos/train/across/002.jpg"
    run_well "bad pictures" 1 train "$config" "data.path=$bad" "run.dir=$scratch/skipped" train.epochs=2
    for said in 'along/000.jpg: is a GIF' 'across/001.jpg: ' 'across/002.jpg: is empty'; do
        verdict "it names $said" "$([ "$(grep -c "warning: .*$said" "$scratch/err")" = 1 ] ||
            echo "not named once")"
    done
    refuse "on_bad=stop" 1 3 'train/a(long|cross)/00[012].jpg: .*data.on_bad=skip' train "$config" "data.path=$bad" \
        data.on_bad=stop data.threads=1 "run.dir=$scratch/stopped" train.epochs=2
}

test_bench() {
    run_well "bench data" 1 bench data "$config" --json --seconds 0.3 --rate 1000
    check "its figures" "$PYTHON" - "$scratch/out" <<'PYTHON'
import json, sys
figures = json.load(open(sys.argv[1]))
for name in ("read", "decode", "all", "whole", "loader"):
    assert figures[name + "_pictures_per_second"] > 0, name
assert figures["read_pictures_per_second"] > figures["decode_pictures_per_second"] > figures["all_pictures_per_second"]
assert 0 <= figures["loader_waiting"] <= 1 and figures["peak_bytes"] > 1 << 20
PYTHON
    refuse "bench without a configuration" 1 2 'bench data: a configuration' bench data
    refuse "bench of nothing" 1 2 'bench: what' bench
}

# Real ones: in four rounds a quarter of them is kept back, and in the end each has been told from the others by a
# network that had not seen it. More are told right than by chance in one of twenty times.
test_real() {
    local folder=${GRAPEVINE_PHOTOS:-} round file class split k
    if [ ! -d "$folder/train" ]; then
        skip "real photographs" "GRAPEVINE_PHOTOS names no folder with train/ in it"
        return
    fi
    for round in 0 1 2 3; do
        k=0
        while read -r file; do
            class=$(basename "$(dirname "$file")")
            split=$([ $((k % 4)) = "$round" ] && echo val || echo train)
            k=$((k + 1))
            mkdir -p "$scratch/real-$round/photos/$split/$class"
            ln -s "$file" "$scratch/real-$round/photos/$split/$class/"
        done < <(find "$(realpath "$folder")" -mindepth 3 -maxdepth 3 -type f -iname '*.jp*g' | sort)
        run_well "real photographs, round $round" 1 simulate "$config" train.workers=2 \
            "data.path=$scratch/real-$round" "run.dir=$scratch/real-run-$round" data.size=64 train.epochs=100 \
            optimizer.lr=0.02 optimizer.weight_decay=5e-4 schedule.name=cosine schedule.warmup_epochs=2
    done
    check "beyond chance" "$PYTHON" - "$scratch" "$scratch/told" <<'PYTHON'
import glob, json, math, sys
right = count = 0
for round in range(4):
    classes = [len(glob.glob(folder + "/*")) for folder in glob.glob(f"{sys.argv[1]}/real-{round}/photos/val/*")]
    assert len(classes) == 2, "two classes"
    count += sum(classes)
    right += json.load(open(f"{sys.argv[1]}/real-run-{round}/summary.json"))["test_accuracy"] * sum(classes)
chance = sum(math.comb(count, k) for k in range(int(right + 0.5), count + 1)) / 2 ** count
open(sys.argv[2], "w").write(f"real photographs: {right:.0f} of {count} right, by chance with p = {chance:.2g}\n")
assert chance <= 0.05, (right, count, chance)
PYTHON
    cat "$scratch/told"
}

# A part of the name of a test function as argument runs that one only.
for part in learning threads resnet50 bad_pictures bench real; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
