#!/usr/bin/env bash
# The consensus distance of a run, real or simulated, is that at the end of the last gradients, before the exchanges
# that are then still due: where messages take longer than training, it is that of workers which have not met.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/tiny.yaml
cat >"$config" <<'YAML'
data:          {name: shapes, train_count: 256, test_count: 48}
model:         {name: mlp, width: 16}
algorithm:     {name: gossip}
optimizer:     {lr: 0.05, lr_per_samples: 0, clip_norm: 0}
schedule:      {name: constant, warmup_epochs: 0}
communication: {rate: 0.15, pending: 1000, patience_s: 60}
train:         {workers: 2, batch: 8, epochs: 2}
device:        {name: cpu, threads: 1}
run:           {log_every: 8, eval_every_epochs: 0, checkpoint_every_epochs: 0, record: true}
YAML

# $1: a Python expression over the summaries `late` and `never`.
holds() {
    "$PYTHON" - "$scratch" "$1" <<'PYTHON'
import json, sys
late, never = (json.load(open(f"{sys.argv[1]}/{name}/summary.json")) for name in ("late", "never"))
if not eval(sys.argv[2]):
    sys.exit(f"late {late['consensus_distance']}, {late['exchanges']} exchanges; never {never['consensus_distance']}")
PYTHON
}

# With two workers one exchange makes both alike: served before the distance was taken, they would leave nothing of it.
run_well "messages that come after the end" 2 train "$config" "inject.links=all latency_s=2" "run.dir=$scratch/late"
run_well "workers that never meet" 2 train "$config" communication.rate=0 "run.dir=$scratch/never"
check "exchanges are served at the end" holds 'late["exchanges"] > 0 and never["exchanges"] == 0'
check "and are not in the distance" holds 'late["consensus_distance"] > 0.1 * never["consensus_distance"] > 0'
check "one line of each log says when" test "$(cat "$scratch/late/"events-*.jsonl | grep -c '"event": "done"')" = 2
run_well "the run is replayed" 1 replay "$scratch/late" --json
check "at the same point" "$PYTHON" - "$scratch/out" "$scratch/late/summary.json" <<'PYTHON'
import json, math, sys
replay, summary = (json.load(open(path)) for path in sys.argv[1:])
assert replay["agree"], replay
assert math.isclose(replay["consensus_distance"], summary["consensus_distance"], rel_tol=1e-6), replay
PYTHON
finish
