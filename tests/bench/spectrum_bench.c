/* Seconds for chi1 and chi2 of each family at about WORKERS workers on one core, beside their relative error where a
 * closed form is known. Goal: 3 s each, errors below 1e-6.
 *
 *     spectrum_bench [WORKERS]      default 10000 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/stopwatch.h"
#include "graph/spectrum.h"

static const double pi = 3.14159265358979323846;

struct row {
    const char *name;
    int degree;
    double (*lambda2)(int n); /* at rate 1; NULL: no closed form */
};

static double ring(int n)
{
    return 1 - cos(2 * pi / n);
}

static double torus(int n)
{
    double side = sqrt(n);
    return (1 - cos(2 * pi / side)) / 2;
}

static double star(int n)
{
    return 0.5 * (1 + 1.0 / (n - 1));
}

static double hypercube(int n)
{
    return 2 / log2(n);
}

static const struct row rows[] = {
    {"ring", 0, ring},           {"line", 0, NULL},           {"tree", 0, NULL},           {"star", 0, star},
    {"torus", 0, torus},         {"grid", 0, NULL},           {"hypercube", 0, hypercube}, {"exponential", 0, NULL},
    {"random-regular", 4, NULL}, {"random-regular", 8, NULL},
};

static int size_for(const struct row *row, int n)
{
    if (row->lambda2 == hypercube)
        return 1 << (int)log2(n);
    int side = (int)sqrt(n);
    return row->lambda2 == torus ? side * side : n;
}

static int measure(const struct row *row, int n)
{
    struct graph_params params = {.name = row->name, .worker_count = n, .rate = 1, .degree = row->degree, .seed = 1};
    struct graph *graph = NULL;
    struct spectrum spectrum;
    if (graph_create(&params, &graph) != STATUS_OK)
        return 1;
    double begin = stopwatch_now();
    if (spectrum_compute(graph, &spectrum) != STATUS_OK)
        return 1;
    double seconds = stopwatch_now() - begin;
    printf("%-15s %2d %8d %9d %8.3f s (goal 3)  chi1 %-12.8g chi2 %-12.8g", row->name, row->degree, n,
           graph->edge_count, seconds, spectrum.chi1, spectrum.chi2);
    if (row->lambda2 != NULL)
        printf("  error of chi1 %.1e", fabs(spectrum.chi1 * row->lambda2(n) - 1));
    if (row->lambda2 != NULL && row->lambda2 != star) /* all edges alike: Foster */
        printf(", of chi2 %.1e", fabs(spectrum.chi2 * 2 * graph->edge_count * graph->edges[0].rate / (n - 1) - 1));
    puts("");
    graph_destroy(graph);
    return 0;
}

int main(int count, char **arguments)
{
    int n = count > 1 ? atoi(arguments[1]) : 10000, failed = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        failed |= measure(&rows[i], size_for(&rows[i], n));
    return failed;
}
