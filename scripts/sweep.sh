#!/usr/bin/env bash
# Runs a configuration with every combination of the values given, several at a time, and prints the table of them.
#
#   scripts/sweep.sh CONFIG key=a,b,c seed=1..3 [key=value ...] [option ...]
#   scripts/sweep.sh configs/quickstart.yaml algorithm.name=acid,gossip train.workers=4,8 seed=1..3 --jobs 2
#
# A value is a list (a,b,c), a range of whole numbers (1..3), or both. Commas within brackets or quotes belong to a
# value: schedule.milestones=[0.5,0.75],[0.6] has two, "inject.slow='0 x4, 1 x2'" one.
#
#   --simulate      `grapevine simulate` (the default)
#   --train N       `grapevine train` on N ranks of this machine, by scripts/launch.sh; on train.workers where given
#   --slurm         submit one array of Slurm jobs, one element for each run; sbatch's own options (--partition=,
#                   --time=, --cpus-per-task=, ...) are passed on. With --train, `train` under srun on N tasks. They
#                   are put back into the queue when their time is up, and go on
#   --jobs J        runs at a time (default: cores / threads of a run)
#   --name NAME     (default: the configuration's base name) runs are in runs/sweeps/NAME/<key=value,...>, with those
#                   keys that have several values; logs in runs/sweeps/NAME/logs
#   --out DIR       in DIR instead of runs/sweeps/NAME
#   --dry-run       print the commands, run nothing
#
# The same command again goes on where it was: runs that are done are skipped, others go on from the state they kept.
# Ctrl-C makes all that run keep their states and leave. Runs that have failed are named at the end.
# Exit status: 0 all is there, 2 usage, 130 interrupted, else that of the worst run. BUILD is the build folder.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd) || exit 4
export BUILD=${BUILD:-$root/build}
[[ $BUILD == /* ]] || BUILD=$PWD/$BUILD

refuse() {
    echo "sweep: $1" >&2
    exit "${2:-2}"
}

# --- the command line ---

read_arguments() {
    local option value
    config="" mode=simulate slurm=false ranks="" jobs="" name="" out="" dry_run=false keys=() lists=() passed_on=()
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
        -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$root/scripts/sweep.sh" && exit 0 ;;
        --simulate) mode=simulate && continue ;;
        --slurm) slurm=true && continue ;;
        --dry-run) dry_run=true && continue ;;
        --train=* | --jobs=* | --name=* | --out=*) value=${option#*=} option=${option%%=*} ;;
        --train | --jobs | --name | --out)
            [ $# -gt 0 ] || refuse "$option needs a value"
            value=$1
            shift
            ;;
        -*) passed_on+=("$option") && continue ;;
        ?*=*) keys+=("${option%%=*}") lists+=("${option#*=}") && continue ;;
        *)
            [ -z "$config" ] || refuse "\"$option\" is neither an option nor key=value"
            config=$option
            continue
            ;;
        esac
        case $option in
        --train) mode=train ranks=$value ;;
        --jobs) jobs=$value ;;
        --name) name=$value ;;
        --out) out=$value ;;
        esac
        [[ $option != --train && $option != --jobs || $value =~ ^[1-9][0-9]*$ ]] ||
            refuse "$option: \"$value\" is not a whole number, 1 or more"
    done
    [ -n "$config" ] || refuse "which configuration? scripts/sweep.sh CONFIG key=a,b,c seed=1..3 (--help tells more)"
    [ -r "$config" ] || refuse "cannot read $config"
    [ ${#passed_on[@]} = 0 ] || $slurm || refuse "no option \"${passed_on[0]}\"; --help lists them"
    [ -x "$BUILD/grapevine" ] || refuse "$BUILD/grapevine is not built; run make"
    out=${out:-runs/sweeps/${name:-$(basename "$config" .yaml)}}
    for value in "${keys[@]}"; do
        [ "$value" != run.dir ] || refuse "run.dir: every run has a directory of its own; --out names the folder of all"
    done
}

# --- the plan ---

# Fills values[] with what the list $1 has: parted at commas that are not within brackets or quotes, ranges written out.
split_list() {
    local k sign quote="" depth=0 part="" parts=() from to
    values=()
    for ((k = 0; k < ${#1}; k++)); do
        sign=${1:k:1}
        if [ -n "$quote" ]; then
            [ "$sign" != "$quote" ] || quote=""
        else
            case $sign in
            \' | \") quote=$sign ;;
            '[' | '{') depth=$((depth + 1)) ;;
            ']' | '}') depth=$((depth - 1)) ;;
            ,) if [ "$depth" = 0 ]; then parts+=("$part") part="" && continue; fi ;;
            esac
        fi
        part+=$sign
    done
    for part in "${parts[@]}" "$part"; do
        if ! [[ $part =~ ^(-?[0-9]+)\.\.(-?[0-9]+)$ ]]; then
            values+=("$part")
            continue
        fi
        from=${BASH_REMATCH[1]} to=${BASH_REMATCH[2]}
        [ "$from" -le "$to" ] || refuse "$part: a range goes upwards, as 1..3"
        [ $((to - from)) -lt 10000 ] || refuse "$part: more than 10,000 values"
        for ((k = from; k <= to; k++)); do values+=("$k"); done
    done
}

# A name that every file system takes, from a text: no longer than $2, told apart by a checksum where it was changed
# beyond recognition.
safe_name() {
    local safe=${1//[][\"\' ]/}
    safe=${safe//[!A-Za-z0-9._=,+-]/_}
    if [ ${#safe} -gt "$2" ] || [[ $1 == *[!]\[A-Za-z0-9._=,+-]* ]]; then
        safe=${safe:0:$(($2 - 9))}-$(printf %s "$1" | sha256sum | cut -c1-8)
    fi
    echo "$safe"
}

# Fills names[] (of the runs), words[] (key=value, as shell words) and of_ranks[] for every combination; the last key
# varies fastest.
make_plan() {
    local k j part label total=1 rest
    declare -ga names=() words=() of_ranks=()
    local counts=() all=() first=()
    local -A seen=()
    for k in "${!keys[@]}"; do
        split_list "${lists[k]}"
        first+=("${#all[@]}") counts+=("${#values[@]}")
        all+=("${values[@]}")
        total=$((total * ${#values[@]}))
        [ "$total" -le 10000 ] || refuse "more than 10,000 combinations"
    done
    for ((j = 0; j < total; j++)); do
        label="" part="" rest=$j
        of_ranks+=("$ranks")
        for ((k = ${#keys[@]} - 1; k >= 0; k--)); do
            local value=${all[first[k] + rest % counts[k]]}
            rest=$((rest / counts[k]))
            part=" $(printf %q "${keys[k]}=$value")$part"
            [ "${counts[k]}" = 1 ] || label="${keys[k]}=$value,$label"
            if [ "$mode" = train ] && [ "${keys[k]}" = train.workers ]; then of_ranks[j]=$value; fi
        done
        label=${label%,}
        names+=("$(safe_name "${label:-run}" 200)") words+=("$part")
        [ -z "${seen[${names[-1]}]:-}" ] || refuse "${label:-run}: twice; give each value once"
        seen[${names[-1]}]=1
    done
}

# Fills command[] with what run number $1 is.
make_command() {
    local pairs directory=$out/${names[$1]}
    eval "pairs=(${words[$1]})"
    command=("$BUILD/grapevine" simulate)
    if [ "$mode" = train ]; then
        command=("$root/scripts/launch.sh" "${of_ranks[$1]}")
        ! $slurm || command=(srun "--mpi=${SRUN_MPI:-pmix}" --kill-on-bad-exit=0 "--ntasks=${of_ranks[$1]}"
            "$BUILD/grapevine" train)
    elif $slurm; then
        # srun, so that the signal reaches the program and not the script alone.
        command=(srun --ntasks=1 --kill-on-bad-exit=0 "${command[@]}")
    fi
    command+=("$config" "${pairs[@]}" "run.dir=$directory" --resume auto)
}

# What run number $1 is known by: a run that is there under this name was started with the same.
settings_of() {
    echo "$mode ${of_ranks[$1]}${words[$1]} sha256=$digest"
}

is_done() {
    grep -qx '0 done' "$out/${names[$1]}/status" 2>/dev/null
}

# Fills pending[] with the numbers of the runs that are to be done.
find_pending() {
    local k file
    pending=()
    for k in "${!names[@]}"; do
        file=$out/logs/${names[k]}.settings
        if [ -e "$out/${names[k]}" ] && [ -e "$file" ] && [ "$(cat "$file")" != "$(settings_of "$k")" ]; then
            refuse "$out/${names[k]} was started with other settings or another $config (see $file): choose another \
--name, or move it away"
        fi
        is_done "$k" || pending+=("$k")
    done
}

# --- here ---

# Cores over the threads of a run.
choose_jobs() {
    local threads
    [ -z "$jobs" ] || return 0
    threads=$(awk '/^[a-z]/ { inside = index($0, "device:") == 1 }
        inside && match($0, "[{, ]threads: *[0-9]+") { sub(/.*: */, "", $0); print $0 + 0; exit }' "$config")
    for k in "${!keys[@]}"; do
        if [ "${keys[k]}" = device.threads ] && [[ ${lists[k]} =~ ^[0-9]+$ ]]; then threads=${lists[k]}; fi
    done
    jobs=$(($(getconf _NPROCESSORS_ONLN) / (${threads:-1} * ${ranks:-1})))
    [ "$jobs" -ge 1 ] || jobs=1
}

