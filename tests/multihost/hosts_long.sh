#!/usr/bin/env bash
# Training between hosts over TCP: four network name spaces on a bridge, each with a host name of its own, stand for
# four machines. The exchange's laws; training; the same over links of 100 Mbit/s; one thin link, which slows down the
# meetings of its own edge and no gradient; a host that stands still. Needs root; leaves nothing behind.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"
# shellcheck source=tests/e2e/background.bash
. tests/e2e/background.bash
# shellcheck source=tests/mpi/laws.bash
. tests/mpi/laws.bash

readonly bridge=gvtest0 net=10.77.41
readonly hosts="gvtest1 gvtest2 gvtest3 gvtest4"

give_up() {
    skip "training between hosts" "$1"
    finish
}

remove_hosts() {
    local host
    for host in $hosts; do
        ip netns pids "$host" 2>/dev/null | xargs -r kill 2>/dev/null
        ip netns delete "$host" 2>/dev/null
    done
    ip link delete "$bridge" 2>/dev/null
}

# The four hosts and this machine, as 10.77.41.254, on one bridge.
make_hosts() {
    local host k=0
    ip link add "$bridge" type bridge && ip address add "$net.254/24" dev "$bridge" && ip link set "$bridge" up ||
        return
    for host in $hosts; do
        k=$((k + 1))
        ip netns add "$host" && ip link add "$host-v" type veth peer name eth0 netns "$host" &&
            ip link set "$host-v" master "$bridge" up && ip -n "$host" address add "$net.$k/24" dev eth0 &&
            ip -n "$host" link set eth0 up && ip -n "$host" link set lo up || return
    done
}

case $launcher in
*mpirun*) ;;
*) give_up "the launch agent is Open MPI's" ;;
esac
[ "$(id -u)" = 0 ] || give_up "needs root for network name spaces"
command -v ip >/dev/null || give_up "needs iproute2"
remove_hosts
cleanups+=(remove_hosts)
said=$(make_hosts 2>&1) || give_up "no network name spaces here: $(tail -n 1 <<<"$said")"

# What mpirun starts instead of ssh: a shell in the host's name space, under the host's name (hosts of one name would
# share memory).
cat >"$scratch/agent.sh" <<'AGENT'
#!/usr/bin/env bash
host=$1
shift
exec ip netns exec "$host" unshare --uts bash -c 'hostname "$0"; exec bash -c "$*"' "$host" "$@"
AGENT
chmod +x "$scratch/agent.sh"
if mpirun --version | grep -q 'Open MPI) [1-4]\.'; then
    launcher+=" --mca plm_rsh_agent $scratch/agent.sh --mca oob_tcp_if_include $net.0/24"
else
    launcher+=" --prtemca plm_ssh_agent $scratch/agent.sh --prtemca prte_if_include $net.0/24"
fi
launcher+=" --mca btl_tcp_if_include $net.0/24 --host ${hosts// /:1,}:1"
read -ra words <<<"$launcher -n 4"

config=$scratch/shapes.yaml
cat >"$config" <<'YAML'
data: {name: shapes, train_count: 4096, test_count: 500}
model: {name: convnet}
optimizer: {lr: 0.05, lr_per_samples: 0}
train: {batch: 16, epochs: 4}
run: {log_every: 20, trace: true}
YAML

# A run in the background in the folder $1, on all hosts; keys.
start_on_hosts() {
    local run=$1
    shift
    "${words[@]}" "$grapevine" train "$config" "run.dir=$run" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null &
    running=$!
    command_line="train between hosts: $*"
}

# Limit what leaves interface $2 of host $1 to $3 (as tc has it).
limit() {
    ip netns exec "$1" tc qdisc add dev "$2" root tbf rate "$3" burst 32k latency 400ms
}

unlimited() {
    local host
    for host in $hosts; do
        ip netns exec "$host" tc qdisc del dev eth0 root 2>/dev/null
    done
    ip -n gvtest1 link delete eth1 2>/dev/null
}

# The first two hosts reach one another over a wire of their own, of bandwidth $1.
lay_thin_wire() {
    ip link add gvtest-a type veth peer name gvtest-b && ip link set gvtest-a netns gvtest1 name eth1 &&
        ip link set gvtest-b netns gvtest2 name eth1 && ip -n gvtest1 link set eth1 up &&
        ip -n gvtest2 link set eth1 up && ip -n gvtest1 route add "$net.2/32" dev eth1 src "$net.1" &&
        ip -n gvtest2 route add "$net.1/32" dev eth1 src "$net.2" && limit gvtest1 eth1 "$1" &&
        limit gvtest2 eth1 "$1"
}

