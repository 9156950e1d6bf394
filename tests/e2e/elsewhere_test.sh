#!/usr/bin/env bash
# The scripts from another folder, and by a link: configurations and runs are the caller's, the program is theirs.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

root=$PWD
[[ $BUILD == /* ]] || export BUILD=$root/$BUILD
mkdir -p "$scratch/folder/here" "$scratch/links" "$scratch/bin"
cd "$scratch/folder" || exit 4
cat >own.yaml <<'YAML'
data: {name: shapes, train_count: 256, test_count: 64}
model: {name: mlp, width: 16}
train: {batch: 32, epochs: 1}
YAML

# $1 name, $2 a file that must be there then, the rest a command that must succeed.
leaves() {
    local name=$1 file=$2
    shift 2
    run_command "$@"
    verdict "$name" "$([ "$status" = 0 ] && [ -e "$file" ] || echo "exit status $status, or no $file")"
}

# Without BUILD the program is the one of the script's own folder, where that is built.
test_launch() {
    ln -s "$root/scripts/launch.sh" "$scratch/links/launch"
    leaves "by its path" here/a/final.safetensors "$root/scripts/launch.sh" 2 own.yaml run.dir=here/a
    leaves "by a link" here/b/final.safetensors "$scratch/links/launch" 2 own.yaml run.dir=here/b
    if [ -x "$root/build/grapevine" ]; then
        leaves "without BUILD" here/c/final.safetensors env -u BUILD ../links/launch 2 ./own.yaml run.dir=here/c
    fi
    run_command env BUILD=no-such "$root/scripts/launch.sh" 2 own.yaml
    check "what is not built is named" grep -qF "$root/no-such/grapevine is not built" "$scratch/err"
}

test_quickstart() {
    local run
    run_command env WORKERS=2 "$root/scripts/quickstart.sh" data.train_count=512 data.test_count=64 train.epochs=1
    verdict "quickstart" "$([ "$status" = 0 ] || echo "exit status $status")"
    run=$(echo runs/quickstart-*)
    check "its run lies here" test -e "$run/final.safetensors"
}

test_reproduce() {
    ln -s "$root/scripts/reproduce.sh" "$scratch/links/reproduce"
    mkdir -p pictures
    run_command "$scratch/links/reproduce" time --dry-run --workers 2 --out here/table -- data.path=pictures
    check "goes well" test "$status" = 0
    check "runs lie here" grep -qF "run.dir=$PWD/here/table/runs/" "$scratch/out"
    check "data lie here" grep -qF "data.path=$PWD/pictures" "$scratch/out"
}

# Slurm starts a copy; scontrol knows the original.
test_slurm() {
    printf '#!/bin/sh\necho "   Command=%s/scripts/slurm/simulate.sh own.yaml"\n' "$root" >"$scratch/bin/scontrol"
    # shellcheck disable=SC2016  # for that shell to expand
    printf '#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n' >"$scratch/bin/srun"
    chmod +x "$scratch/bin/scontrol" "$scratch/bin/srun"
    cp "$root/scripts/slurm/simulate.sh" "$scratch/bin/slurm_script"
    leaves "the job's copy" here/s/final.safetensors env "PATH=$scratch/bin:$PATH" SLURM_JOB_ID=7 \
        bash "$scratch/bin/slurm_script" own.yaml run.dir=here/s
    if [ -x "$root/build/grapevine" ]; then
        leaves "without BUILD" here/t/final.safetensors env -u BUILD "PATH=$scratch/bin:$PATH" SLURM_JOB_ID=7 \
            bash "$scratch/bin/slurm_script" own.yaml run.dir=here/t
    fi
}

for part in test_launch test_quickstart test_reproduce test_slurm; do
    $part
done
finish
