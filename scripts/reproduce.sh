#!/usr/bin/env bash
# Reproduces a table: runs its arms in the simulator (or on a cluster), and writes it beside the published figures.
#
#   scripts/reproduce.sh TABLE [option ...] [-- key=value ...]
#
#   pattern         the four arms with a small network without batch norm on Fashion-MNIST: about four minutes
#   pattern-drawn   the same on drawn samples and 64 workers, which needs no data: about two minutes
#   cifar10         ResNet-18 on CIFAR-10, 300 epochs: all-reduce, gossip on two graphs, A²CiD² on the ring
#   cifar10-small   the same arms with a small network on Fashion-MNIST, for a machine with few cores
#   imagenet        ResNet-50 on ImageNet, 90 epochs
#   time            modelled time of the budget of cifar10, and the share of it that workers wait
#   straggler       one worker four times slower: time to a training loss
#
#   --scale S       train S times the epochs (default 1; the table says so)
#   --seeds K       seeds 1 to K of every arm (default 3; time and straggler: 1)
#   --workers LIST  numbers of workers, as 4,16 (default: the table's)
#   --device D      cpu, cuda or auto (default: the configuration's)
#   --jobs J        simulations at a time (default: cores / device.threads; 1 on a GPU)
#   --out DIR       where everything goes (default runs/tables/TABLE, with -scaleS where S is not 1)
#   --table         run nothing: write the table of what is there (--cluster: of runs under scripts/slurm/, as those of
#                   imagenet_table.sh)
#   --cluster       one Slurm array per number of workers, each element `train` under srun, instead of the simulator;
#                   sbatch reads SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT; SRUN_MPI (pmix) is srun's --mpi
#   --dry-run       show what would run; with --cluster: write the scripts, submit nothing
#   key=value       for every run, and last: they win
#
# In DIR: TABLE.md, runs/RUN (run directories), logs/RUN.log, slurm/. A second start goes on where the first stopped: a
# run that has ended well ("0 done") is kept, any other is done again from its beginning. BUILD is the build folder.
# Exit status: 0 all is there, 2 usage, 130 interrupted, else that of the worst run; what failed is named.
set -uo pipefail
caller=$PWD
cd "$(dirname "$(readlink -f "$0")")/.." || exit 4

build=${BUILD:-build}
python=${PYTHON:-/usr/bin/python3}

refuse() {
    echo "reproduce: $1" >&2
    exit "${2:-2}"
}

# --- the tables ---

tables="pattern, pattern-drawn, cifar10, cifar10-small, imagenet, time and straggler"

# Sets what is known of table $1: its data set, default numbers of workers and of seeds.
choose_table() {
    seeds=3
    case $1 in
    pattern) data_set=fashion-mnist workers="4 16 64" ;;
    pattern-drawn) data_set=gaussian workers=64 ;;
    cifar10) data_set=cifar10 workers="4 8 16 32 64" ;;
    cifar10-small) data_set=fashion-mnist workers="4 16 64" ;;
    imagenet) data_set=imagenet workers="16 32 64" ;;
    time) data_set=shapes workers="4 8 16 32 64" seeds=1 ;;
    straggler) data_set=shapes workers=16 seeds=1 ;;
    *) refuse "no table \"$1\"; there are $tables" ;;
    esac
}

# The four arms of the paper's table, of configuration $1.
small_arms() {
    cat <<ARMS
allreduce|all-reduce SGD|$1|algorithm.name=allreduce
gossip-complete|complete, async baseline|$1|algorithm.name=gossip;graph.name=complete
gossip-ring|ring, async baseline|$1|algorithm.name=gossip;graph.name=ring
acid-ring|ring, A²CiD²|$1|algorithm.name=acid;graph.name=ring
ARMS
}

# The rows of a table: arm | its name in print | configuration | key=value, separated by semicolons.
arms() {
    case $1 in
    cifar10)
        cat <<'ARMS'
allreduce|all-reduce SGD|configs/cifar10_resnet18_allreduce.yaml|
gossip-complete|complete, async baseline|configs/cifar10_resnet18_gossip_complete.yaml|
gossip-ring|ring, async baseline|configs/cifar10_resnet18_gossip_ring.yaml|
acid-ring|ring, A²CiD²|configs/cifar10_resnet18_acid_ring.yaml|
ARMS
        ;;
    cifar10-small) small_arms configs/table_small.yaml ;;
    pattern) small_arms configs/pattern_fashion_mnist.yaml ;;
    pattern-drawn) small_arms configs/pattern.yaml ;;
    imagenet)
        cat <<'ARMS'
