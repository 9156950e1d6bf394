#!/usr/bin/env bash
# Starts N workers on this machine: assembles the mpirun line that fits it, shows the line, and runs it.
#
#   scripts/launch.sh N CONFIG [key=value ...]    N ranks of `grapevine train CONFIG key=value ...`
#   scripts/launch.sh --mpirun                    prints the launcher with its flags, up to where -n would stand
#
# The flags, for whoever writes the line by hand (Open MPI; where 5 has another name for it, that one stands behind):
#   --oversubscribe                          more ranks than cores are allowed
#   --bind-to none                           else both threads of a rank are bound to one core
#   --allow-run-as-root                      as root, in containers
#   --mca osc_sm_backing_directory DIR       windows lie in DIR: /dev/shm is too small (64 MB in many containers)
#   --mca btl_vader_backing_directory DIR    and so do the buffers of shared-memory messages (btl_sm_backing_directory)
#   --mca btl_vader_single_copy_mechanism none    copying out of another process is forbidden here (--mca smsc ^cma)
# On several hosts add --host or --hostfile; under Slurm `srun --mpi=pmix -n N build/grapevine train ...` does it all.
# It can be called from any folder: CONFIG and run.dir are relative to that.
# BUILD is the build folder (default build); MPIRUN replaces launcher and flags; MPIRUN_FLAGS adds to them.
set -uo pipefail

readonly SHM_MB_PER_RANK=256 # windows of a ResNet-18: four slots of 44 MB and a little more

# The build folder as seen from here: $BUILD, else the one beside this script, which may be called from any folder and
# by a link. CONFIG and run.dir are the caller's, and stay relative to the caller's folder.
build_folder() {
    local root build=${BUILD:-build}
    root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
    if [[ $build == /* ]] || [ "$root" = "$PWD" ] || { [ -n "${BUILD:-}" ] && [ -x "$build/grapevine" ]; }; then
        echo "$build"
    else
        echo "$root/$build"
    fi
}
build=$(build_folder)

# Which MPI the program was linked with: openmpi, mpich or, where the program says nothing, what is installed.
mpi_family() {
    local libraries
    libraries=$(ldd "$build/grapevine" 2>/dev/null)
    case $libraries in
    *libmpich*) echo mpich ;;
    *libmpi.so*) echo openmpi ;;
    *) if command -v mpirun.openmpi ompi_info >/dev/null; then echo openmpi; else echo mpich; fi ;;
    esac
}

# The first of the given commands that exists.
first_command() {
    local name
    for name in "$@"; do
        command -v "$name" >/dev/null && echo "$name" && return
    done
    echo "launch: none of these commands is here: $*; scripts/setup.sh installs Open MPI" >&2
    return 4
}

free_shm_mb() {
    df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }'
}

# Whether one process may copy out of another's memory, as messages between ranks do. Old container engines
# forbid it, and Open MPI then prints "Read -1, expected ..." for every message; going without is several times slower.
may_copy_across() {
    local probe status
    [ "$(awk '$1 == "Seccomp:" { print $2 }' /proc/self/status 2>/dev/null)" = 2 ] || return 0
    command -v cc >/dev/null || return 0
    probe=$(mktemp) || return 0
    cc -x c -o "$probe" - 2>/dev/null <<'PROBE' || { rm -f "$probe"; return 0; }
#define _GNU_SOURCE
#include <signal.h>
#include <sys/uio.h>
#include <unistd.h>
int main(void)
{
    char from = 1, to = 0;
    pid_t child = fork();
    if (child == 0)
        for (;;)
            pause();
    struct iovec local = {&to, 1}, remote = {&from, 1};
    long copied = process_vm_readv(child, &local, 1, &remote, 1, 0);
    kill(child, SIGKILL);
    return copied == 1 ? 0 : 1;
}
PROBE
    "$probe"
    status=$?
    rm -f "$probe"
    return "$status"
}

# The launcher for $1 ranks and its flags, on one line.
launcher() {
    local ranks=$1 line scratch=${TMPDIR:-/tmp} messages=btl_vader copy="btl_vader_single_copy_mechanism none"
    if [ "$(mpi_family)" = mpich ]; then
        line=$(first_command mpiexec.mpich mpiexec.hydra mpiexec) || return
        echo "$line${MPIRUN_FLAGS:+ $MPIRUN_FLAGS}"
        return
    fi
    line=$(first_command mpirun.openmpi mpirun) || return
    # Where alternatives leave the plain name to Open MPI, the plain name is what people know.
    mpirun --version 2>/dev/null | grep -q 'Open MPI' && line=mpirun
    "$line" --version 2>/dev/null | grep -q 'Open MPI) [1-4]\.' || messages=btl_sm copy="smsc ^cma"
    [ "$(id -u)" != 0 ] || line+=" --allow-run-as-root"
    line+=" --oversubscribe --bind-to none"
    if [ "$(free_shm_mb || true)" != "" ] && [ "$(free_shm_mb)" -lt $((ranks * SHM_MB_PER_RANK)) ]; then
        line+=" --mca osc_sm_backing_directory $scratch --mca ${messages}_backing_directory $scratch"
    fi
    may_copy_across || line+=" --mca $copy"
    echo "$line${MPIRUN_FLAGS:+ $MPIRUN_FLAGS}"
}

main() {
    local ranks line
    if [ "${1:-}" = --mpirun ]; then
        launcher 4
        return
    fi
    if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        return
    fi
    if [ $# -lt 2 ] || ! [[ $1 =~ ^[1-9][0-9]*$ ]]; then
        echo "usage: scripts/launch.sh N CONFIG [key=value ...]" >&2
        return 2
    fi
    ranks=$1
    shift
    if [ ! -x "$build/grapevine" ]; then
        echo "launch: $build/grapevine is not built; run make" >&2
        return 2
    fi
    line=${MPIRUN:-$(launcher "$ranks")} || return
    read -ra line <<<"$line -n $ranks"
    line+=("$build/grapevine" train)
    printf '+ %s\n' "${line[*]} $*"
    exec "${line[@]}" "$@"
}

main "$@"
