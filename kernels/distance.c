/* The square distance of two snapshots. */
#include "kernels/distance.h"

double kernel_pair_distance(const float *own, const float *peer, size_t count)
{
    size_t stride = count <= DISTANCE_EXACT ? 1 : DISTANCE_STRIDE, used = 0;
    double sum = 0;
    for (size_t first = 0; first < count; first += stride * DISTANCE_BLOCK) {
        size_t last = first + DISTANCE_BLOCK < count ? first + DISTANCE_BLOCK : count;
        float block = 0;
        for (size_t k = first; k < last; k++)
            block += (own[k] - peer[k]) * (own[k] - peer[k]);
        sum += (double)block;
        used += last - first;
    }
    return sum * (double)count / (double)used / 2;
}
