/* Batches ahead of time: threads of its own fill preallocated slots, so that the step does not wait; where reading
 * ahead helps the data set (dataset_ops.will_need), one more does that, by four batches or by a pool of blocks
 * (partition.h), whichever is more. Or, with `slots` = 0, batches when they are asked for, into memory that the caller
 * has lent: many workers in one process then need no slots of their own.
 *
 * Batch k of a worker is a function of (seed, worker, k): epochs follow one another without a gap, a batch may span
 * two. The picture at position p of epoch e is augmented from stream (seed, RANDOM_AUGMENT, worker, e << 32 | p).
 * Neither depends on the number of threads. */
#ifndef GRAPEVINE_DATA_LOADER_H
#define GRAPEVINE_DATA_LOADER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data/dataset.h"
#include "data/partition.h"

struct loader;

/* Sizes of pictures that grow with the batches, for a set that has fetch_at: from `first` to `last` in steps of
 * PICTURE_SIZE_STEP (the last one may be smaller), each for an equal share of so many batches. */
struct picture_sizes {
    int first, last; /* rows and columns, first ≤ last; both 0: the set's own size */
    uint64_t batches;
};

enum { PICTURE_SIZE_STEP = 32 };

/* Rows and columns of the pictures of batch `number`; 0: the set's own. */
int picture_size_of(const struct picture_sizes *sizes, uint64_t number);

struct loader_params {
    const struct dataset *set;         /* borrowed */
    const struct partition *partition; /* borrowed */
    size_t batch;
    int worker;
    uint64_t seed;
    bool augment;
    bool picks;  /* batches are picks, for a set that has `bytes`, instead of images */
    int slots;   /* batches kept ready, ≥ 2; or 0: none */
    int threads; /* that make pictures; 0 is 1 */
    struct picture_sizes sizes;
    uint64_t first; /* number of the first batch: 0, or where a resumed run goes on */
    /* slots = 0: where every batch is put; borrowed. Loaders may share it whose batches are not out at once. */
    float *lent_images;              /* (batch, channels, height, width), of the largest size; NULL with picks */
    struct picture_pick *lent_picks; /* (batch); NULL without */
    int32_t *lent_labels;            /* (batch) */
};

struct batch {
    uint64_t number;                  /* k */
    int size;                         /* rows and columns of the images; 0: the set's own */
    const float *images;              /* (batch, channels, height, width), borrowed until loader_release; NULL: picks */
    const struct picture_pick *picks; /* (batch), or NULL: images */
    const int32_t *labels;            /* (batch) */
};

enum status loader_create(const struct loader_params *params, struct loader **out);
/* Stop the threads, free the slots. NULL is fine. */
/* Bytes that loader_create allocates for such params. */
double loader_plan_bytes(const struct loader_params *params);
void loader_destroy(struct loader *loader);

/* The next batch; blocks while none is ready. Errors of the threads come out here (STATUS_DATA, logged).
 * Called by one thread; each batch is given back by loader_release before the next loader_next. */
enum status loader_next(struct loader *loader, struct batch *out);
void loader_release(struct loader *loader);
/* The next batch is number `number`. Without slots, and with no batch out. */
void loader_seek(struct loader *loader, uint64_t number);
/* Other memory for the batches to come, as loader_params.lent_*. Likewise. */
void loader_lend(struct loader *loader, float *images, struct picture_pick *picks, int32_t *labels);

#endif
