#!/usr/bin/env bash
# grapevine pack: what it packs is what there was, byte for byte, whatever the number of threads and however often it
# was killed; labels in every form; what is no sound photograph is named; damage is found. Pictures are drawn here.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

photos=("$PYTHON" tests/e2e/photos.py)
if ! "$PYTHON" -c 'import PIL' 2>/dev/null; then
    skip "all of it" "Python's Pillow draws the pictures: scripts/setup.sh --tests"
    finish
fi
source=$scratch/source
"${photos[@]}" draw "$source" 40 160 || exit 1

# The same files with the same bytes: $1 name, $2 and $3 folders.
check_same() {
    check "$1" diff -r "$2" "$3"
}

# The last command said so on standard output: $1 name, $2 an extended regular expression.
said() {
    verdict "$1" "$(grep -qE -- "$2" "$scratch/out" || echo "the output does not say /$2/")"
}

test_folders() {
    local split
    run_well "class folders" 1 pack "$source" "$scratch/plain" --threads 1 --shard-mib 1
    said "how many" '^train: 120 pictures of 3 classes, .* in [2-9] shards, nothing left out$'
    for split in train val; do
        check "$split is what there was" "${photos[@]}" compare "$scratch/plain/$split" "$source/$split"
        check "$split mixes its classes" "${photos[@]}" mixed "$scratch/plain/$split"
    done
    check "nothing else is left" test -z "$(cd "$scratch/plain" && find . -type f |
        grep -vxE '\./(train|val)/(index\.bin|report\.tsv|shard-0000[0-9]\.bin)')"
    run_well "three threads" 1 pack "$source" "$scratch/threads" --threads 3 --shard-mib 1
    check_same "the same bytes" "$scratch/plain" "$scratch/threads"
    run_well "again" 1 pack "$source" "$scratch/plain" --shard-mib 1
    said "there is nothing to do" '^val: complete already: 30 pictures'
    check_same "nothing changes" "$scratch/plain" "$scratch/threads"
    run_well "a split alone" 1 pack "$source/train" "$scratch/alone" --shard-mib 1
    check_same "is the same split" "$scratch/alone/train" "$scratch/plain/train"
    run_well "with a name" 1 pack "$source/val" "$scratch/alone" --split val --shard-mib 1
    check_same "has the classes of the other" "$scratch/alone" "$scratch/plain"
    run_well "one shard" 1 pack "$source" "$scratch/one"
    said "is enough" '^train: 120 pictures .* in 1 shard,'
}

test_classes() {
    local part=$scratch/part
    mkdir -p "$part/train" "$part/val"
    cp -r "$source/train/"* "$part/train"
    cp -r "$source/val/cat" "$part/val"
    run_well "classes that a test split lacks" 1 pack "$part" "$scratch/lacks"
    check "keep their numbers" "${photos[@]}" compare "$scratch/lacks/val" "$part/val"
    check "count" grep -qa 'big eel' "$scratch/lacks/val/index.bin"
    run_well "the training split before" 1 pack "$source/train" "$scratch/lacks-too"
    run_well "the test split later" 1 pack "$part/val" "$scratch/lacks-too" --split val
    check_same "with the same classes" "$scratch/lacks-too" "$scratch/lacks"
    mv "$part/val/cat" "$part/val/cow"
    refuse "a class that the training split lacks" 1 3 'part/val && "cow" && nearest.*"cat"' pack "$part" \
        "$scratch/never"
    mkdir "$part/train/cow"
    refuse "a class without pictures" 1 3 'part/train/cow' pack "$part" "$scratch/never"
    refuse "no such folder" 1 3 'nowhere: no folder' pack "$scratch/nowhere" "$scratch/never"
    mkdir "$scratch/void"
    refuse "a folder with nothing" 1 3 'void: no class folders' pack "$scratch/void" "$scratch/never"
}