# All keep their states and leave; who asks twice does not wait for that. mpirun hands SIGUSR1 on to its ranks.
# shellcheck disable=SC2317  # called by a trap, as the next one
stop_children() {
    interrupted=true
    echo "sweep: interrupted: runs keep their states and leave; the same command goes on from there" >&2
    [ ${#running[@]} = 0 ] || kill -s "$([ "$mode" = train ] && echo USR1 || echo TERM)" "${!running[@]}" 2>/dev/null
    trap leave_at_once INT TERM HUP
}

# shellcheck disable=SC2317
leave_at_once() {
    [ ${#running[@]} = 0 ] || kill "${!running[@]}" 2>/dev/null
}

# The latest error in a log, or its last line.
last_words() {
    awk '/error: / { error = $0 } NF { last = $0 } END { print error != "" ? error : last }' "$1"
}

# Waits for one run and says how it ended. What a launcher returns may be its own: the run directory has the run's.
reap() {
    local pid="" status=0 k
    wait -n -p pid "${!running[@]}" || status=$?
    [ -n "${pid:-}" ] || return 0 # a signal ended the wait
    k=${running[$pid]}
    unset "running[$pid]"
    ended=$((ended + 1))
    if is_done "$k"; then
        echo "[$ended/${#pending[@]}] ${names[k]}"
        return
    fi
    ! grep -qs '^[1-9]' "$out/${names[k]}/status" || read -r status _ <"$out/${names[k]}/status"
    [ "$status" != 0 ] || status=70
    if [ "$status" = 75 ]; then
        echo "[$ended/${#pending[@]}] ${names[k]} has kept its state"
    elif $interrupted && [ "$status" -gt 128 ]; then
        echo "[$ended/${#pending[@]}] ${names[k]} had not begun"
        return
    else
        echo "[$ended/${#pending[@]}] ${names[k]} has failed with status $status"
    fi
    failures+=("${names[k]}: status $status: $(last_words "$out/logs/${names[k]}.log")")
    [ "$status" -le "$worst" ] || worst=$status
}

run_here() {
    local k command
    declare -gA running=()
    worst=0 ended=0 interrupted=false failures=()
    trap stop_children INT TERM HUP
    for k in "${pending[@]}"; do
        while [ ${#running[@]} -ge "$jobs" ] && ! $interrupted; do reap; done
        ! $interrupted || break
        settings_of "$k" >"$out/logs/${names[k]}.settings"
        make_command "$k"
        # In a session of its own: a Ctrl-C in the terminal reaches this script alone, which asks the runs, once.
        setsid "${command[@]}" >>"$out/logs/${names[k]}.log" 2>&1 </dev/null &
        running[$!]=$k
    done
    while [ ${#running[@]} -gt 0 ]; do reap; done
    trap - INT TERM HUP
}

report() {
    local k ended_well=()
    for k in "${!names[@]}"; do
        if is_done "$k"; then ended_well+=("$out/${names[k]}"); fi
    done
    if [ ${#ended_well[@]} -gt 0 ]; then
        echo
        "$BUILD/grapevine" table "${ended_well[@]}"
    fi
    if [ ${#failures[@]} -gt 0 ]; then
        printf '\nsweep: %d of %d runs have not ended:\n' "${#failures[@]}" "${#pending[@]}" >&2
        printf '  %s\n' "${failures[@]}" >&2
    fi
}

# --- Slurm ---

# The script of the array: element k is the k-th of the runs that are to be done.
write_array() {
    local k command tasks=1
    cat <<SCRIPT
#!/usr/bin/env bash
# ${#pending[@]} runs of $config, by scripts/sweep.sh.
#SBATCH --job-name=sweep
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail
case \${SLURM_ARRAY_TASK_ID:?submit this as an array} in
SCRIPT
    for k in "${!pending[@]}"; do
        make_command "${pending[k]}"
        printf '%d)\n    run=%q\n    command=(%s) ;;\n' $((k + 1)) "$out/${names[pending[k]]}" "${command[*]@Q}"
    done
    cat <<'SCRIPT'
esac
"${command[@]}"
status=$?
# The status in the run directory is what the run itself says: a launcher may replace the one that it returns.
if grep -qs '^75 ' "$run/status"; then
    echo "job ${SLURM_JOB_ID:-?}: the state is kept, and the job goes back into the queue"
    scontrol requeue "$SLURM_JOB_ID"
    exit
fi
exit "$status"
SCRIPT
}

submit() {
    local k tasks=1 submission
    for k in "${pending[@]}"; do
        [ "${of_ranks[k]:-1}" -le "$tasks" ] || tasks=${of_ranks[k]}
    done
    submission=(sbatch "--ntasks=$tasks" "--array=1-${#pending[@]}${jobs:+%$jobs}" "--output=$out/logs/slurm-%A-%a.out"
        "${passed_on[@]}" "$out/sweep.slurm")
    if $dry_run; then
        printf '%s\n' "${submission[*]@Q}"
        write_array
        return
    fi
    command -v sbatch >/dev/null || refuse "--slurm: no sbatch here; --dry-run shows what would be submitted"
    for k in "${pending[@]}"; do
        settings_of "$k" >"$out/logs/${names[k]}.settings"
    done
    write_array >"$out/sweep.slurm" && "${submission[@]}"
}

# --- all of it ---

read_arguments "$@"
digest=$(sha256sum <"$config") && digest=${digest%% *} # of what the runs are made with
make_plan
find_pending
echo "sweep: ${#names[@]} runs in $out, $((${#names[@]} - ${#pending[@]})) of them done" >&2
if ! $dry_run; then
    mkdir -p "$out/logs" || exit 4
fi
failures=() worst=0 interrupted=false
if $slurm && [ ${#pending[@]} -gt 0 ]; then
    submit
    exit
elif $dry_run; then
    for k in "${pending[@]}"; do
        make_command "$k"
        echo "${command[*]@Q}"
    done
    exit 0
elif ! $slurm; then
    choose_jobs
    run_here
fi
report
! $interrupted || exit 130
exit "$worst"
