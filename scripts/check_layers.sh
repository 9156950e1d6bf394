#!/usr/bin/env bash
# Checks that the house stands as drawn: which layer includes which, which library lives where. The table is below.
#
#   scripts/check_layers.sh [ROOT]         prints file:line and the rule that is broken; exit status 1 if any is
#   scripts/check_layers.sh --self-test    builds a tree with one violation of every kind and checks that each is found
#
# Reads #include lines and words, no preprocessor: what hides behind macros is not seen.
set -euo pipefail
cd "$(dirname "$0")"
scripts=$PWD
cd ..

# Rows: layer | layers whose headers it may include, besides its own.
readonly LAYERS='
base    |
kernels | base
config  | base
graph   | base
device  | base kernels
nn      | base device
data    | base kernels device
algo    | base graph device
worker  | base kernels device nn data algo
runtime | base graph device algo worker
app     | base config graph device nn data algo worker runtime
'

# Rows: libraries (beginnings of what stands between < and >) | the only paths that may include them.
readonly LIBRARIES='
mpi.h                     | src/runtime/mpi/
nccl.h                    | src/runtime/ src/device/cuda/
dnnl oneapi/              | src/device/cpu/
cuda cublas cudnn nvrtc   | src/device/cuda/ kernels/
yaml.h                    | src/config/
suitesparse/ dsdp         | src/graph/
lapacke.h                 | src/graph/ src/worker/
cjson/ cJSON.h            | src/app/
zlib.h jpeglib.h jerror.h | src/data/
png.h webp/               | src/data/
xxhash.h                  | src/runtime/ src/base/
Random123/                | src/base/
type_traits               | kernels/
'