# A flat test split of the val pictures, and what their classes are, in the order of their names.
make_flat() {
    local class file k=0
    mkdir -p "$1/val"
    ln -s "$source/train" "$1/train"
    for k in 1 2 3 4 5 6; do
        class=$(sed -n "$((k * 2 % 3 + 1))p" <<<$'ant\nbig eel\ncat')
        file=$(find "$source/val/$class" -type f -name '*.JPEG' | sort | head -n $(((k + 1) / 2)) | tail -n 1)
        cp "$file" "$1/val/ILSVRC_val_0000000$k.JPEG"
        printf 'ILSVRC_val_0000000%s.JPEG\t%s\n' "$k" "$class" >>"$1/expected"
    done
    # Without the endings, of all of them together, and out of their order.
    cut -f 2 "$1/expected" >"$1/classes.txt"
    tr '\t' ' ' <"$1/expected" | tac | sed 's/big eel/cat/' >"$1/pairs.txt"
    sed 's/ant$/0/; s/big eel$/1/; s/cat$/2/; s/\t/ /' "$1/expected" | tac >"$1/numbers.txt"
    { echo ImageId,PredictionString && sed 's/\.JPEG\t/,/; s/$/ 1 2 3 4 /; s/big eel/cat/' "$1/expected"; } \
        >"$1/kaggle.csv"
    sed 's/.*\tant/2/; s/.*\tbig eel/3/; s/.*\tcat/1/' "$1/expected" >"$1/truth.txt"
    printf 'cat\nant\nbig eel\n' >"$1/synsets.txt"
    sed 's/big eel/cat/' "$1/expected" >"$1/expected-cat"
}

test_labels() {
    local flat=$scratch/flat form expected
    make_flat "$flat"
    for form in classes.txt numbers.txt pairs.txt kaggle.csv; do
        expected=$flat/expected
        case $form in pairs.txt | kaggle.csv) expected=$flat/expected-cat ;; esac # classes have no blanks there
        run_well "labels: $form" 1 pack "$flat" "$scratch/labels-$form" --labels "$flat/$form"
        check "are those of $form" "${photos[@]}" classes "$scratch/labels-$form/val" "$expected"
    done
    run_well "labels: truth.txt" 1 pack "$flat" "$scratch/labels-truth" --labels "$flat/truth.txt" \
        --synsets "$flat/synsets.txt"
    check "are those of the synsets" "${photos[@]}" classes "$scratch/labels-truth/val" "$flat/expected"
    check_same "and make the same pack" "$scratch/labels-truth" "$scratch/labels-classes.txt"
    run_well "a flat split alone" 1 pack "$flat/val" "$scratch/flat-alone" --split val --labels "$flat/classes.txt"
    check "has the classes of its list" "${photos[@]}" classes "$scratch/flat-alone/val" "$flat/expected"
    refuse "a flat split without labels" 1 3 'flat/val: no class folders' pack "$flat" "$scratch/never"
    refuse "numbers without synsets" 1 3 'truth.txt:1: .* && --synsets' pack "$flat" "$scratch/never" --labels \
        "$flat/truth.txt"
    refuse "synsets without labels" 1 2 '--synsets goes with --labels' pack "$flat" "$scratch/never" --synsets x
    sed -i 2d "$flat/classes.txt"
    refuse "a line too few" 1 3 'classes.txt: 5 lines for the 6' pack "$flat" "$scratch/never" --labels \
        "$flat/classes.txt"
    sed -i 's/ 0$/ 3/' "$flat/numbers.txt"
    refuse "a number too large" 1 3 'numbers.txt:[0-9]+: label 3, allowed are 0 to 2' pack "$flat" "$scratch/never" \
        --labels "$flat/numbers.txt"
    mkdir -p "$scratch/alone-train" && ln -s "$source/train" "$scratch/alone-train/train"
    refuse "labels, and no split for them" 1 3 'no folder val' pack "$scratch/alone-train" "$scratch/never" --labels \
        "$flat/numbers.txt"
}