allreduce|all-reduce SGD|configs/imagenet_resnet50_allreduce.yaml|
gossip-complete|complete, async baseline|configs/imagenet_resnet50_gossip_complete.yaml|
acid-complete|complete, A²CiD²|configs/imagenet_resnet50_acid_complete.yaml|
acid-complete-rate2|complete, A²CiD², 2 com/grad|configs/imagenet_resnet50_acid_complete_rate2.yaml|
gossip-ring|ring, async baseline|configs/imagenet_resnet50_gossip_ring.yaml|
acid-ring|ring, A²CiD²|configs/imagenet_resnet50_acid_ring.yaml|
gossip-ring-rate2|ring, async baseline, 2 com/grad|configs/imagenet_resnet50_gossip_ring_rate2.yaml|
acid-ring-rate2|ring, A²CiD², 2 com/grad|configs/imagenet_resnet50_acid_ring_rate2.yaml|
ARMS
        ;;
    time)
        cat <<'ARMS'
acid-ring|ring, A²CiD²|configs/table_time.yaml|algorithm.name=acid;graph.name=ring
allreduce|all-reduce SGD|configs/table_time.yaml|algorithm.name=allreduce
ARMS
        ;;
    straggler)
        # A pair each: without and with the slow worker.
        cat <<'ARMS'
allreduce|all-reduce SGD|configs/table_straggler.yaml|algorithm.name=allreduce
allreduce-slow|all-reduce SGD|configs/table_straggler.yaml|algorithm.name=allreduce;inject.slow=0 x4
gossip-ring|ring, async baseline|configs/table_straggler.yaml|algorithm.name=gossip
gossip-ring-slow|ring, async baseline|configs/table_straggler.yaml|algorithm.name=gossip;inject.slow=0 x4
acid-ring|ring, A²CiD²|configs/table_straggler.yaml|algorithm.name=acid
acid-ring-slow|ring, A²CiD²|configs/table_straggler.yaml|algorithm.name=acid;inject.slow=0 x4
ARMS
        ;;
    esac
}

# --- the command line ---

# The value of option $1 is $2, and must match $3, or the message says that $4 is expected.
expect_value() {
    [[ $2 =~ ^($3)$ ]] || refuse "$1: \"$2\" is not $4"
}

# key=value $1, whose path is made absolute where it is relative to the caller's folder.
from_caller() {
    local key=${1%%=*} value=${1#*=}
    case $key in
    data.path | graph.file | model.init)
        if [[ $value != /* && -n $value && -e $caller/$value ]]; then value=$caller/$value; fi
        ;;
    esac
    echo "$key=$value"
}

read_arguments() {
    local k option value seeds_wanted="" workers_wanted=""
    scale=1 jobs="" out="" device="" cluster=false dry_run=false table_alone=false extra=()
    [ $# -gt 0 ] || refuse "which table? There are $tables (--help tells more)"
    case $1 in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' scripts/reproduce.sh && exit 0 ;; esac
    table=$1
    choose_table "$table"
    shift
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
        --cluster) cluster=true && continue ;;
        --dry-run) dry_run=true && continue ;;
        --table) table_alone=true && continue ;;
        --) extra=("$@") && break ;;
        --*=*) value=${option#*=} option=${option%%=*} ;;
        --scale | --seeds | --workers | --device | --jobs | --out)
            [ $# -gt 0 ] || refuse "$option needs a value"
            value=$1
            shift
            ;;
        esac
        case $option in
        --scale) expect_value --scale "$value" '[0-9]*\.?[0-9]+' "a positive number, as 0.1" && scale=$value ;;
        --seeds) expect_value --seeds "$value" '[1-9][0-9]*' "a count of seeds, at least 1" && seeds_wanted=$value ;;
        --workers)
            expect_value --workers "$value" '[1-9][0-9]*([ ,]+[1-9][0-9]*)*' "a list of counts, as 4,16"
            workers_wanted=${value//,/ }
            ;;
        --device) expect_value --device "$value" 'cpu|cuda|auto' "cpu, cuda or auto" && device=$value ;;
        --jobs) expect_value --jobs "$value" '[1-9][0-9]*' "a count of runs at a time, at least 1" && jobs=$value ;;
        --out) expect_value --out "$value" '.+' "a folder" && out=$value ;;
        *) refuse "no option \"$option\"; --help lists them" ;;
        esac
    done
    awk -v scale="$scale" 'BEGIN { exit !(scale > 0) }' || refuse "--scale: \"$scale\" is not a positive number, as 0.1"
    seeds=${seeds_wanted:-$seeds} workers=${workers_wanted:-$workers}
    for ((k = 0; k < ${#extra[@]}; k++)); do
        value=${extra[k]}
        [[ $value == ?*=* ]] || refuse "\"$value\" behind -- is not key=value"
        extra[k]=$(from_caller "$value")
    done
    [ -n "$out" ] || out=runs/tables/$table$([ "$scale" = 1 ] || echo "-scale$scale")
    [[ $out == /* ]] || out=$caller/$out
}

check_place() {
    local config
    [ -x "$build/grapevine" ] || refuse "$build/grapevine is not built; run make"
    "$build/grapevine" config data.name 2>/dev/null | grep -qw -- "$data_set" ||
        refuse "$table: the data set \`$data_set\` is not there yet: this version of grapevine cannot read it"
    while IFS='|' read -r _ _ config _; do
        [ -r "$config" ] || refuse "$table: cannot read $config"
    done < <(arms "$table")
    [ -x "$python" ] || refuse "$python, which writes the table, is not there; PYTHON names another one"
    if $cluster && ! $dry_run && ! $table_alone && ! command -v sbatch >/dev/null; then
        refuse "--cluster: no sbatch here; --dry-run writes the scripts all the same"
    fi
}

# --- the plan: one line per run ---

# The number of key $3 in section $2 of configuration $1, or nothing.
config_number() {
    awk -v section="$2" -v key="$3" '
        /^[a-z]/ { inside = index($0, section ":") == 1 }
        inside && match($0, "[{, ]" key ": *[0-9][^,} ]*") {
            value = substr($0, RSTART, RLENGTH)
            sub(/.*: */, "", value)
            print value
            exit
        }' "$1"
}

