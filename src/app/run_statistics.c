/* Small statistics. */
#include "app/run_statistics.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct statistic statistic_of(const double *values, size_t count)
{
    struct statistic statistic = {.deviation = NAN};
    double sum = 0, squares = 0;
    for (size_t k = 0; k < count; k++)
        if (!isnan(values[k])) {
            sum += values[k];
            statistic.count++;
        }
    statistic.mean = sum / (double)statistic.count; /* NAN of none */
    for (size_t k = 0; k < count; k++)
        if (!isnan(values[k]))
            squares += (values[k] - statistic.mean) * (values[k] - statistic.mean);
    if (statistic.count > 1)
        statistic.deviation = sqrt(squares / (double)(statistic.count - 1));
    return statistic;
}

struct statistic statistic_scaled(struct statistic statistic, double factor)
{
    statistic.mean *= factor;
    statistic.deviation *= fabs(factor);
    return statistic;
}

/* The continued fraction of the regularised incomplete beta function (Lentz's method; W. H. Press and others, Numerical
 * Recipes, 6.4): converges fast for x < (a + 1)/(a + b + 2). */
static double beta_fraction(double a, double b, double x)
{
    enum { TERMS_MAX = 500 };
    const double tiny = 1e-300, close = 1e-15;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double fraction = d;
    for (int m = 1; m <= TERMS_MAX; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        double factor = 1;
        for (int half = 0; half < 2; half++) {
            double term = half == 0 ? even : odd;
            d = 1 + term * d;
            c = 1 + term / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            factor = d * c;
            fraction *= factor;
        }
        if (fabs(factor - 1) < close)
            break;
    }
    return fraction;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double student_two_sided(double t, double degrees)
{
    return isinf(t) ? 0 : incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t));
}

double statistic_difference_deviation(struct statistic a, struct statistic b)
{
    double of_a = a.count > 1 ? a.deviation : b.deviation, of_b = b.count > 1 ? b.deviation : a.deviation;
    return sqrt(of_a * of_a / (double)a.count + of_b * of_b / (double)b.count);
}

double statistic_p_value(struct statistic a, struct statistic b)
{
    double deviation = statistic_difference_deviation(a, b), difference = a.mean - b.mean;
    if (isnan(deviation) || isnan(difference))
        return NAN;
    if (difference == 0 || deviation == 0)
        return difference == 0 ? 1 : 0;
    double degrees = (double)(a.count > 1 ? a.count : b.count) - 1;
    if (a.count > 1 && b.count > 1) {
        double va = a.deviation * a.deviation / (double)a.count, vb = b.deviation * b.deviation / (double)b.count;
        degrees = (va + vb) * (va + vb) / (va * va / (double)(a.count - 1) + vb * vb / (double)(b.count - 1));
    }
    return student_two_sided(difference / deviation, degrees);
}

static int exponent_of(double value)
{
    return value != 0 && isfinite(value) ? (int)floor(log10(fabs(value))) : 0;
}

/* It reads best with an exponent. */
static bool is_extreme(double value)
{
    return value != 0 && (fabs(value) < 1e-3 || fabs(value) >= 1e7);
}

char *statistic_write_number(char out[STATISTIC_BYTES], double value, int decimals)
{
    enum { DIGITS = 4 };
    int digits = DIGITS - 1 - exponent_of(value);
    if (isnan(value))
        return strcpy(out, "–");
    if (decimals < 0 && value == 0)
        return strcpy(out, "0");
    if (decimals < 0 && is_extreme(value))
        snprintf(out, STATISTIC_BYTES, "%.2e", value);
    else
        snprintf(out, STATISTIC_BYTES, "%.*f", decimals >= 0 ? decimals : digits > 0 ? digits : 0, value);
    return out;
}

char *statistic_write(char out[STATISTIC_BYTES], struct statistic statistic, int decimals)
{
    double deviation = statistic.deviation;
    bool nothing = decimals < 0 && statistic.mean == 0 && deviation == 0;
    if (isnan(deviation) || isnan(statistic.mean) || nothing)
        return statistic_write_number(out, statistic.mean, decimals);
    if (decimals < 0 && is_extreme(statistic.mean)) {
        snprintf(out, STATISTIC_BYTES, "%.2e ± %.1e", statistic.mean, deviation);
        return out;
    }
    if (decimals < 0) {
        enum { MOST = 6 };
        decimals = deviation > 0 ? 1 - exponent_of(deviation) : 3 - exponent_of(statistic.mean);
        decimals = decimals < 0 ? 0 : decimals > MOST ? MOST : decimals;
    }
    snprintf(out, STATISTIC_BYTES, "%.*f ± %.*f", decimals, statistic.mean, decimals, deviation);
    return out;
}
