#!/usr/bin/env bash
# Every network against PyTorch; tests/parity/torch_parity.py says what is compared. `make check` takes one of a kind.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 4
exec "${PYTHON:-/usr/bin/python3}" tests/parity/torch_parity.py "${BUILD:-build}/tests/parity/net_dump"
