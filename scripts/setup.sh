#!/usr/bin/env bash
# Installs what Grapevine needs: says what is missing and why, then calls apt-get (through sudo when not root).
#
#   scripts/setup.sh            what the program needs to be built and run (the same as --minimal)
#   scripts/setup.sh --tests    and what its tests need
#   scripts/setup.sh --long     what the long tests need beside these
#   scripts/setup.sh --sanitize what `make check VARIANT=...` needs beside the program
#   scripts/setup.sh --fuzz     what `make fuzz` needs beside the program
#   scripts/setup.sh --plots    and what scripts/plot_runs.py needs
#   scripts/setup.sh --lint     and what `make lint` and `make format` need
#
# Nothing missing: silent. Not Debian or Ubuntu: lists what is needed and how it is called there, exit status 2.
# GRAPEVINE_SETUP=skip leaves the machine alone (libraries from modules, Spack, a prefix of your own).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 4

# set | Debian, Ubuntu | Fedora | Arch | openSUSE | Homebrew | why ("-": not packaged there)
packages() {
    cat <<'TABLE'
minimal|gcc|gcc|gcc|gcc|gcc|C11 compiler with OpenMP
minimal|libc6-dev|glibc-devel|glibc|glibc-devel|-|C library headers
minimal|make|make|make|make|make|build
minimal|pkg-config|pkgconf-pkg-config|pkgconf|pkg-config|pkgconf|finds libraries
minimal|openmpi-bin|openmpi|openmpi|openmpi4|open-mpi|mpirun
minimal|libopenmpi-dev|openmpi-devel|openmpi|openmpi4-devel|open-mpi|MPI headers and mpicc
minimal|libdnnl-dev|onednn-devel|onednn|onednn-devel|onednn|convolutions on CPUs (oneDNN)
minimal|libyaml-dev|libyaml-devel|libyaml|libyaml-devel|libyaml|configuration files
minimal|libcjson-dev|cjson-devel|cjson|cJSON-devel|cjson|run records and checkpoints
minimal|liblapacke-dev|lapack-devel|lapacke|lapacke-devel|lapack|spectra of graphs
minimal|libsuitesparse-dev|suitesparse-devel|suitesparse|suitesparse-devel|suite-sparse|spectra of large graphs
minimal|libdsdp-dev|DSDP-devel|-|-|-|best rates of graphs (mcs.anl.gov/hs/software/DSDP)
minimal|librandom123-dev|-|-|-|-|counter-based random streams (headers: github.com/DEShawResearch/random123)
minimal|libxxhash-dev|xxhash-devel|xxhash|xxhash-devel|xxhash|checksums of payloads
minimal|libjpeg-dev|libjpeg-turbo-devel|libjpeg-turbo|libjpeg62-devel|jpeg-turbo|photographs (libjpeg-turbo)
minimal|libpng-dev|libpng-devel|libpng|libpng16-devel|libpng|photographs (PNG)
minimal|libwebp-dev|libwebp-devel|libwebp|libwebp-devel|webp|photographs (WebP)
minimal|zlib1g-dev|zlib-devel|zlib|zlib-devel|zlib|compressed data sets
plots|python3|python3|python|python3|python|pictures of runs
plots|python3-matplotlib|python3-matplotlib|python-matplotlib|python3-matplotlib|python-matplotlib|pictures of runs
tests|libcmocka-dev|libcmocka-devel|cmocka|libcmocka-devel|cmocka|unit tests
tests|python3|python3|python|python3|python|parity tests
tests|python3-numpy|python3-numpy|python-numpy|python3-numpy|numpy|parity tests
tests|python3-torch|python3-torch|python-pytorch|python3-torch|pytorch|parity with PyTorch
tests|python3-torchvision|python3-torchvision|python-torchvision|python3-torchvision|torchvision|model parity
tests|python3-pil|python3-pillow|python-pillow|python3-Pillow|pillow|photographs that tests draw
tests|python3-matplotlib|python3-matplotlib|python-matplotlib|python3-matplotlib|python-matplotlib|pictures of runs
tests|python3-pip|python3-pip|python-pip|python3-pip|-|fetches the safetensors reader
tests|mpich|mpich|mpich|mpich|mpich|runs under a second MPI
tests|libmpich-dev|mpich-devel|mpich|mpich-devel|mpich|builds for a second MPI
tests|iproute2|iproute|iproute2|iproute2|-|runs across virtual hosts
tests|iputils-ping|iputils|iputils|iputils|-|runs across virtual hosts
tests|procps|procps-ng|procps-ng|procps|-|finds the ranks of a run
tests|spin|-|-|-|spin|model of the pairing protocol (spinroot.com)
tests|valgrind|valgrind|valgrind|valgrind|valgrind|memory checks
long|debootstrap|debootstrap|debootstrap|debootstrap|-|the tests on Debian 13
long|munge|munge|munge|munge|-|batch jobs under a real Slurm
long|slurm-wlm|slurm-slurmd|slurm-llnl|slurm|-|batch jobs under a real Slurm
sanitize|gcc|libasan|gcc|libasan8|-|AddressSanitizer (part of gcc on Debian)
sanitize|gcc|libubsan|gcc|libubsan1|-|UndefinedBehaviorSanitizer (part of gcc on Debian)
sanitize|gcc|libtsan|gcc|libtsan2|-|ThreadSanitizer (part of gcc on Debian)
sanitize|libcmocka-dev|libcmocka-devel|cmocka|libcmocka-devel|cmocka|unit tests
sanitize|python3|python3|python|python3|python|test scripts
sanitize|procps|procps-ng|procps-ng|procps|-|finds the ranks of a run
sanitize|python3-pil|python3-pillow|python-pillow|python3-Pillow|pillow|photographs that tests draw
fuzz|clang|clang|clang|clang|llvm|libFuzzer
fuzz|libclang-rt-dev|compiler-rt|compiler-rt|-|-|libFuzzer and sanitizers
lint|clang-tidy|clang-tools-extra|clang|clang-tools|llvm|static analysis
lint|clang-format|clang-tools-extra|clang|clang-tools|clang-format|formatting
lint|shellcheck|ShellCheck|shellcheck|ShellCheck|shellcheck|static analysis of scripts
TABLE
}

