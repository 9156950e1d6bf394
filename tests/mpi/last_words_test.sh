#!/usr/bin/env bash
# What a rank says before it ends the others reaches the user, all of it and nothing that is not text, and its exit
# status is the launcher's: under the default MPI and under MPICH.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/mpi/laws.bash
. tests/mpi/laws.bash

# $1 lines, which come out of the launcher.
passed_on() {
    run_command "${words[@]}" "$program" "$1"
    cat "$scratch/out" "$scratch/err" >"$scratch/said"
    check "$name, $1 lines: all are there" test \
        "$(grep -ac '^grapevine: \[rank 2\] error: reason' "$scratch/said")" = "$1"
    check "$name, $1 lines: it is text" test "$(tr -dc '\0' <"$scratch/said" | wc -c)" = 0
    check "$name, $1 lines: exit status" test "$status" = 3
}

# Whoever reads a rank's messages takes his time: the rank waits for him before it ends anybody.
read_late() {
    rm -f "$scratch"/late-*
    # shellcheck disable=SC2016  # expanded by the rank's shell
    run_command "${words[@]}" bash -c \
        'exec "$0" 9 2> >(exec setsid bash -c "sleep 1; exec cat >$1-$$" >/dev/null 2>&1)' "$program" "$scratch/late"
    check "$name, a late reader: it has read" grep -q 'reason 9 of 9' "$scratch"/late-*
    check "$name, a late reader: exit status" test "$status" = 3
}

last_words() {
    local name=$1 program=$PWD/$2 words
    read -ra words <<<"$launcher -n 3"
    passed_on 1
    passed_on 400
    read_late
}

last_words "default" "$BUILD/tests/mpi/last_words"
use_mpich "tests/mpi/last_words" && last_words "MPICH" "$BUILD/mpich/tests/mpi/last_words"
finish