# The arguments that scale a configuration's epochs, one per line.
scaled_epochs() {
    local epochs warmup
    [ "$scale" != 1 ] || return 0
    epochs=$(config_number "$1" train epochs)
    warmup=$(config_number "$1" schedule warmup_epochs)
    awk -v scale="$scale" -v epochs="${epochs:-300}" -v warmup="$warmup" 'BEGIN {
        printf "train.epochs=%.9g\n", scale * epochs
        if (warmup != "") printf "schedule.warmup_epochs=%.9g\n", scale * warmup
    }'
}

# Fills names[], arguments[] (as shell words, without run.dir), settings[] (what a run is known by), rows[] (for the
# table) and sizes[].
make_plan() {
    local arm title config pairs n seed name words digest
    names=() arguments=() settings=() rows=() sizes=()
    while IFS='|' read -r arm title config pairs; do
        digest=$(sha256sum <"$config") && digest=${digest%% *}
        for n in $workers; do
            for ((seed = 1; seed <= seeds; seed++)); do
                name=$arm-n$n-s$seed
                words=("$config" "train.workers=$n" "seed=$seed" run.checkpoint_every_epochs=0)
                mapfile -t -O ${#words[@]} words < <(scaled_epochs "$config")
                mapfile -t -O ${#words[@]} words < <([ -z "$pairs" ] || tr ';' '\n' <<<"$pairs")
                [ -z "$device" ] || words+=("device.name=$device")
                words+=("${extra[@]}")
                names+=("$name") sizes+=("$n") arguments+=("$(printf ' %q' "${words[@]}")")
                settings+=("$command${arguments[-1]} sha256=$digest")
                rows+=("$(printf '%s\t' "$name" "$arm" "$title" "$n" "$seed" "$config" "${digest:0:12}")$pairs")
            done
        done
    done < <(arms "$table")
}

# What is to be done about run $1: kept, new, again (there and unfinished) or other (finished, with other settings).
state_of() {
    local directory=$out/runs/${names[$1]}
    if [ ! -e "$directory" ]; then
        echo new
    elif ! grep -qx '0 done' "$directory/status" 2>/dev/null; then
        echo again
    elif [ "$(cat "$out/logs/${names[$1]}.settings" 2>/dev/null)" = "${settings[$1]}" ]; then
        echo kept
    else
        echo other
    fi
}

# Fills pending[] with the numbers of the runs that are to be done.
find_pending() {
    local k
    pending=()
    for k in "${!names[@]}"; do
        case $(state_of "$k") in
        other) refuse "$out/runs/${names[k]} was done with other settings; choose another --out, or remove it" ;;
        new | again) pending+=("$k") ;;
        esac
    done
}

# An unfinished run goes, and nothing but a run directory does.
clear_run() {
    local directory=$out/runs/$1
    [ -e "$directory" ] || return 0
    if [ ! -f "$directory/config.yaml" ] && ! rmdir "$directory" 2>/dev/null; then
        refuse "$directory is no run directory; move it away"
    fi
    rm -rf "$directory"
}