test_doctor() {
    run_command "${words[@]}" "$grapevine" doctor
    check "doctor between hosts" test "$status" = 0
    check "one rank on each" test "$(grep -c ': 0 of 1 on its host' "$scratch/out")" = 4
    if grep -q '^MPI library .*Open MPI v5' "$scratch/out"; then
        check "slow puts are named" grep -q 'compare communication.transport=sendrecv' "$scratch/out"
    fi
    check "no pair is silent" test "$(grep -c silent "$scratch/out")" = 0
}

test_training() {
    local transport algorithm name run
    for transport in auto sendrecv; do
        for algorithm in acid allreduce; do
            name=$algorithm-$transport run=$scratch/$algorithm-$transport
            run_command "${words[@]}" "$grapevine" train "$config" "run.dir=$run" "algorithm.name=$algorithm" \
                "communication.transport=$transport"
            check "$name trains between hosts" test "$status" = 0
            # Where windows do not carry puts between hosts, one line says what is used instead.
            check "$name: one warning at most" test "$(grep -c 'grapevine: .*warning' "$scratch/err")" -le 1
            check "$name: summary" "$PYTHON" tests/e2e/inspect_run.py summary "$run" workers=4 total=1024
            check "$name: metrics" "$PYTHON" tests/e2e/inspect_run.py metrics "$run" 4
            "$PYTHON" -c 'import json, sys
s = json.load(open(sys.argv[1]))
print(sys.argv[1], s["transport"], "accuracy", s["test_accuracy"], "rate", s["exchanges_per_gradient"],
      "samples/s", s["samples_per_second"])' "$run/summary.json"
        done
    done
}

# exchange_laws.c between hosts, $1 exchanges.
laws_on_hosts() {
    local transport
    for transport in auto sendrecv; do
        laws 4 ring acid $transport "$1" 16 2
        laws 4 complete gossip $transport "$1" 16 2
    done
}

test_laws() {
    laws_on_hosts 2000
}

# 100 Mbit/s from and to every host.
test_thin_network() {
    local host run=$scratch/thin-network
    for host in $hosts; do
        limit "$host" eth0 100mbit || { skip "links of 100 Mbit/s" "tc cannot limit them here" && return; }
    done
    laws_on_hosts 600
    run_command "${words[@]}" "$grapevine" train "$config" "run.dir=$run" algorithm.name=acid train.epochs=2
    check "100 Mbit/s: it trains" test "$status" = 0
    check "100 Mbit/s: its rate is kept" "$PYTHON" tests/e2e/inspect_run.py summary "$run" workers=4 total=512 \
        rate_tolerance=0.1
    unlimited
}

# Between the hosts of workers 0 and 1 next to nothing passes.
test_thin_link() {
    local keys=(algorithm.name=acid graph.name=ring communication.enforce_rate=false
        communication.patience_s=0.05 train.batch=64 train.epochs=30)
    run_command "${words[@]}" "$grapevine" train "$config" "run.dir=$scratch/wide" "${keys[@]}"
    check "equal links: it trains" test "$status" = 0
    if ! lay_thin_wire 8mbit; then
        skip "a thin link" "tc cannot limit one here"
        return
    fi
    run_command "${words[@]}" "$grapevine" train "$config" "run.dir=$scratch/thin" "${keys[@]}"
    check "a thin link: it trains" test "$status" = 0
    unlimited
    "$PYTHON" tests/e2e/inspect_run.py thin "$scratch/wide" "$scratch/thin" 0 1 >"$scratch/judged" 2>&1
    status=$?
    verdict "a thin link slows down its own edge" "$([ "$status" = 0 ] || tail -n 1 "$scratch/judged")"
    cat "$scratch/judged"
}

# The only process of a host stands still for 20 s.
test_stopped() {
    local graph run
    for graph in ring complete; do
        run=$scratch/stopped-$graph
        start_on_hosts "$run" algorithm.name=acid "graph.name=$graph" train.epochs=100000 run.log_every=5 \
            run.trace=false
        stop_a_rank "$run" 8 20 6
        verdict "$graph: it leaves well" "$([ "$status" = 75 ] || echo "exit status $status, expected 75")"
        "$PYTHON" tests/e2e/inspect_run.py stopped "$run" $stopped_between >"$scratch/judged" 2>&1
        status=$?
        verdict "$graph: the others go on, and it comes back" "$([ "$status" = 0 ] || tail -n 1 "$scratch/judged")"
        cat "$scratch/judged"
    done
}

# A part of the name of a test function as argument runs that one only.
for part in doctor training laws thin_network thin_link stopped; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
