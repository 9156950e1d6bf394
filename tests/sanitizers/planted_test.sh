#!/usr/bin/env bash
# Errors planted in a small program (planted.c) are found under VARIANT, in a process alone and in a rank under mpirun,
# and where there is none nothing is found: neither the options nor the suppressions hide what they should not.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

planted=$BUILD/tests/sanitizers/planted
# These reports are wanted: they lie apart. UBSan's go to standard error, beside ASan it has no other place.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:log_path=$scratch/report"
export TSAN_OPTIONS="${TSAN_OPTIONS:-}:log_path=$scratch/report"

# Planted error $1 is found on $2 ranks (1: no launcher), and its report says $3.
finds() {
    local name=$1 ranks=$2 said=$3 words=() rank=()
    if [ "$ranks" != 1 ]; then
        read -ra words <<<"$launcher -n $ranks"
        rank=(mpi)
    fi
    rm -f "$scratch"/report.*
    run_command "${words[@]}" "$planted" "$name" "${rank[@]}"
    verdict "$name on $ranks" "$([ "$status" = 66 ] || echo "exit status $status, expected 66")"
    check "$name on $ranks: its report" grep -qE "$said" "$scratch"/{out,err,report.*}
}

finds_nothing() {
    local words
    rm -f "$scratch"/report.*
    run_command "$planted" nothing
    verdict "nothing" "$([ "$status" = 0 ] || echo "exit status $status, expected 0")"
    read -ra words <<<"$launcher -n 3"
    run_command "${words[@]}" "$planted" nothing mpi
    verdict "nothing on 3 ranks" "$([ "$status" = 0 ] || echo "exit status $status, expected 0")"
    check "no report" test -z "$(find "$scratch" -name 'report.*')"
}

finds_nothing
case ${VARIANT:-} in
asan)
    for ranks in 1 2; do
        finds overflow $ranks 'heap-buffer-overflow|insufficient space'
        finds after_free $ranks 'heap-use-after-free'
        finds stack_overflow $ranks 'stack-buffer-overflow|index 4 out of bounds'
        finds leak $ranks 'Direct leak of 8 byte'
        finds signed_overflow $ranks 'signed integer overflow'
        finds null_copy $ranks 'null pointer passed as argument'
    done
    finds leak_communicator 2 'MPI_Comm_dup'
    ;;
tsan)
    for ranks in 1 2; do
        finds race $ranks 'data race'
        finds race_of_copies $ranks 'data race'
        finds lock_order $ranks 'lock-order-inversion'
    done
    ;;
*) skip "planted errors" "a plain build; make check VARIANT=asan or tsan has them" ;;
esac
finish
