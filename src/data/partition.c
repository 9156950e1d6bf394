/* Shares of a training set: who sees which pictures, and in which order. Looks at labels only, never at pictures.
 *
 * Every worker computes the whole assignment from the seed, so all of them agree without a message, on errors too.
 * Streams (seed, RANDOM_PARTITION, 0, step): step 0 validation, 1 iid, 2 + class Dirichlet. */
#include "data/partition.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/text.h"

enum { STEP_VALIDATION = 0, STEP_IID = 1, STEP_DIRICHLET = 2 };

enum { PICTURES_MAX = 1 << 30 }; /* indices have 32 bits */

static const char *const names[] = {"shared", "iid", "dirichlet"};

enum { SHARED, IID, DIRICHLET, NAME_COUNT };

static int compare_indices(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static struct partition partition_copy(const uint32_t *indices, size_t count)
{
    struct partition copy = {.indices = memory_zalloc(count, sizeof *indices), .count = count};
    if (count > 0)
        memcpy(copy.indices, indices, count * sizeof *indices);
    qsort(copy.indices, count, sizeof *indices, compare_indices);
    return copy;
}

static void shuffle(uint64_t seed, uint64_t step, uint32_t *items, size_t count)
{
    struct random_stream stream = random_stream(seed, RANDOM_PARTITION, 0, step);
    random_shuffle(&stream, items, count);
}

static struct partition take_iid(const struct partition_params *params, const struct partition *training)
{
    struct partition shuffled = partition_copy(training->indices, training->count);
    shuffle(params->seed, STEP_IID, shuffled.indices, shuffled.count);
    size_t worker = (size_t)params->worker, workers = (size_t)params->worker_count;
    size_t begin = shuffled.count * worker / workers, end = shuffled.count * (worker + 1) / workers;
    struct partition share = partition_copy(shuffled.indices + begin, end - begin);
    partition_release(&shuffled);
    return share;
}

/* ends (worker_count): where each worker's part of `count` items ends, parts drawn from Dirichlet(alpha). */
static void draw_cuts(const struct partition_params *params, struct random_stream *stream, size_t count,
                      double *weights, size_t *ends)
{
    int workers = params->worker_count;
    double sum = 0, below = 0;
    for (int i = 0; i < workers; i++)
        sum += weights[i] = random_gamma(stream, params->alpha);
    if (!(sum > 0)) /* every draw underflowed: as alpha goes to 0, one worker gets all */
        sum = weights[random_below(stream, (uint32_t)workers)] = 1;
    for (int i = 0; i < workers; i++) {
        below += weights[i]; /* ends at `sum` to the last bit, being the same additions */
        ends[i] = (size_t)((double)count * (below / sum) + 0.5);
    }
}

/* sorted (training->count): the pictures grouped by class; class_ends (class_count): where each group ends. */
static void group_by_class(const struct partition *training, const struct dataset *set, uint32_t *sorted,
                           size_t *class_ends)
{
    size_t classes = (size_t)set->class_count;
    for (size_t i = 0; i < training->count; i++)
        class_ends[set->labels[training->indices[i]]]++;
    for (size_t c = 0, end = 0; c < classes; c++) {
        size_t begin = end;
        end += class_ends[c];
        class_ends[c] = begin;
    }
    for (size_t i = 0; i < training->count; i++)
        sorted[class_ends[set->labels[training->indices[i]]]++] = training->indices[i];
}

/* Also counts (worker_count), the size of everybody's share. */
static struct partition take_dirichlet(const struct partition_params *params, const struct dataset *set,
                                       const struct partition *training, size_t *counts)
{
    size_t workers = (size_t)params->worker_count, own = (size_t)params->worker, classes = (size_t)set->class_count;
    uint32_t *sorted = memory_zalloc(training->count, sizeof *sorted);
    uint32_t *share = memory_zalloc(training->count, sizeof *share);
    size_t *class_ends = memory_zalloc(classes, sizeof *class_ends), *ends = memory_zalloc(workers, sizeof *ends);
    double *weights = memory_zalloc(workers, sizeof *weights);
    group_by_class(training, set, sorted, class_ends);
    for (size_t c = 0, begin = 0; c < classes; begin = class_ends[c++]) {
        struct random_stream stream = random_stream(params->seed, RANDOM_PARTITION, 0, STEP_DIRICHLET + c);
        random_shuffle(&stream, sorted + begin, class_ends[c] - begin);
        draw_cuts(params, &stream, class_ends[c] - begin, weights, ends);
        for (size_t w = 0; w < workers; w++) {
            size_t from = w > 0 ? ends[w - 1] : 0, part = ends[w] - from;
            if (w == own)
                memcpy(share + counts[w], sorted + begin + from, part * sizeof *share);
            counts[w] += part;
        }
    }
    struct partition taken = partition_copy(share, counts[own]);
    free(weights);
    free(ends);
    free(class_ends);
    free(share);
    free(sorted);
    return taken;
}

/* The same message on every worker, about the first that would have nothing to do. */
static enum status check_counts(const struct partition_params *params, const size_t *counts)
{
    for (int w = 0; w < params->worker_count; w++)
        if (counts[w] == 0) {
            log_error("data.partition: worker %d of %d would get no picture from dirichlet with data.alpha %g and seed "
                      "%llu; raise data.alpha, use fewer workers, or another seed",
                      w, params->worker_count, params->alpha, (unsigned long long)params->seed);
            return STATUS_USAGE;
        }
    return STATUS_OK;
}

static enum status take_share(const struct partition_params *params, const struct dataset *set, int name,
                              const struct partition *training, struct partition *out)
{
    if (name == SHARED) {
        *out = partition_copy(training->indices, training->count);
        return STATUS_OK;
    }
    if (training->count < (size_t)params->worker_count) {
        log_error("data.partition: %zu training pictures cannot be shared out to %d workers, each needs one at least; "
                  "use fewer workers, a larger data.train_count or data.partition=shared",
                  training->count, params->worker_count);
        return STATUS_USAGE;
    }
    if (name == IID) {
        *out = take_iid(params, training);
        return STATUS_OK;
    }
    size_t *counts = memory_zalloc((size_t)params->worker_count, sizeof *counts);
    struct partition share = take_dirichlet(params, set, training, counts);
    enum status status = check_counts(params, counts);
    if (status == STATUS_OK)
        *out = share;
    else
        partition_release(&share);
    free(counts);
    return status;
}

static enum status find_name(const char *name, int *index)
{
    for (*index = 0; *index < NAME_COUNT; ++*index)
        if (strcmp(name, names[*index]) == 0)
            return STATUS_OK;
    struct text known = {0};
    text_add_list(&known, names, NAME_COUNT);
    log_error("data.partition: there is no partition \"%s\"; known are %s", name, text_view(&known));
    text_release(&known);
    return STATUS_USAGE;
}

/* Blocks of the set that the worker has pictures of. */
static void find_blocks(const struct dataset *set, struct partition *partition)
{
    if (set->block_count == 0)
        return;
    partition->pool = set->pool;
    partition->block_ends = memory_zalloc(set->block_count, sizeof partition->block_ends[0]);
    for (size_t b = 0, i = 0; b < set->block_count; b++) {
        size_t first = i;
        while (i < partition->count && partition->indices[i] < set->block_ends[b])
            i++;
        if (i > first)
            partition->block_ends[partition->block_count++] = (uint32_t)i;
    }
}

enum status partition_create(const struct partition_params *params, const struct dataset *set, struct partition *out,
                             struct partition *held_out)
{
    assert(params->worker >= 0 && params->worker < params->worker_count && set->count <= PICTURES_MAX);
    assert(params->validation >= 0 && params->validation < 1);
    int name;
    TRY(find_name(params->name, &name));
    assert(name != DIRICHLET || params->alpha > 0);
    size_t kept_back = (size_t)(params->validation * (double)set->count + 0.5);
    if (kept_back >= set->count) {
        log_error("data.validation: a share of %g keeps back all %zu pictures; none is left for training",
                  params->validation, set->count);
        return STATUS_USAGE;
    }
    uint32_t *all = memory_zalloc(set->count, sizeof *all);
    for (size_t i = 0; i < set->count; i++)
        all[i] = (uint32_t)i;
    if (kept_back > 0)
        shuffle(params->seed, STEP_VALIDATION, all, set->count);
    struct partition training = partition_copy(all + kept_back, set->count - kept_back);
    enum status status = take_share(params, set, name, &training, out);
    if (status == STATUS_OK)
        find_blocks(set, out);
    if (status == STATUS_OK && held_out != NULL)
        *held_out = partition_copy(all, kept_back);
    partition_release(&training);
    free(all);
    return status;
}

void partition_release(struct partition *partition)
{
    free(partition->indices);
    free(partition->block_ends);
    *partition = (struct partition){0};
}

/* The pictures of shuffled blocks, one block after the other; starts (block_count + 1): where each begins. */
static void lay_out(const struct partition *partition, const uint32_t *blocks, uint32_t *order, size_t *starts)
{
    starts[0] = 0;
    for (size_t i = 0; i < partition->block_count; i++) {
        uint32_t from = blocks[i] > 0 ? partition->block_ends[blocks[i] - 1] : 0;
        size_t count = partition->block_ends[blocks[i]] - from;
        memcpy(order + starts[i], partition->indices + from, count * sizeof *order);
        starts[i + 1] = starts[i] + count;
    }
}

static void shuffle_blocks(const struct partition *partition, struct random_stream *stream, uint32_t *order)
{
    size_t count = partition->block_count, pool = partition->pool;
    uint32_t *blocks = memory_zalloc(count, sizeof *blocks);
    size_t *starts = memory_zalloc(count + 1, sizeof *starts);
    for (size_t b = 0; b < count; b++)
        blocks[b] = (uint32_t)b;
    random_shuffle(stream, blocks, count);
    lay_out(partition, blocks, order, starts);
    for (size_t first = 0; first < count; first += pool) {
        size_t end = first + pool < count ? first + pool : count;
        random_shuffle(stream, order + starts[first], starts[end] - starts[first]);
    }
    free(blocks);
    free(starts);
}

void partition_shuffle(const struct partition *partition, uint64_t seed, int worker, uint64_t epoch, uint32_t *order)
{
    struct random_stream stream = random_stream(seed, RANDOM_ORDER, (uint32_t)worker, epoch);
    if (partition->block_count > 0) {
        shuffle_blocks(partition, &stream, order);
        return;
    }
    memcpy(order, partition->indices, partition->count * sizeof *order);
    random_shuffle(&stream, order, partition->count);
}