# Rows of the wanted sets. $1: minimal | plots | tests | long | sanitize | fuzz | lint; each includes minimal.
wanted_rows() {
    packages | awk -F'|' -v wanted="$1" '$1 == "minimal" || $1 == wanted'
}

# The wanted rows whose Debian package is not installed.
missing_rows() {
    local rows
    rows=$(wanted_rows "$1")
    {
        # shellcheck disable=SC2016,SC2046  # dpkg's own format; one word per package
        dpkg-query -W -f='${Status}|${Package}\n' $(cut -d'|' -f2 <<<"$rows") 2>/dev/null
        echo "--"
        echo "$rows"
    } | awk -F'|' '$1 == "--" { table = 1; next }
                   !table { if ($1 == "install ok installed") installed[$2] = 1; next }
                   !($2 in installed)'
}

# "name (why), name (why)" from rows, with the names of column $1.
describe() {
    awk -F'|' -v column="$1" '{
        name = $column == "-" ? $2 " (by hand)" : $column
        if (!((name, $7) in seen)) printf "  %-28s %s\n", name, $7
        seen[name, $7] = 1
    }'
}

list_for_other_system() {
    local set_name=$1 column=0 command="" rows
    local id_like=" ${ID:-} ${ID_LIKE:-} "
    if [ "$(uname -s)" = Darwin ]; then
        column=6 command="brew install"
    else
        case $id_like in
        *" fedora "* | *" rhel "*) column=3 command="sudo dnf install" ;;
        *" arch "*) column=4 command="sudo pacman -S --needed" ;;
        *" suse "* | *" opensuse "*) column=5 command="sudo zypper install" ;;
        esac
    fi
    rows=$(wanted_rows "$set_name")
    echo "setup: this is ${PRETTY_NAME:-$(uname -s)}; automatic installation is for Debian and Ubuntu only."
    if [ "$column" = 0 ]; then
        echo "Grapevine needs (Debian's names):"
        describe 2 <<<"$rows"
    else
        echo "Grapevine needs:"
        describe "$column" <<<"$rows"
        echo "Packaged here:"
        echo "  $command $(cut -d'|' -f"$column" <<<"$rows" | grep -vx -e - | sort -u | tr '\n' ' ')"
    fi
    echo "Once they are there: GRAPEVINE_SETUP=skip make"
}