# Rows: words (a regular expression over code without comments and strings) | where they may stand | rule.
readonly WORDS='
MPI_[A-Za-z]                                      | src/runtime/mpi/ | MPI lives in src/runtime/mpi
dnnl_[a-z]                                        | src/device/cpu/ | oneDNN lives in src/device/cpu
yaml_[a-z]+_t([^A-Za-z0-9_]|$)                    | src/config/ | libyaml lives in src/config
stdout([^A-Za-z0-9_]|$)                           | src/app/ | standard output belongs to src/app
v?printf *[(]                                     | src/app/ | standard output belongs to src/app
(puts|putchar) *[(]                               | src/app/ | standard output belongs to src/app
(clock_gettime|gettimeofday|omp_get_wtime) *[(]   | src/base/ src/runtime/ src/app/ | time is an argument: no clock
clock *[(] *[)]                                   | - | clocks come from base/stopwatch.h
time *[(](NULL|0|&)                               | src/base/ src/runtime/ src/app/ | time is an argument: no clock
stopwatch_[a-z]                    | src/base/ src/runtime/ src/app/ include/base/ | time is an argument: no clock
(rand|srand|random|srandom|drand48|rand_r) *[(]   | - | chance comes from base/random.h
'

check_tree() {
    local files bad=0
    files=$(find include src kernels -type f \( -name '*.[ch]' -o -name '*.cu' \) 2>/dev/null | LC_ALL=C sort) || true
    [ -n "$files" ] || return 0
    # shellcheck disable=SC2086  # one word per file: our names have no spaces
    LC_ALL=C awk -v layers="$LAYERS" -v libraries="$LIBRARIES" -v words="$WORDS" -v all="$files" \
        -f "$scripts/c_lines.awk" -f "$scripts/check_layers.awk" $files || bad=1
    unique_names && [ "$bad" = 0 ]
}

# A file name stands once in the tree, whatever its folder, so that naming a file is enough to find it. But for one that
# stands in for another, found first on the include path: that is its purpose.
unique_names() {
    { find include src kernels tests -type f \( -name '*.[ch]' -o -name '*.cu' \) 2>/dev/null || true; } |
        grep -vx 'tests/emulator/cuda_kernel.h' | LC_ALL=C sort | awk -F/ '
        !($NF in first) { first[$NF] = $0; next }
        { printf "%s:1: %s has this file name too: names are unique in the tree\n", $0, first[$NF]; bad = 1 }
        END { exit bad }'
}

# The file $1 of the self-test's tree has the line $2, which breaks the rule whose message has the words $3.
plant() {
    mkdir -p "$(dirname "$1")"
    printf '/* A file. */\n%s\n' "$2" >"$1"
    printf '%s|%s\n' "$1" "$3" >>expected
}

self_test() {
    local tree passed=0 failed=0 output
    tree=$(mktemp -d)
    # shellcheck disable=SC2064  # the path of now
    trap "rm -rf '$tree'" EXIT
    cd "$tree"
    mkdir -p include/{base,graph,algo,nn,worker} src/{base,graph,algo,runtime/mpi}
    for header in base/log graph/graph algo/algo nn/model worker/worker; do echo '/* A. */' >"include/$header.h"; done
    echo '/* A. */' >src/graph/private.h
    printf '%s\n' '/* Fine: MPI_Put, printf( */' '#include "graph/graph.h"' '#include "graph/private.h"' \
        '#include <lapacke.h>' 'const char *a = "MPI_Put printf(";' \
        'void f(void) { snprintf(0, 0, "clock()"); }' >src/graph/good.c
    printf '%s\n' '/* Fine. */' '#include <mpi.h>' '/* a' 'dnnl_memory' '*/ int a = MPI_SUCCESS;' \
        >src/runtime/mpi/good_mpi.c
    plant src/base/upward.c '#include "graph/graph.h"' 'base may not include graph'
    plant src/graph/upward2.c '#include "algo/algo.h"' 'graph may not include algo'
    plant include/algo/sibling.h '#include "nn/model.h"' 'algo may not include nn'
    plant kernels/k.c '#include "worker/worker.h"' 'kernels may not include worker'
    plant src/app/a.c '#include "kernels/pair.h"' 'app may not include kernels'
    plant src/algo/borrow.c '#include "graph/private.h"' 'private to graph'
    plant include/graph/leak.h '#include "graph/private.h"' 'private to graph'
    plant src/algo/bare.c '#include "algo.h"' 'path names the layer'
    plant src/algo/missing.c '#include "algo/nothing.h"' 'no such header'
    plant src/worker/m.c '#include <mpi.h>' '<mpi.h> belongs to'
    plant include/runtime/m.h '#include <mpi.h>' '<mpi.h> belongs to'
    plant src/device/dnn.c '#include <dnnl.h>' '<dnnl.h> belongs to'
    plant src/app/y.c '#include <yaml.h>' '<yaml.h> belongs to'
    plant src/nn/l.c '#include <lapacke.h>' '<lapacke.h> belongs to'
    plant src/worker/j.c '#include <cjson/cJSON.h>' '<cjson/cJSON.h> belongs to'
    plant src/app/z.c '#include <zlib.h>' '<zlib.h> belongs to'
    plant src/data/x.c '#include <xxhash.h>' '<xxhash.h> belongs to'
    plant src/graph/r.c '#include <Random123/philox.h>' 'belongs to'
    plant src/nn/new.c '#include <gsl/gsl_math.h>' 'is in no row'
    plant src/runtime/w.c 'int a = MPI_SUCCESS;' 'MPI lives in'
    plant src/data/p.c 'void f(void) { printf("a"); }' 'standard output'
    plant src/data/q.c 'void f(void) { fputs("a", stdout); }' 'standard output'
    plant src/nn/c.c 'void f(void) { clock_gettime(0, 0); }' 'time is an argument'
    plant src/worker/s.c 'double f(void) { return stopwatch_now(); }' 'time is an argument'
    plant src/algo/t.c 'long f(void) { return time(NULL); }' 'time is an argument'
    plant src/data/rand.c 'int f(void) { return rand(); }' 'chance comes from'
    plant src/cellar/c2.c 'int a;' 'no layer of this name'
    mkdir -p src/device && echo '/* A. */' >src/device/good.c
    printf 'src/graph/good.c|names are unique\n' >>expected
    output=$(check_tree) || true
    while IFS='|' read -r file rule; do
        if grep -F "$file:" <<<"$output" | grep -qF "$rule"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1)) && echo "self-test: not reported: $file: $rule"
        fi
    done <expected
    if [ "$(wc -l <<<"$output")" = "$(wc -l <expected)" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'self-test: %s lines for %s violations:\n%s\n' "$(wc -l <<<"$output")" "$(wc -l <expected)" "$output"
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

case ${1:-} in
--self-test) self_test ;;
*) cd "${1:-.}" && check_tree ;;
esac