test_bad() {
    local bad=$scratch/bad name words
    mkdir -p "$bad/train"
    "${photos[@]}" bad "$bad/train/odd"
    run_well "files that are no photographs" 1 pack "$bad" "$scratch/bad-pack"
    said "are left out" '^train: 2 pictures of 1 classes, .*, 15 left out: see .*/train/report.tsv$'
    check "the good ones are there" "${photos[@]}" compare "$scratch/bad-pack/train" "$bad/train"
    check "each is listed once" test "$(wc -l <"$scratch/bad-pack/train/report.tsv")" = 15
    while IFS='|' read -r name words; do
        check "report: $name" grep -qF "odd/$name	$words" "$scratch/bad-pack/train/report.tsv"
    done <<'LIST'
.hidden.jpg|is hidden
cmyk.jpg|is CMYK
empty.jpg|is empty
folder.jpg|is a folder
gif.JPEG|is a GIF
half scans.jpg|the data end early
half.jpg|the data end early
head.jpg|
link.jpg|is a link that leads nowhere
note.txt|has the name of no photograph
pipe.jpg|is no file
tab\tline\nbreak.jpg|is not a JPEG
text.jpg|is not a JPEG, PNG or WebP
two.jpg|
zeros.jpg|is not a JPEG
LIST
    refuse "a file of another name, --on-bad stop" 1 3 'odd/\.hidden\.jpg: is hidden && --on-bad skip' pack "$bad" \
        "$scratch/never" --on-bad stop
    mkdir -p "$scratch/stop/train/a"
    cp "$bad/train/odd/good.jpg" "$bad/train/odd/half.jpg" "$scratch/stop/train/a"
    refuse "half a picture, --on-bad stop" 1 3 'a/half.jpg: the data end early && --on-bad skip' pack "$scratch/stop" \
        "$scratch/stopped" --on-bad stop
    check "leaves no half shard" test -z "$(find "$scratch/stopped" -type f)"
    run_well "the same, --on-bad skip" 1 pack "$scratch/stop" "$scratch/stopped"
    refuse "what was left out, --on-bad stop" 1 3 'a/half.jpg' pack "$scratch/stop" "$scratch/stopped" --on-bad stop
    rm "$scratch/stop/train/a/good.jpg"
    refuse "nothing but bad files" 1 3 'stop/train && report.tsv' pack "$scratch/stop" "$scratch/nothing"
    check "no index" test ! -e "$scratch/nothing/train/index.bin"
}

test_unreadable() {
    local words=()
    mkdir -p "$scratch/closed/train/a" "$scratch/open"
    cp "$source/train/cat/000.JPEG" "$scratch/closed/train/a/good.jpg"
    cp "$source/train/cat/001.jpg" "$scratch/closed/train/a/closed.jpg"
    chmod 000 "$scratch/closed/train/a/closed.jpg"
    if [ "$(id -u)" = 0 ]; then
        if ! command -v setpriv >/dev/null; then
            skip "files that may not be read" "root reads everything, and there is no setpriv"
            return
        fi
        chmod 755 "$scratch"
        chmod 777 "$scratch/open"
        words=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    fi
    run_command "${words[@]}" "$grapevine" pack "$scratch/closed" "$scratch/open"
    check "a file that may not be read" test "$status" = 0
    check "is listed" grep -q $'^a/closed.jpg\tcannot be read: Permission denied$' "$scratch/open/train/report.tsv"
}

test_shrunk() {
    run_well "the shorter side brought down" 1 pack "$source" "$scratch/small" --short-side 120 --quality 95 \
        --threads 3
    check "is what was asked for" "${photos[@]}" sides "$scratch/small/train" "$source/train" 120
    run_well "with one thread" 1 pack "$source" "$scratch/small-1" --short-side 120 --quality 95 --threads 1
    check_same "the same bytes" "$scratch/small" "$scratch/small-1"
    refuse "quality alone" 1 2 '--quality goes with --short-side' pack "$source" "$scratch/never" --quality 80
    run_well "quality is 90" 1 pack "$source" "$scratch/small-90" --short-side 120
    run_well "unless it is given" 1 pack "$source" "$scratch/small-90-too" --short-side 120 --quality 90
    check_same "the same pack" "$scratch/small-90" "$scratch/small-90-too"
    check "and another one than with 95" test "$(stat -c %s "$scratch/small-90/train/shard-00000.bin")" -lt \
        "$(stat -c %s "$scratch/small/train/shard-00000.bin")"
}

# A tree that takes a while, in many shards, and what it is to become.
make_large() {
    [ ! -d "$scratch/large" ] || return
    "${photos[@]}" draw "$scratch/large" 60 500
    slow=(pack "$scratch/large" "$scratch/killed" --shard-mib 1 --short-side 480 --threads 1)
    run_well "a larger tree" 1 pack "$scratch/large" "$scratch/whole" --shard-mib 1 --short-side 480
}

