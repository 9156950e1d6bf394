/* A digest of a vector's bits. */
#include "kernels/vector_digest.h"

#include <string.h>

static uint64_t mix(uint64_t word)
{
    word = (word ^ word >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ word >> 27) * UINT64_C(0x94d049bb133111eb);
    return word ^ word >> 31;
}

uint64_t kernel_digest(size_t count, const float *v)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < count; k++) {
        uint32_t bits;
        memcpy(&bits, &v[k], sizeof bits);
        sum += mix((uint64_t)k << 32 | bits);
    }
    return sum;
}
