#!/usr/bin/env bash
# The first run that a user sees: the quickstart's own configuration on four workers reaches 95 % and ends in its table.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

run_command scripts/launch.sh 4 configs/quickstart.yaml "run.dir=$scratch/quickstart"
check "the quickstart runs" test "$status" = 0
check "no library has a remark" test -z "$(grep -v '^grapevine: ' "$scratch/err")"
check "the averaged model passes 95 %" "$PYTHON" - "$scratch/quickstart/summary.json" <<'PYTHON'
import json, sys
accuracy = json.load(open(sys.argv[1]))["test_accuracy"]
sys.exit(0 if accuracy >= 0.95 else f"accuracy {accuracy}")
PYTHON
check "its record is whole" "$PYTHON" tests/e2e/inspect_run.py summary "$scratch/quickstart" workers=4 \
    algorithm=acid graph=ring total=3125
check "its trace is whole" "$PYTHON" tests/e2e/inspect_run.py trace "$scratch/quickstart" 4 compute cast copy put \
    peer apply
check "status" grep -qx '0 done' "$scratch/quickstart/status"
check "the progress tells rate and time left" grep -Eq 'samples/s .* exch/grad .* left' "$scratch/out"
for line in 'accuracy \(averaged model\) +9[0-9.]+ %' 'loss +[0-9.]+' 'samples/s +[0-9]+' \
    'exchanges per gradient +[0-9.]+ \(wanted 1.000\)' 'consensus distance +[0-9.e-]+' 'idle, worker by worker' \
    "run directory +$scratch/quickstart"; do
    check "the table has: $line" grep -Eq "$line" "$scratch/out"
done
finish
