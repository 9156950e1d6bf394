/* χ1 and χ2: which way to take, and the cases that need none. */
#include "graph/spectrum.h"

#include <math.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "graph/spectrum_parts.h"

/* Sizes where one way begins to be faster than another, or where it would no longer end (about half an hour, and
 * 3 GiB). Operations are multiply-adds. */
enum { DENSE_ALWAYS = 256, DENSE_MAX = 4096, EDGES_MAX = 1 << 26, ANALYZED_EDGES_MAX = 1 << 23, FEW_EDGES = 64 };
enum { CANDIDATES = 4 };
static const double wide_gap = 0.02;             /* μ_2 from which on the series is short, and its rounding small */
static const double direct_is_quick = 2e8;       /* operations, less than a second with the inverse */
static const double direct_max = 3e11;           /* operations */
static const double direct_entries_max = 1.2e8;  /* of the factor */
static const double iterative_max = 4e12;        /* operations in single precision, in blocks */
static const double iterative_per_direct = 20.0; /* such operations in the time of one of the factorization's */

/* --- iterative --- */

static void keep_largest(int *edges, int *count, const double *resistances, int edge)
{
    if (*count == CANDIDATES && !(resistances[edge] > resistances[edges[CANDIDATES - 1]]))
        return;
    int place = *count < CANDIDATES ? (*count)++ : CANDIDATES - 1;
    for (; place > 0 && resistances[edges[place - 1]] < resistances[edge]; place--)
        edges[place] = edges[place - 1];
    edges[place] = edge;
}

/* Of many representatives the series tells which may be the largest; those few are computed again in double. */
static enum status class_resistances(const struct laplacian *laplacian, double gap, const int *same_as, int class_count,
                                     double *resistances)
{
    int candidates[CANDIDATES], count = 0;
    if (class_count > FEW_EDGES) {
        chebyshev_resistances(laplacian, gap, same_as, resistances);
        for (int e = 0; e < laplacian->edge_count; e++)
            if (same_as[e] == e)
                keep_largest(candidates, &count, resistances, e);
        for (int k = 0; k < count; k++)
            TRY(iterate_resistance(laplacian, candidates[k], &resistances[candidates[k]]));
        return STATUS_OK;
    }
    for (int e = 0; e < laplacian->edge_count; e++)
        if (same_as[e] == e)
            TRY(iterate_resistance(laplacian, e, &resistances[e]));
    return STATUS_OK;
}

static enum status iterative_answer(const struct laplacian *laplacian, double gap, const int *same_as, int class_count,
                                    const struct spectrum_request *request)
{
    enum status status = STATUS_OK;
    double chi1 = 0, largest = 0;
    double *resistances = memory_zalloc((size_t)laplacian->edge_count, sizeof *resistances);
    if (request->chi1 != NULL)
        TRY_GOTO(iterate_chi1(laplacian, &chi1), free_resistances);
    if (request->chi2 != NULL || request->resistances != NULL)
        TRY_GOTO(class_resistances(laplacian, gap, same_as, class_count, resistances), free_resistances);
    for (int e = 0; e < laplacian->edge_count; e++) {
        largest = fmax(largest, resistances[same_as[e]]);
        if (request->resistances != NULL)
            request->resistances[e] = resistances[same_as[e]];
    }
    if (request->chi1 != NULL)
        *request->chi1 = chi1;
    if (request->chi2 != NULL)
        *request->chi2 = largest / 2;

free_resistances:
    free(resistances);
    return status;
}

/* --- the choice --- */

static enum status report_too_large(const struct laplacian *laplacian)
{
    log_error("graph %s: %d workers with %d edges are too many for chi1 and chi2, at most %d edges and about half an "
              "hour: take fewer workers, or fewer edges per worker, or a family whose edges are alike (ring, torus, "
              "hypercube, exponential)",
              laplacian->name, laplacian->worker_count, laplacian->edge_count, (int)EDGES_MAX);
    return STATUS_USAGE;
}

static bool fits(const struct factor *factor)
{
    return factor != NULL && factor_operations(factor) <= direct_max && factor_entries(factor) <= direct_entries_max;
}

/* A narrow gap is not for single precision. */
static double series_operations(const struct laplacian *laplacian, double gap, const int *same_as, int class_count)
{
    if (class_count <= FEW_EDGES)
        return 0;
    return gap < wide_gap ? INFINITY : chebyshev_operations(laplacian, gap, same_as);
}

/* The factorization where it is quick; then the iterations; then what else would end. `factor` may be NULL. */
static enum status choose(const struct laplacian *laplacian, struct factor *factor, double gap, const int *same_as,
                          int class_count, const struct spectrum_request *request)
{
    double direct = fits(factor) ? factor_operations(factor) : INFINITY;
    double limit = fmin(iterative_max, direct * iterative_per_direct);
    if (direct <= direct_is_quick)
        return factor_answer(factor, request);
    if (series_operations(laplacian, gap, same_as, class_count) <= limit)
        return iterative_answer(laplacian, gap, same_as, class_count, request);
    if (isfinite(direct))
        return factor_answer(factor, request);
    return laplacian->worker_count <= DENSE_MAX ? dense_answer(laplacian, request) : report_too_large(laplacian);
}

