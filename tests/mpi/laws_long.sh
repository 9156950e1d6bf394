#!/usr/bin/env bash
# The laws of exchange_laws.c over more graphs, numbers of ranks and algorithms, both transports, 400,000 elements, and
# under MPICH. About ten minutes on two cores.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/mpi/laws.bash
. tests/mpi/laws.bash
limit_s=${LIMIT_S:-900}

# Graphs that laws_test.sh leaves out, and longer vectors, by transport $1 with $2 exchanges.
cross_product() {
    local graph ranks algorithm
    for graph in line star exponential; do
        for ranks in 3 5 8; do
            for algorithm in acid gossip; do
                laws "$ranks" $graph $algorithm "$1" "$2" 128 2
            done
        done
    done
}

cross_product put 3000
cross_product sendrecv 2000
laws 16 ring acid put 3000 16 2
if use_mpich; then
    for ranks in 2 3 4 8; do
        laws "$ranks" ring acid put 2000 16 4
        laws "$ranks" complete gossip sendrecv 2000 16 4
    done
fi
finish
