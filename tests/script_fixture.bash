# What the test scripts under tests/e2e and tests/mpi share: a scratch folder, running the program on one or several
# ranks, and counting. Sourced, not run; the reports are written by tests/e2e/inspect_run.py and the scripts themselves.
#
# Read from the environment: BUILD (the build folder), MPIRUN (launcher and flags, before -n), PYTHON.
# Every command runs with a time limit: a hang is a failure with a name.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 4

export BUILD=${BUILD:-build} PYTHON=${PYTHON:-/usr/bin/python3}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
MPIRUN=${MPIRUN:-$(scripts/launch.sh --mpirun)}
grapevine=$PWD/$BUILD/grapevine
launcher=$MPIRUN        # a script may choose another one, with another build in `grapevine`
limit_s=${LIMIT_S:-120} # of one command
scratch=$(mktemp -d)
passed=0 failed=0 skipped=0
cleanups=()
export XDG_CACHE_HOME=$scratch/cache # what a run keeps for the next one

clean_up() {
    local k
    [ "$BASHPID" = $$ ] || return # a child that was killed before it became another program
    for ((k = ${#cleanups[@]} - 1; k >= 0; k--)); do
        eval "${cleanups[k]}"
    done
    rm -rf "$scratch"
}
trap clean_up EXIT

if [ ! -x "$grapevine" ]; then
    echo "$grapevine is not built"
    exit 1
fi

# One check is over: $1 its name, $2 empty when it is good, else what is wrong.
verdict() {
    if [ -z "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL %s: %s\n' "$1" "$2"
        show_output | sed 's/^/    | /'
    fi
}

# The latest command with what it wrote.
show_output() {
    echo "\$ ${command_line:-}    (exit status ${status:-none})"
    tail -n 15 "$scratch/out" 2>/dev/null
    tail -n 15 "$scratch/err" 2>/dev/null
}

# Check $1: the rest is a command that must succeed.
check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        verdict "$name" ""
    else
        verdict "$name" "${said:-$*}"
    fi
}

skip() {
    skipped=$((skipped + 1))
    printf 'SKIP %s: %s\n' "$1" "$2"
}

# Run a command with the time limit; leaves $status, $scratch/out and $scratch/err.
run_command() {
    command_line=$*
    timeout --kill-after=10 "$limit_s" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    status=$?
}

# Run the program on $1 ranks (1: without a launcher) with the remaining arguments.
run_ranks() {
    local ranks=$1 words=()
    shift
    if [ "$ranks" != 1 ]; then
        read -ra words <<<"$launcher -n $ranks"
    fi
    run_command "${words[@]}" "$grapevine" "$@"
}

# A run that must go well: $1 name, $2 ranks, arguments.
run_well() {
    local name=$1
    shift
    run_ranks "$@"
    verdict "$name" "$([ "$status" = 0 ] || echo "exit status $status, expected 0")"
    return "$status"
}

# A run that the program must refuse: $1 name, $2 ranks, $3 exit status, $4 what the message must say (extended regular
# expressions joined by " && "), arguments. Exactly one error message from all ranks together, no crash, no hang.
refuse() {
    local name="$1, $2 rank(s)" ranks=$2 expected=$3 patterns=$4 errors count wrong="" pattern
    shift 4
    run_ranks "$ranks" "$@"
    errors=$(grep -E '^grapevine: (\[rank [0-9]+\] )?error: ' "$scratch/err" "$scratch/out" -h)
    count=$(grep -c . <<<"$errors")
    [ "$count" = 1 ] || wrong+="$count error messages, expected 1; "
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        wrong+="did not end within $limit_s s; "
    elif [ "$status" != "$expected" ]; then
        wrong+="exit status $status, expected $expected; "
    fi
    while read -r pattern; do
        grep -qE -- "$pattern" <<<"$errors" || wrong+="the message does not say /$pattern/; "
    done <<<"${patterns// && /$'\n'}"
    if grep -qE 'core dumped|signal [0-9]|Segmentation fault|Assertion|MPI_ABORT' "$scratch/err" "$scratch/out"; then
        wrong+="crashed or aborted; "
    fi
    verdict "$name" "${wrong%; }"
}

# A folder on a file system of $2 kB, or a reason to skip.
mount_small() {
    mkdir -p "$1"
    [ "$(id -u)" = 0 ] || { echo "needs root to mount a small file system" && return 1; }
    mount -t tmpfs -o "size=$2k" grapevine-test "$1" 2>/dev/null || { echo "cannot mount here" && return 1; }
}

# The runs in $1 and $2 were the same and had the same result, whatever command made them, and how long it took.
same_result() {
    "$PYTHON" - "$1/summary.json" "$2/summary.json" <<'PYTHON'
import json, sys
other = ("command", "config", "config_file")
first, second = ({k: v for k, v in json.load(open(path)).items() if k not in other and not k.endswith("_seconds")}
                 for path in sys.argv[1:])
assert first == second, [k for k in first if first[k] != second.get(k)]
PYTHON
}

finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}
