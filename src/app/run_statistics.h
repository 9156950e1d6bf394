/* Means, deviations and differences of a few numbers, and how they are written. Numbers that are NAN are left out. */
#ifndef GRAPEVINE_SRC_APP_RUN_STATISTICS_H
#define GRAPEVINE_SRC_APP_RUN_STATISTICS_H

#include <stddef.h>

struct statistic {
    double mean;      /* NAN of none */
    double deviation; /* of the sample, with count − 1; NAN of fewer than two */
    size_t count;
};

struct statistic statistic_of(const double *values, size_t count);
/* Mean and deviation times `factor`. */
struct statistic statistic_scaled(struct statistic statistic, double factor);

/* Probability that two samples of one distribution have means at least this far apart: Welch's t-test (B. L. Welch, The
 * generalization of "Student's" problem when several different population variances are involved, Biometrika 34, 1947).
 * Where one side is a single number, the other side's deviation serves for both: a t-test with its count − 1 degrees of
 * freedom. NAN where neither side has two. */
double statistic_p_value(struct statistic a, struct statistic b);
/* Standard deviation of the difference of the two means, likewise. */
double statistic_difference_deviation(struct statistic a, struct statistic b);

/* P(|T| ≥ |t|) of Student's t distribution. */
double student_two_sided(double t, double degrees);

enum { STATISTIC_BYTES = 64 };
/* "86.73", four significant digits; decimals ≥ 0: with so many; "–" for NAN. Returns out. */
char *statistic_write_number(char out[STATISTIC_BYTES], double value, int decimals);
/* "86.73 ± 0.11", the deviation with two significant digits unless decimals ≥ 0; without it where there is none. */
char *statistic_write(char out[STATISTIC_BYTES], struct statistic statistic, int decimals);

#endif
