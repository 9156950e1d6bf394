/* How far many vectors are from their mean. */
#include "kernels/spread.h"

#include <assert.h>

#include "kernels/clones.h"

KERNEL_CLONES
static void add_values(size_t count, const float *v, double *sums)
{
    for (size_t k = 0; k < count; k++)
        sums[k] += (double)v[k];
}

KERNEL_CLONES
static void add_squares(size_t count, const float *v, const double *mean, double *squares)
{
    for (size_t k = 0; k < count; k++) {
        double difference = (double)v[k] - mean[k];
        squares[k] += difference * difference;
    }
}

double kernel_spread(int vector_count, size_t first, size_t last, const float *const *vectors, float *mean)
{
    double means[SPREAD_BLOCK] = {0}, squares[SPREAD_BLOCK] = {0}, sum = 0;
    size_t count = last - first;
    assert(count <= SPREAD_BLOCK && vector_count > 0);
    for (int i = 0; i < vector_count; i++)
        add_values(count, vectors[i] + first, means);
    for (size_t k = 0; k < count; k++)
        means[k] /= vector_count;
    for (int i = 0; i < vector_count; i++)
        add_squares(count, vectors[i] + first, means, squares);
    for (size_t k = 0; k < count; k++) {
        sum += squares[k];
        if (mean != NULL)
            mean[first + k] = (float)means[k];
    }
    return sum;
}
