# Checking the model of the pairing protocol with Spin, from scripts; sourced after tests/script_fixture.bash.
#
# The verifiers and what they found are kept in $BUILD/protocol/NAME: spin.out, pan.out, and after an error a trail,
# which `cd $BUILD/protocol/NAME && spin -t -p -g $(cat flags) pairing.pml` replays step by step.

protocol_folder=$BUILD/protocol
limit_s=${LIMIT_S:-300} # of one search, compilation included
memory_mib=1900         # of one search
optimization=-O1        # of a verifier: more costs more to compile than it saves in a search of a few seconds

have_spin() {
    command -v spin >/dev/null || { skip "the model of the pairing protocol" "spin is not installed"; return 1; }
}

# Build the verifier $1 with the model flags $2 and the optimization $3, and search; leaves $status and pan.out.
search() {
    local folder=$protocol_folder/$1 flags=() flag
    for flag in $2; do
        flags+=("-D$flag")
    done
    rm -rf "$folder"
    mkdir -p "$folder"
    cp tests/protocol/pairing*.pml "$folder"
    echo "${flags[*]}" >"$folder/flags"
    # shellcheck disable=SC2016  # expanded by the inner shell
    run_command bash -c '
        cd "$1" && shift && optimization=$1 memory_mib=$2 && shift 2 &&
        spin -a "$@" pairing.pml >spin.out 2>&1 || { cat spin.out; exit 1; }
        "${CC:-gcc}" "$optimization" -w -DSAFETY -DCOLLAPSE -DNOREDUCE -DMEMLIM="$memory_mib" -o pan pan.c || exit 1
        exec ./pan -m10000' search "$folder" "$3" "$memory_mib" "${flags[@]}"
    cp "$scratch/out" "$folder/pan.out"
    command_line="spin -a ${flags[*]} pairing.pml, and the search"
}

# The protocol keeps its promises with the flags $2, in every state.
holds() {
    local wrong="" out=$protocol_folder/$1/pan.out
    search "$1" "$2" "$optimization"
    if [ "$status" != 0 ]; then
        wrong="exit status $status"
    elif ! grep -q 'errors: 0$' "$out"; then
        wrong=$(grep -m 1 -E 'assertion violated|invalid end state|errors:' "$out")
    elif grep -qE 'Search not completed|max search depth too small|out of memory|VECTORSZ' "$out"; then
        wrong="the search is not complete"
    fi
    [ -n "$wrong" ] || printf 'holds: %-28s %s  (%s)\n' "$1" \
        "$(awk '/states, stored/ { n = $1 } /elapsed time/ { t = $4 } END { print n " states, " t " s" }' "$out")" "$2"
    verdict "$1 ($2)" "$wrong"
}

# A protocol with the mistake $1 fails, with the flags $2, and in an assertion that has the text $3.
fails() {
    local name=mutant-$1 wrong="" found
    search "$name" "MUTANT_$1 $2" -O0
    found=$(grep -m 1 'assertion violated' "$protocol_folder/$name/pan.out" 2>/dev/null)
    if [ -z "$found" ]; then
        wrong="the mistake is not found (exit status $status)"
    elif ! grep -qF -- "$3" <<<"$found"; then
        wrong="found otherwise than by $3: $found"
    fi
    verdict "$name ($2)" "$wrong"
}

