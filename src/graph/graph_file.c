/* Edge lists as people have them. A line is "a b" or "a b rate", separated by blanks, tabs, commas or semicolons; # and
 * % begin a comment. Also read: a line of names before all others, networkx' dictionaries ("0 1 {'weight': 0.5}"), and
 * MatrixMarket's coordinate format, which counts from 1. Every message names the file and the line. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "graph/graph_build.h"

static const char separators[] = " \t\r\n,;", remedy[] = "a line is 'a b' or 'a b rate'";

enum { WORDS_MAX = 4 };

struct file_edge {
    int a, b;      /* a < b */
    bool reversed; /* the line has them the other way round */
    double rate;   /* 0: the line has none */
    int line;
};

/* Of a MatrixMarket file. */
struct matrix {
    bool is_one, has_values;
    bool sized; /* the line of sizes has been read: */
    int64_t rows, entries, read;
};

struct edge_file {
    const char *path;        /* borrowed */
    struct file_edge *edges; /* owned, in the order of the lines until they are sorted */
    size_t count, capacity;
    bool begun; /* a line with something in it has been read */
    struct matrix matrix;
};

static enum status parse_id(const struct edge_file *file, int line, const char *word, int *id)
{
    int64_t value, first = file->matrix.is_one ? 1 : 0;
    if (!text_parse_int64(word, &value)) {
        log_error("%s:%d: '%.40s' is not a worker's number; %s", file->path, line, word, remedy);
        return STATUS_USAGE;
    }
    if (value < first || value - first >= GRAPH_WORKERS_MAX) {
        log_error("%s:%d: worker %lld does not exist; workers are numbered from %d, to %d at most", file->path, line,
                  (long long)value, (int)first, GRAPH_WORKERS_MAX - 1 + (int)first);
        return STATUS_USAGE;
    }
    *id = (int)(value - first);
    return STATUS_OK;
}

static enum status parse_rate(const struct edge_file *file, int line, const char *word, double *rate)
{
    if (!text_parse_double(word, rate)) {
        log_error("%s:%d: '%.40s' is not a rate; %s", file->path, line, word, remedy);
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
        edge.reversed = true;
    }
    file->edges[file->count++] = edge;
    return STATUS_OK;
}

/* Words of the content, which is cut up; returns how many, WORDS_MAX at most. */
static int split(char *content, char *words[WORDS_MAX])
{
    char *rest = NULL;
    int count = 0;
    for (char *word = strtok_r(content, separators, &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, separators, &rest))
        words[count++] = word;
    return count;
}

/* The value behind 'weight' or 'rate' in a dictionary of Python's or JSON's, without numpy's "np.float64(...)"; NULL:
 * neither is in it. Cuts the dictionary up. */
static char *find_weight(char *dictionary)
{
    static const char *const keys[] = {"'weight'", "\"weight\"", "'rate'", "\"rate\""};
    char *value = NULL;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0] && value == NULL; k++) {
        value = strstr(dictionary, keys[k]);
        value = value != NULL ? value + strlen(keys[k]) : NULL;
    }
    if (value == NULL)
        return NULL;
    value += strspn(value, " :");
    if (strncmp(value, "np.", 3) == 0 && strchr(value, '(') != NULL)
        value = strchr(value, '(') + 1;
    value[strcspn(value, ",) ")] = '\0';
    return value;
}

/* Take comment and dictionary off the content. *weight: what the dictionary has of a rate, or NULL. */
static enum status trim(const struct edge_file *file, int line, char *content, char **weight)
{
    size_t comment = strcspn(content, "#%"), brace = strcspn(content, "{");
    *weight = NULL;
    if (brace >= comment) {
        content[comment] = '\0';
        return STATUS_OK;
    }
    char *end = strrchr(content, '}');
    if (end == NULL || end[1 + strspn(end + 1, separators)] != '\0') {
        log_error("%s:%d: '%.40s' is not a dictionary that ends the line, as {'weight': 0.5}; %s", file->path, line,
                  content + brace, remedy);
        return STATUS_USAGE;
    }
    content[brace] = *end = '\0';
    *weight = find_weight(content + brace + 1);
    return STATUS_OK;
}

