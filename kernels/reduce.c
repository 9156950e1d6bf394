/* Sums in float64 over a block of a flat vector, in one fixed order: sixteen interleaved partial sums, then a tree. */
#include "kernels/reduce.h"

#include <assert.h>
#include <string.h>

#include "kernels/clones.h"

enum { LANES = 16 };

/* Sixteen values that the compiler keeps in as many registers as the instruction set needs. */
typedef float lane_floats __attribute__((vector_size(LANES * sizeof(float))));
typedef double lane_doubles __attribute__((vector_size(LANES * sizeof(double))));

KERNEL_CLONES
double kernel_sum_squares(size_t first, size_t last, const float *v)
{
    assert(last - first <= REDUCE_BLOCK);
    lane_doubles sums = {0.0};
    size_t i = first;
    for (; i + LANES <= last; i += LANES) {
        lane_floats values;
        memcpy(&values, v + i, sizeof values);
        lane_doubles wide = __builtin_convertvector(values, lane_doubles);
        sums += wide * wide;
    }
    for (size_t lane = 0; i < last; i++, lane++)
        sums[lane] += (double)v[i] * (double)v[i];
    for (size_t half = LANES / 2; half > 0; half /= 2) {
        for (size_t lane = 0; lane < half; lane++)
            sums[lane] += sums[lane + half];
    }
    return sums[0];
}