# --- the simulator ---

# Run number $1, in a process of its own that becomes the simulation.
simulate() {
    local words name=${names[$1]}
    eval "words=(${arguments[$1]})"
    scripts/machine.sh >"$out/logs/$name.machine"
    # The cores are shared by the simulations, and their bytes do not depend on it.
    exec "$build/grapevine" simulate "${words[@]}" simulate.jobs=1 "run.dir=$out/runs/$name" >"$out/logs/$name.log" \
        2>&1 </dev/null
}

stop_children() {
    trap - INT TERM
    echo "reproduce: interrupted; the same command goes on from here" >&2
    [ ${#running[@]} = 0 ] || kill "${!running[@]}" 2>/dev/null
    wait
    exit 130
}

# "1 h 5 min" of $1 seconds.
duration() {
    if [ "$1" -lt 120 ]; then
        echo "$1 s"
    elif [ "$1" -lt 7200 ]; then
        echo "$((($1 + 30) / 60)) min"
    else
        echo "$(($1 / 3600)) h $(($1 % 3600 / 60)) min"
    fi
}

# The latest error in a log, or its last line.
last_words() {
    awk '/error: / { error = $0 } NF { last = $0 } END { print error != "" ? error : last }' "$1"
}

# Waits for one child and says how it ended; `worst` becomes its status if that is higher.
reap() {
    local pid=0 status=0 name left
    wait -n -p pid "${!running[@]}" || status=$?
    name=${running[$pid]}
    unset "running[$pid]"
    ended=$((ended + 1))
    if [ "$status" = 0 ]; then
        left=$((SECONDS * (${#pending[@]} - ended) / ended))
        echo "[$ended/${#pending[@]}] $name, $(duration "$SECONDS") so far, about $(duration "$left") left"
    else
        echo "reproduce: $name failed with status $status: $(last_words "$out/logs/$name.log")" >&2
        [ "$status" -le "$worst" ] || worst=$status
        # A bad configuration or missing data would fail in every run alike.
        case $status in 2 | 3) give_up=true ;; esac
    fi
}

run_here() {
    local k
    declare -gA running=()
    worst=0 ended=0 give_up=false
    SECONDS=0
    trap stop_children INT TERM
    for k in "${pending[@]}"; do
        while [ ${#running[@]} -ge "$jobs" ]; do
            reap
        done
        ! $give_up || break
        clear_run "${names[k]}"
        echo "${settings[k]}" >"$out/logs/${names[k]}.settings"
        simulate "$k" &
        running[$!]=${names[k]}
    done
    while [ ${#running[@]} -gt 0 ]; do
        reap
    done
    trap - INT TERM
}

# Cores over the threads of one simulation; a GPU takes one at a time.
default_jobs() {
    local config threads
    IFS='|' read -r _ _ config _ < <(arms "$table")
    threads=$(config_number "$config" device threads)
    jobs=$(($(getconf _NPROCESSORS_ONLN) / ${threads:-1}))
    if [ "$jobs" -lt 1 ] || [ "$device" = cuda ]; then
        jobs=1
    fi
}

# --- a cluster ---

# Those of pending[] that have $1 workers.
pending_of_size() {
    local k
    for k in "${pending[@]}"; do
        [ "${sizes[k]}" != "$1" ] || echo "$k"
    done
}

# The array script for the runs $2... of $1 workers.
array_script() {
    local n=$1 k index=0 config threads
    shift
    IFS='|' read -r _ _ config _ < <(arms "$table")
    threads=$(config_number "$config" device threads)
    cat <<SBATCH
#!/usr/bin/env bash
#SBATCH --job-name=grapevine-$table-n$n
#SBATCH --ntasks=$n
#SBATCH --cpus-per-task=$((${threads:-1} + 1))
#SBATCH --array=0-$(($# - 1))
#SBATCH --output=$out/logs/slurm-%x-%a.out
SBATCH
    [ "$device" != cuda ] || echo "#SBATCH --gpus-per-task=1"
    printf 'set -euo pipefail\ncd %q\nout=%q\n' "$PWD" "$out"
    # shellcheck disable=SC2016  # for the job to expand
    echo 'case $SLURM_ARRAY_TASK_ID in'
    for k in "$@"; do
        printf '%s)\n    run=%q settings=%q\n    arguments=(%s)\n    ;;\n' \
            "$index" "${names[k]}" "${settings[k]}" "${arguments[k]# }"
        index=$((index + 1))
    done
    cat <<SBATCH
esac
# Requeued after it had ended well: nothing is left to do.
if grep -qx '0 done' "\$out/runs/\$run/status" 2>/dev/null; then exit 0; fi
rm -rf "\${out:?}/runs/\$run"
echo "\$settings" >"\$out/logs/\$run.settings"
scripts/machine.sh >"\$out/logs/\$run.machine"
export SRUN_CPUS_PER_TASK=\${SLURM_CPUS_PER_TASK:-1} # which srun does not take over by itself
exec srun --mpi="\${SRUN_MPI:-pmix}" $(printf %q "$build/grapevine") train "\${arguments[@]}" \\
    run.dir="\$out/runs/\$run" >"\$out/logs/\$run.log" 2>&1
SBATCH
}

# Jobs of an earlier start that still wait or run: two would write to the same folders.
check_queue() {
    local ids
    [ -s "$out/slurm/jobs" ] || return 0
    ids=$(tr '\n' ',' <"$out/slurm/jobs")
    [ -z "$(squeue --noheader --jobs "${ids%,}" 2>/dev/null)" ] ||
        refuse "jobs ${ids%,} are still in the queue; wait for them, or scancel them"
}

run_on_cluster() {
    local n script id ids=()
    [ ${#pending[@]} -gt 0 ] || return 0
    mkdir -p "$out/slurm"
    $dry_run || check_queue
    $dry_run || : >"$out/slurm/jobs"
    for n in $workers; do
        mapfile -t chosen < <(pending_of_size "$n")
        [ ${#chosen[@]} -gt 0 ] || continue
        script=$out/slurm/$table-n$n.sbatch
        array_script "$n" "${chosen[@]}" >"$script"
        if $dry_run; then
            echo "wrote $script (${#chosen[@]} runs of $n workers)"
            continue
        fi
        id=$(sbatch --parsable "$script") || refuse "sbatch refused $script" 4
        ids+=("${id%%;*}")
        echo "${id%%;*}" >>"$out/slurm/jobs"
        echo "submitted $script as job ${id%%;*} (${#chosen[@]} runs of $n workers)"
    done
    [ ${#ids[@]} -gt 0 ] || return 0
    local IFS=:
    sbatch --parsable --dependency="afterany:${ids[*]}" --job-name="grapevine-$table" --ntasks=1 \
        --output="$out/logs/slurm-table.out" --wrap "cd $(printf %q "$PWD") && $(table_command)" >>"$out/slurm/jobs" ||
        refuse "sbatch refused the job that writes the table; when the runs are over, repeat this command" 4
    echo "when they are over, the table is in $out/$table.md"
}

# --- the table ---

table_command() {
    printf '%q ' "$python" scripts/tables.py "$table" "$out" "--scale=$scale" "--command=$command" \
        "--program=$program" "${extra[@]}"
}

program_version() {
    local commit
    "$build/grapevine" --version | tr '\n' ' ' | sed 's/ *$//'
    commit=$(git describe --always --dirty 2>/dev/null) && printf ' (%s)' "$commit"
}

main() {
    local k
    read_arguments "$@"
    check_place
    if $cluster; then command=train; else command=simulate; fi
    program=$(program_version)
    make_plan
    if $table_alone; then
        mkdir -p "$out" || refuse "cannot make $out" 4
        printf '%s\n' "${rows[@]}" >"$out/plan.tsv"
        eval "$(table_command)"
        return
    fi
    if $dry_run && ! $cluster; then
        find_pending
        for k in "${pending[@]}"; do
            echo "$build/grapevine simulate${arguments[k]} run.dir=$(printf %q "$out/runs/${names[k]}")"
        done
        return 0
    fi
    mkdir -p "$out/runs" "$out/logs" || refuse "cannot make $out" 4
    exec 9>"$out/lock"
    flock -n 9 || refuse "another start works in $out"
    find_pending
    printf '%s\n' "${rows[@]}" >"$out/plan.tsv"
    worst=0
    echo "$table: ${#names[@]} runs, ${#pending[@]} to do, in $out"
    if $cluster; then
        run_on_cluster
    else
        [ -n "$jobs" ] || default_jobs
        run_here
    fi
    if ! $cluster || [ ${#pending[@]} = 0 ]; then
        # Where nothing has ended well, what failed has been named already.
        if [ "$worst" = 0 ] || compgen -G "$out/runs/*/summary.json" >/dev/null; then
            eval "$(table_command)" || return
        fi
    fi
    return "$worst"
}

main "$@"
