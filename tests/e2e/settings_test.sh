#!/usr/bin/env bash
# Settings that have no effect are named, once each, and no others; names are checked where they are not used; paths
# mean what they mean to a shell.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/base.yaml
cat >"$config" <<'YAML'
data: {name: shapes, train_count: 256, test_count: 64}
model: {name: mlp, width: 16}
train: {batch: 32, epochs: 2}
run: {log_every: 5, eval_every_epochs: 0}
YAML

# $1 name, $2 what the one warning says (none where empty), then the command line.
warns() {
    local name="$1" pattern=$2 warnings wrong=""
    shift 2
    run_command "$grapevine" "$@"
    [ "$status" = 0 ] || wrong+="exit status $status; "
    warnings=$(grep 'warning: ' "$scratch/err")
    if [ -z "$pattern" ]; then
        [ -z "$warnings" ] || wrong+="warns; "
    else
        [ "$(grep -c . <<<"$warnings")" = 1 ] || wrong+="not one warning; "
        grep -qE -- "$pattern" <<<"$warnings" || wrong+="no /$pattern/; "
    fi
    verdict "$name: ${*: -1}" "$wrong"
}

# An argument to `simulate`: $1 what is said, the rest arguments, of which the last one is idle.
idle() {
    local pattern=$1
    shift
    pattern="argument \"${*: -1}\": .*$pattern"
    pattern=${pattern//[\[\]]/.}
    warns "idle argument" "$pattern" simulate "$config" "run.dir=$scratch/never" --dry-run "$@"
}

test_arguments() {
    idle 'data.alpha has no effect: data.partition is shared, and it needs dirichlet' data.alpha=0.1
    idle 'data.alpha.*iid' data.partition=iid data.alpha=0.3
    idle 'data.path.*shapes' data.path=/tmp
    idle 'data.dimension.*gaussian' data.dimension=8
    idle 'data.size.*imagenet' data.size=128
    idle 'data.shuffle.*photos' data.shuffle=blocks
    idle 'model.condition.*quadratic' model.condition=3
    idle 'algorithm.eta.*gossip.*acid' algorithm.name=gossip algorithm.eta=1
    idle 'communication.rate.*allreduce' algorithm.name=allreduce communication.rate=0
    idle 'graph.name.*allreduce' algorithm.name=allreduce graph.name=complete
    idle 'graph.degree.*ring.*random-regular' graph.degree=3
    idle 'graph.seed' graph.seed=2
    idle 'graph.budget.*best' graph.budget=worker
    idle 'communication.bucket_bytes.*acid' communication.bucket_bytes=8192
    idle 'communication.pending.*ideal' communication.pending=3
    idle 'communication.pending.*enforce_rate is false' simulate.time=modelled communication.enforce_rate=false \
        communication.pending=3
    idle 'communication.transport.*simulate' communication.transport=put
    idle 'optimizer.nesterov.*momentum is 0' optimizer.momentum=0 optimizer.nesterov=true
    idle 'optimizer.decay_norm_and_bias' optimizer.weight_decay=0 optimizer.decay_norm_and_bias=true
    idle 'schedule.milestones.*cosine' schedule.name=cosine 'schedule.milestones=[0.1]'
    idle 'schedule.factor' 'schedule.milestones=[]' schedule.factor=0.5
    idle 'schedule.warmup_epochs has no effect.*peak' schedule.warmup_epochs=1
    idle 'schedule.warmup_epochs is too long' optimizer.lr_per_samples=1 schedule.warmup_epochs=2
    idle 'simulate.step_s.*ideal' simulate.step_s=2
    idle 'simulate.jitter.*constant' simulate.time=modelled simulate.distribution=constant simulate.jitter=0.1
    idle 'simulate.gradients.*modelled' simulate.time=modelled simulate.gradients=regular
    idle 'batch_norm.policy.*no batch norm' batch_norm.policy=own
    idle 'device.deterministic' device.name=cpu device.deterministic=true
    idle 'run.keep_states' run.keep_states=3
    idle 'run.state_every_epochs' run.state_every_epochs=2
    idle 'run.optimum.*mlp' run.optimum=true
    warns "ranks count" 'train.workers.*ranks' train "$config" "run.dir=$scratch/never" --dry-run train.workers=8
    warns "another command" 'simulate.time.*`train`' train "$config" "run.dir=$scratch/never" --dry-run \
        simulate.time=modelled
}

# Nothing is said of what acts, of what is switched off, and of files that serve several command lines.
test_silence() {
    local shared=$scratch/shared.yaml
    warns "it acts" "" simulate "$config" "run.dir=$scratch/never" --dry-run data.partition=dirichlet data.alpha=0.1 \
        graph.name=random-regular graph.degree=3 graph.seed=7 train.workers=6 algorithm.eta=0.1 schedule.factor=0.5
    warns "it is off" "" simulate "$config" "run.dir=$scratch/never" --dry-run run.optimum=false run.trace=false \
        inject.loss=0 optimizer.momentum=0 optimizer.nesterov=false model.dropout=0
    cat >"$shared" <<'YAML'
data: {name: shapes, train_count: 256, test_count: 64, alpha: 0.3}
model: {name: mlp, width: 16}
algorithm: {name: acid, eta: 0.2}
communication: {rate: 2.0, transport: put}
train: {batch: 32, epochs: 2, workers: 6}
schedule: {warmup_epochs: 0.5}
simulate: {time: modelled, step_s: 0.5}
YAML
    warns "another command's section" "" train "$shared" "run.dir=$scratch/never" --dry-run
    warns "another command's keys" "" simulate "$shared" "run.dir=$scratch/never" --dry-run
    warns "switched off by an argument" "" simulate "$shared" "run.dir=$scratch/never" --dry-run \
        algorithm.name=allreduce
    sed -i 's/name: acid, eta/name: gossip, eta/' "$shared"
    warns "in the file itself" "shared.yaml:3: algorithm.eta has no effect" simulate "$shared" \
        "run.dir=$scratch/never" --dry-run
}

# A run's own config.yaml, which has every key, says nothing either; eval names what it does not read.
test_run_config() {
    local run=$scratch/run
    run_well "a run" 1 simulate "$config" "run.dir=$run" train.workers=2
    warns "its config.yaml" "" simulate "$run/config.yaml" "run.dir=$scratch/never" --dry-run
    warns "eval" "" eval "$run/final.safetensors" "$run/config.yaml"
    warns "eval's idle argument" 'optimizer.lr.*`eval`' eval "$run/final.safetensors" "$run/config.yaml" optimizer.lr=1
}

test_shipped() {
    local shipped small=(data.name=shapes data.train_count=256 data.test_count=64 model.name=mlp)
    small+=("run.dir=$scratch/never")
    for shipped in configs/*.yaml; do
        warns "shipped" "" simulate "$shipped" train.workers=4 train.batch=4 "${small[@]}" --dry-run
    done
    warns "shipped" "" train configs/quickstart.yaml --dry-run "run.dir=$scratch/never"
}

test_unused_names() {
    refuse "graph under all-reduce" 1 2 'graph.name && complet && complete' simulate "$config" \
        "run.dir=$scratch/never" algorithm.name=allreduce graph.name=complet
    refuse "algorithm in eval" 1 2 'algorithm.name && acidd' eval "$scratch/none" "$config" algorithm.name=acidd
    refuse "model in bench data" 1 2 'mlpp && mlp' bench data "$config" model.name=mlpp
}

test_paths() {
    local from=$scratch/from base=$scratch
    mkdir -p "$from" "$scratch/home"
    run_command env "HOME=$scratch/home" "BASE=$base" bash -c 'cd "$1" && "$2" simulate "$3" "run.dir=~/runs/a" && \
        "$2" simulate "$3" "run.dir=\$BASE/b" && "$2" simulate "$3" "run.dir=\${BASE}/c/\$\$d"' _ "$from" \
        "$grapevine" "$config"
    check "home" test -e "$scratch/home/runs/a/final.safetensors"
    check "variable" test -e "$scratch/b/final.safetensors"
    check "braces, and a dollar sign" test -e "$scratch/c/\$d/final.safetensors"
    check "nothing here" test -z "$(ls -A "$from")"
    warns "a dollar sign comes back from config.yaml" "" simulate "$scratch/c/\$d/config.yaml" --dry-run
    run_command "$grapevine" simulate "$scratch/c/\$d/config.yaml" --resume auto
    check "the same folder" grep -qF "c/\$d has come to its end" "$scratch/err"
    refuse "undefined variable" 1 2 'NOT_THERE is not set' simulate "$config" 'data.path=$NOT_THERE/x'
    printf 'run:\n  dir: ${NOT_THERE}/x\n' >"$scratch/undefined.yaml"
    refuse "undefined in a file" 1 2 'undefined.yaml:2: run.dir && NOT_THERE' simulate "$scratch/undefined.yaml"
    refuse "no such user" 1 2 'no user "nobody-of-that-name"' simulate "$config" run.dir=~nobody-of-that-name/x
    refuse "a lonely dollar sign" 1 2 '\$\$ for the sign' simulate "$config" 'run.dir=a$'
    refuse "model.init" 1 3 "$scratch/home/none" simulate "$config" "run.dir=$scratch/never" \
        "model.init=$scratch/home/none"
}

# The best model is there, though no test falls within the run; where one does, it is a replica.
test_best() {
    run_well "no test within the run" 1 simulate "$config" "run.dir=$scratch/best" run.keep_best=true \
        data.validation=0.1
    check "says so" grep -q 'best.safetensors is the final model' "$scratch/err"
    check "best" cmp "$scratch/best/best.safetensors" "$scratch/best/final.safetensors"
    run_well "tests within the run" 1 simulate "$config" "run.dir=$scratch/tested" run.keep_best=true \
        data.validation=0.1 run.eval_every_epochs=0.5
    check "says nothing" test -z "$(grep 'best.safetensors' "$scratch/err")"
    check "best is another" test "$(cmp -s "$scratch/tested/best.safetensors" "$scratch/tested/final.safetensors"
        echo $?)" = 1
}

for part in test_best test_arguments test_silence test_run_config test_shipped test_unused_names test_paths; do
    $part
done
finish
