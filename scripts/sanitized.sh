#!/usr/bin/env bash
# Runs programs that were built with VARIANT=asan or VARIANT=tsan; the only place that sets their sanitizers' options.
#
#   scripts/sanitized.sh VARIANT COMMAND...     runs the command, and whatever it starts, ranks under mpirun included
#   scripts/sanitized.sh VARIANT --reports      a test: no program since then has left a report
#
#   BUILD=build-tsan scripts/sanitized.sh tsan mpirun -n 4 build-tsan/grapevine train configs/quickstart.yaml
#
# The first report ends the program that it is about with exit status 66, which no program here has of its own. It lies
# in $BUILD/reports, so that it is seen whatever becomes of the status; but for those of UBSan, which has no other place
# beside ASan than standard error. BUILD is the build folder (default build-VARIANT).
set -uo pipefail

readonly FOUND=66

# Each option with its reason; one word each, joined by colons.
options() {
    local variant=$1 reports=$2
    local common=(
        "exitcode=$FOUND"
        "log_path=$reports/report"
        # tests/unit/memory_test.c asks for more than there is
        allocator_may_return_null=1
    )
    local asan=(
        detect_stack_use_after_return=1
        check_initialization_order=1
        strict_string_checks=1
        # Stacks reach through libraries without frame pointers: tests/sanitizers/lsan.supp names whom they come from.
        fast_unwind_on_malloc=0
        # of each rank
        quarantine_size_mb=64
    )
    # Not ignore_noninstrumented_modules, which is often advised with MPI: it also ignores what our own code does by
    # memcpy and memset.
    local tsan=(
        halt_on_error=1
        second_deadlock_stack=1
        # The longest memory for the other side of a race.
        history_size=7
        "suppressions=$root/tests/sanitizers/tsan.supp"
    )
    local IFS=:
    if [ "$variant" = asan ]; then
        export ASAN_OPTIONS="${common[*]}:${asan[*]}"
        export UBSAN_OPTIONS="${common[*]}:print_stacktrace=1"
        export LSAN_OPTIONS="suppressions=$root/tests/sanitizers/lsan.supp:print_suppressions=0"
    else
        export TSAN_OPTIONS="${common[*]}:${tsan[*]}"
        # libgomp's barriers are not made of what the sanitizer knows, so every parallel loop would be a race: all
        # loops have one thread. The threads of a worker, which are Grapevine's own, stay. Not for device.threads
        # above 1: oneDNN would wait for threads that never come.
        export OMP_THREAD_LIMIT=1
    fi
}

# ThreadSanitizer of gcc 12 finds its own memory only where addresses are drawn with at most 28 random bits; newer
# kernels draw 32. setarch turns the drawing off, where that is allowed.
fixed_addresses() {
    local bits
    bits=$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28)
    if [ "$1" = tsan ] && [ "$bits" -gt 28 ] && setarch "$(uname -m)" -R true 2>/dev/null; then
        echo "setarch $(uname -m) -R"
    else
        echo
    fi
}

# A test: what has been found, at most three reports in full. That memory cannot be had is said there too, and is no
# finding: whoever asked is told.
show_reports() {
    local found
    mapfile -t found < <(find "$1" -type f -name 'report.*' \
        -exec grep -lvE '^(==[0-9]+==WARNING: [A-Za-z]+Sanitizer failed to allocate .*)?$' {} + 2>/dev/null | sort)
    if [ "${#found[@]}" = 0 ]; then
        echo "1 passed, 0 failed"
        return
    fi
    head -q -n 60 "${found[@]:0:3}"
    echo "${#found[@]} reports lie in $1"
    return 1
}

main() {
    local variant=${1:-} reports words
    if [[ ! $variant =~ ^(asan|tsan)$ ]] || [ $# -lt 2 ]; then
        echo "usage: scripts/sanitized.sh asan|tsan COMMAND..." >&2
        return 2
    fi
    shift
    export BUILD=${BUILD:-build-$variant} VARIANT=$variant
    reports=$(readlink -f "$BUILD")/reports
    if [ "$1" = --reports ]; then
        show_reports "$reports"
        return
    fi
    rm -rf "$reports"
    mkdir -p "$reports"
    options "$variant" "$reports"
    read -ra words < <(fixed_addresses "$variant")
    exec "${words[@]}" "$@"
}

root=$(cd "$(dirname "$0")/.." && pwd) || exit 4
main "$@"
