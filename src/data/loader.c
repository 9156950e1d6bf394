/* Batches ahead of time: one reading thread, a ring of slots, one taker. Without slots: no thread, the taker reads.
 *
 * The ring is guarded by one mutex; the contents of a slot belong to the reading thread while it is not filled and to
 * the taker while it is, so pictures are read and used outside of the lock. Slot of batch k: (k - first) mod slots. */
#include "data/loader.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/thread.h"

struct slot {
    float *images;              /* owned, (batch, channels, height, width); NULL with picks */
    struct picture_pick *picks; /* owned, (batch); NULL without */
    int32_t *labels;            /* owned, (batch) */
    enum status status;         /* of reading it */
};

struct loader {
    struct loader_params params; /* set before the thread starts */
    size_t picture_size;         /* floats of one picture; set before the thread starts */
    struct slot *slots;          /* owned, (params.slots); see above for who may touch one; without: one, lent */
    struct thread thread;
    uint32_t *order;      /* owned, (partition->count); the reader's */
    uint64_t order_epoch; /* of `order`; the reader's */
    bool taken;           /* a batch is out; the taker's */

    pthread_mutex_t mutex;
    pthread_cond_t filled, freed;
    uint64_t filled_count; /* batches read since the start; guarded by mutex */
    uint64_t freed_count;  /* batches given back; guarded by mutex */
    bool stop;             /* guarded by mutex */
};

static struct slot *slot_of(const struct loader *loader, uint64_t serial)
{
    return &loader->slots[serial % (uint64_t)loader->params.slots];
}

static enum status read_picture(struct loader *loader, uint64_t sample, struct slot *slot, size_t place)
{
    const struct loader_params *params = &loader->params;
    uint64_t epoch = sample / params->partition->count, position = sample % params->partition->count;
    if (epoch != loader->order_epoch) {
        partition_shuffle(params->partition, params->seed, params->worker, epoch, loader->order);
        loader->order_epoch = epoch;
    }
    uint32_t index = loader->order[position];
    slot->labels[place] = params->set->labels[index];
    struct random_stream stream =
        random_stream(params->seed, RANDOM_AUGMENT, (uint32_t)params->worker, epoch << 32 | position);
    struct random_stream *augment = params->augment ? &stream : NULL;
    if (!params->picks)
        return params->set->ops->fetch(params->set, index, augment, slot->images + place * loader->picture_size);
    params->set->ops->pick(params->set, index, augment, &slot->picks[place]);
    return STATUS_OK;
}

static enum status read_batch(struct loader *loader, uint64_t number, struct slot *slot)
{
    for (size_t i = 0; i < loader->params.batch; i++)
        TRY(read_picture(loader, number * loader->params.batch + i, slot, i));
    return STATUS_OK;
}

/* Wait until the slot of batch `serial` is free; false when the loader is to stop. */
static bool wait_for_slot(struct loader *loader, uint64_t serial)
{
    pthread_mutex_lock(&loader->mutex);
    while (!loader->stop && serial - loader->freed_count >= (uint64_t)loader->params.slots)
        pthread_cond_wait(&loader->freed, &loader->mutex);
    bool go_on = !loader->stop;
    pthread_mutex_unlock(&loader->mutex);
    return go_on;
}

/* The reading thread: ends when told to, or with the first batch that cannot be read. */
static void *read_ahead(void *context)
{
    struct loader *loader = context;
    enum status status = STATUS_OK;
    for (uint64_t serial = 0; status == STATUS_OK && wait_for_slot(loader, serial); serial++) {
        struct slot *slot = slot_of(loader, serial);
        status = read_batch(loader, loader->params.first + serial, slot);
        slot->status = status;
        pthread_mutex_lock(&loader->mutex);
        loader->filled_count++;
        pthread_cond_signal(&loader->filled);
        pthread_mutex_unlock(&loader->mutex);
    }
    return NULL;
}

