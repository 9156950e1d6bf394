/* The families of graphs: their table, the counts of workers that each can have, and the edges of those that are
 * drawn without chance. Rates and connectivity are graph.c's. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "graph/graph_build.h"

struct family {
    const char *name;
    enum status (*build)(const struct graph_params *params, struct edge_list *list); /* for 3 workers or more */
    bool (*admits)(const struct graph_params *params, int worker_count);             /* NULL: any count */
    const char *rule; /* what a count must be to be admitted; a %d in it is graph.degree */
    double (*edges)(const struct graph_params *params); /* at most; NULL: no more than two a worker, never too many */
};

static enum status build_ring(const struct graph_params *params, struct edge_list *list)
{
    for (int i = 0; i < params->worker_count; i++)
        edge_list_add(list, i, (i + 1) % params->worker_count, 0);
    return STATUS_OK;
}

/* All pairs of the workers first, …, last − 1. */
static void add_clique(struct edge_list *list, int first, int last)
{
    for (int i = first; i < last; i++)
        for (int j = i + 1; j < last; j++)
            edge_list_add(list, i, j, 0);
}

static enum status build_complete(const struct graph_params *params, struct edge_list *list)
{
    add_clique(list, 0, params->worker_count);
    return STATUS_OK;
}

static enum status build_line(const struct graph_params *params, struct edge_list *list)
{
    for (int i = 0; i + 1 < params->worker_count; i++)
        edge_list_add(list, i, i + 1, 0);
    return STATUS_OK;
}

static enum status build_star(const struct graph_params *params, struct edge_list *list)
{
    for (int i = 1; i < params->worker_count; i++)
        edge_list_add(list, 0, i, 0);
    return STATUS_OK;
}

/* Rows of the most nearly square rectangle: the largest divisor of n up to √n, 1 for a prime. */
static int square_rows(int worker_count)
{
    int rows = 1;
    for (int d = 2; d * d <= worker_count; d++)
        if (worker_count % d == 0)
            rows = d;
    return rows;
}

static enum status build_torus(const struct graph_params *params, struct edge_list *list)
{
    int rows = square_rows(params->worker_count), columns = params->worker_count / rows;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            edge_list_add(list, r * columns + c, r * columns + (c + 1) % columns, 0);
            edge_list_add(list, r * columns + c, (r + 1) % rows * columns + c, 0);
        }
    return STATUS_OK;
}

static enum status build_grid(const struct graph_params *params, struct edge_list *list)
{
    int rows = square_rows(params->worker_count), columns = params->worker_count / rows;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            if (c + 1 < columns)
                edge_list_add(list, r * columns + c, r * columns + c + 1, 0);
            if (r + 1 < rows)
                edge_list_add(list, r * columns + c, (r + 1) * columns + c, 0);
        }
    return STATUS_OK;
}

static bool admits_hypercube(const struct graph_params *params, int worker_count)
{
    (void)params;
    return (worker_count & (worker_count - 1)) == 0;
}

static enum status build_hypercube(const struct graph_params *params, struct edge_list *list)
{
    for (int i = 0; i < params->worker_count; i++)
        for (int bit = 1; bit < params->worker_count; bit *= 2)
            if ((i & bit) == 0)
                edge_list_add(list, i, i | bit, 0);
    return STATUS_OK;
}

/* i and i ± 2^k mod n for 2^k < n; the minus side is the plus side of the other end. */
static enum status build_exponential(const struct graph_params *params, struct edge_list *list)
{
    for (int i = 0; i < params->worker_count; i++)
        for (int hop = 1; hop < params->worker_count; hop *= 2)
            edge_list_add(list, i, (i + hop) % params->worker_count, 0);
    return STATUS_OK;
}

static enum status build_tree(const struct graph_params *params, struct edge_list *list)
{
    for (int i = 1; i < params->worker_count; i++)
        edge_list_add(list, (i - 1) / 2, i, 0);
    return STATUS_OK;
}

static bool admits_barbell(const struct graph_params *params, int worker_count)
{
    (void)params;
    return worker_count % 2 == 0;
}

static enum status build_barbell(const struct graph_params *params, struct edge_list *list)
{
    int half = params->worker_count / 2;
    add_clique(list, 0, half);
    add_clique(list, half, 2 * half);
    edge_list_add(list, half - 1, half, 0);
    return STATUS_OK;
}

static bool admits_random_regular(const struct graph_params *params, int worker_count)
{
    return params->degree >= 2 && params->degree < worker_count && (params->degree % 2 == 0 || worker_count % 2 == 0);
}

static double edges_of_complete(const struct graph_params *params)
{
    return 0.5 * params->worker_count * (params->worker_count - 1.0);
}

static double edges_of_barbell(const struct graph_params *params)
{
    double half = 0.5 * params->worker_count;
    return half * (half - 1) + 1;
}

