# The rules of check_style.sh, over all text files of the tree.

BEGIN {
    LINE_MAX = 120
    FUNCTION_MAX = 70
    FILE_MAX = 600
}

# Columns of a UTF-8 line: its bytes without the continuation bytes.
function columns(line) {
    gsub(/[\200-\277]/, "", line)
    return length(line)
}

# GRAPEVINE_<LAYER>_<NAME>_H; a private header may carry its folders too, src among them.
function guard_fits(name,    part, n, layer, base, whole) {
    n = split(FILENAME, part, /[\/.]/)
    layer = part[1] == "include" || part[1] == "src" ? part[2] : part[1]
    base = part[n - 1]
    whole = FILENAME
    sub(/^include\//, "", whole)
    gsub(/[\/.-]/, "_", whole)
    guard = "GRAPEVINE_" toupper(layer "_" base) "_H"
    whole = "GRAPEVINE_" toupper(whole)
    if (name == guard || name == whole)
        return 1
    sub(/_SRC_/, "_", whole)
    return name == whole
}

function report_at(file, line, message) {
    printf "%s:%d: %s\n", file, line, message
    violations++
}

function finish_file() {
    if (is_code && previous_lines > FILE_MAX)
        report_at(previous, previous_lines, "file has " previous_lines " lines, at most " FILE_MAX ": split it")
    if (want_guard)
        report_at(previous, 1, "header guard " guard " is missing or named otherwise")
}

FNR == 1 {
    if (previous != "")
        finish_file()
    previous = FILENAME
    is_c = FILENAME ~ /[.](c|h|cu)$/
    is_code = is_c || FILENAME ~ /[.](sh|py|awk)$/
    is_header = FILENAME ~ /[.]h$/
    want_guard = is_header
    if (is_header)
        guard_fits("")
    IN_COMMENT = 0
    signature = 0
    open = 0
    if (is_c && $0 !~ /^(\/\*|\/\/)/)
        report("the first line is a comment that says what the file is")
}

{ previous_lines = FNR }

length($0) > LINE_MAX && FILENAME !~ /[.]md$/ && columns($0) > LINE_MAX {
    report("line has " columns($0) " columns, at most " LINE_MAX)
}

/[ \t]$/ { report("blanks at the end of the line") }

/(^|[^A-Za-z0-9_])(TODO|FIXM[E]|XX[X])([^A-Za-z0-9_]|$)/ && FILENAME !~ /check_style[.]awk$/ {
    report("an open end: finish it, or leave it to the tracker")
}

/(^|[^A-Za-z0-9_.}$)])\/(wor[k]|home\/[a-z]+|Users)\// { report("a path of one machine") }

/(^|[^A-Za-z0-9_])[Ii]ssue #?[0-9]/ { report("the tracker's numbers stay in the tracker: say what it is about") }

!is_c { next }

/\t/ { report("a tab: indent by 4 spaces") }

want_guard && /^#ifndef / {
    if (guard_fits($2))
        want_guard = 0
}

{ code = code_of($0) }

code ~ /(^|[^A-Za-z0-9_])typedef +(struct|union) / && code !~ /[(]/ { report("typedef of a struct: write struct out") }

# A function: its signature starts at the left edge, its braces stand alone there.
code ~ /^[A-Za-z_]/ && !open {
    if (!signature) {
        signature = FNR
        name = code
        sub(/ *[(].*/, "", name)
        sub(/.*[ *]/, "", name)
    }
}

!open && code ~ /[;}] *$/ { signature = 0 }

code == "{" { open = signature ? signature : FNR }

code == "}" && open {
    if (FNR - open + 1 > FUNCTION_MAX)
        report_at(FILENAME, open, "function " name " has " FNR - open + 1 " lines, at most " FUNCTION_MAX)
    open = 0
    signature = 0
}

END {
    if (previous != "")
        finish_file()
    exit violations > 0
}