/* Names of columns: "source,target,weight". */
static bool is_header(char *const words[WORDS_MAX], int count)
{
    bool named = count == 2 || count == 3;
    for (int k = 0; k < count; k++)
        named = named && (isalpha((unsigned char)words[k][0]) || words[k][0] == '"');
    return named;
}

static enum status parse_edge(struct edge_file *file, int line, char *const words[WORDS_MAX], int count)
{
    struct file_edge edge = {.line = line};
    TRY(parse_id(file, line, words[0], &edge.a));
    if (count == 1) {
        log_error("%s:%d: worker %s has no second number beside it; %s", file->path, line, words[0], remedy);
        return STATUS_USAGE;
    }
    TRY(parse_id(file, line, words[1], &edge.b));
    if (count > 2)
        TRY(parse_rate(file, line, words[2], &edge.rate));
    if (count > 3) {
        log_error("%s:%d: '%.40s' is too much; %s", file->path, line, words[3], remedy);
        return STATUS_USAGE;
    }
    if (edge.a == edge.b) {
        log_error("%s:%d: self-loop: an edge joins two different workers, not %s with itself", file->path, line,
                  words[0]);
        return STATUS_USAGE;
    }
    return keep_edge(file, edge);
}

/* "rows columns entries" of a matrix. */
static enum status parse_sizes(struct edge_file *file, int line, char *const words[WORDS_MAX], int count)
{
    struct matrix *matrix = &file->matrix;
    int64_t columns;
    if (count != 3 || !text_parse_int64(words[0], &matrix->rows) || !text_parse_int64(words[1], &columns) ||
        !text_parse_int64(words[2], &matrix->entries) || matrix->rows != columns || columns < 1 ||
        columns > GRAPH_WORKERS_MAX) {
        log_error("%s:%d: not the sizes of a square matrix; rows, columns and entries are expected, such as 4 4 4",
                  file->path, line);
        return STATUS_USAGE;
    }
    matrix->sized = true;
    return STATUS_OK;
}

static enum status parse_entry(struct edge_file *file, int line, char *const words[WORDS_MAX], int count)
{
    struct matrix *matrix = &file->matrix;
    if (!matrix->sized)
        return parse_sizes(file, line, words, count);
    matrix->read++;
    if (count == (matrix->has_values ? 3 : 2))
        return parse_edge(file, line, words, count);
    log_error("%s:%d: an entry of this matrix is '%s'", file->path, line,
              matrix->has_values ? "row column value" : "row column");
    return STATUS_USAGE;
}

/* "%%MatrixMarket matrix coordinate pattern symmetric": what the matrix is like. */
static enum status parse_banner(struct edge_file *file, char *content)
{
    static const char *const kinds[] = {"pattern", "real", "integer"}, *const shapes[] = {"symmetric", "general"};
    char object[16] = "", format[16] = "", kind[16] = "", shape[16] = "";
    bool known_kind = false, known_shape = false;
    sscanf(content, "%*s %15s %15s %15s %15s", object, format, kind, shape);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        known_kind = known_kind || strcasecmp(kind, kinds[k]) == 0;
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++)
        known_shape = known_shape || strcasecmp(shape, shapes[k]) == 0;
    if (strcasecmp(object, "matrix") != 0 || strcasecmp(format, "coordinate") != 0 || !known_kind || !known_shape) {
        log_error(
            "%s:1: this MatrixMarket file is '%s %s %s %s'; a graph is 'matrix coordinate', then pattern, real or "
            "integer, then symmetric or general",
            file->path, object, format, kind, shape);
        return STATUS_USAGE;
    }
    file->matrix = (struct matrix){.is_one = true, .has_values = strcasecmp(kind, "pattern") != 0};
    return STATUS_OK;
}

