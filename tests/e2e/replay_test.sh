#!/usr/bin/env bash
# Record and replay: what real runs have logged is executed again in one process and ends in the same bits, for every
# algorithm, number of ranks and kind of event; logs that are torn, edited or of another run are refused with file and
# line, also where their checksum is right; and a replay that ends in other bits says whose.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

config=$scratch/record.yaml
cat >"$config" <<'YAML'
seed: 5
data:       {name: shapes, train_count: 256, test_count: 48}
model:      {name: mlp, width: 16}
optimizer:  {lr: 0.02, lr_per_samples: 8, momentum: 0.9, weight_decay: 5.0e-4, clip_norm: 1.0}
schedule:   {name: cosine, warmup_epochs: 0.5}
train:      {batch: 8, epochs: 3}
batch_norm: {batches: 3}
device:     {name: cpu, threads: 1}
run:        {record: true, log_every: 10, eval_every_epochs: 1, checkpoint_every_epochs: 0}
YAML

# What a replay must leave alone: names, sizes, times and bytes.
listing() {
    (cd "$1" && find . -printf '%p %s %m %T@\n' | LC_ALL=C sort && find . -type f -exec sha256sum {} + | LC_ALL=C sort)
}

# $1: a replay's JSON, $2: the run. They agree with each other, and the logs with the summary: no event is missing.
cat >"$scratch/agrees.py" <<'PYTHON'
import json, sys
replay, run = json.load(open(sys.argv[1])), sys.argv[2]
s = json.load(open(f"{run}/summary.json"))
n = s["workers"]
logs = [[json.loads(line) for line in open(f"{run}/events-{i}.jsonl")] for i in range(n)]
events = [log[1:-1] for log in logs]
def count(i, kind, peer=None):
    return sum(e["event"] == kind and peer in (None, e.get("peer")) for e in events[i])
def close(key):
    return abs(replay[key] - s[key]) <= 1e-6 * abs(s[key])
vectors = ["x", "x_tilde", "momentum", "buffers"]
checks = {
    "agree": replay["agree"] is True and replay["final"] == {"x": True, "buffers": True, "file": True},
    "trained": replay["trained"] == [dict.fromkeys(vectors, True)] * n,
    "counts": (replay["workers"], replay["gradients"], replay["exchanges"]) == (n, s["gradients"], s["exchanges"]),
    "events": replay["events"] == sum(map(len, events)),
    "updates": [count(i, "update") for i in range(n)] == s["gradients_per_worker"],
    "begins": all(count(i, "begin") == count(i, "update") + 1 for i in range(n)),
    "meetings": all(count(i, kind, j) == s["meetings"][i][j] for kind in ("snapshot", "apply")
                    for i in range(n) for j in range(n)),
    "lost": sum(count(i, "lost") for i in range(n)) == s.get("meetings_lost", 0),
    "test": replay["test_accuracy"] == s["test_accuracy"] and close("test_loss") and close("consensus_distance"),
    "x_tilde": all((int(log[-1]["trained"]["x_tilde"], 16) != 0) == (s["algorithm"] == "acid") for log in logs),
    "gradients": s["gradients"] > 0 and (s["exchanges"] == 0 or (s["rate_wanted"] or 0) > 0),
    "one final model": all(log[-1]["final"]["x"] == logs[0][-1]["final"]["x"] for log in logs),
}
wrong = [name for name, good in checks.items() if not good]
sys.exit(f"not so: {', '.join(wrong)}" if wrong else 0)
PYTHON

# Replay a run, with JSON on odd calls and as a table on even ones: the bits agree, and the directory is left alone.
replays=0
replay_well() {
    local name=$1 run=$2 before
    before=$(listing "$run")
    replays=$((replays + 1))
    if [ $((replays % 2)) = 1 ]; then
        run_well "$name: replay" 1 replay "$run" --json || return
        check "$name: the bits agree" "$PYTHON" "$scratch/agrees.py" "$scratch/out" "$run"
    else
        run_well "$name: replay" 1 replay "$run" || return
        check "$name: it says so" grep -qE "^$run: the replay agrees bit for bit: [0-9]+ workers?," "$scratch/out"
        check "$name: of every worker" test "$(grep -cE '^[0-9]+ +[0-9]+ +[0-9]+( +same){4} *$' "$scratch/out")" = \
            "$(find "$run" -name 'events-*.jsonl' | wc -l)"
        check "$name: nothing differs" test -z "$(grep DIFFERENT "$scratch/out")"
    fi
    check "$name: no message" test ! -s "$scratch/err"
    check "$name: the run directory is left alone" test "$before" = "$(listing "$run")"
}

