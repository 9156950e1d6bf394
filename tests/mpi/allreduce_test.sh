#!/usr/bin/env bash
# Laws of the averaged gradient on 2, 3 and 4 real ranks, in buckets that do and do not fit the vector.
set -uo pipefail
mpirun=${MPIRUN:-$(scripts/launch.sh --mpirun)}
passed=0 failed=0
for run in "2 16384" "3 1000" "4 4194304"; do
    read -r ranks bucket <<<"$run"
    output=$(timeout 120 $mpirun -n "$ranks" "${BUILD:-build}/tests/mpi/allreduce_laws" "$bucket" 2>&1)
    status=$?
    echo "$output"
    ok=$(grep -c '^ok ' <<<"$output")
    passed=$((passed + ok))
    [ $status = 0 ] && [ "$ok" = 3 ] || failed=$((failed + 1))
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