static enum status parse_line(struct edge_file *file, int line, char *content)
{
    static const char banner[] = "%%MatrixMarket", byte_order_mark[] = "\xEF\xBB\xBF";
    char *words[WORDS_MAX], *weight;
    if (line == 1 && strncmp(content, byte_order_mark, strlen(byte_order_mark)) == 0)
        content += strlen(byte_order_mark);
    if (line == 1 && strncasecmp(content, banner, strlen(banner)) == 0)
        return parse_banner(file, content);
    TRY(trim(file, line, content, &weight));
    int count = split(content, words);
    if (count == 2 && weight != NULL)
        words[count++] = weight;
    bool first = count > 0 && !file->begun;
    file->begun = file->begun || count > 0;
    if (count == 0 || (first && is_header(words, count)))
        return STATUS_OK;
    return file->matrix.is_one ? parse_entry(file, line, words, count) : parse_edge(file, line, words, count);
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
    int needed = (int)file->matrix.rows;
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
    if (x->reversed != y->reversed)
        return x->reversed ? 1 : -1;
    return (x->line > y->line) - (x->line < y->line);
}

/* Two lines have the same edge: in both directions, with the same rate, they are one. */
static enum status check_pair(const struct edge_file *file, const struct file_edge *one, const struct file_edge *other)
{
    const struct file_edge *first = one->line < other->line ? one : other, *second = first == one ? other : one;
    int base = file->matrix.is_one;
    if (first->reversed == second->reversed) {
        log_error("%s:%d: duplicate: the edge of %d and %d stands on line %d already", file->path, second->line,
                  second->a + base, second->b + base, first->line);
        return STATUS_USAGE;
    }
    if (first->rate == second->rate)
        return STATUS_OK;
    log_error("%s:%d: the edge of %d and %d has rate %g here, and %g the other way round on line %d; edges have no "
              "direction: give the same rate twice, or one line",
              file->path, second->line, second->a + base, second->b + base, second->rate, first->rate, first->line);
    return STATUS_USAGE;
}

/* Sorts the edges; graph.c merges those that are alike. */
static enum status check_duplicates(struct edge_file *file)
{
    qsort(file->edges, file->count, sizeof *file->edges, compare_file_edges);
    for (size_t e = 1; e < file->count; e++) {
        const struct file_edge *before = &file->edges[e - 1], *edge = &file->edges[e];
        if (before->a == edge->a && before->b == edge->b)
            TRY(check_pair(file, before, edge));
    }
    return STATUS_OK;
}

/* A list that counts from 1, as Matlab and R do. */
static enum status check_origin(const struct edge_file *file)
{
    const struct file_edge *lowest = &file->edges[0];
    for (size_t e = 0; e < file->count; e++)
        if (file->edges[e].a < lowest->a)
            lowest = &file->edges[e];
    if (lowest->a == 0 || file->matrix.is_one)
        return STATUS_OK;
    log_error("%s:%d: the smallest number is %d here, and workers are numbered from 0; subtract %d from all",
              file->path, lowest->line, lowest->a, lowest->a);
    return STATUS_USAGE;
}

static enum status check_matrix(const struct edge_file *file)
{
    const struct matrix *matrix = &file->matrix;
    if (matrix->is_one && matrix->read != matrix->entries) {
        log_error("%s: %lld entries, and its line of sizes says %lld; it was cut off or changed by hand", file->path,
                  (long long)matrix->read, (long long)matrix->entries);
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

static enum status check_file(struct edge_file *file, int *worker_count)
{
    if (file->count == 0) {
        log_error("%s: the edge list is empty; %s", file->path, remedy);
        return STATUS_USAGE;
    }
    TRY(check_matrix(file));
    TRY(check_origin(file));
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
            edge_list_add(list, file.edges[e].a, file.edges[e].b, params->rate * file.edges[e].rate);
        *worker_count = count;
    }
    free(file.edges);
    return status;
}
