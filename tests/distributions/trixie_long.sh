#!/usr/bin/env bash
# What is committed, on Debian 13 (trixie): Open MPI 5, oneDNN 3, gcc 14. A minimal system is made by debootstrap in the
# scratch folder; in it, from nothing: the quickstart, a build without a warning, and everything that `make check` runs.
# Needs root, debootstrap and Debian's mirror; takes half an hour on two cores and 5 GB of disk.
#
#   tests/distributions/trixie_long.sh [part]    only the parts (quickstart, check) whose name has this in it
#   TREE=DIR                                     the system lies there, is made where there is none, and is kept
#   MIRROR=URL                                   debootstrap's, for where deb.debian.org is not reached
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

PATH=$PATH:/usr/sbin:/sbin
limit_s=${LIMIT_S:-6000}
tree=${TREE:-$scratch/tree}

give_up() {
    skip "Debian 13" "$1"
    finish
}

# Before a command: it runs in the system, in its folder /root/grapevine, with process numbers and mounts of its own:
# whatever becomes of it, no process and no mount is left. What is set for this test is not set there.
# shellcheck disable=SC2016  # expanded by the shells inside
in_tree=(env -u BUILD -u MPIRUN -u MPIRUN_FLAGS -u PYTHON -u PYTHONPATH -u TMPDIR -u XDG_CACHE_HOME -u MAKEFLAGS
    -u MFLAGS -u MAKELEVEL -u GRAPEVINE_SETUP -u GRAPEVINE_DATA -u LIMIT_S HOME=/root LC_ALL=C.UTF-8
    unshare --mount --propagation private --pid --fork --kill-child
    bash -c 'mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && mount -t sysfs -o ro sysfs "$0/sys" &&
             mount -t devpts -o newinstance,ptmxmode=0666 devpts "$0/dev/pts" &&
             mount -t tmpfs -o mode=1777 shm "$0/dev/shm" || exit 4
             chroot "$0" sh -c "cd /root/grapevine && exec \"\$@\"" sh "$@"
             exit $?' "$tree")

make_tree() {
    [ ! -x "$tree/usr/bin/apt-get" ] || return 0
    debootstrap --variant=minbase trixie "$tree" ${MIRROR:+"$MIRROR"} >"$scratch/debootstrap" 2>&1
}

# How this machine reaches mirrors, and what is committed here.
fill_tree() {
    cp -L /etc/resolv.conf "$tree/etc/resolv.conf"
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$tree/etc/pip.conf"
    apt-config dump 2>/dev/null | grep '^Acquire::\(http\|https\|Check\)' >"$tree/etc/apt/apt.conf.d/90host"
    rm -rf "$tree/root/grapevine"
    git -c safe.directory='*' clone --quiet . "$tree/root/grapevine"
    "${in_tree[@]}" sh -c 'apt-get -qq update && apt-get -qq install -y --no-install-recommends make' \
        >"$scratch/apt" 2>&1
}

[ "$(id -u)" = 0 ] || give_up "needs root for a root folder of its own"
for command in debootstrap unshare chroot git; do
    command -v "$command" >/dev/null || give_up "there is no $command: scripts/setup.sh --long"
done
make_tree || give_up "debootstrap fails: $(tail -n 1 "$scratch/debootstrap")"
fill_tree || give_up "apt-get fails in there: $(tail -n 1 "$scratch/apt")"

# From nothing but make to a trained model, and no library says a word.
test_quickstart() {
    local chatter
    run_command "${in_tree[@]}" make quickstart
    verdict "quickstart" "$([ "$status" = 0 ] || echo "exit status $status")"
    check "it is trained" grep -q 'accuracy (averaged model)' "$scratch/out"
    check "the compiler has no remark" test -z "$(grep -E 'warning:|error:' "$scratch/out" "$scratch/err")"
    chatter=$(sed -n '/^+ /,$p' "$scratch/out" | grep -nE '^\[|^-----|btl|PMIX|WARNING'
        grep -nE '^\[|^-----|btl|PMIX|WARNING' "$scratch/err")
    verdict "and MPI none" "$chatter"
}

test_check() {
    run_command "${in_tree[@]}" make check
    grep -E '^(SKIP|FAIL)|^    \|' "$scratch/out"
    check "the compiler has no remark" test -z "$(grep -E 'warning:|error: ' "$scratch/err")"
    verdict "every test passes" "$(tail -n 1 "$scratch/out" | grep -vE '^[0-9]+ passed, 0 failed')"
    verdict "make check ends well" "$([ "$status" = 0 ] || echo "exit status $status")"
    tail -n 1 "$scratch/out"
}

# A part of the name of a test function as argument runs that one only.
for part in quickstart check; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
