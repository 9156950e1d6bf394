/* What the GPU's benchmarks print: for every figure the median of the rounds, with the least and the largest, for
 * people and, on a line that begins with "figure", for scripts/gpu_check.sh. */
#ifndef GRAPEVINE_TESTS_GPU_FIGURES_H
#define GRAPEVINE_TESTS_GPU_FIGURES_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES_MOST = 256 };

/* What one quantity was in each round. Start with {0}. */
struct series {
    double values[SERIES_MOST];
    int count;
};

/* NAN (not measured in this round) is left out, as is what no longer fits. */
static inline void series_add(struct series *series, double value)
{
    if (!isnan(value) && series->count < SERIES_MOST)
        series->values[series->count++] = value;
}

static inline int series_compare(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

/* `share` in [0, 1] of the way from the least to the largest: 0.5 is the median; NAN where nothing was measured. */
static inline double series_quantile(const struct series *series, double share)
{
    double sorted[SERIES_MOST];
    if (series->count == 0)
        return NAN;
    memcpy(sorted, series->values, (size_t)series->count * sizeof sorted[0]);
    qsort(sorted, (size_t)series->count, sizeof sorted[0], series_compare);
    double at = share * (series->count - 1), below = floor(at);
    double next = sorted[(int)below + 1 < series->count ? (int)below + 1 : (int)below];
    return sorted[(int)below] + (at - below) * (next - sorted[(int)below]);
}

static inline double series_median(const struct series *series)
{
    return series_quantile(series, 0.5);
}

/* "31017 (30902 to 31103)", or "-" where nothing was measured. */
static inline char *series_text(const struct series *series, char out[96])
{
    if (series->count == 0)
        snprintf(out, 96, "-");
    else
        snprintf(out, 96, "%.5g (%.5g to %.5g)", series_median(series), series_quantile(series, 0),
                 series_quantile(series, 1));
    return out;
}

/* figure LABEL.NAME MEDIAN LEAST LARGEST GOAL, GOAL being ">=2.5", "<=1.03" or "-". Nothing that was not measured. */
static inline void figure_print(const char *label, const char *name, const struct series *series, const char *goal)
{
    if (series->count > 0)
        printf("figure %s.%s %.6g %.6g %.6g %s\n", label, name, series_median(series), series_quantile(series, 0),
               series_quantile(series, 1), goal);
}

#endif
