/* Counter-based random streams (Philox 4×32-10, Salmon et al. 2011, by way of Random123).
 *
 * Every draw comes from a stream named by (seed, purpose, worker, step): no generator state is shared,
 * saved or split, and any draw can be made again by naming its stream. Two streams with different names
 * are independent; the same name gives the same draws on every machine. */
#ifndef GRAPEVINE_BASE_RANDOM_H
#define GRAPEVINE_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* What a stream is for. Append only: the numbers are part of every golden result. */
enum random_purpose {
    RANDOM_INIT = 1,      /* initial weights; worker 0, step = parameter index */
    RANDOM_ORDER = 2,     /* shuffles of the training set; step = epoch */
    RANDOM_AUGMENT = 3,   /* crops and flips; step = epoch << 32 | position in the epoch's order */
    RANDOM_PARTITION = 4, /* shards of the training set */
    RANDOM_GRAPH = 5,     /* random graphs */
    RANDOM_CLOCK = 6,     /* Poisson ticks of a worker's half edge; step = neighbor */
    RANDOM_DROPOUT = 7,   /* step = gradient << 8 | dropout layer */
    RANDOM_SHAPES = 8,    /* pictures of the `shapes` data set; step = picture */
    RANDOM_BACKOFF = 9,   /* waits after a failed attempt to meet */
    RANDOM_TEST = 10,     /* tests and benchmarks */
    RANDOM_LOSS = 11,     /* which meetings of a worker are lost, as a scenario says */
    RANDOM_DAMAGE = 12,   /* what happens to the snapshots that a worker sends, as a scenario says; step = peer */
    RANDOM_STEP = 20,     /* simulator: when a worker's gradients happen, how long they take; step = gradient */
    RANDOM_SPEED = 21,    /* simulator: mean duration of a worker's gradients */
    RANDOM_GOSSIP = 22,   /* pure gossip; worker = repetition, step 0 = start, then batches of meetings */
    RANDOM_GAUSSIAN = 23, /* the `gaussian` data set; worker 0, 1: step = training, test picture; 2: step = class */
    RANDOM_PACK = 24      /* order of photographs over the shards of a pack */
};

struct random_stream {
    uint32_t key[2];
    uint32_t counter[4]; /* counter[0] advances by one every four words */
    uint32_t block[4];
    unsigned used; /* words of `block` already handed out */
};

struct random_stream random_stream(uint64_t seed, enum random_purpose purpose, uint32_t worker, uint64_t step);

uint32_t random_u32(struct random_stream *stream);
uint32_t random_below(struct random_stream *stream, uint32_t bound); /* uniform in [0, bound), exactly; bound ≥ 1 */
double random_uniform(struct random_stream *stream);                 /* [0, 1), 53 bits */
double random_normal(struct random_stream *stream);                  /* mean 0, variance 1 (Box-Muller, one of two) */
double random_exponential(struct random_stream *stream);             /* mean 1 */
double random_gamma(struct random_stream *stream, double shape);     /* scale 1; Marsaglia and Tsang 2000; shape > 0 */
void random_shuffle(struct random_stream *stream, uint32_t *items, size_t count);

#endif