# Begin `slow`, and let it come to the file $1.
begin_slow() {
    "$grapevine" "${slow[@]}" >"$scratch/out" 2>"$scratch/err" </dev/null &
    running=$!
    until [ -e "$1" ] || ! kill -0 "$running" 2>/dev/null; do
        sleep 0.005
    done
}

test_kills() {
    local shard killed=0 tries
    make_large
    for shard in train/shard-00001.bin train/shard-00004.idx train/shard-00009.bin val/shard-00001.bin; do
        begin_slow "$scratch/killed/$shard"
        kill -KILL "$running" 2>/dev/null && killed=$((killed + 1))
        wait "$running" 2>/dev/null
    done
    check "four kills" test "$killed" = 4
    { # the shell tells of those that were killed
        for ((tries = 1; tries <= 30; tries++)); do # after 10, 20, ... ms
            timeout -s KILL "$(printf '0.%03d' $((10 * tries)))" "$grapevine" "${slow[@]}" && break
        done
    } >/dev/null 2>&1
    run_well "goes on after them" 1 "${slow[@]}"
    check_same "the same bytes as without" "$scratch/killed" "$scratch/whole"
}

test_other_options() {
    local slow=() running
    make_large
    slow=(pack "$scratch/large" "$scratch/begun" --shard-mib 1 --short-side 480 --threads 1)
    begin_slow "$scratch/begun/train/shard-00001.bin"
    kill -KILL "$running"
    wait "$running" 2>/dev/null
    refuse "other options, begun" 1 3 \
        'shard-0000[0-9].idx: packed with .*--short-side 480 && --short-side 400 && --force' \
        pack "$scratch/large" "$scratch/begun" --shard-mib 1 --short-side 400
    rm "$scratch/begun/train/shard-00000.bin" # as if killed between its list and its name
    run_well "the same options" 1 "${slow[@]}"
    check_same "a shard with a list alone is made anew" "$scratch/begun" "$scratch/whole"
    refuse "other options, complete" 1 3 'index.bin: packed with --shard-mib 1 && now --shard-mib 2 && --force' \
        pack "$scratch/large" "$scratch/whole" --shard-mib 2
    cp -r "$scratch/whole" "$scratch/forced"
    cp -r "$source" "$scratch/changed"
    rm "$scratch/changed/train/cat/000.JPEG"
    refuse "other files" 1 3 'index.bin: packed from other files && --force' pack "$scratch/changed" "$scratch/forced" \
        --shard-mib 1 --short-side 480
    run_well "--force" 1 pack "$scratch/changed" "$scratch/forced" --shard-mib 1 --short-side 480 --force
    run_well "as if nothing had been there" 1 pack "$scratch/changed" "$scratch/fresh" --shard-mib 1 --short-side 480
    check_same "the same bytes" "$scratch/forced" "$scratch/fresh"
    refuse "DST is SRC" 1 3 'lies in' pack "$source" "$source"
    refuse "DST is in SRC" 1 3 'lies in' pack "$source/train" "$source/train/new/folder"
    check "and is not made" test ! -e "$source/train/new"
    mkdir -p "$scratch/strange/train"
    echo 1 >"$scratch/strange/train/shard-00000.bin"
    refuse "a shard of somebody else" 1 3 'strange/train/shard-00000.bin: a shard without' pack "$source" \
        "$scratch/strange"
    check "stays" test "$(cat "$scratch/strange/train/shard-00000.bin")" = 1
}

test_two_at_once() {
    local slow=() running
    make_large
    slow=(pack "$scratch/large" "$scratch/shared" --shard-mib 1 --short-side 480 --threads 1)
    begin_slow "$scratch/shared/train/shard-00000.bin"
    kill -STOP "$running"
    refuse "two packs at once" 1 3 'pack.lock: another process' "${slow[@]}"
    kill -CONT "$running"
    wait "$running"
    check "the first one goes on" test $? = 0
    check_same "undisturbed" "$scratch/shared" "$scratch/whole"
}

