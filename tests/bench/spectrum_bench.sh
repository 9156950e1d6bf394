#!/usr/bin/env bash
# Seconds for chi1 and chi2 of the large families at 10,000 workers, on one core, beside their known errors.
set -euo pipefail
cd "$(dirname "$0")/../.."
OMP_NUM_THREADS=1 "${BUILD:-build}/tests/bench/spectrum_bench" "$@"
