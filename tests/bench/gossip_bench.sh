#!/usr/bin/env bash
# Pure gossip on one core: meetings per second, and a million workers by the whole command, the graph's making included.
set -e
build=${BUILD:-build}
"$build/tests/bench/gossip_bench"
for constants in "--algorithm gossip" "--algorithm acid --eta 0.4 --alpha-tilde 0.6"; do
    "${PYTHON:-python3}" - "$build/grapevine" $constants <<'REPORT'
import json
import resource
import subprocess
import sys
import time
program, *constants = sys.argv[1:]
start = time.monotonic()
output = subprocess.run([program, "gossip", "random-regular", "-n", "1000000", "--degree", "8", "--time", "20",
                         "--dim", "1", "--no-theory", "--json", *constants], check=True, capture_output=True).stdout
wall = time.monotonic() - start
run = json.loads(output)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
expected = run["seeds"] * 20 * 500000
print(f"random-regular of 1000000, degree 8, {run['algorithm']}, {run['seeds']} seeds: {wall:.2f} s (at most 6), "
      f"{usage.ru_maxrss / 1024:.0f} MiB (at most 512), meetings over expected {run['events'] / expected:.4f}, "
      f"decay {run['decay_rate']:.4f} +- {run['decay_rate_spread']:.4f}")
REPORT
done