test_verify() {
    local pack=$scratch/verified name=$'cat/003\nx.Jpg'
    run_well "a pack to verify" 1 pack "$source" "$pack" --shard-mib 1
    cp -r "$pack" "$scratch/sound"
    run_well "verify" 1 pack --verify "$pack"
    said "says that it is sound" '^train: 120 pictures .*, all as packed$'
    run_well "one split" 1 pack --verify "$pack/val"
    "${photos[@]}" flip "$pack/train" "$name"
    refuse "one bit" 1 3 'verified: 1 damages' pack --verify "$pack"
    said "is told by name" '^damaged: .*/train/shard-0000[0-9].bin: bytes [0-9]+ to [0-9]+ .*: cat/003\?x.Jpg$'
    check "it alone" test "$(grep -c '^damaged' "$scratch/out")" = 1
    truncate -s -1 "$pack/val/shard-00000.bin"
    refuse "a shard that has shrunk" 1 3 'verified: 2 damages' pack --verify "$pack"
    said "is told too" '^damaged: .*/val/shard-00000.bin: ends at byte [0-9]+: 1 photographs are lost, the first is '
    rm "$pack"/train/shard-*.bin
    refuse "shards that are gone" 1 3 'verified: [3-9] damages' pack --verify "$pack"
    said "are told" '^damaged: .*/train/shard-00000.bin: No such file or directory: [0-9]+ photographs are lost'
    run_well "the same pack again" 1 pack "$source" "$pack" --shard-mib 1
    check_same "mends it" "$pack" "$scratch/sound"
    echo >>"$pack/val/shard-00000.bin"
    refuse "a byte too many" 1 3 'verified: 1 damages' pack --verify "$pack"
    said "is told" '^damaged: .*/val/shard-00000.bin: 1 bytes after the last photograph$'
    printf x | dd of="$pack/val/index.bin" bs=1 seek=200 conv=notrunc status=none
    refuse "a damaged index" 1 3 'val/index.bin: its checksum' pack --verify "$pack/val"
    refuse "a damaged index, packed again" 1 3 'val/index.bin: its checksum && --force' pack "$source" "$pack" \
        --shard-mib 1
    refuse "nothing to verify" 1 3 'no index.bin' pack --verify "$source"
    refuse "no such folder" 1 3 'nowhere' pack --verify "$scratch/nowhere"
    refuse "verify and pack" 1 2 '--verify takes DST alone' pack "$source" --verify "$pack"
}

test_full_disk() {
    local reason disk=$scratch/disk
    if ! reason=$(mount_small "$disk" 1536); then
        skip "full disk" "$reason"
        return
    fi
    cleanups+=("umount -l '$disk'")
    refuse "full disk" 1 4 "$disk/dst/train/shard-00001.bin: No space" pack "$source" "$disk/dst" --shard-mib 1
    check "what is complete stays" test -e "$disk/dst/train/shard-00000.bin"
    check "nothing else does" test -z "$(find "$disk/dst" -name '*.part*')"
    mount -o remount,size=64m "$disk"
    run_well "goes on once there is room" 1 pack "$source" "$disk/dst" --shard-mib 1
    run_well "a pack on a large disk" 1 pack "$source" "$scratch/roomy" --shard-mib 1
    check_same "the same bytes" "$disk/dst" "$scratch/roomy"
}

test_command_line() {
    refuse "no folders" 1 2 'grapevine pack SRC DST' pack
    refuse "one folder" 1 2 'grapevine pack SRC DST' pack "$source"
    refuse "three folders" 1 2 'three' pack one two three
    refuse "no threads" 1 2 '--threads 0' pack "$source" "$scratch/never" --threads 0
    refuse "quality beyond 100" 1 2 '--quality 101' pack "$source" "$scratch/never" --short-side 5 --quality 101
    refuse "a bad word" 1 2 '--on-bad ignore && skip \| stop' pack "$source" "$scratch/never" --on-bad ignore
    refuse "a split that leads out" 1 2 '--split' pack "$source" "$scratch/never" --split ../x
    refuse "a DST that cannot be" 1 4 '/proc/nowhere' pack "$source" /proc/nowhere
    run_well "help" 1 pack --help
    said "tells of labels" 'LOC_val_solution.csv'
    check "nothing was made by what was refused" test ! -e "$scratch/never"
}

# A part of the name of a test function as argument runs that one only.
for part in folders classes labels bad unreadable shrunk kills other_options two_at_once verify full_disk \
    command_line; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