# apt-get as root, quietly; its output is shown when it fails. Twice, since mirrors fail at times.
apt() {
    local prefix=() log attempt
    if [ "$(id -u)" != 0 ]; then
        prefix=(sudo)
        [ -t 0 ] || prefix=(sudo -n)
    fi
    log=$(mktemp)
    for attempt in 1 2; do
        if "${prefix[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 -qq "$@" \
            >"$log" 2>&1 </dev/null; then
            rm -f "$log"
            return 0
        fi
        [ "$attempt" = 1 ] && sleep 3
    done
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
}

install_missing() {
    local set_name=$1 rows names
    rows=$(missing_rows "$set_name")
    [ -n "$rows" ] || return 0
    names=$(cut -d'|' -f2 <<<"$rows" | tr '\n' ' ')
    echo "setup: these packages are missing and will be installed by apt-get:"
    describe 2 <<<"$rows"
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "setup: neither root nor sudo here; as root: apt-get install --no-install-recommends $names" >&2
        return 4
    fi
    apt update || echo "setup: apt-get update failed (above); trying with the package lists that are there" >&2
    # shellcheck disable=SC2086  # one word per package
    if ! apt install -y --no-install-recommends $names; then
        echo "setup: apt-get failed; try it by hand: apt-get install --no-install-recommends $names" >&2
        return 4
    fi
    rows=$(missing_rows "$set_name")
    [ -z "$rows" ] && return 0
    echo "setup: still missing after apt-get:" >&2
    describe 2 <<<"$rows" >&2
    return 4
}

# The safetensors reader that the checkpoint test compares with: a package of Debian's from 13 on, before that PyPI's.
# Best effort: the test skips without it.
fetch_safetensors() {
    local target=${BUILD:-build}/python python=/usr/bin/python3
    [ -d "$target/safetensors" ] && return 0
    [ -e "$target/.safetensors-failed" ] && [ -z "$(find "$target/.safetensors-failed" -mmin +60)" ] && return 0
    "$python" -c 'import safetensors' 2>/dev/null && return 0
    if apt-cache show python3-safetensors >/dev/null 2>&1; then
        echo "setup: python3-safetensors will be installed by apt-get"
        apt install -y --no-install-recommends python3-safetensors && return 0
    fi
    echo "setup: fetching the Python package safetensors into $target"
    mkdir -p "$target"
    if ! "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --retries 1 \
        --timeout 15 --target "$target" safetensors 2>"$target/.safetensors-failed"; then
        echo "setup: no safetensors: $(tail -n 1 "$target/.safetensors-failed")"
        echo "setup: the test that needs it will be skipped"
        return 0
    fi
    rm -f "$target/.safetensors-failed"
}

main() {
    local set_name=minimal
    case ${1:---minimal} in
    --minimal | --plots | --tests | --long | --sanitize | --fuzz | --lint)
        set_name=${1:---minimal} && set_name=${set_name#--}
        ;;
    *) echo "usage: scripts/setup.sh [--minimal|--plots|--tests|--long|--sanitize|--fuzz|--lint]" >&2 && return 2 ;;
    esac
    [ "${GRAPEVINE_SETUP:-}" = skip ] && return 0
    # shellcheck source=/dev/null
    [ -r /etc/os-release ] && . /etc/os-release
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        list_for_other_system "$set_name"
        return 2
    fi
    install_missing "$set_name" || return
    [ "$set_name" != tests ] || fetch_safetensors
}

main "$@"
