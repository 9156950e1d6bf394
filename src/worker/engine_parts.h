/* An engine from within: for the files of src/worker. */
#ifndef GRAPEVINE_SRC_WORKER_ENGINE_PARTS_H
#define GRAPEVINE_SRC_WORKER_ENGINE_PARTS_H

#include <stdint.h>

#include "worker/engine.h"
#include "worker/evaluation.h"

struct engine {
    struct engine_params params;
    struct net *test_net; /* owned */
    struct net *net;      /* for training pictures: test_net itself, or owned */
    int size;             /* rows of the pictures that `net` takes */
    bool stale;           /* `net` has taken over, and nobody has made its working copy yet */
    float *gradient;      /* owned (parameter_size), device memory */
    float *buffers;       /* owned (buffer_size), device memory: what the networks work on */
    /* Results of training passes outlive the network that made them: `passes` by `net`, and those of the last passes
     * before it, the newest first. */
    uint64_t passes;
    struct net_result earlier[NET_RESULTS];
    int earlier_count;
    /* of a shared engine, else NULL: */
    struct net *spare; /* owned: the last training network but one, for workers that change size one after another */
    int spare_size;
    float *point;  /* owned (parameter_size), device memory: x of a worker, advanced to a point in time */
    float *images; /* owned (batch, channels, height, width), host memory: a batch of loaders without slots; or: */
    struct picture_pick *picks; /* owned (batch) */
    int32_t *labels;            /* owned (batch) */
    const void *owner;          /* the worker whose x the working copy was made of; NULL: nobody's present one */
    const float *source;        /* borrowed, device memory: the vector that it was made of, with an owner */
    struct evaluator evaluator;
};

/* A vector of at least one element, so that a network without batch norm needs no special case; `initial` (count, host
 * memory) or NULL for zeros. */
enum status engine_vector(const struct engine_params *params, size_t count, const float *initial, float **out);

/* `net` takes pictures of `size` rows from here on. One that takes over is `stale`, and belongs to no owner. */
enum status engine_fit(struct engine *engine, int size);
/* As net_result, of the training passes alone, whichever network has made them. */
enum status engine_result(struct engine *engine, int age, struct net_result *result);

#endif
