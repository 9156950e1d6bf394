#!/usr/bin/env bash
# scripts/reproduce.sh: what it refuses, what it would run, tables from tiny runs in the simulator and on a cluster of
# stand-ins for sbatch and srun, and that a second start does what is left and nothing else.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

# Pictures that are drawn, few and small enough that a run takes about a second.
tiny=(data.name=shapes data.train_count=320 data.test_count=40 train.batch=8 batch_norm.batches=1 run.log_every=2)

# One message of one line and exit status 2: $1 what it must say, the rest the arguments.
refused() {
    local pattern=$1 wrong=""
    shift
    run_command scripts/reproduce.sh "$@"
    [ "$status" = 2 ] || wrong+="exit status $status, expected 2; "
    [ "$(wc -l <"$scratch/err")" = 1 ] || wrong+="$(wc -l <"$scratch/err") lines of errors; "
    grep -qE -- "$pattern" "$scratch/err" || wrong+="the message does not say /$pattern/; "
    verdict "refused: $*" "${wrong%; }"
}

test_refusals() {
    local mistake
    refused 'which table\? There are pattern,'
    refused 'no table "cifar11"; there are pattern,' cifar11
    program_reading "shapes, cifar10"
    BUILD=$scratch/build refused 'data set .imagenet. is not there' imagenet
    for mistake in --scale=0 --scale=a --seeds=0 --workers=4,x --device=tpu --jobs=0; do
        refused "${mistake%=*}: \"${mistake#*=}\" is not " time "$mistake"
    done
    refused '"--color"' time --color
    refused 'scale needs a value' time --scale
    refused '"seed" behind -- is not key=value' time -- seed
    mkdir -p "$scratch/mine/runs/allreduce-n2-s1"
    echo precious >"$scratch/mine/runs/allreduce-n2-s1/notes"
    refused 'is no run directory' cifar10-small --out "$scratch/mine" --workers 2 --seeds 1
    check "what is not ours stays" test -f "$scratch/mine/runs/allreduce-n2-s1/notes"
}

# A build in $scratch/build whose program reads the data sets $1, and is the real one for the rest.
program_reading() {
    mkdir -p "$scratch/build"
    cat >"$scratch/build/grapevine" <<PROGRAM
#!/usr/bin/env bash
if [ "\$*" = "config data.name" ]; then echo "data.name: $1" && exit; fi
exec "$grapevine" "\$@"
PROGRAM
    chmod +x "$scratch/build/grapevine"
}

