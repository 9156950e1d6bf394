# Shared by the source checks: C lines without comments and string contents. Not a parser.
#
# After code_of(line), IN_COMMENT says whether a block comment goes on in the next line; reset it at each file's start.

# Character literals first, so that '"' opens no string.
function code_of(line,    code, at, token) {
    code = ""
    while (line != "") {
        if (IN_COMMENT) {
            at = index(line, "*/")
            if (at == 0)
                return code
            line = substr(line, at + 2)
            IN_COMMENT = 0
            continue
        }
        if (!match(line, /'(\\.|[^\\'])*'|"(\\.|[^\\"])*"|\/\/|\/\*/))
            return code line
        token = substr(line, RSTART, 2)
        code = code substr(line, 1, RSTART - 1)
        if (token == "//")
            return code
        if (token == "/*")
            IN_COMMENT = 1
        else
            code = code "\"\""
        line = substr(line, RSTART + RLENGTH)
    }
    return code
}

# Whether `code` has `pattern` as a whole word (pattern: a regular expression that ends where the word may end).
function has_word(code, pattern) {
    return (" " code) ~ ("[^A-Za-z0-9_](" pattern ")")
}

function report(message) {
    printf "%s:%d: %s\n", FILENAME, FNR, message
    violations++
}
