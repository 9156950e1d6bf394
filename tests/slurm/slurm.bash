# A real Slurm on this machine, for the scripts under tests/slurm: munged with a key of its own, a controller, and two
# virtual nodes. Sourced after script_fixture.bash; nothing outside the scratch folder is touched, and all of it ends
# with the script. Needs root (for the nodes' names) and the packages munge and slurm-wlm.

# The script runs again in namespaces of its own, in which node1 and node2 are names of this machine.
enter_namespaces() {
    [ -z "${GRAPEVINE_IN_NAMESPACES:-}" ] || return 0
    [ "$(id -u)" = 0 ] || { echo "virtual nodes need root" && exit 77; }
    for command in munged slurmctld slurmd sbatch unshare; do
        command -v "$command" >/dev/null || [ -x "/usr/sbin/$command" ] || {
            echo "there is no $command: apt-get install munge slurm-wlm" && exit 77
        }
    done
    export PATH=$PATH:/usr/sbin
    GRAPEVINE_IN_NAMESPACES=1 exec unshare --mount --uts bash "$0" "$@"
}

# Wait for $1 seconds at most until the rest, a command, is true.
wait_until() {
    local limit=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$limit" ] || return 1
        sleep 0.2
    done
}

start_slurm() {
    local node port
    slurm=$scratch/slurm
    mkdir -p "$slurm"/{munge,state,log,tmp/node1,tmp/node2} && chmod 755 "$scratch" "$slurm" && chmod 700 "$slurm/munge"
    # Ports that are free now, three in a row.
    port=$(python3 -c 'import random; print(random.randrange(20000, 60000, 8))')
    { cat /etc/hosts && echo "127.0.0.1 node1 node2"; } >"$slurm/hosts" && mount --bind "$slurm/hosts" /etc/hosts
    head -c 1024 /dev/urandom >"$slurm/munge/key" && chmod 400 "$slurm/munge/key"
    munged --force --key-file "$slurm/munge/key" --socket "$slurm/munge/socket" --pid-file "$slurm/munge/pid" \
        --log-file "$slurm/munge/log" --seed-file "$slurm/munge/seed" || return
    cleanups+=("kill \$(cat '$slurm/munge/pid') 2>/dev/null")
    cat >"$slurm/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=localhost
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$slurm/munge/socket,cred_expire=5
CryptoType=crypto/munge
SlurmctldPort=$port
StateSaveLocation=$slurm/state
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd-%n.pid
SlurmctldLogFile=$slurm/log/slurmctld
SlurmdLogFile=$slurm/log/slurmd-%n
SlurmdSpoolDir=$slurm/d-%n
TmpFS=$slurm/tmp/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
ReturnToService=2
KillWait=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
JobRequeue=1
OverTimeLimit=0
NodeName=node1 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=8 RealMemory=2000 State=UNKNOWN
NodeName=node2 NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=8 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=node1,node2 Default=YES MaxTime=INFINITE State=UP
CONF
    export SLURM_CONF=$slurm/slurm.conf
    slurmctld -c
    cleanups+=("kill \$(cat '$slurm/slurmctld.pid') 2>/dev/null; sleep 1") # it writes its state at its end
    for node in node1 node2; do # each under its own name, else the nodes' ranks would share memory
        unshare --uts bash -c "hostname $node && exec slurmd -N $node"
        cleanups+=("kill \$(cat '$slurm/slurmd-$node.pid') 2>/dev/null")
    done
    wait_until 30 bash -c '[ "$(sinfo -h -o %T -N | sort -u)" = idle ]'
}

# Submit $1's arguments after a name; leaves $job. State of a job, and the end of its output.
submit() {
    command_line="sbatch $*"
    job=$(sbatch --parsable "$@" 2>"$scratch/err") && job=${job%%;*}
}

state_of() {
    scontrol show job "$1" -o 2>/dev/null | sed -n 's/.*JobState=\([A-Z_]*\).*/\1/p' | sort -u | tr '\n' ' '
}

is_over() {
    case $(state_of "$1") in *PENDING* | *RUNNING* | *COMPLETING* | *CONFIGURING* | *REQUEUED*) return 1 ;; esac
}