static void make_slots(struct loader *loader)
{
    const struct loader_params *params = &loader->params;
    loader->slots = memory_zalloc(params->slots > 0 ? (size_t)params->slots : 1, sizeof *loader->slots);
    if (params->slots == 0)
        loader->slots[0] =
            (struct slot){.images = params->lent_images, .picks = params->lent_picks, .labels = params->lent_labels};
    for (int i = 0; i < params->slots; i++) {
        if (params->picks)
            loader->slots[i].picks = memory_alloc_aligned(params->batch * sizeof(struct picture_pick));
        else
            loader->slots[i].images = memory_alloc_aligned(params->batch * loader->picture_size * sizeof(float));
        loader->slots[i].labels = memory_alloc_aligned(params->batch * sizeof(int32_t));
    }
}

enum status loader_create(const struct loader_params *params, struct loader **out)
{
    assert(params->slots >= 2 || (params->slots == 0 && params->lent_labels != NULL));
    assert(params->slots >= 2 || (params->picks ? params->lent_picks != NULL : params->lent_images != NULL));
    assert(!params->picks || params->set->bytes != NULL);
    assert(params->batch >= 1 && params->partition->count >= 1);
    struct loader *loader = memory_zalloc(1, sizeof *loader);
    const struct dataset *set = params->set;
    loader->params = *params;
    loader->picture_size = (size_t)set->channels * (size_t)set->height * (size_t)set->width;
    make_slots(loader);
    loader->order = memory_zalloc(params->partition->count, sizeof *loader->order);
    loader->order_epoch = UINT64_MAX; /* none yet */
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->filled, NULL);
    pthread_cond_init(&loader->freed, NULL);
    enum status status = STATUS_OK;
    if (params->slots > 0)
        status = thread_start(&loader->thread, "loader", read_ahead, loader);
    if (status == STATUS_OK)
        *out = loader;
    else
        loader_destroy(loader);
    return status;
}

void loader_destroy(struct loader *loader)
{
    if (loader == NULL)
        return;
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_signal(&loader->freed);
    pthread_mutex_unlock(&loader->mutex);
    thread_join(&loader->thread);
    pthread_cond_destroy(&loader->freed);
    pthread_cond_destroy(&loader->filled);
    pthread_mutex_destroy(&loader->mutex);
    for (int i = 0; i < loader->params.slots; i++) {
        memory_free_aligned(loader->slots[i].images);
        memory_free_aligned(loader->slots[i].picks);
        memory_free_aligned(loader->slots[i].labels);
    }
    free(loader->order);
    free(loader->slots);
    free(loader);
}

static struct batch of_slot(uint64_t number, const struct slot *slot)
{
    return (struct batch){.number = number, .images = slot->images, .picks = slot->picks, .labels = slot->labels};
}

static enum status read_now(struct loader *loader, struct batch *out)
{
    uint64_t number = loader->params.first + loader->freed_count;
    TRY(read_batch(loader, number, &loader->slots[0]));
    loader->taken = true;
    *out = of_slot(number, &loader->slots[0]);
    return STATUS_OK;
}

enum status loader_next(struct loader *loader, struct batch *out)
{
    assert(!loader->taken);
    if (loader->params.slots == 0)
        return read_now(loader, out);
    pthread_mutex_lock(&loader->mutex);
    uint64_t serial = loader->freed_count;
    while (loader->filled_count == serial)
        pthread_cond_wait(&loader->filled, &loader->mutex);
    pthread_mutex_unlock(&loader->mutex);
    const struct slot *slot = slot_of(loader, serial);
    TRY(slot->status);
    loader->taken = true;
    *out = of_slot(loader->params.first + serial, slot);
    return STATUS_OK;
}

void loader_release(struct loader *loader)
{
    assert(loader->taken);
    loader->taken = false;
    pthread_mutex_lock(&loader->mutex);
    loader->freed_count++;
    pthread_cond_signal(&loader->freed);
    pthread_mutex_unlock(&loader->mutex);
}

void loader_seek(struct loader *loader, uint64_t number)
{
    assert(loader->params.slots == 0 && !loader->taken && number >= loader->params.first);
    loader->freed_count = number - loader->params.first;
}