# Train and replay: $1 name and run directory, $2 ranks, keys.
record_and_replay() {
    local name=$1 ranks=$2
    shift 2
    run_well "$name" "$ranks" train "$config" "run.dir=$scratch/$name" "$@" && replay_well "$name" "$scratch/$name"
}

# Each algorithm on 2 to 4 ranks; each treatment of batch-norm statistics with one of them.
test_algorithms() {
    local algorithm ranks keys
    for algorithm in acid gossip allreduce; do
        for ranks in 2 3 4; do
            keys="optimizer.nesterov=true model.dropout=0.25 data.partition=iid schedule.name=step"
            case $algorithm-$ranks in
            acid-2) keys="model.name=convnet batch_norm.policy=recomputed train.epochs=1.5" ;;
            gossip-3) keys="model.name=convnet batch_norm.policy=averaged train.epochs=1.5" ;;
            allreduce-4) keys="model.name=convnet batch_norm.policy=own train.epochs=1" ;;
            *-4) keys= ;;
            esac
            # shellcheck disable=SC2086  # one word per key
            record_and_replay "$algorithm-$ranks" "$ranks" "algorithm.name=$algorithm" $keys
        done
    done
    record_and_replay alone 1 optimizer.momentum=0
    check "meetings were held" test "$(cat "$scratch"/{acid,gossip}-*/events-*.jsonl | grep -c '"apply"')" -gt 20
}

has_events() {
    check "$1: there are events \"$2\"" grep -qh "\"event\": \"$2\"" "$scratch/$1"/events-*.jsonl
}

# Whoever meets whom, how often, how late, and what goes wrong.
test_meetings() {
    printf '0 1 0.9\n1 2 0.2\n2 3 0.9\n0 2 0.1\n' >"$scratch/edges.txt"
    record_and_replay edge-list 4 "graph.file=$scratch/edges.txt" communication.transport=sendrecv
    record_and_replay best-rates 4 graph.name=line graph.rates=best communication.records=1 \
        communication.chunk_bytes=4096
    record_and_replay complete 4 graph.name=complete algorithm.name=gossip communication.rate=2
    record_and_replay slow-worker 3 "inject.slow=0 x4" communication.enforce_rate=false model.name=convnet \
        train.epochs=1
    record_and_replay lost 4 inject.loss=0.25
    has_events lost lost
    # The latency is above the patience: meetings are given up and held all the same.
    record_and_replay given-up 4 "inject.links=all latency_s=0.02" communication.patience_s=0.01 train.epochs=1
    has_events given-up give_up
    record_and_replay rare 2 communication.rate=0.25 communication.enforce_rate=false
    record_and_replay never 3 communication.rate=0 train.epochs=0.5
}

# What else a run can be: validation, checkpoints and traces beside the record, convex models, two threads, a pause.
test_others() {
    record_and_replay more-files 2 data.validation=0.2 run.keep_best=true run.checkpoint_every_epochs=1 \
        run.trace=true run.tensorboard=true data.partition=dirichlet
    record_and_replay quadratic 3 data.name=gaussian model.name=quadratic model.width=0 optimizer.clip_norm=0
    record_and_replay logistic 2 model.name=logistic model.width=0 run.optimum=false
    record_and_replay threads 2 device.threads=2 train.epochs=0.5 algorithm.name=allreduce \
        communication.bucket_bytes=4096 "inject.pause=1 0.1..0.2"
    local run=$scratch/simulated
    run_well "a simulation in modelled time" 1 simulate "$config" "run.dir=$run" simulate.time=modelled \
        inject.loss=0.25 "inject.slow=1 x2" model.name=convnet batch_norm.policy=own train.epochs=1 run.log_level=error
    replay_well simulated "$run"
}

# --- logs that are not what the run wrote ---

