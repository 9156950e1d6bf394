#!/usr/bin/env bash
# Prints this machine in one line, for records: "2 cores, AMD EPYC 9R14; NVIDIA H100".
set -euo pipefail

cpu_model() {
    awk -F': *' '$1 ~ /^model name/ { print $2; exit }' /proc/cpuinfo 2>/dev/null
}

gpus() {
    nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | sort | uniq -c |
        awk '{ count = $1; sub(/^ *[0-9]+ /, ""); printf "; %s%s", (count > 1 ? count " × " : ""), $0 }'
}

model=$(cpu_model || true)
cores=$(getconf _NPROCESSORS_ONLN)
echo "$cores core$([ "$cores" = 1 ] || echo s), ${model:-$(uname -m)}$(gpus || true)"
