#!/usr/bin/env bash
# get_data.sh NAME DIR - download a data set from its publisher into DIR, verified by checksum.
#
#   NAME            what appears                    size
#   cifar10         DIR/cifar-10-batches-bin/       170 MB packed, 185 MB
#   cifar100        DIR/cifar-100-binary/           169 MB packed, 185 MB
#   mnist           DIR/mnist/                      12 MB (kept gzipped)
#   fashion-mnist   DIR/fashion-mnist/              31 MB (kept gzipped)
#   imagenet        says how it is had, since its publisher wants to know who takes it
#
# DIR is what `data.path` or $GRAPEVINE_DATA is then set to. What is there and whole is kept, an interrupted download
# goes on where it stopped, and a file appears under its name only when it is whole and verified. $GRAPEVINE_MIRROR
# replaces the publisher: a URL (file:// too) below which lie cifar-10-binary.tar.gz, cifar-100-binary.tar.gz,
# mnist/*.gz and fashion-mnist/*.gz.
# Exit status: 0 the set is there, 2 wrong usage, 3 the set could not be had.
set -euo pipefail

usage() {
    echo "usage: scripts/get_data.sh cifar10|cifar100|mnist|fashion-mnist|imagenet DIR" >&2
    exit 2
}

explain_imagenet() {
    cat >&2 <<TEXT
get_data.sh: ImageNet (ILSVRC 2012) cannot be downloaded without an account. Register at https://image-net.org, get
ILSVRC2012_img_train.tar (138 GB) and ILSVRC2012_img_val.tar (6 GB), and unpack them:
    mkdir -p "$1/imagenet/train" "$1/imagenet/val"
    tar -xf ILSVRC2012_img_val.tar -C "$1/imagenet/val"
    tar -xf ILSVRC2012_img_train.tar -C "$1/imagenet/train"
    for t in "$1"/imagenet/train/*.tar; do mkdir "\${t%.tar}" && tar -xf "\$t" -C "\${t%.tar}" && rm "\$t"; done
Then pack them, with a list of the labels of val (grapevine pack --help says which forms it may have):
    grapevine pack "$1/imagenet" PACKED/imagenet --labels LIST      and train with data.path=PACKED
TEXT
    exit 3
}

fail() {
    echo "get_data.sh: $*" >&2
    exit 3
}

[[ $# == 2 && -n $2 ]] || usage
name=$1
dir=$2
case $name in
cifar10 | cifar100) publisher=https://www.cs.toronto.edu/~kriz ;;
mnist) publisher=https://ossci-datasets.s3.amazonaws.com ;; # the copy that PyTorch uses; the first publisher is closed
fashion-mnist) publisher=http://fashion-mnist.s3-website.eu-central-1.amazonaws.com ;;
imagenet) explain_imagenet "$dir" ;;
*) usage ;;
esac
mirror=${GRAPEVINE_MIRROR:-}
mkdir -p "$dir/.download" 2>/dev/null || fail "cannot write to $dir; choose another DIR"
dir=$(cd "$dir" && pwd)
downloads=$dir/.download
trap 'rm -rf "$downloads/unpacked"; rmdir "$downloads" 2>/dev/null || true' EXIT

md5_of() {
    md5sum "$1" | cut -d ' ' -f 1
}

# transfer URL PART - go on with PART. 0: all is there; 1: PART cannot be gone on with; 2: failed, run again later.
# The tool's own words go to standard error on a terminal, else to $reason.
transfer() {
    local url=$1 part=$2 code=0
    reason=
    if command -v curl >/dev/null; then
        if [[ -t 2 ]]; then
            curl -fL --progress-bar --retry 3 -C - -o "$part" "$url" || code=$?
        else
            reason=$(curl -fsSL --retry 3 -C - -o "$part" "$url" 2>&1) || code=$?
            reason=${reason##*$'\n'} # one line per attempt: the last
        fi
        case $code in
        0) return 0 ;;
        22 | 33 | 36) return 1 ;; # the server refuses (this range), has no ranges, or curl cannot resume
        *) return 2 ;;
        esac
    elif command -v wget >/dev/null; then
        reason=$(wget -nv -c -O "$part" "$url" 2>&1) || return 2
    else
        fail "curl or wget is needed to download $url (Debian, Ubuntu: apt-get install curl)"
    fi
}

cannot_download() {
    fail "cannot download $1${reason:+ ($reason)}; check the network and the proxy (https_proxy) and run this again" \
        "to go on where it stopped, set GRAPEVINE_MIRROR, or bring the files to $dir by hand"
}

# fetch URL MD5 TARGET - have TARGET with this checksum. A part of an earlier run is gone on with; if that is refused or
# gives another checksum, the file is fetched once more from its beginning.
fetch() {
    local url=$1 md5=$2 target=$3 part found status
    part=$downloads/$name-$(basename "$target").part
    [[ ! -f $target || $(md5_of "$target") != "$md5" ]] || return 0
    if [[ -f $part && $(md5_of "$part") != "$md5" ]]; then
        echo "going on with $url"
        status=0
        transfer "$url" "$part" || status=$?
        [[ $status != 2 ]] || cannot_download "$url"
        [[ $status == 0 && $(md5_of "$part") == "$md5" ]] || rm -f "$part"
    fi
    if [[ ! -f $part ]]; then
        echo "downloading $url"
        transfer "$url" "$part" || cannot_download "$url"
    fi
    found=$(md5_of "$part")
    if [[ $found != "$md5" ]]; then
        rm -f "$part"
        fail "$url: md5 checksum is $found, expected $md5; the download was discarded. Run this again; if it stays" \
            "so, the source has changed: set GRAPEVINE_MIRROR to another"
    fi
    mkdir -p "$(dirname "$target")"
    mv -f "$part" "$target"
}

# whole FOLDER SIZE FILE... - all these files are there in this size.
whole() {
    local folder=$1 size=$2 file
    shift 2
    for file; do
        [[ -f $folder/$file && $(stat -c %s "$folder/$file") == "$size" ]] || return 1
    done
}

# cifar ARCHIVE MD5 FOLDER - unpack the archive beside FOLDER, check it, and move its files to their names.
cifar() {
    local archive=$1 md5=$2 folder=$3
    complete "$dir/$folder" && return
    fetch "${mirror:-$publisher}/$archive" "$md5" "$downloads/$archive"
    rm -rf "$downloads/unpacked"
    mkdir -p "$downloads/unpacked"
    tar -xzf "$downloads/$archive" -C "$downloads/unpacked" --no-same-owner ||
        fail "cannot unpack $archive into $dir: is the disk full?"
    complete "$downloads/unpacked/$folder" || fail "$archive does not hold the expected files; report this"
    mkdir -p "$dir/$folder"
    mv -f "$downloads/unpacked/$folder"/* "$dir/$folder/"
    rm -f "$downloads/$archive"
}

# idx PREFIX MD5 MD5 MD5 MD5 - the four files, in the order below.
idx() {
    local base=$publisher$1 file
    [[ -z $mirror ]] || base=$mirror/$name
    shift
    for file in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
        fetch "$base/$file-ubyte.gz" "$1" "$dir/$name/$file-ubyte.gz"
        shift
    done
}

case $name in
cifar10)
    complete() { whole "$1" 30730000 data_batch_{1..5}.bin test_batch.bin; }
    cifar cifar-10-binary.tar.gz c32a1d4ab5d03f1284b67883e8d87530 cifar-10-batches-bin
    ;;
cifar100)
    complete() { whole "$1" 153700000 train.bin && whole "$1" 30740000 test.bin; }
    cifar cifar-100-binary.tar.gz 03b5dce01913d631647c71ecec9e9cb8 cifar-100-binary
    ;;
mnist)
    idx /mnist f68b3c2dcbeaaa9fbdd348bbdeb94873 d53e105ee54ea40749a09fcbcd1e9432 \
        9fb629c4189551a2d022fa330f9573f3 ec29112dd5afa0611ce80d1b7f02629c
    ;;
fashion-mnist)
    idx "" 8d4fb7e6c68d591d4c3dfef9ec88bf0d 25c81989df183df01b3e8a0aad5dffbe \
        bef4ecab320f06d8554ea6380940ec79 bb300cfdad3c16e7a12a480ee83cd310
    ;;
esac
echo "$name is in $dir: train with data.name=$name data.path=$dir, or export GRAPEVINE_DATA=$dir"
