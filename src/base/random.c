/* Counter-based random streams over Random123's Philox 4×32-10. */
#include "base/random.h"

#include <Random123/philox.h>
#include <assert.h>
#include <math.h>

static const double two_pi = 6.283185307179586476925286766559;

struct random_stream random_stream(uint64_t seed, enum random_purpose purpose, uint32_t worker, uint64_t step)
{
    /* The key is the seed; counter word 0 counts blocks, the others name the stream. A stream's name has
     * 8 bits of purpose, 24 of worker and 64 of step, of which the high half shares a word with nothing else. */
    assert(worker < (1u << 24));
    return (struct random_stream){
        .key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
        .counter = {0, (uint32_t)purpose << 24 | worker, (uint32_t)step, (uint32_t)(step >> 32)},
        .used = 4,
    };
}

uint32_t random_u32(struct random_stream *stream)
{
    if (stream->used == 4) {
        philox4x32_ctr_t counter;
        philox4x32_key_t key;
        for (int i = 0; i < 4; i++)
            counter.v[i] = stream->counter[i];
        for (int i = 0; i < 2; i++)
            key.v[i] = stream->key[i];
        philox4x32_ctr_t block = philox4x32(counter, key);
        for (int i = 0; i < 4; i++)
            stream->block[i] = block.v[i];
        stream->counter[0]++;
        stream->used = 0;
    }
    return stream->block[stream->used++];
}

uint32_t random_below(struct random_stream *stream, uint32_t bound)
{
    assert(bound >= 1);
    uint32_t reject = -bound % bound; /* 2³² mod bound: below it the product is biased (Lemire 2019) */
    for (;;) {
        uint64_t product = (uint64_t)random_u32(stream) * bound;
        if ((uint32_t)product >= reject)
            return (uint32_t)(product >> 32);
    }
}

double random_uniform(struct random_stream *stream)
{
    uint64_t high = random_u32(stream) >> 5, low = random_u32(stream) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

double random_normal(struct random_stream *stream)
{
    double radius = sqrt(-2.0 * log(1.0 - random_uniform(stream)));
    return radius * cos(two_pi * random_uniform(stream));
}

double random_exponential(struct random_stream *stream)
{
    return -log(1.0 - random_uniform(stream));
}

double random_gamma(struct random_stream *stream, double shape)
{
    assert(shape > 0);
    if (shape < 1) {
        double above = random_gamma(stream, shape + 1); /* a statement of its own: the order of the draws is fixed */
        return above * pow(1.0 - random_uniform(stream), 1 / shape);
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double z = random_normal(stream), v = 1 + c * z;
        if (v <= 0)
            continue;
        v = v * v * v;
        if (log(1.0 - random_uniform(stream)) < 0.5 * z * z + d - d * v + d * log(v))
            return d * v;
    }
}

void random_shuffle(struct random_stream *stream, uint32_t *items, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = random_below(stream, (uint32_t)i);
        uint32_t swap = items[i - 1];
        items[i - 1] = items[j];
        items[j] = swap;
    }
}