/* A hypercube has half as many, which no count that it admits brings above the bound. */
static double edges_of_exponential(const struct graph_params *params)
{
    return params->worker_count * ceil(log2(params->worker_count));
}

static double edges_of_random_regular(const struct graph_params *params)
{
    return 0.5 * params->worker_count * params->degree;
}

/* Six deviations more than the mean. */
static double edges_of_erdos_renyi(const struct graph_params *params)
{
    double mean = params->probability * edges_of_complete(params);
    return mean + 6 * sqrt(fmax(mean, 1));
}

/* One line a family: name, builder, counts that it admits, what these are, how many edges it has. */
#define GRAPH_FAMILIES(ROW)                                                                    \
    ROW("ring", build_ring, NULL, NULL, NULL)                                                  \
    ROW("complete", build_complete, NULL, NULL, edges_of_complete)                             \
    ROW("line", build_line, NULL, NULL, NULL)                                                  \
    ROW("star", build_star, NULL, NULL, NULL)                                                  \
    ROW("torus", build_torus, NULL, NULL, NULL)                                                \
    ROW("grid", build_grid, NULL, NULL, NULL)                                                  \
    ROW("hypercube", build_hypercube, admits_hypercube, "a power of two", NULL)                \
    ROW("exponential", build_exponential, NULL, NULL, edges_of_exponential)                    \
    ROW("tree", build_tree, NULL, NULL, NULL)                                                  \
    ROW("barbell", build_barbell, admits_barbell, "even", edges_of_barbell)                    \
    ROW("random-regular", graph_build_random_regular, admits_random_regular,                   \
        "greater than graph.degree = %d, which must be 2 or more, and even where that is odd", \
        edges_of_random_regular)                                                               \
    ROW("erdos-renyi", graph_build_erdos_renyi, NULL, NULL, edges_of_erdos_renyi)

#define AS_FAMILY(name, build, admits, rule, edges) {name, build, admits, rule, edges},
#define AS_NAME(name, build, admits, rule, edges) name,

static const struct family families[] = {GRAPH_FAMILIES(AS_FAMILY)};
static const char *const family_names[] = {GRAPH_FAMILIES(AS_NAME) NULL};

enum { FAMILY_COUNT = sizeof families / sizeof families[0] };

const char *const *graph_family_names(void)
{
    return family_names;
}

static const struct family *find_family(const char *name)
{
    for (int i = 0; i < FAMILY_COUNT; i++)
        if (strcmp(families[i].name, name) == 0)
            return &families[i];
    const char *nearest = text_nearest(name, family_names, FAMILY_COUNT);
    struct text known = {0};
    text_add_list(&known, family_names, FAMILY_COUNT);
    log_error("graph.name = %s: there is no such family%s%s%s; known: %s | file", name,
              nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "", nearest != NULL ? "?" : "",
              text_view(&known));
    text_release(&known);
    return NULL;
}

enum status graph_family_check(const char *name)
{
    return find_family(name) != NULL ? STATUS_OK : STATUS_USAGE;
}

/* The graphs of one and of two workers are the same in every family. */
static bool family_admits(const struct family *family, const struct graph_params *params, int worker_count)
{
    return worker_count <= 2 || family->admits == NULL || family->admits(params, worker_count);
}

static void report_count(const struct family *family, const struct graph_params *params)
{
    int below = params->worker_count, above = params->worker_count;
    while (!family_admits(family, params, below))
        below--;
    while (above <= GRAPH_WORKERS_MAX && !family_admits(family, params, above))
        above++;
    struct text text = {0};
    text_add(&text, "graph %s cannot have %d workers: the count must be ", family->name, params->worker_count);
    text_add(&text, family->rule, params->degree);
    if (above <= GRAPH_WORKERS_MAX)
        text_add(&text, "; the nearest counts are %d and %d", below, above);
    else
        text_add(&text, "; the nearest count is %d", below);
    log_error("%s", text_view(&text));
    text_release(&text);
}

enum status graph_family_build(const struct graph_params *params, struct edge_list *list)
{
    const struct family *family = find_family(params->name);
    if (family == NULL)
        return STATUS_USAGE;
    if (!family_admits(family, params, params->worker_count)) {
        report_count(family, params);
        return STATUS_USAGE;
    }
    if (params->worker_count > 2 && family->edges != NULL && family->edges(params) > GRAPH_EDGES_MAX) {
        log_error("graph %s: %d workers have up to %.4g edges; a graph has at most %d: take fewer workers or a sparser "
                  "graph",
                  family->name, params->worker_count, family->edges(params), GRAPH_EDGES_MAX);
        return STATUS_USAGE;
    }
    if (params->worker_count > 2)
        return family->build(params, list);
    if (params->worker_count == 2)
        edge_list_add(list, 0, 1, 0);
    return STATUS_OK;
}