# Eight arms on 16, 32 and 64 workers, each with a configuration that says what the arm's name does.
test_imagenet() {
    local arm wrong="" config
    program_reading "imagenet, shapes"
    BUILD=$scratch/build run_command scripts/reproduce.sh imagenet --dry-run --seeds 1 --out "$scratch/imagenet"
    check "imagenet: arms times sizes" test "$(wc -l <"$scratch/out")" = 24
    for arm in allreduce {gossip,acid}-{complete,ring} acid-complete-rate2 {gossip,acid}-ring-rate2; do
        config=configs/imagenet_resnet50_${arm//-/_}.yaml
        grep -q "simulate $config train.workers=64 seed=1 .*/runs/$arm-n64-s1$" "$scratch/out" || wrong+="$arm; "
        grep -q "^algorithm: .*{name: ${arm%%-*}}" "$config" || wrong+="$config: the algorithm; "
        [ "$arm" = allreduce ] || grep -q "^graph: .*{name: $(cut -d- -f2 <<<"$arm")}" "$config" ||
            wrong+="$config: the graph; "
        [[ $arm == allreduce || $(grep -c 'rate: 2\.0' "$config") == $(grep -c rate2 <<<"$arm") ]] ||
            wrong+="$config: the rate; "
        published_stand_in "$config" "$arm" || wrong+="$config: the published figures; "
    done
    verdict "each arm has its configuration" "$wrong"
}

# The figures of arm $2 in the first lines of $1 are those of scripts/published.tsv.
published_stand_in() {
    local wanted
    wanted=$(awk -F'\t' -v arm="$2" '$1 == "imagenet" && $2 == arm { printf "%s ", $4 }' scripts/published.tsv)
    [ "$(sed -n 's/^#  *published  *//p' "$1" | tr -s ' ')" = "${wanted% }" ]
}

test_dry_run() {
    run_command scripts/reproduce.sh cifar10 --dry-run --scale 0.01 --seeds 2 --out "$scratch/dry" --device cpu
    check "a dry run lists every run" test "$(wc -l <"$scratch/out")" = 40
    for words in '/grapevine simulate configs/cifar10_resnet18_acid_ring.yaml train.workers=64 seed=2 ' \
        ' train.epochs=3 schedule.warmup_epochs=0.05 device.name=cpu run.dir=.*/dry/runs/acid-ring-n64-s2$'; do
        check "as a command" grep -qE "$words" "$scratch/out"
    done
    check "and writes nothing" test ! -e "$scratch/dry"
}

reproduce_small() {
    run_command scripts/reproduce.sh cifar10-small --out "$scratch/small" --workers 2,3 --seeds 2 --scale 0.4 -- \
        "${tiny[@]}"
}

# $1 the Markdown, $2 rows of figures, each with mean and deviation in $3 columns and not a gap.
complete() {
    [ "$(grep -cE "^\| [^|0-9]*[a-zA²][^|]*\|( [0-9.e-]+ ± [0-9.e-]+ \|){$3}$" "$1")" = "$2" ] ||
        { echo "not $2 rows of $3 figures:" && cat "$1"; }
}

check_small() {
    # Twice four arms' accuracies; of three arms the consensus distance, measured and by theory.
    verdict "$1: every cell" "$(complete "$scratch/small/cifar10-small.md" 14 2)"
    for line in '16 of 16 runs; seeds 1, 2' '\*\*Epochs times 0.4\*\*' 'grapevine simulate' 'Machine: [0-9]+ core' \
        'data.train_count=320' '\| acid-ring \| `configs/table_small.yaml` \| `[0-9a-f]{12}` \|'; do
        check "$1: the table says $line" grep -qE "$line" "$scratch/small/cifar10-small.md"
    done
}

test_simulator() {
    local kept="$scratch/small/runs/allreduce-n2-s1/summary.json" stamp
    reproduce_small
    check "a table from the simulator" test "$status" = 0
    check_small simulator
    # Half of it is lost: one run broken off, one gone; one that is there must not be touched.
    stamp=$(stat -c %Y.%i "$kept")
    echo running >"$scratch/small/runs/acid-ring-n3-s2/status"
    rm -r "$scratch/small/runs/gossip-ring-n2-s1"
    reproduce_small
    check "goes on" grep -q '16 runs, 2 to do' "$scratch/out"
    check "what was done is kept" test "$(stat -c %Y.%i "$kept")" = "$stamp"
    check_small "second start"
    run_command scripts/reproduce.sh cifar10-small --out "$scratch/small" --workers 2,3 --seeds 2 -- "${tiny[@]}"
    check "other settings are refused" test "$status" = 2
    check "with a remedy" grep -q 'done with other settings; choose another --out' "$scratch/err"
    check "and harm nothing" test "$(stat -c %Y.%i "$kept")" = "$stamp"
    run_command scripts/reproduce.sh cifar10-small --out "$scratch/bad" --workers 2 --jobs 1 -- "${tiny[@]}" \
        model.name=x
    check "a bad configuration fails once" test "$status:$(grep -c . "$scratch/err")" = 2:1
    check "and says which and why" grep -qE 'allreduce-n2-s1 failed with status 2: .*model.name' "$scratch/err"
}

test_interrupt() {
    scripts/reproduce.sh cifar10-small --out "$scratch/cut" --workers 2 --seeds 1 --jobs 1 -- "${tiny[@]}" \
        data.train_count=10000 >"$scratch/out" 2>"$scratch/err" &
    local script=$!
    until [ -e "$scratch/cut/runs/allreduce-n2-s1/status" ] || ! kill -0 $script 2>/dev/null; do sleep 0.1; done
    kill -TERM $script
    wait $script
    check "interrupted" test $? = 130
    check "no simulation lives on" test -z "$(pgrep -f "run.dir=$scratch/cut/")"
    check "the broken one would be done again" grep -qc allreduce-n2-s1 <(scripts/reproduce.sh cifar10-small \
        --dry-run --out "$scratch/cut" --workers 2 --seeds 1 -- "${tiny[@]}" data.train_count=10000)
}

# The accuracy of arm $1 in the table of drawn samples.
accuracy_of() {
    awk -F'|' -v arm="$1" 'index($2, arm) { print $3 + 0; exit }' "$scratch/pattern/pattern-drawn.md"
}

# What the paper's tables say, at full size: on a ring of 64 the baseline falls behind by a wide margin and A²CiD² does
# not.
test_pattern() {
    run_command scripts/reproduce.sh pattern-drawn --seeds 1 --out "$scratch/pattern"
    check "the pattern on drawn samples" test "$status" = 0
    local allreduce complete ring acid
    allreduce=$(accuracy_of all-reduce) complete=$(accuracy_of complete)
    ring=$(accuracy_of "ring, async baseline") acid=$(accuracy_of "ring, A²CiD²")
    verdict "ring << A²CiD² ~ complete ~ all-reduce" "$(
        awk -v a="$allreduce" -v c="$complete" -v r="$ring" -v m="$acid" \
            'BEGIN { if (!(r < m - 10 && m > a - 3 && m > c - 5)) print a, c, r, m }'
    )"
}

