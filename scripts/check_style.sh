#!/usr/bin/env bash
# Checks what clang-format does not: lengths, first comments, header guards, words that do not belong in the repository.
#
#   scripts/check_style.sh [ROOT]         prints file:line and the rule that is broken; exit status 1 if any is
#   scripts/check_style.sh --self-test    builds a tree with one violation of every kind and checks that each is found
#
# Limits: lines 120 columns, functions 70 lines (signature to closing brace), files 600 lines.
set -euo pipefail
cd "$(dirname "$0")"
scripts=$PWD
cd ..

check_tree() {
    local files
    files=$(find include src kernels tests scripts configs .ci Makefile README.md -type f \
        \( -name '*.[ch]' -o -name '*.cu' -o -name '*.sh' -o -name '*.py' -o -name '*.awk' -o -name '*.mk' \
        -o -name '*.yaml' -o -name '*.md' -o -name Makefile -o -name Dockerfile -o -name '*.def' -o -path '.ci/*' \) \
        2>/dev/null | LC_ALL=C sort) || true # folders may be missing
    [ -n "$files" ] || return 0
    # shellcheck disable=SC2086  # one word per file: our names have no spaces
    LC_ALL=C awk -f "$scripts/c_lines.awk" -f "$scripts/check_style.awk" $files
}

# The file $1 of the self-test's tree holds the text $2 (printf escapes), which breaks the rule whose message has $3.
plant() {
    mkdir -p "$(dirname "$1")"
    printf '%b' "$2" >"$1"
    printf '%s|%s\n' "$1" "$3" >>expected
}

# $1 lines of filler.
filler() {
    seq "$1" | sed 's/.*/    f();/'
}

self_test() {
    local tree passed=0 failed=0 output marker long
    tree=$(mktemp -d)
    # shellcheck disable=SC2064  # the path of now
    trap "rm -rf '$tree'" EXIT
    cd "$tree"
    mkdir -p src/base include/base include/graph
    marker=TO
    long=$(printf '%0121d' 0)
    {
        printf '/* %s */\n' "$(printf 'χ%.0s' $(seq 114))"
        printf '#include "x.h"\n\nstruct a {\n    int b;\n};\n\nint long_enough(int a,\n                int b)\n{\n'
        filler 66
        printf '}\n'
    } >src/base/good.c
    printf '/* A. */\n#ifndef GRAPEVINE_BASE_GOOD_H\n#define GRAPEVINE_BASE_GOOD_H\n#endif\n' >include/base/good.h
    plant src/base/wide.c "/* $long */\n" 'columns'
    plant src/base/function.c "/* A. */\nint f(void)\n{\n$(filler 68)\n}\n" 'function f has 71 lines'
    plant src/base/file.c "/* A. */\n$(seq 600 | sed 's/.*/int a;/')\n" 'file has 601 lines'
    plant src/base/first.c '#include <a.h>\n' 'first line'
    plant include/graph/guard.h '/* A. */\n#ifndef GUARD_H\n#define GUARD_H\n#endif\n' \
        'header guard GRAPEVINE_GRAPH_GUARD_H'
    plant include/graph/none.h '/* A. */\nint a;\n' 'header guard GRAPEVINE_GRAPH_NONE_H'
    plant src/base/tab.c '/* A. */\n\tint a;\n' 'tab'
    plant src/base/blank.c '/* A. */\nint a; \n' 'blanks at the end'
    plant src/base/type.c '/* A. */\ntypedef struct a a;\n' 'typedef'
    plant src/base/todo.c "/* A. ${marker}DO: more */\n" 'finish it'
    plant scripts/a.sh "# A. FIX""ME\n" 'finish it'
    plant configs/a.yaml "dir: /wo""rk/main\n" 'path of one machine'
    plant README.md "See iss""ue #12.\n" 'tracker'
    output=$(check_tree) || true
    while IFS='|' read -r file rule; do
        if grep -F "$file:" <<<"$output" | grep -qF "$rule"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1)) && echo "self-test: not reported: $file: $rule"
        fi
    done <expected
    if [ "$(wc -l <<<"$output")" = "$(wc -l <expected)" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'self-test: %s lines for %s violations:\n%s\n' "$(wc -l <<<"$output")" "$(wc -l <expected)" "$output"
    fi
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}

case ${1:-} in
--self-test) self_test ;;
*) cd "${1:-.}" && check_tree ;;
esac
