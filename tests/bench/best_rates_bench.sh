#!/usr/bin/env bash
# Best rates by the semidefinite program: CPU seconds on one core, and the optimality gap.
exec env OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 "${BUILD:-build}/tests/bench/best_rates_bench"
