# Training runs in the background, that scripts send signals to; sourced after tests/script_fixture.bash. The script sets
# `config`.

# Start a run in the background: $1 ranks, $2 its directory, keys and options.
start() {
    local ranks=$1 directory=$2 words=()
    shift 2
    [ "$ranks" = 1 ] || read -ra words <<<"$launcher -n $ranks"
    "${words[@]}" "$grapevine" train "$config" "run.dir=$directory" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null &
    running=$!
    command_line="train on $ranks ranks: $*"
}

# Lines that rank $2 of the run in $1 has told.
lines_of() {
    if [ -e "$1/metrics-$2.jsonl" ]; then wc -l <"$1/metrics-$2.jsonl"; else echo 0; fi
}

# Wait until rank $2 of the run in $1 has told of more than it had: $3 lines.
wait_for_lines() {
    until [ "$(lines_of "$1" "$2")" -gt "$3" ] || ! kill -0 "$running" 2>/dev/null; do
        sleep 0.02
    done
}

# Signal $1 to rank $2 (or "all") of the running job of $3 ranks.
send() {
    local signal=$1 which=$2 ranks=$3 processes
    if [ "$ranks" = 1 ]; then
        kill -s "$signal" "$running"
        return
    fi
    mapfile -t processes < <(pgrep -P "$running" -f 'grapevine train')
    if [ "$which" = all ]; then
        kill -s "$signal" "${processes[@]}"
    else
        kill -s "$signal" "${processes[$which]}"
    fi
}

# A run that depends on nothing but its seed ends in the same bits, in parts or without a stop: $1 ranks, algorithm $2,
# more keys of the run without a stop. The script's `in_parts` DIRECTORY RANKS KEYS runs it in parts.
ends_in_the_same_bits() {
    local ranks=$1 name=$2
    shift 2
    run_well "$name on $ranks, without a stop" "$ranks" train "$config" "run.dir=$scratch/whole-$name" \
        "algorithm.name=$name" "$@"
    in_parts "$scratch/parts-$name" "$ranks" "algorithm.name=$name"
    check "$name on $ranks: the same model" cmp "$scratch/whole-$name/final.safetensors" \
        "$scratch/parts-$name/final.safetensors"
    check "$name on $ranks: the same curves" "$PYTHON" tests/e2e/inspect_run.py curves "$scratch/whole-$name" \
        "$scratch/parts-$name" 0
}

# Let the run in $1 go for $2 s, stop one of its processes for $3 s, let all go on for $4 s, and ask it to leave. Sets
# `status`, and `stopped_between`: when that was, in seconds of the run's time. Ranks are found by their command line,
# wherever the launcher has put them.
stop_a_rank() {
    local run=$1 begin_s pids begin end
    until [ -s "$run/metrics-3.jsonl" ] || ! kill -0 "$running" 2>/dev/null; do sleep 0.05; done
    begin_s=$("$PYTHON" -c 'import json, sys, time
print(time.time() - json.loads(open(sys.argv[1]).readlines()[-1])["time"])' "$run/metrics-3.jsonl")
    sleep "$2"
    mapfile -t pids < <(pgrep -f "^$grapevine train .*run.dir=$run( |$)")
    begin=$("$PYTHON" -c 'import sys, time; print(time.time() - float(sys.argv[1]))' "$begin_s")
    kill -STOP "${pids[2]}"
    sleep "$3"
    kill -CONT "${pids[2]}"
    end=$("$PYTHON" -c 'import sys, time; print(time.time() - float(sys.argv[1]))' "$begin_s")
    sleep "$4"
    kill -TERM "${pids[0]}"
    wait "$running"
    status=$?
    stopped_between="$begin $end"
}
