/* An engine from within: for the files of src/worker. */
#ifndef GRAPEVINE_SRC_WORKER_ENGINE_PARTS_H
#define GRAPEVINE_SRC_WORKER_ENGINE_PARTS_H

#include <stdint.h>

#include "worker/engine.h"
#include "worker/evaluation.h"

struct engine {
    struct engine_params params;
    struct net *net; /* owned */
    float *gradient; /* owned (parameter_size), device memory */
    float *buffers;  /* owned (buffer_size), device memory: what the network works on */
    /* of a shared engine, else NULL: */
    float *point;  /* owned (parameter_size), device memory: x of a worker, advanced to a point in time */
    float *images; /* owned (batch, channels, height, width), host memory: a batch of loaders without slots; or: */
    struct picture_pick *picks; /* owned (batch) */
    int32_t *labels;            /* owned (batch) */
    const void *owner;          /* the worker whose x the working copy was made of; NULL: nobody's present one */
    struct evaluator evaluator;
};

/* A vector of at least one element, so that a network without batch norm needs no special case; `initial` (count, host
 * memory) or NULL for zeros. */
enum status engine_vector(const struct engine_params *params, size_t count, const float *initial, float **out);

#endif
