/* Edge-list files: "a b" or "a b rate" a line, # starts a comment. Every message names the file and the line. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "graph/graph_build.h"

struct file_edge {
    int a, b;    /* a < b */
    double rate; /* 0: the line has none */
    int line;
};

struct edge_file {
    const char *path;        /* borrowed */
    struct file_edge *edges; /* owned, in the order of the lines until they are sorted */
    size_t count, capacity;
};

static enum status parse_id(const struct edge_file *file, int line, const char *word, int *id)
{
    int64_t value;
    if (!text_parse_int64(word, &value)) {
        log_error("%s:%d: '%.40s' is not a worker's number; a line is 'a b' or 'a b rate'", file->path, line, word);
        return STATUS_USAGE;
    }
    if (value < 0 || value >= GRAPH_WORKERS_MAX) {
        log_error("%s:%d: worker %lld does not exist; workers are numbered from 0, to %d at most", file->path, line,
                  (long long)value, GRAPH_WORKERS_MAX - 1);
        return STATUS_USAGE;
    }
    *id = (int)value;
    return STATUS_OK;
}

static enum status parse_rate(const struct edge_file *file, int line, const char *word, double *rate)
{
    if (!text_parse_double(word, rate)) {
        log_error("%s:%d: '%.40s' is not a rate; a line is 'a b' or 'a b rate'", file->path, line, word);
        return STATUS_USAGE;
    }
    if (!(*rate > 0) || !isfinite(*rate)) {
        log_error("%s:%d: rate %.40s: it must be a finite number greater than 0; leave an edge that never meets out",
                  file->path, line, word);
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

static enum status keep_edge(struct edge_file *file, struct file_edge edge)
{
    if (file->count == GRAPH_EDGES_MAX) {
        log_error("%s:%d: one edge too many: a graph has at most %d", file->path, edge.line, GRAPH_EDGES_MAX);
        return STATUS_USAGE;
    }
    if (file->count == file->capacity) {
        file->capacity = file->capacity > 0 ? 2 * file->capacity : 64;
        file->edges = memory_realloc(file->edges, file->capacity, sizeof *file->edges);
    }
    if (edge.a > edge.b) {
        int swap = edge.a;
        edge.a = edge.b;
        edge.b = swap;
    }
    file->edges[file->count++] = edge;
    return STATUS_OK;
}

static enum status parse_line(struct edge_file *file, int line, char *content)
{
    char *words[4], *rest = NULL;
    int word_count = 0;
    content[strcspn(content, "#")] = '\0';
    for (char *word = strtok_r(content, " \t\r\n", &rest); word != NULL && word_count < 4;
         word = strtok_r(NULL, " \t\r\n", &rest))
        words[word_count++] = word;
    if (word_count == 0)
        return STATUS_OK;

    struct file_edge edge = {.line = line};
    TRY(parse_id(file, line, words[0], &edge.a));
    if (word_count == 1) {
        log_error("%s:%d: worker %d has no second number beside it; a line is 'a b' or 'a b rate'", file->path, line,
                  edge.a);
        return STATUS_USAGE;
    }
    TRY(parse_id(file, line, words[1], &edge.b));
    if (word_count > 2)
        TRY(parse_rate(file, line, words[2], &edge.rate));
    if (word_count > 3) {
        log_error("%s:%d: '%.40s' is too much; a line is 'a b' or 'a b rate'", file->path, line, words[3]);
        return STATUS_USAGE;
    }
    if (edge.a == edge.b) {
        log_error("%s:%d: self-loop: an edge joins two different workers, not %d with itself", file->path, line,
                  edge.a);
        return STATUS_USAGE;
    }
    return keep_edge(file, edge);
}

static enum status read_lines(struct edge_file *file, FILE *stream)
{
    enum status status = STATUS_OK;
    char *content = NULL;
    size_t capacity = 0;
    errno = 0;
    ssize_t length;
    for (int line = 1; status == STATUS_OK && (length = getline(&content, &capacity, stream)) >= 0; line++) {
        if (strlen(content) == (size_t)length) {
            status = parse_line(file, line, content);
        } else {
            log_error("%s:%d: a zero byte: this is not a text file", file->path, line);
            status = STATUS_USAGE;
        }
    }
    if (status == STATUS_OK && ferror(stream)) {
        log_error("%s: cannot be read: %s", file->path, strerror(errno));
        status = STATUS_USAGE;
    }
    free(content);
    return status;
}

/* An edge list fits one number of workers: its largest id + 1. Sets it where the caller left it open (0). */
static enum status check_worker_count(const struct edge_file *file, int *worker_count)
{
    int needed = 0;
    for (size_t e = 0; e < file->count; e++)
        needed = file->edges[e].b + 1 > needed ? file->edges[e].b + 1 : needed;
    if (*worker_count == 0)
        *worker_count = needed;
    for (size_t e = 0; e < file->count; e++)
        if (file->edges[e].b >= *worker_count) {
            log_error("%s:%d: worker %d does not exist: this run has %d workers, numbered from 0; the file needs %d",
                      file->path, file->edges[e].line, file->edges[e].b, *worker_count, needed);
            return STATUS_USAGE;
        }
    if (*worker_count > needed) {
        log_error("%s: the edge list has workers 0 to %d, so worker%s %d of this run's %d would meet nobody; start %d "
                  "workers or add edges",
                  file->path, needed - 1, *worker_count > needed + 1 ? "s from" : "", needed, *worker_count, needed);
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

static enum status check_rates(const struct edge_file *file)
{
    for (size_t e = 1; e < file->count; e++)
        if ((file->edges[e].rate > 0) != (file->edges[0].rate > 0)) {
            bool has = file->edges[e].rate > 0;
            log_error("%s:%d: this edge has %s rate, but that of line %d has %s; give a rate to all edges or to none",
                      file->path, file->edges[e].line, has ? "a" : "no", file->edges[0].line, has ? "none" : "one");
            return STATUS_USAGE;
        }
    return STATUS_OK;
}

static int compare_file_edges(const void *left, const void *right)
{
    const struct file_edge *x = left, *y = right;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    if (x->b != y->b)
        return x->b < y->b ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

static enum status check_duplicates(struct edge_file *file)
{
    qsort(file->edges, file->count, sizeof *file->edges, compare_file_edges);
    for (size_t e = 1; e < file->count; e++) {
        const struct file_edge *first = &file->edges[e - 1], *second = &file->edges[e];
        if (first->a == second->a && first->b == second->b) {
            log_error("%s:%d: duplicate: the edge of %d and %d stands on line %d already; edges have no direction",
                      file->path, second->line, second->a, second->b, first->line);
            return STATUS_USAGE;
        }
    }
    return STATUS_OK;
}

static enum status check_file(struct edge_file *file, int *worker_count)
{
    if (file->count == 0) {
        log_error("%s: the edge list is empty; each line is 'a b' or 'a b rate'", file->path);
        return STATUS_USAGE;
    }
    TRY(check_worker_count(file, worker_count));
    TRY(check_rates(file));
    return check_duplicates(file);
}

enum status graph_file_read(const struct graph_params *params, struct edge_list *list, int *worker_count)
{
    struct edge_file file = {.path = params->file};
    if (params->file == NULL || *params->file == '\0') {
        log_error("graph.name = file, but graph.file is not set; name an edge list there");
        return STATUS_USAGE;
    }
    struct stat info;
    FILE *stream = NULL;
    bool endless = stat(params->file, &info) == 0 && S_ISCHR(info.st_mode); /* /dev/zero */
    if (endless || (stream = fopen(params->file, "r")) == NULL) {
        log_error("graph.file = %s: cannot be opened: %s", params->file, endless ? "not a file" : strerror(errno));
        return STATUS_USAGE;
    }
    int count = params->worker_count;
    enum status status = read_lines(&file, stream);
    fclose(stream);
    if (status == STATUS_OK)
        status = check_file(&file, &count);
    if (status == STATUS_OK) {
        for (size_t e = 0; e < file.count; e++)
            edge_list_add(list, file.edges[e].a, file.edges[e].b, file.edges[e].rate);
        *worker_count = count;
    }
    free(file.edges);
    return status;
}
