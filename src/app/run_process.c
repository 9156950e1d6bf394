/* Processes as a lock lists them: which they are, and whether they still are. */
#include "app/run_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What /proc says of a process. */
struct seen {
    char state;
    uint64_t parent, start;
};

static bool read_stat(uint64_t process, struct seen *out)
{
    enum { START_FIELD = 22, PARENT_FIELD = 4, STATE_FIELD = 3 };
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)process);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';
    char *at = strrchr(line, ')'), *rest = NULL; /* the name before it may hold anything */
    int field = STATE_FIELD;
    for (char *word = at != NULL ? strtok_r(at + 1, " ", &rest) : NULL; word != NULL; field++) {
        if (field == STATE_FIELD)
            out->state = word[0];
        if (field == PARENT_FIELD)
            out->parent = strtoull(word, NULL, 10);
        if (field == START_FIELD)
            out->start = strtoull(word, NULL, 10);
        word = strtok_r(NULL, " ", &rest);
    }
    return field > START_FIELD;
}

/* Without blanks, so that it is one word of a line; "-" where nothing is known. */
static void make_word(char *text)
{
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ')
            *at = '_';
    if (text[0] == '\0')
        strcpy(text, "-");
}

static void find_machine(char *out, size_t size)
{
    char boot[40] = "", names[32] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file != NULL && fscanf(file, "%39s", boot) != 1)
        boot[0] = '\0';
    if (file != NULL)
        fclose(file);
    ssize_t length = readlink("/proc/self/ns/pid", names, sizeof names - 1);
    names[length > 0 ? length : 0] = '\0';
    if (boot[0] != '\0' && names[0] != '\0')
        snprintf(out, size, "%s/%s", boot, names);
    else
        out[0] = '\0';
}

void run_process_self(int rank, struct run_process *out)
{
    struct seen seen = {0};
    *out = (struct run_process){.rank = rank, .process = (uint64_t)getpid(), .parent = (uint64_t)getppid()};
    find_machine(out->machine, sizeof out->machine);
    if (!read_stat(out->process, &seen))
        out->machine[0] = '\0'; /* nobody could tell whether it is there */
    out->start = seen.start;
    gethostname(out->host, sizeof out->host - 1);
    make_word(out->machine);
    make_word(out->host);
}

bool run_process_same_machine(const struct run_process *a, const struct run_process *b)
{
    return strcmp(a->machine, "-") != 0 && strcmp(a->machine, b->machine) == 0;
}

enum run_process_state run_process_look(const struct run_process *process)
{
    struct seen seen;
    if (!read_stat(process->process, &seen) || seen.start != process->start || seen.state == 'Z' || seen.state == 'X')
        return RUN_PROCESS_GONE;
    return seen.parent == process->parent ? RUN_PROCESS_RUNS : RUN_PROCESS_ORPHAN;
}

void run_process_write(const struct run_process *process, struct text *out)
{
    text_add(out, "%d %llu %llu %llu %s %s\n", process->rank, (unsigned long long)process->process,
             (unsigned long long)process->start, (unsigned long long)process->parent, process->machine, process->host);
}

const char *run_process_read(const char *line, struct run_process *out)
{
    unsigned long long process, start, parent;
    int end = 0;
    *out = (struct run_process){0};
    if (sscanf(line, "%d %llu %llu %llu %79s %63s%n", &out->rank, &process, &start, &parent, out->machine, out->host,
               &end) != 6 ||
        line[end] != '\n')
        return NULL;
    out->process = process;
    out->start = start;
    out->parent = parent;
    return line + end + 1;
}
