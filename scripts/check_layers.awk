# The rules of check_layers.sh, over all C files of the tree.
#
# Variables from outside: the tables layers, libraries and words, and all, the list of files.

function trim(text) {
    gsub(/^ +| +$/, "", text)
    return text
}

# Whether `path` begins with one of the words of `prefixes`.
function below(path, prefixes,    part, n, i) {
    n = split(prefixes, part, " ")
    for (i = 1; i <= n; i++)
        if (index(path, part[i]) == 1)
            return 1
    return 0
}

BEGIN {
    n = split(layers, rows, "\n")
    for (i = 1; i <= n; i++)
        if (split(rows[i], cell, "|") == 2)
            allowed[trim(cell[1])] = " " trim(cell[1]) " " trim(cell[2]) " "
    n = split(libraries, rows, "\n")
    for (i = 1; i <= n; i++)
        if (split(rows[i], cell, "|") == 2) {
            m = split(trim(cell[1]), name, " ")
            for (j = 1; j <= m; j++)
                library_paths[name[j]] = trim(cell[2])
        }
    n = split(words, rows, "\n")
    for (i = 1; i <= n; i++) {
        # The last two columns, since patterns have bars of their own.
        m = split(rows[i], cell, "|")
        if (m < 3)
            continue
        word_count++
        word_rule[word_count] = trim(cell[m])
        word_paths[word_count] = trim(cell[m - 1])
        pattern = cell[1]
        for (j = 2; j < m - 1; j++)
            pattern = pattern "|" cell[j]
        word_pattern[word_count] = trim(pattern)
    }
    n = split(all, file, "\n")
    for (i = 1; i <= n; i++)
        exists[file[i]] = 1
    system_headers = "^(assert|complex|ctype|errno|fenv|float|inttypes|limits|locale|math|setjmp|signal|stdalign" \
        "|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|strings|tgmath|threads|time" \
        "|wchar|wctype|dirent|dlfcn|execinfo|fcntl|fnmatch|ftw|getopt|glob|ifaddrs|libgen|malloc|netdb|omp|poll" \
        "|pthread|pwd|regex|sched|semaphore|spawn|sysexits|termios|unistd|cpuid|immintrin|x86intrin" \
        "|(sys|netinet|arpa|net|linux|asm)/[a-z0-9_]+)[.]h$"
}

FNR == 1 {
    IN_COMMENT = 0
    split(FILENAME, part, "/")
    layer = part[1] == "kernels" ? "kernels" : part[2]
    public = part[1] == "include"
    if (!(layer in allowed))
        report("no layer of this name: " layer)
}

# Before the words, since strings are what an include line is about.
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    check_own(quoted[2])
}

/^[ \t]*#[ \t]*include[ \t]*</ {
    split($0, quoted, /[<>]/)
    check_library(quoted[2])
}

{
    code = code_of($0)
    if (code ~ /[A-Za-z]/ && code !~ /^[ \t]*#[ \t]*include/)
        for (i = 1; i <= word_count; i++)
            if (has_word(code, word_pattern[i]) && !below(FILENAME, word_paths[i]))
                report(word_rule[i])
}

function check_own(path,    piece, target) {
    if (split(path, piece, "/") < 2) {
        report("\"" path "\": the include path names the layer (\"" layer "/" path "\")")
        return
    }
    target = piece[1]
    if (!(target in allowed)) {
        report("\"" path "\": no layer of this name: " target)
    } else if (index(allowed[layer], " " target " ") == 0) {
        report(layer " may not include " target ": \"" path "\"")
    } else if (!(("include/" path) in exists)) {
        if (!(("src/" path) in exists))
            report("\"" path "\": no such header")
        else if (public || layer != target)
            report("\"" path "\" is private to " target " (src/" target "/); its door is include/" target "/")
    }
}

function check_library(path,    name, known) {
    if (path ~ system_headers)
        return
    for (name in library_paths)
        if (index(path, name) == 1) {
            known = 1
            if (below(FILENAME, library_paths[name]))
                return
            known_paths = library_paths[name]
        }
    if (known)
        report("<" path "> belongs to " known_paths)
    else
        report("<" path "> is in no row of check_layers.sh's table of libraries: add it with the folder that owns it")
}

END { exit violations > 0 }