# Both tables of modelled time: that they are written, not what they say.
test_modelled() {
    run_command scripts/reproduce.sh time --out "$scratch/time" --scale 0.01 --workers 4
    check "time" test "$status" = 0
    check "minutes beside the published" grep -qE '^\| published \| 20.9 ± 0.1 \|$' "$scratch/time/time.md"
    check "and waiting" grep -qE '^\| all-reduce SGD: waiting, % \| [0-9.]+ \|$' "$scratch/time/time.md"
    run_command scripts/reproduce.sh straggler --out "$scratch/straggler" --scale 0.05 --workers 4
    check "straggler" test "$status" = 0
    check "rows" test "$(grep -c '^| 4 | ' "$scratch/straggler/straggler.md")" = 3
}

# sbatch runs every element of the array at once and in turn, srun is the launcher that the tests have.
fake_slurm() {
    mkdir -p "$scratch/bin"
    cat >"$scratch/bin/sbatch" <<'SBATCH'
#!/usr/bin/env bash
printf '%s\n' "$*" >>"$SLURM_CALLS"
for word in "$@"; do
    case $word in
    --wrap) wrapped=1 ;;
    *) if [ -n "${wrapped:-}" ]; then bash -c "$word" >/dev/null && echo 8 && exit; fi ;;
    esac
done
script=${*: -1}
export SLURM_NTASKS=$(sed -n 's/^#SBATCH --ntasks=//p' "$script")
for ((k = 0; k <= $(sed -n 's/^#SBATCH --array=0-//p' "$script"); k++)); do
    SLURM_ARRAY_TASK_ID=$k bash "$script"
done
echo 7
SBATCH
    # shellcheck disable=SC2016  # for the stand-in to expand
    printf '#!/usr/bin/env bash\nshift\nexec %s -n "$SLURM_NTASKS" "$@"\n' "$MPIRUN" >"$scratch/bin/srun"
    printf '#!/usr/bin/env bash\n' >"$scratch/bin/squeue"
    chmod +x "$scratch/bin"/*
    export SLURM_CALLS=$scratch/calls PATH=$scratch/bin:$PATH
}

test_cluster() {
    local words=(cifar10-small --cluster --out "$scratch/cluster" --workers 2 --seeds 1 --scale 0.4)
    local script=$scratch/cluster/slurm/cifar10-small-n2.sbatch
    run_command scripts/reproduce.sh "${words[@]}" --dry-run --device cuda -- "${tiny[@]}"
    check "a dry run writes the script" grep -q '^#SBATCH --array=0-3$' "$script"
    check "with a GPU for each" grep -q '^#SBATCH --gpus-per-task=1$' "$script"
    fake_slurm
    run_command scripts/reproduce.sh "${words[@]}" -- "${tiny[@]}"
    check "submitted" test "$status:$(wc -l <"$SLURM_CALLS")" = 0:2
    check "the table waits for the runs" grep -q -- '--dependency=afterany:7 ' "$SLURM_CALLS"
    check "and is there" grep -q 'grapevine train' "$scratch/cluster/cifar10-small.md"
    echo running >"$scratch/cluster/runs/acid-ring-n2-s1/status"
    : >"$SLURM_CALLS"
    run_command scripts/reproduce.sh "${words[@]}" -- "${tiny[@]}"
    check "what failed is submitted again" grep -q '^#SBATCH --array=0-0$' "$script"
    check "and is done" grep -qx '0 done' "$scratch/cluster/runs/acid-ring-n2-s1/status"
    run_command scripts/reproduce.sh "${words[@]}" -- "${tiny[@]}"
    check "nothing left: the table" grep -q '^\* 4 of 4 runs' "$scratch/out"
    printf '#!/usr/bin/env bash\necho 7 pending\n' >"$scratch/bin/squeue"
    rm -r "$scratch/cluster/runs/acid-ring-n2-s1"
    run_command scripts/reproduce.sh "${words[@]}" -- "${tiny[@]}"
    check "not twice at once" grep -q 'jobs .* are still in the queue' "$scratch/err"
}

# A part of the name of a test function as argument runs that one only.
for part in refusals dry_run imagenet simulator pattern interrupt modelled cluster; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
