#!/bin/bash
# The operations agree with their definitions at the levels of instructions below this machine's, too: for each the
# library has other code, and other gaps that ours fills.
set -euo pipefail
for level in AVX2 AVX SSE41; do
    echo "== $level"
    DNNL_MAX_CPU_ISA=$level ONEDNN_MAX_CPU_ISA=$level "${BUILD:-build}/tests/parity/device_ops_test"
done
