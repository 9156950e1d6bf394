#!/usr/bin/env bash
# From a fresh clone to a trained model: installs what is missing, builds, and trains 4 workers on a ring with A²CiD².
#
#   scripts/quickstart.sh [key=value ...]    arguments override configs/quickstart.yaml
#
# `make quickstart` is the same; this script needs no make to start with. WORKERS=8 changes their number.
set -euo pipefail
caller=$PWD
cd "$(dirname "$(readlink -f "$0")")/.."
root=$PWD

build=${BUILD:-build}
if [ ! -x "$build/grapevine" ]; then
    scripts/setup.sh --minimal
    "${MAKE:-make}" --no-print-directory -j"$(getconf _NPROCESSORS_ONLN)" BUILD="$build" all
fi

# The run lies where the caller is, who is shown names as seen from there.
from=""
if [ "$caller" != "$root" ]; then
    cd "$caller"
    from=$root/
    [[ $build == /* ]] || build=$root/$build
fi
# The timestamp keeps runs apart; a second start within the same second gets a number.
dir=runs/quickstart-$(date +%Y%m%d-%H%M%S)
number=2
base=$dir
while [ -e "$dir" ]; do
    dir=$base-$number
    number=$((number + 1))
done
"${from}scripts/launch.sh" "${WORKERS:-4}" "${from}configs/quickstart.yaml" run.dir="$dir" "$@"

cat <<NEXT

Next, what the momentum is for: 64 simulated workers on a ring, without and with it, about 10 s each, no data needed:

  $build/grapevine simulate ${from}configs/pattern.yaml run.dir=$dir-gossip algorithm.name=gossip
  $build/grapevine simulate ${from}configs/pattern.yaml run.dir=$dir-acid

All four arms over three seeds, as a table: ${from}scripts/reproduce.sh pattern-drawn
NEXT