static enum status answer_large(const struct laplacian *laplacian, enum spectrum_way way,
                                const struct spectrum_request *request)
{
    enum status status;
    double gap;
    struct factor *factor = NULL;
    if (way == SPECTRUM_DIRECT) {
        factor = factor_create(laplacian);
        status = factor == NULL ? report_too_large(laplacian) : factor_answer(factor, request);
        factor_destroy(factor);
        return status;
    }
    int *same_as = memory_zalloc((size_t)laplacian->edge_count, sizeof *same_as);
    int class_count = edge_classes(laplacian, same_as);
    TRY_GOTO(gap_probe(laplacian, &gap), free_classes);
    if (way == SPECTRUM_ITERATIVE) {
        TRY_GOTO(gap_compute(laplacian, &gap), free_classes);
        status = iterative_answer(laplacian, gap, same_as, class_count, request);
        goto free_classes;
    }
    if (gap >= wide_gap && class_count > FEW_EDGES)
        TRY_GOTO(gap_compute(laplacian, &gap), free_classes);
    bool sparse = laplacian->edge_count < 3 * (laplacian->worker_count / 2);
    if ((sparse || gap < wide_gap) && laplacian->edge_count <= ANALYZED_EDGES_MAX)
        factor = factor_create(laplacian);
    status = choose(laplacian, factor, gap, same_as, class_count, request);
    factor_destroy(factor);

free_classes:
    free(same_as);
    return status;
}

enum status spectrum_answer(const struct laplacian *laplacian, enum spectrum_way way,
                            const struct spectrum_request *request)
{
    if (way == SPECTRUM_DENSE || (way == SPECTRUM_CHOSEN && laplacian->worker_count <= DENSE_ALWAYS))
        return dense_answer(laplacian, request);
    return answer_large(laplacian, way, request);
}

/* --- what callers see --- */

/* Before any of the Laplacian's own memory is taken. */
static bool is_too_large(const struct graph *graph)
{
    return graph->edge_count > EDGES_MAX;
}

static enum status answer_rates(const struct graph *graph, const double *rates, struct spectrum *out)
{
    if (graph->worker_count == 1) {
        *out = (struct spectrum){0};
        return STATUS_OK;
    }
    if (is_too_large(graph))
        return report_too_large(&(struct laplacian){
            .name = graph->name, .worker_count = graph->worker_count, .edge_count = graph->edge_count});
    enum status status = STATUS_OK;
    struct spectrum found = {.chi1 = INFINITY, .chi2 = INFINITY};
    struct spectrum_request request = {.chi1 = &found.chi1, .chi2 = &found.chi2};
    struct laplacian *laplacian = laplacian_create(graph, rates);
    if (laplacian_is_connected(laplacian))
        status = spectrum_answer(laplacian, SPECTRUM_CHOSEN, &request);
    if (status == STATUS_OK)
        *out = found;
    laplacian_destroy(laplacian);
    return status;
}

enum status spectrum_compute(const struct graph *graph, struct spectrum *out)
{
    return answer_rates(graph, NULL, out);
}

enum status spectrum_from_rates(const struct graph *graph, const double *rates, struct spectrum *out)
{
    return answer_rates(graph, rates, out);
}

/* Nobody ever meets: infinite resistances. Where some edges have a rate, these connect the graph. */
static bool is_silent(const struct graph *graph)
{
    for (int e = 0; e < graph->edge_count; e++)
        if (graph->edges[e].rate > 0)
            return false;
    return graph->edge_count > 0;
}

enum status spectrum_resistances(const struct graph *graph, double *resistances)
{
    if (is_silent(graph)) {
        for (int e = 0; e < graph->edge_count; e++)
            resistances[e] = INFINITY;
        return STATUS_OK;
    }
    if (graph->edge_count == 0)
        return STATUS_OK;
    if (is_too_large(graph))
        return report_too_large(&(struct laplacian){
            .name = graph->name, .worker_count = graph->worker_count, .edge_count = graph->edge_count});
    struct laplacian *laplacian = laplacian_create(graph, NULL);
    struct spectrum_request request = {.resistances = resistances};
    enum status status = spectrum_answer(laplacian, SPECTRUM_CHOSEN, &request);
    laplacian_destroy(laplacian);
    return status;
}

struct acid_constants acid_constants_from(const struct spectrum *spectrum)
{
    /* Without meetings x_tilde has nothing to carry: A²CiD² is then the plain method. */
    if (spectrum->chi1 == 0 || isinf(spectrum->chi1))
        return (struct acid_constants){.eta = 0, .alpha = 0.5, .alpha_tilde = 0.5};
    return (struct acid_constants){
        .eta = 1 / (2 * sqrt(spectrum->chi1 * spectrum->chi2)),
        .alpha = 0.5,
        .alpha_tilde = 0.5 * sqrt(spectrum->chi1 / spectrum->chi2),
    };
}

struct acid_constants acid_constants_given(const struct spectrum *spectrum, const struct acid_constants *given)
{
    struct acid_constants constants = acid_constants_from(spectrum);
    if (!isnan(given->eta))
        constants.eta = given->eta;
    if (!isnan(given->alpha))
        constants.alpha = given->alpha;
    if (!isnan(given->alpha_tilde))
        constants.alpha_tilde = given->alpha_tilde;
    if (spectrum->chi1 == 0)
        constants.eta = 0; /* a lone worker has no graph */
    return constants;
}
