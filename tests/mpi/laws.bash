# Running exchange_laws from scripts; sourced after tests/script_fixture.bash.

laws_program=$BUILD/tests/mpi/exchange_laws

# One run: $1 ranks, then the arguments of exchange_laws. Each of its laws is a check.
laws() {
    local ranks=$1 words name law
    shift
    name="$* on $ranks ranks${mpich:+ of MPICH}"
    read -ra words <<<"$launcher -n $ranks"
    run_command "${words[@]}" "$laws_program" "$@"
    if [ "$status" = 124 ] || [ "$status" = 137 ]; then
        verdict "$name" "did not end within $limit_s s"
        return
    fi
    grep 'exchanges in' "$scratch/out" || verdict "$name" "exit status $status"
    while read -r law; do
        verdict "$name" "$(sed -n 's/^FAIL *//p' <<<"$law")"
    done < <(grep -E '^(ok|FAIL) ' "$scratch/out")
}

# Build for MPICH, the targets given too, and use it from now on; a skipped test where it is not installed.
use_mpich() {
    local tree=$BUILD/mpich
    if ! command -v mpicc.mpich mpiexec.mpich >/dev/null; then
        skip "the laws under MPICH" "mpicc.mpich and mpiexec.mpich are not installed"
        return 1
    fi
    limit_s=600 run_command make -j2 BUILD="$tree" MPICC=mpicc.mpich "$tree/tests/mpi/exchange_laws" \
        "$tree/grapevine" "${@/#/$tree/}"
    verdict "builds with MPICH" "$([ "$status" = 0 ] || echo "make failed")"
    laws_program=$tree/tests/mpi/exchange_laws launcher=mpiexec.mpich grapevine=$PWD/$tree/grapevine mpich=yes
    return "$status"
}