# Every mistake that somebody has made, or might: what it is, where it shows, and which promise it breaks.
every_mutant_fails() {
    local two="WORKERS=2 ATTEMPTS=2 CUTS=1 TIME_LIMIT=ANY"
    # Cuts. Words without the number, a number that is not heeded, or only after the reaction; edges that are not
    # marked; a granter that takes a meeting for one before its cut although COMMIT says otherwise.
    local sets_differ='recorded['
    fails NO_CUT_IN_WORDS "$two" "$sets_differ"
    fails NO_CUT_ON_READING "$two" "$sets_differ"
    fails CUT_AFTER_REACTING "$two" "$sets_differ"
    fails NOTHING_OUTSTANDING "$two" "$sets_differ"
    fails GRANTED_NOT_OUTSTANDING "$two" "$sets_differ"
    fails EXCHANGING_NOT_OUTSTANDING "$two" "$sets_differ"
    fails COMMIT_NUMBER_IGNORED "$two" "$sets_differ"
    # One side drops a debt; a parked grant is withdrawn; COMMIT after CANCEL.
    local not_both='applied[((a*2)+b)]==applied[((b*2)+a)]' slot_not_kept='record[((j*2)+i)]==seen_slot'
    fails ANNUL "$two" "$not_both"
    fails REVOKE "$two" "$slot_not_kept"
    fails LATE_COMMIT "$two" "$slot_not_kept"
    # Both crossing asks grant; every ask is deferred while engaged; a word overwritten before it was read is waited
    # for; a parked grant is not completed while engaged elsewhere.
    local never_idle='state[((a*'
    fails SYMMETRIC "WORKERS=2 ATTEMPTS=1 CUTS=0 TIME_LIMIT=NEVER" "$never_idle"
    fails DEFER_ALL "WORKERS=3 ATTEMPTS=1 CUTS=0 TIME_LIMIT=NEVER" "$never_idle"
    fails NO_INFERENCE "$two" "$never_idle"
    fails ONE_AT_A_TIME "WORKERS=4 DIRECTED ATTEMPTS=1 CUTS=0 TIME_LIMIT=ANY GIVEN_UP_MAX=2" "$never_idle"
    # Words without end; a slot believed because something lies in it; a record given away before it is drained.
    fails NO_ACKNOWLEDGEMENT "WORKERS=2 ATTEMPTS=7 CUTS=0 TIME_LIMIT=ANY" 'q_full'
    fails NO_TAG "WORKERS=2 ATTEMPTS=3 CUTS=0 TIME_LIMIT=ANY" 'payload_attempt[((j*2)+i)]==attempt'
    fails EARLY_FREE "WORKERS=2 ATTEMPTS=3 CUTS=0 TIME_LIMIT=ANY" 'busy['
}

# The enumerators "NAME value" of edges, words and records, and "rule EDGE_STATE" of the 16 rules.
names_of_program() {
    cat src/runtime/mpi/pairing.[hc] | tr '\n' ' ' |
        grep -oE 'enum (pairing_edge_state|word_kind|pairing_record_state) \{[^}]*\}' | sed 's/.*{//; s/}//' |
        awk '{ value = 0
               count = split($0, item, ",")
               for (k = 1; k <= count; k++) {
                   gsub(/ /, "", item[k])
                   if (split(item[k], part, "=") == 2) value = part[2]
                   if (item[k] != "") print part[1], value++
               } }'
    sed -nE 's/^ \* +([0-9]+)  ([A-Z]+)  .*/\1 EDGE_\2/p' src/runtime/mpi/pairing.c
}

names_of_model() {
    sed -nE 's/^#define ((EDGE|WORD|RECORD)_[A-Z]+ [0-9]+)$/\1/p' tests/protocol/pairing.pml
    sed -nE 's/.*RULE\(([0-9]+), (EDGE_[A-Z]+),.*/\1 \2/p' tests/protocol/pairing.pml
}

# The model is one of this program: the same states, kinds of words and rules. But for EDGE_CLOSED, which is no state of
# the protocol: a neighbor that MPI has declared dead is left out for ever (pairing_network_test.c has that).
names_agree() {
    local difference count
    count=$(names_of_program | grep -v '^EDGE_CLOSED' | grep -c .)
    difference=$(diff <(names_of_program | grep -v '^EDGE_CLOSED' | sort) <(names_of_model | sort)) || true
    [ "$count" = 29 ] || difference+=" pairing.[hc] names $count states, kinds and rules, not 29"
    verdict "pairing.c and its model have the same names" "$difference"
}
