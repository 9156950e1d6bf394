#!/usr/bin/env bash
# The laws of exchange_laws.c over graph × ranks × algorithm × transport × size of the vector × rate, and under MPICH.
# About an hour on two cores.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/mpi/laws.bash
. tests/mpi/laws.bash
limit_s=${LIMIT_S:-900}

# All graphs and algorithms by transport $1 with $2 exchanges.
cross_product() {
    local graph ranks algorithm shape
    for graph in ring complete line star exponential; do
        for ranks in 2 3 4 5 8; do
            for algorithm in acid gossip; do
                for shape in "4 8" "16 1" "128 2"; do
                    # shellcheck disable=SC2086  # width and rate
                    laws "$ranks" $graph $algorithm "$1" "$2" $shape
                done
            done
        done
    done
}

cross_product put 10000
cross_product sendrecv 4000
laws 16 ring acid put 10000 16 2
if use_mpich; then
    for ranks in 2 3 4 8; do
        laws "$ranks" ring acid put 2000 16 4
        laws "$ranks" complete gossip sendrecv 2000 16 4
    done
fi
finish
