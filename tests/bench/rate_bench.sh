#!/usr/bin/env bash
# Meetings served over ticks drawn, and the share of the step spent waiting for data: quickstart's run on a ring and on
# a complete graph of 4 ranks, enforce_rate on.
set -e
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for graph in ring complete; do
    scripts/launch.sh 4 configs/quickstart.yaml graph.name=$graph run.dir="$scratch/$graph" run.trace=false >/dev/null
    "${PYTHON:-python3}" - "$scratch/$graph/summary.json" <<'REPORT'
import json
import sys
run = json.load(open(sys.argv[1]))
served = 1 - run["ticks_unserved"] / run["ticks"]
print(f"{run['graph']:9} served over drawn {served:.4f} (to reach 0.99), exchanges per gradient "
      f"{run['exchanges_per_gradient']:.3f}, waiting for data {max(run['data_wait']):.4f} (at most 0.01), "
      f"idle {max(run['idle']):.3f}")
REPORT
done
