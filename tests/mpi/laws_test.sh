#!/usr/bin/env bash
# 10,000 exchanges between real ranks on rings and complete graphs of 2, 3, 4 and 8, with compute threads running: no
# deadlock, and the laws of exchange_laws.c hold. Both algorithms and both transports; slow and lossy links, workers
# that pause, snapshots that come twice, torn or corrupt; MPICH where it is installed.
#
#   laws_test.sh          about a minute on two cores
#   laws_test.sh short    few exchanges, for programs that are slow because they are watched: make check VARIANT=...
#   laws_long.sh          every combination, vectors of several sizes, low and high rates
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/mpi/laws.bash
. tests/mpi/laws.bash

if [ "${1:-}" = short ]; then
    for transport in put sendrecv; do
        laws 2 ring acid $transport 300 16 4
        laws 4 ring gossip $transport 600 16 4
        laws 4 complete acid $transport 600 16 4
        laws 3 ring acid $transport 200 16 4 'all latency_s=0.001, 0-1 loss=0.25' '1 0.2..0.5'
    done
    finish
fi
for graph in ring complete; do
    for ranks in 2 3 4 8; do
        for algorithm in acid gossip; do
            laws "$ranks" $graph $algorithm put 10000 16 4
        done
    done
done
laws 3 ring acid sendrecv 10000 16 4
laws 4 complete gossip sendrecv 10000 16 4
laws 4 ring acid put 1000 16 4 'all latency_s=0.001, 0-1 loss=0.25, 2-3 bytes_per_second=2e8' '1 0.2..0.5'
laws 3 complete gossip sendrecv 1000 16 4 '0-1 latency_s=0.002, 1-2 loss=0.5' '2 0.1..1.5'
laws 4 ring acid put 300 16 4 '' '' 0.05
laws 3 complete gossip sendrecv 200 16 4 '0-1 latency_s=0.002' '' 0.1
use_mpich && laws 4 ring acid put 2000 16 4
finish
