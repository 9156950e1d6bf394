#!/usr/bin/env bash
# One whole exchange of 11 M parameters between two ranks, beside memcpy; then what exchanges cost training.
set -e
mpirun=${MPIRUN:-$(scripts/launch.sh --mpirun)}
$mpirun -n 2 "${BUILD:-build}/tests/bench/mpi_exchange" 11
$mpirun -n 2 "${BUILD:-build}/tests/bench/mpi_rate_cost" 48
