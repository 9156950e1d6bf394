#!/usr/bin/env bash
# What making pictures costs: tests/bench/data_bench.sh FOLDER, a folder of class folders with photographs (or
# $GRAPEVINE_PHOTOS). They are repeated under other names until there are enough of them, and packed. What is compared
# takes turns: PyTorch's DataLoader with one worker, FFCV (where $FFCV_PYTHON has it, with one thread), dd.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${BUILD:-build}
photos=${1:-${GRAPEVINE_PHOTOS:-}}
python=${PYTHON:-python3}
if [ -z "$photos" ]; then
    echo "no photographs: give a folder of class folders, or set GRAPEVINE_PHOTOS"
    exit
fi
scratch=$(mktemp -d -p "${BENCH_DIR:-${TMPDIR:-/tmp}}")
trap 'rm -rf "$scratch"' EXIT

# --- the set: photographs repeated, so many of them that blocks, pools and epochs are more than one ---
wanted=${PICTURES:-4096} copy=0 count=0
photos=$(realpath "$photos")
while [ "$count" -lt "$wanted" ]; do
    while read -r file; do
        class=$(basename "$(dirname "$file")")
        mkdir -p "$scratch/data/photos/train/$class"
        ln -s "$file" "$scratch/data/photos/train/$class/$copy-$(basename "$file")"
        count=$((count + 1))
    done < <(find -L "$photos" -mindepth 2 -maxdepth 2 -iname '*.jp*g')
    [ "$count" -gt 0 ] || { echo "no photographs in the folders of $photos" && exit 1; }
    copy=$((copy + 1))
done
"$build/grapevine" pack "$scratch/data/photos" "$scratch/packed/photos"
cat >"$scratch/data.yaml" <<YAML
data:  {name: photos, path: "$scratch/packed"}
model: {name: resnet50}
train: {batch: 128}
YAML

# $1: a key of the JSON on standard input.
figure() {
    grep -o "\"$1\":[[:space:]]*[0-9.eE+-]*" | grep -o '[0-9.eE+-]*$'
}

ours() {
    "$build/grapevine" bench data "$scratch/data.yaml" --json "$@"
}

ratio() {
    awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'
}

# --- one thread beside one worker of PyTorch, and one of FFCV ---
for round in 1 2 3; do
    mine=$(ours --loader --seconds 8 data.threads=1 | figure loader_pictures_per_second)
    echo "round $round: one thread $mine pictures/s"
    if "$python" -c 'import torchvision' 2>/dev/null; then
        theirs=$("$python" tests/bench/data_torch.py "$scratch/data/photos/train" 8)
        echo "round $round: over PyTorch's DataLoader, one worker ($theirs/s): $(ratio "$mine" "$theirs") (at least 3)"
    fi
    if [ -n "${FFCV_PYTHON:-}" ]; then
        theirs=$(FFCV_FILE="$scratch/set.beton" "$FFCV_PYTHON" tests/bench/data_ffcv.py "$scratch/data/photos/train" 8 \
            2>/dev/null)
        echo "round $round: over FFCV, one thread ($theirs/s): $(ratio "$mine" "$theirs") (at least 1)"
    fi
done

# --- parts ---
for round in 1 2 3; do
    ours data.threads=1 --seconds 10 >"$scratch/parts"
    echo "round $round: over decoding whole: $(figure all_over_whole <"$scratch/parts") (at least 1.1);" \
        "resize and normalise over memcpy, bytes counted: $(figure resize_over_memcpy <"$scratch/parts") (at least 0.3)"
done

# --- cold: the page cache has none of it; pools that follow one another, as in a large set ---
forget() {
    sync
    for shard in "$scratch"/packed/photos/train/shard-*.bin; do
        dd if="$shard" iflag=nocache count=0 status=none
    done
}
bytes=$(cat "$scratch"/packed/photos/train/shard-*.bin | wc -c)
for round in 1 2 3; do
    forget
    begin=$(date +%s.%N)
    for shard in "$scratch"/packed/photos/train/shard-*.bin; do
        dd if="$shard" of=/dev/null bs=8M status=none
    done
    by_dd=$(awk -v b="$begin" -v e="$(date +%s.%N)" 'BEGIN { print e - b }')
    forget
    by_us=$(ours --read data.shuffle=blocks data.pool_mib=64 | figure read_seconds)
    echo "round $round: cold, $bytes bytes in $by_us s, by dd in $by_dd s: $(ratio "$by_dd" "$by_us") (at least 0.9)"
done

# --- memory, and cores that do nothing else ---
peak=$(ours --loader --seconds 5 data.threads=8 | figure peak_bytes)
echo "the loader, batch 128, 8 threads: $(awk -v b="$peak" 'BEGIN { printf "%.0f", b / 1048576 }') MiB (at most 400)"
for round in 1 2 3; do
    ours --loader --seconds 10 data.threads=2 >"$scratch/loader"
    echo "round $round: two threads $(figure loader_pictures_per_second <"$scratch/loader") pictures/s, on pixels for" \
        "$(figure loader_busy <"$scratch/loader") of the time (at least 0.95)"
done
