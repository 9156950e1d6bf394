#!/usr/bin/env bash
# Every command explains itself, before it looks at anything else; and what messages and help advise is there.
# shellcheck source=tests/script_fixture.bash disable=SC2317  # the parts are called by name
. "$(dirname "$0")/../script_fixture.bash"

# The commands that the program says it has.
commands() {
    "$grapevine" --help | awk '$1 == "grapevine" { print $2 }'
}

# $1 name, $2 command, then arguments: its help, on standard output, and nothing else.
explains() {
    local name=$1 command=$2 wrong=""
    shift 2
    run_command "$grapevine" "$@"
    [ "$status" = 0 ] || wrong+="exit status $status; "
    [ ! -s "$scratch/err" ] || wrong+="says something on standard error; "
    grep -q "grapevine $command" "$scratch/out" || wrong+="does not show how it is used; "
    grep -q -- '--help' "$scratch/out" || wrong+="does not list its options; "
    [ "$(awk 'length > 120' "$scratch/out" | wc -l)" = 0 ] || wrong+="has long lines; "
    verdict "$name" "$wrong"
}

test_every_command() {
    local command
    check "there are commands" test "$(commands | wc -l)" -ge 10
    for command in $(commands); do
        explains "$command --help" "$command" "$command" --help
        explains "$command -h" "$command" "$command" -h
        explains "help $command" "$command" help "$command"
        explains "$command, last" "$command" --log nonsense "$command" nowhere.yaml nonsense --help
    done
    refuse "help of nothing" 1 2 'trian && train' help trian
    run_command "$grapevine" -h
    check "-h alone" grep -q 'grapevine train' "$scratch/out"
}

# The options that a refusal lists are those of the help.
test_options() {
    local words option
    for words in "graph ring" "gossip ring" "pack" "bench data $scratch/x" "eval x $scratch/x" "replay x" \
        "train $scratch/x" "simulate $scratch/x"; do
        read -ra words <<<"$words"
        run_command "$grapevine" "${words[@]}" --no-such-option
        check "${words[0]} refuses" test "$status" = 2
        for option in $(grep -oE '(^|[ (])--?[a-z][a-z-]*' "$scratch/err" | tr -d ' (' | grep -v no-such); do
            check "${words[0]} $option" grep -qE "^    $option( |\$)" <("$grapevine" "${words[0]}" --help)
        done
    done
}

test_ranks() {
    run_ranks 3 train --help
    check "ranks: status" test "$status" = 0
    check "ranks: once" test "$(grep -c 'grapevine train CONFIG' "$scratch/out")" = 1
}

# The reader of messages itself finds what is planted for it.
test_advice() {
    local planted=$scratch/planted/src/app
    check "what messages advise is there" "$PYTHON" tests/e2e/advice.py "$grapevine"
    mkdir -p "$planted"
    cat >"$planted/train_command.c" <<'SOURCE'
/* data.count in a comment is nobody's advice. */
log_error("set data.count, or train.on_nan=skipp" "; --resum auto, --rates best");
log_error("`grapevine explain` or scripts/no_such.sh; final.safetensors, %s.x, train.on_nan=skip");
SOURCE
    run_command "$PYTHON" tests/e2e/advice.py "$grapevine" "$scratch/planted"
    check "status" test "$status" = 1
    for said in 'no key data.count' 'train.on_nan is never skipp' 'no option --resum' 'no option --rates' \
        'no command explain' 'no scripts/no_such.sh'; do
        check "finds: $said" grep -qF "$said" "$scratch/out"
    done
    check "and no more" test "$(wc -l <"$scratch/out")" = 6
    refuse "too few for all" 1 2 'data.train_count' simulate configs/quickstart.yaml data.train_count=3 \
        data.partition=iid "run.dir=$scratch/never"
}

# "--option=~/file", where the shell does not replace the tilde.
test_tilde() {
    mkdir -p "$scratch/home/pack"
    HOME=$scratch/home run_command "$grapevine" pack '--verify=~/pack'
    check "tilde" grep -qF "$scratch/home/pack" "$scratch/err"
}

test_scripts() {
    local name
    for name in launch sweep reproduce; do
        run_command bash "scripts/$name.sh" --help
        check "scripts/$name.sh" grep -q "^  scripts/$name.sh" "$scratch/out"
        check "scripts/$name.sh: status" test "$status" = 0
    done
}

for part in test_every_command test_options test_ranks test_advice test_tilde test_scripts; do
    $part
done
finish