# Changes the logs of the run $1 by the code $3, which says where the damage is found: place(log, k), k a line's index.
# $2: "keep" the rest as it is, or "seal": number the events and compute the checksum as if nothing had happened.
cat >"$scratch/tamper.py" <<'PYTHON'
import ctypes, json, math, os, sys
run, how, code = sys.argv[1:]
digest_bytes = ctypes.CDLL(os.path.dirname(sys.argv[0]) + "/digest.so").digest_bytes
digest_bytes.restype, digest_bytes.argtypes = ctypes.c_uint64, [ctypes.c_uint64, ctypes.c_char_p, ctypes.c_size_t]
class Log:
    def __init__(self, worker):
        self.path = f"{run}/events-{worker}.jsonl"
        self.lines = open(self.path).readlines()
    def at(self, k):
        return json.loads(self.lines[k])
    def put(self, k, **fields):
        self.lines[k] = json.dumps({**self.at(k), **fields}) + "\n"
    def add(self, k, **fields):
        self.lines.insert(k, json.dumps(fields) + "\n")
    def all(self, event):
        return [k for k in range(1, len(self.lines) - 1) if self.at(k)["event"] == event]
    def some(self, event):
        return self.all(event)[len(self.all(event)) // 2]
    def seal(self):
        for k in range(1, len(self.lines) - 1):
            self.put(k, n=k)
        checksum = 0
        for line in self.lines[:-1]:
            checksum = digest_bytes(checksum, line.encode(), len(line.encode()))
        self.put(-1, end=len(self.lines) - 2, checksum=f"{checksum:016x}")
def place(log, k):
    print(f"{os.path.basename(log.path)}:{k % len(log.lines) + 1}:")
logs = [Log(i) for i in range(json.loads(open(f"{run}/events-0.jsonl").readline())["workers"])]
exec(code)
for log in logs:
    if how == "seal":
        log.seal()
    open(log.path, "w").write("".join(log.lines))
PYTHON

# A copy of the run $2 in $scratch/tampered, changed as tamper.py does by $3 and $4; leaves $place. $1: check's name.
tamper() {
    rm -rf "$scratch/tampered"
    cp -r "$2" "$scratch/tampered"
    place=$("$PYTHON" "$scratch/tamper.py" "$scratch/tampered" "$3" "$4" 2>"$scratch/err") && return
    verdict "$1" "cannot be tampered with"
    return 1
}

# One message, with the place and these words: $1 name, $2 run, $3 keep or seal, $4 words, $5 code.
refuse_log() {
    tamper "$1" "$2" "$3" "$5" && refuse "$1" 1 3 "/tampered/$place && $4" replay "$scratch/tampered"
}

# The replay runs to its end in other bits: $1 name, $2 seal or keep, $3 a condition in Python on `d`, its JSON, and
# `rows`, of its workers; $4 code.
differ() {
    tamper "$1" "$base" "$2" "$4" || return
    run_ranks 1 replay "$scratch/tampered" --json
    check "$1: exit status" test "$status" = 70
    check "$1: whose and which" "$PYTHON" -c "import json, sys
d = json.load(open(sys.argv[1])); rows = d['trained']; bad = lambda row: {k for k in row if not row[k]}
sys.exit(0 if not d['agree'] and ($3) else str(d))" "$scratch/out"
}

test_damage() {
    local lines k
    lines=$(wc -l <"$base/events-1.jsonl")
    refuse_log "an edited number" "$base" keep "a line was changed" \
        'log = logs[1]; log.lines[6] = log.lines[6].replace("\"time\": 0", "\"time\": 1", 1); place(log, -1)'
    refuse_log "an edited header" "$base" keep "a line was changed" \
        'log = logs[3]; log.put(0, grapevine="0.0.1"); place(log, -1)'
    refuse_log "a deleted line" "$base" keep "event 9 stands where event 8 is expected" \
        'log = logs[1]; del log.lines[8]; place(log, 8)'
    refuse_log "two lines swapped" "$base" keep "event 9 stands where event 8 is expected" \
        'log = logs[2]; log.lines[8:10] = log.lines[9:7:-1]; place(log, 8)'
    refuse_log "a line twice" "$base" keep "event 8 stands where event 9 is expected" \
        'log = logs[0]; log.lines.insert(9, log.lines[8]); place(log, 9)'
    refuse_log "no last event" "$base" keep "were written, and [0-9]+ are here" \
        'log = logs[0]; del log.lines[-2]; place(log, -1)'
    refuse_log "no closing line" "$base" keep "no closing line: the run did not end" \
        'log = logs[2]; place(log, -2); del log.lines[-1]'
    refuse_log "a line behind the closing line" "$base" keep "behind the closing line" \
        'log = logs[2]; log.lines.append(log.lines[5]); place(log, -1)'
    refuse_log "no JSON" "$base" keep "no JSON object" 'log = logs[2]; log.lines[5] = "(5)\n"; place(log, 5)'
    refuse_log "no number" "$base" keep '"t" is missing or no number' \
        'log = logs[2]; log.put(5, t="1"); place(log, 5)'
    refuse_log "no such event" "$base" keep 'no event "dance"' 'log = logs[2]; log.put(5, event="dance"); place(log, 5)'
    refuse_log "a negative peer" "$base" keep '"peer" is -1' \
        'log = logs[2]; k = log.some("apply"); log.put(k, peer=-1); place(log, k)'
    for k in 3 60; do
        tamper "a torn line" "$base" keep ""
        truncate -s -"$k" "$scratch/tampered/events-1.jsonl"
        refuse "a torn last line, $k bytes" 1 3 "/tampered/events-1.jsonl:$lines: && cut off" replay "$scratch/tampered"
    done
    tamper "an empty log" "$base" keep ""
    : >"$scratch/tampered/events-3.jsonl"
    refuse "an empty log" 1 3 "/tampered/events-3.jsonl: && empty" replay "$scratch/tampered"
    rm "$scratch/tampered/events-3.jsonl"
    refuse "a missing log" 1 3 "/tampered/events-3.jsonl: No such file && run\.record" replay "$scratch/tampered"
    cp "$base/events-1.jsonl" "$scratch/tampered/events-3.jsonl"
    refuse "a log under another's name" 1 3 "/tampered/events-3.jsonl:1: && worker 1 && worker 3" \
        replay "$scratch/tampered"
}

# Sound as files, and their checksums are right.
test_impossible() {
    refuse_log "a worker that meets itself" "$base" seal "there is no worker 1 to meet" \
        'log = logs[1]; k = log.some("snapshot"); log.put(k, peer=1); place(log, k)'
    refuse_log "a worker that there is not" "$base" seal "there is no worker 4 to meet" \
        'log = logs[1]; k = log.some("apply"); log.put(k, peer=4); place(log, k)'
    refuse_log "a worker that is no neighbor" "$base" seal "no neighbor" \
        'log = logs[1]; k = log.some("snapshot"); log.put(k, peer=3); place(log, k)'
    refuse_log "a snapshot without an end" "$base" seal "a meeting with worker 2 that did not end" \
        'log = logs[1]; e = log.at(-2); log.add(-1, **{**e, "event": "snapshot", "peer": 2, "meeting": 100000})
place(log, -2)'
    refuse_log "a snapshot without a partner" "$base" seal "applied, and .*events-[0-9].jsonl has no snapshot" \
        'log = logs[1]; e = log.at(-2); m = {**e, "peer": 2, "meeting": 100000}
log.add(-1, **{**m, "event": "snapshot"}); log.add(-1, **{**m, "event": "apply"}); place(log, -2)'
    refuse_log "a difference without a snapshot" "$base" seal "without a snapshot of meeting 100000" \
        'log = logs[1]; k = log.some("apply"); log.put(k, meeting=100000); place(log, k)'
    refuse_log "a difference twice" "$base" seal "without a snapshot of meeting" \
        'log = logs[1]; k = log.some("apply"); log.lines.insert(k, log.lines[k]); place(log, k + 1)'
    refuse_log "a snapshot twice" "$base" seal "a second snapshot" \
        'log = logs[3]; k = log.some("snapshot"); log.lines.insert(k, log.lines[k]); place(log, k + 1)'
    refuse_log "a bit of the learning rate" "$base" seal "the learning rate was .*, and the configuration gives" \
        'log = logs[2]; k = log.some("update"); log.put(k, lr=math.nextafter(log.at(k)["lr"], 1)); place(log, k)'
    refuse_log "a gradient that nobody began" "$base" seal "ends that has not begun" \
        'log = logs[2]; del log.lines[log.all("begin")[0]]; place(log, log.all("update")[0])'
    refuse_log "a gradient that is missing" "$base" seal "step [0-9]+ stands where step [0-9]+ is expected" \
        'log = logs[2]; k = log.some("update"); del log.lines[k]; place(log, k)'
    refuse_log "a step too far" "$base" seal "step [0-9]+ stands where step [0-9]+ is expected" \
        'log = logs[2]; k = log.some("update"); log.put(k, step=log.at(k)["step"] + 1); place(log, k)'
    refuse_log "time that goes back" "$base" seal "time .* is not between" \
        'log = logs[0]; k = log.some("apply"); log.put(k, t=log.at(k)["t"] - 1); place(log, k)'
    refuse_log "other constants" "$base" seal "the run was acid with eta" \
        'log = logs[0]; log.put(0, eta=math.nextafter(log.at(0)["eta"], 1)); place(log, 0)'
    refuse_log "another algorithm" "$base" seal "not of one run" \
        'log = logs[2]; log.put(0, algorithm="gossip"); place(log, 0)'
    refuse_log "another number of workers" "$base" seal "not of one run" \
        'log = logs[1]; log.put(0, workers=3); place(log, 0)'
    refuse_log "fewer workers than there were" "$base" seal "the run was acid with eta" \
        '[log.put(0, workers=3) for log in logs]; place(logs[0], 0)'
    tamper "more workers" "$base" seal '[log.put(0, workers=5) for log in logs]'
    refuse "more workers than there were" 1 3 "events-4.jsonl: No such file" replay "$scratch/tampered"
    tamper "far more workers" "$base" seal '[log.put(0, workers=2000000000) for log in logs]'
    refuse "far more workers than there were" 1 3 "events-4.jsonl: No such file" replay "$scratch/tampered"
    refuse_log "a meeting in an all-reduce" "$everyone" seal "a meeting, and the algorithm has none" \
        'log = logs[1]; log.add(5, **{**log.at(4), "event": "snapshot", "peer": 0, "meeting": 1}); place(log, 5)'
    refuse_log "a gradient that not all have" "$everyone" seal "not every log has this one" \
        'place(logs[0], logs[0].all("update")[-1]); del logs[1].lines[-3:-1]'
}

# The replay cannot know better than to execute these; what comes out is compared.
test_differences() {
    differ "a digest of worker 1" keep \
        'list(map(bad, rows)) == [set(), {"x_tilde"}, set(), set()] and all(d["final"].values())' \
        'e = logs[1].at(-1); logs[1].put(-1, trained={**e["trained"], "x_tilde": "0123456789abcdef"})'
    run_ranks 1 replay "$scratch/tampered"
    check "as a table: exit status" test "$status" = 70
    check "the table has it in its row" grep -qE '^1 +[0-9]+ +[0-9]+ +same +DIFFERENT +same +same *$' "$scratch/out"
    check "and nowhere else" test "$(grep -c DIFFERENT "$scratch/out")" = 1
    check "and says so" grep -q '/tampered: the replay DIFFERS from the run (1 of 4 workers)' "$scratch/out"
    differ "a digest of the final model" keep 'not any(map(bad, rows)) and bad(d["final"]) == {"x"}' \
        'e = logs[3].at(-1); logs[3].put(-1, final={**e["final"], "x": "0123456789abcdef"})'
    differ "another learning rate, where the schedule has it" seal \
        'bad(rows[2]) == {"x", "x_tilde", "momentum"} and bad(d["final"]) == {"x", "file"}' \
        'log = logs[2]; k = log.all("update"); last = log.at(k[-1])
log.put(max(k, key=lambda i: log.at(i)["lr"]), progress=last["progress"], lr=last["lr"])'
    differ "other times of meetings" seal 'bad(rows[0]) >= {"x", "x_tilde"}' 'log = logs[0]
for k in log.all("apply"):
    log.put(k, t=(log.at(k)["t"] + log.at(k - 1)["t"]) / 2)'
    differ "a meeting that is missing" seal 'bad(rows[0]) >= {"x"} and bad(d["final"]) == {"x", "file"}' \
        'e = logs[0].at(logs[0].some("snapshot")); ends = {0: e["peer"], e["peer"]: 0}
for i in ends:
    logs[i].lines = [t for t in logs[i].lines if json.loads(t).get("meeting") != e["meeting"] or
                     json.loads(t)["peer"] != ends[i]]'
    tamper "another final.safetensors" "$base" keep ""
    printf '\1' | dd of="$scratch/tampered/final.safetensors" bs=1 conv=notrunc status=none \
        seek=$(($(stat -c %s "$base/final.safetensors") - 3))
    run_ranks 1 replay "$scratch/tampered"
    check "another final.safetensors: exit status" test "$status" = 70
    check "it is named" grep -q '^final model: x same, buffers same, final.safetensors DIFFERENT' "$scratch/out"
    check "and nothing else differs" test "$(grep -c 'DIFFERENT' "$scratch/out")" = 1
    rm "$scratch/tampered/final.safetensors"
    refuse "no final.safetensors" 1 3 "/tampered/final.safetensors: No such file" replay "$scratch/tampered"
}

# --- directories that are not of one recorded run that ended ---

test_directories() {
    local twin=$scratch/twin run=$scratch/run background
    refuse "no directory" 1 2 "run\.record && replay RUN" replay
    refuse "two directories" 1 2 "$everyone" replay "$base" "$everyone"
    refuse "no such argument" 1 2 "--jsn && did you mean \"--json\"" replay "$base" --jsn
    refuse "no such directory" 1 2 "nowhere/config.yaml && No such file" replay "$scratch/nowhere"
    cp -r "$base" "$twin"
    sed -i 's/^  lr: 0.02$/  lr: 0.0200000001/' "$twin/config.yaml"
    refuse "a changed configuration" 1 3 "/twin/config.yaml: && not the configuration of the run" replay "$twin"
    { echo "# a remark" && cat "$base/config.yaml"; } >"$twin/config.yaml"
    run_well "a remark in it changes nothing" 1 replay "$twin"
    cp "$everyone"/events-*.jsonl "$twin"
    refuse "logs of another run" 1 3 "/twin/config.yaml: && events-0.jsonl" replay "$twin"
    cp "$base/events-0.jsonl" "$twin"
    refuse "one log of another run" 1 3 "/twin/events-1.jsonl:1: && not of one run" replay "$twin"
    # The same configuration twice: other meetings at other times.
    run_well "a run" 4 train "$config" "run.dir=$run"
    mv "$run" "$scratch/first"
    run_well "its twin" 4 train "$scratch/first/config.yaml"
    cp "$scratch/first/events-1.jsonl" "$run"
    run_ranks 1 replay "$run"
    check "one log of its twin is not taken for its own" test "$status" = 3 -o "$status" = 70
    run_well "a run in ideal time" 1 simulate "$config" "run.dir=$scratch/ideal" model.width=8
    refuse "a run in ideal time" 1 3 "ideal/events-0.jsonl:1: && simulate\.time=modelled" replay "$scratch/ideal"
    run_well "a run with a death" 1 simulate "$config" "run.dir=$scratch/death" model.width=8 simulate.time=modelled \
        graph.name=complete "inject.death=3 at 0.5"
    refuse "a run with a death" 1 3 "death/config.yaml: && inject\.death is \"3 at 0.5\"" replay "$scratch/death"
    run=$scratch/unrecorded
    run_well "a run without a record" 2 train "$config" "run.dir=$run" run.record=false train.epochs=0.5
    refuse "a run without a record" 1 3 "unrecorded/events-0.jsonl: No such file && run\.record" replay "$run"
    run_ranks 1 train "$config" "run.dir=$scratch/diverged" optimizer.lr=100 optimizer.clip_norm=0 \
        model.name=linear model.width=0 run.optimum=false
    check "a run that diverges" test "$status" = 2
    refuse "a run that failed" 1 3 "diverged/events-0.jsonl:[0-9]+: && did not end" replay "$scratch/diverged"
    "$grapevine" train "$config" "run.dir=$scratch/going-on" "inject.pause=0 0..100" >/dev/null 2>&1 &
    background=$!
    cleanups+=("kill -9 $background 2>/dev/null")
    until [ -e "$scratch/going-on/events-0.jsonl" ] || ! kill -0 "$background"; do sleep 0.05; done
    refuse "a run that goes on" 1 3 "going-on/events-0.jsonl: && ended before|no closing line" \
        replay "$scratch/going-on"
    kill -9 "$background"
    wait "$background" 2>/dev/null
}

base=$scratch/base
everyone=$scratch/everyone
${CC:-cc} -shared -fPIC -Iinclude -o "$scratch/digest.so" src/base/digest.c
# What is tampered with comes from the simulator, whose runs are the same every time.
run_well "a run to be tampered with" 1 simulate "$config" "run.dir=$base" model.width=8 simulate.time=modelled
replay_well base "$base"
run_well "another, all-reduce" 1 simulate "$config" "run.dir=$everyone" model.width=8 simulate.time=modelled \
    algorithm.name=allreduce train.workers=3
tamper "only the seal is new" "$base" seal '[log.put(0, grapevine="0.0.1") for log in logs]'
run_well "a sealed log is read as the run's own" 1 replay "$scratch/tampered"
check "another version is only warned of" grep -q 'warning: .*events-0.jsonl was written by Grapevine 0\.0\.1' \
    "$scratch/err"

# A part of the name of a test function as argument runs that one only.
for part in algorithms meetings others damage impossible differences directories; do
    case $part in *${1:-}*) "test_$part" ;; esac
done
finish
