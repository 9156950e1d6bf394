#!/usr/bin/env bash
# Runs test programs one after another, each with a time limit, and counts their tests.
#
#   scripts/run_tests.sh TEST...        a TEST: a program, a script (.sh, .py), or a command in one word ("x.sh --flag")
#   scripts/run_tests.sh --self-test    checks its own counting
#
# What is counted: cmocka's own totals; else a last line on standard output "2 passed, 0 failed[, 1 skipped]"; else
# the exit status (0: one passed, 77: one skipped, its last line being the reason, other: one failed).
# A crash, a time limit or a bad exit status without a failed test counts as one failure.
# The tests see BUILD (the build folder), MPIRUN (the launcher with this machine's flags, before -n) and PYTHON.
# TIME_LIMIT_S (default 600) is the limit of one test, LONG_TIME_LIMIT_S (default 7200) that of a *_long.sh.
# The last line is "N passed, N failed, N skipped"; exit status 1 if anything failed.
set -uo pipefail

readonly TAIL_LINES=40

passed=0 failed=0 skipped=0

# How to start a test: its own program, or the interpreter that its ending names.
interpreter() {
    case $1 in
    *.py) echo "$PYTHON" ;;
    *.sh) echo bash ;;
    *) echo "" ;;
    esac
}

limit_of() {
    case $1 in
    *_long.sh) echo "${LONG_TIME_LIMIT_S:-7200}" ;;
    *) echo "${TIME_LIMIT_S:-600}" ;;
    esac
}

# "passed failed skipped" from what a test wrote ($1: stdout, $2: stderr) and its exit status $3.
count() {
    LC_ALL=C awk -v status="$3" '
        FILENAME == ARGV[2] && /^\[  PASSED  \] [0-9]+ test/ { passed += $4; cmocka = 1 }
        FILENAME == ARGV[2] && /^\[  FAILED  \] [0-9]+ test/ { failed += $4; cmocka = 1 }
        FILENAME == ARGV[2] && /^\[  SKIPPED \] [0-9]+ test/ { skipped += $4; cmocka = 1 }
        FILENAME == ARGV[1] && NF { last = $0 }
        END {
            if (!cmocka && last ~ /^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$/) {
                split(last, word, " ")
                passed = word[1]; failed = word[3]; skipped = word[5]
            } else if (!cmocka && status == 0) {
                passed = 1
            } else if (!cmocka && status == 77) {
                skipped = 1
            }
            if (status != 0 && !(status == 77 && skipped) && !failed)
                failed = 1
            print passed + 0, failed + 0, skipped + 0
        }' "$1" "$2"
}

# Why a test ended as it did, for its line.
reason() {
    local status=$1 limit=$2 out=$3 err=$4
    case $status in
    0) ;;
    77) echo "  ($(cat "$err" "$out" | grep -v '^ *$' | tail -n 1 | cut -c 1-100))" ;;
    124 | 137) echo "  (stopped at its limit of $limit s, or killed)" ;;
    *) [ "$status" -gt 128 ] && [ "$status" -lt 160 ] && echo "  (crashed: SIG$(kill -l $((status - 128))))" ;;
    esac
}

# Run the test $1 and add to the totals.
run_one() {
    local words limit status start seconds counts verdict=PASS
    read -ra words <<<"$1"
    limit=$(limit_of "${words[0]}")
    start=${EPOCHREALTIME/[.,]/}
    # The outer redirection drops the shell's own remark about a crashed child.
    # shellcheck disable=SC2046  # no word at all for a program
    {
        timeout --kill-after=10 "$limit" $(interpreter "${words[0]}") "${words[@]}" \
            >"$scratch/out" 2>"$scratch/err" </dev/null
        status=$?
    } 2>/dev/null
    seconds=$(((${EPOCHREALTIME/[.,]/} - start) / 100000))
    read -ra counts < <(count "$scratch/out" "$scratch/err" "$status")
    passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
    [ "${counts[2]}" -gt 0 ] && [ "${counts[0]}" = 0 ] && verdict=SKIP
    [ "${counts[1]}" -gt 0 ] && verdict=FAIL
    printf '%s %-58s %4d.%d s%s%s\n' "$verdict" "$1" $((seconds / 10)) $((seconds % 10)) \
        "$(reason "$status" "$limit" "$scratch/out" "$scratch/err")" \
        "$([ "$verdict" != PASS ] || [ "${counts[2]}" = 0 ] || echo "  (${counts[2]} skipped)")"
    if [ "$verdict" = FAIL ]; then
        { tail -n "$TAIL_LINES" "$scratch/out" && tail -n "$TAIL_LINES" "$scratch/err"; } | sed 's/^/    | /'
    fi
}

# One expectation of the self-test: a script body $1 is counted as $2 ("passed, failed, skipped").
expect() {
    local got
    printf '%s\n' "$1" >"$scratch/case.sh"
    got=$(TIME_LIMIT_S=1 "$self" "$scratch/case.sh" | tail -n 1)
    if [ "$got" = "$2" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'self-test: expected "%s", got "%s" from: %s\n' "$2" "$got" "$1"
    fi
}

self_test() {
    expect 'exit 0' '1 passed, 0 failed, 0 skipped'
    expect 'echo no such thing; exit 77' '0 passed, 0 failed, 1 skipped'
    expect 'exit 3' '0 passed, 1 failed, 0 skipped'
    expect 'kill -SEGV $$' '0 passed, 1 failed, 0 skipped'
    expect 'sleep 5' '0 passed, 1 failed, 0 skipped'
    expect 'echo 4 passed, 0 failed' '4 passed, 0 failed, 0 skipped'
    expect 'echo 4 passed, 2 failed, 3 skipped; exit 1' '4 passed, 2 failed, 3 skipped'
    expect 'echo 4 passed, 2 failed, 3 skipped' '4 passed, 2 failed, 3 skipped'
    expect 'echo 4 passed, 0 failed; exit 1' '4 passed, 1 failed, 0 skipped'
    expect 'echo "[  PASSED  ] 3 test(s)." >&2; echo "[  PASSED  ] 2 test(s)." >&2' '5 passed, 0 failed, 0 skipped'
    expect 'echo "[  PASSED  ] 3 test(s)." >&2; echo "[  FAILED  ] 2 test(s), listed below:" >&2
            echo "[  FAILED  ] name" >&2; exit 2' '3 passed, 2 failed, 0 skipped'
    expect 'echo "[  PASSED  ] 1 test(s)." >&2; echo "[  SKIPPED ] 1 test(s), listed below:" >&2' \
        '1 passed, 0 failed, 1 skipped'
    expect 'echo "[  PASSED  ] 1 test(s)." >&2; kill -ABRT $$' '1 passed, 1 failed, 0 skipped'
}

self=$(readlink -f "$0")
cd "$(dirname "$self")/.." || exit 4
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export BUILD=${BUILD:-build} PYTHON=${PYTHON:-/usr/bin/python3}
PYTHONPATH=$(cd "$BUILD/python" 2>/dev/null && pwd)${PYTHONPATH:+:$PYTHONPATH}
MPIRUN=${MPIRUN:-$(scripts/launch.sh --mpirun)}
export PYTHONPATH MPIRUN OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

if [ "${1:-}" = --self-test ]; then
    self_test
else
    for test in "$@"; do
        run_one "$test"
    done
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
