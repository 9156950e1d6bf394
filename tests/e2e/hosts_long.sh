#!/usr/bin/env bash
# Training between hosts over TCP: four network name spaces on a bridge, each with a host name of its own, stand for
# four machines. Needs root; leaves nothing behind.
# shellcheck source=tests/script_fixture.bash
. "$(dirname "$0")/../script_fixture.bash"

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
read -ra words <<<"$launcher"
words+=(-n 4 --mca plm_rsh_agent "$scratch/agent.sh" --mca oob_tcp_if_include "$net.0/24"
    --mca btl_tcp_if_include "$net.0/24" --host "${hosts// /:1,}:1")

cat >"$scratch/shapes.yaml" <<'YAML'
data: {name: shapes, train_count: 4096, test_count: 500}
model: {name: convnet}
optimizer: {lr: 0.05, lr_per_samples: 0}
train: {batch: 16, epochs: 4}
run: {log_every: 20, trace: true}
YAML

run_command "${words[@]}" "$grapevine" doctor
check "doctor between hosts" test "$status" = 0
check "one rank on each" test "$(grep -c ': 0 of 1 on its host' "$scratch/out")" = 4
check "no pair is silent" test "$(grep -c silent "$scratch/out")" = 0

for transport in auto sendrecv; do
    for algorithm in acid allreduce; do
        name=$algorithm-$transport run=$scratch/$algorithm-$transport
        run_command "${words[@]}" "$grapevine" train "$scratch/shapes.yaml" "run.dir=$run" "algorithm.name=$algorithm" \
            "communication.transport=$transport"
        check "$name trains between hosts" test "$status" = 0
        # Where windows do not carry puts between hosts, one line says what is used instead.
        check "$name: one warning at most" test "$(grep -c 'grapevine: .*warning' "$scratch/err")" -le 1
        check "$name: summary" "$PYTHON" tests/e2e/inspect_run.py summary "$run" workers=4 total=1024
        check "$name: metrics" "$PYTHON" tests/e2e/inspect_run.py metrics "$run" 4
        "$PYTHON" -c 'import json, sys
s = json.load(open(sys.argv[1]))
print(sys.argv[1], s["transport"], "accuracy", s["test_accuracy"], "rate", s["exchanges_per_gradient"],
      "samples/s", s["samples_per_second"])' \
            "$run/summary.json"
    done
done
finish
