#!/usr/bin/env bash
# Grapevine beside PyTorch's DistributedDataParallel: peer_bench.py says what is measured, and how long it takes.
set -euo pipefail
cd "$(dirname "$0")/../.."
export BUILD=${BUILD:-build} OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export MPIRUN=${MPIRUN:-$(scripts/launch.sh --mpirun)}
exec "${PYTHON:-python3}" tests/bench/peer_bench.py "$@"
