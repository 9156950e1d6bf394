/* Batches ahead of time: threads that make pictures, a ring of slots, one taker. Without slots the taker makes them.
 *
 * Batches are opened in their order, each when its slot is free: opening draws which pictures it has. Threads then take
 * one picture after the other, so that all of them work on the batch that is wanted next. The ring is guarded by one
 * mutex; the place of a picture in a slot belongs to the thread that has taken it until it is done, the slot to the
 * taker once all are: pictures are made and used outside of the lock. Slot of batch k: (k - first) mod slots. */
#include "data/loader.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/thread.h"

enum { ANNOUNCED_AT_ONCE = 8 };

struct slot {
    float *images;              /* owned, (batch, channels, height, width); NULL with picks */
    struct picture_pick *picks; /* owned, (batch); NULL without */
    int32_t *labels;            /* owned, (batch) */
    uint32_t *indices;          /* owned, (batch): which pictures; set when the batch is opened */
    size_t done;                /* pictures that are made; guarded by mutex */
};

/* The order of one epoch at a time, for whoever goes through the samples from the first to the last. */
struct epoch_order {
    uint32_t *indices; /* owned, (partition->count) */
    uint64_t epoch;    /* UINT64_MAX: none yet */
};

struct loader {
    struct loader_params params; /* set before the threads start */
    size_t picture_size;         /* floats of one picture of the largest size; set before the threads start */
    struct slot *slots;          /* owned, (params.slots); see above for who may touch one; without: one, lent */
    struct thread *makers;       /* owned, (params.threads) */
    struct thread announcer;
    struct epoch_order order;     /* of the batches that are opened; guarded by mutex */
    struct epoch_order announced; /* the announcer's */
    bool taken;                   /* a batch is out; the taker's */

    pthread_mutex_t mutex;
    pthread_cond_t filled, freed, opened;
    uint64_t opened_count; /* batches opened since the start; guarded by mutex */
    size_t given;          /* pictures of the one opened last that somebody has taken; guarded by mutex */
    uint64_t freed_count;  /* batches given back; guarded by mutex */
    enum status status;    /* of the first batch that could not be made; guarded by mutex */
    uint64_t failed;       /* its serial number; guarded by mutex */
    bool stop;             /* guarded by mutex */
};

int picture_size_of(const struct picture_sizes *sizes, uint64_t number)
{
    int steps = (sizes->last - sizes->first + PICTURE_SIZE_STEP - 1) / PICTURE_SIZE_STEP;
    int step = number < sizes->batches ? (int)(number * (uint64_t)(steps + 1) / sizes->batches) : steps;
    return step < steps ? sizes->first + step * PICTURE_SIZE_STEP : sizes->last;
}

static struct slot *slot_of(const struct loader *loader, uint64_t serial)
{
    return &loader->slots[serial % (uint64_t)loader->params.slots];
}

/* --- which pictures --- */

static void create_order(const struct loader *loader, struct epoch_order *order)
{
    order->indices = memory_zalloc(loader->params.partition->count, sizeof order->indices[0]);
    order->epoch = UINT64_MAX;
}

static uint32_t index_of(const struct loader *loader, struct epoch_order *order, uint64_t sample)
{
    const struct loader_params *params = &loader->params;
    uint64_t epoch = sample / params->partition->count;
    if (epoch != order->epoch) {
        partition_shuffle(params->partition, params->seed, params->worker, epoch, order->indices);
        order->epoch = epoch;
    }
    return order->indices[sample % params->partition->count];
}

static void open_batch(struct loader *loader, uint64_t number, struct slot *slot)
{
    const struct loader_params *params = &loader->params;
    for (size_t i = 0; i < params->batch; i++) {
        slot->indices[i] = index_of(loader, &loader->order, number * params->batch + i);
        slot->labels[i] = params->set->labels[slot->indices[i]];
    }
    slot->done = 0;
}

/* --- making them --- */

static enum status make_picture(const struct loader *loader, uint64_t number, const struct slot *slot, size_t place)
{
    const struct loader_params *params = &loader->params;
    const struct dataset *set = params->set;
    uint64_t sample = number * params->batch + place;
    uint64_t epoch = sample / params->partition->count, position = sample % params->partition->count;
    struct random_stream stream =
        random_stream(params->seed, RANDOM_AUGMENT, (uint32_t)params->worker, epoch << 32 | position);
    struct random_stream *augment = params->augment ? &stream : NULL;
    int size = picture_size_of(&params->sizes, number);
    if (params->picks) {
        set->ops->pick(set, slot->indices[place], augment, &slot->picks[place]);
        return STATUS_OK;
    }
    if (size == 0)
        return set->ops->fetch(set, slot->indices[place], augment, slot->images + place * loader->picture_size);
    size_t floats = (size_t)set->channels * (size_t)size * (size_t)size;
    return set->ops->fetch_at(set, slot->indices[place], size, augment, slot->images + place * floats);
}

/* Take a picture that nobody has taken, of the batch opened last or of the next; waits until there is one. False when
 * the loader is to stop. */
static bool take_picture(struct loader *loader, uint64_t *serial, size_t *place)
{
    const struct loader_params *params = &loader->params;
    pthread_mutex_lock(&loader->mutex);
    while (!loader->stop && (loader->opened_count == 0 || loader->given == params->batch)) {
        if (loader->opened_count - loader->freed_count >= (uint64_t)params->slots) {
            pthread_cond_wait(&loader->freed, &loader->mutex);
            continue;
        }
        open_batch(loader, params->first + loader->opened_count, slot_of(loader, loader->opened_count));
        loader->opened_count++;
        loader->given = 0;
        pthread_cond_signal(&loader->opened);
    }
    *serial = loader->opened_count - 1;
    *place = loader->given++;
    bool go_on = !loader->stop && loader->status == STATUS_OK;
    pthread_mutex_unlock(&loader->mutex);
    return go_on;
}

static void finish_picture(struct loader *loader, uint64_t serial, enum status status)
{
    struct slot *slot = slot_of(loader, serial);
    pthread_mutex_lock(&loader->mutex);
    if (status != STATUS_OK && (loader->status == STATUS_OK || serial < loader->failed)) {
        loader->status = status;
        loader->failed = serial;
    }
    if (++slot->done == loader->params.batch || status != STATUS_OK)
        pthread_cond_signal(&loader->filled);
    pthread_mutex_unlock(&loader->mutex);
}

/* A thread: ends when told to, or once a picture could not be made. */
static void *make_pictures(void *context)
{
    struct loader *loader = context;
    uint64_t serial;
    size_t place;
    while (take_picture(loader, &serial, &place))
        finish_picture(loader, serial,
                       make_picture(loader, loader->params.first + serial, slot_of(loader, serial), place));
    return NULL;
}

/* --- reading ahead --- */

/* How many pictures to be ahead of those that are made: a pool of blocks, where the set has such. */
static uint64_t lead_of(const struct loader *loader)
{
    const struct partition *partition = loader->params.partition;
    uint64_t batches = 4 * (uint64_t)loader->params.batch;
    uint64_t pool =
        partition->block_count > 0 ? (uint64_t)partition->count * partition->pool / partition->block_count : 0;
    return pool > batches ? pool : batches;
}

/* Wait until sample `next` is not too far ahead; false when the loader is to stop. */
static bool wait_for_makers(struct loader *loader, uint64_t next, uint64_t lead)
{
    pthread_mutex_lock(&loader->mutex);
    while (!loader->stop && next > (loader->params.first + loader->opened_count) * loader->params.batch + lead)
        pthread_cond_wait(&loader->opened, &loader->mutex);
    bool go_on = !loader->stop;
    pthread_mutex_unlock(&loader->mutex);
    return go_on;
}

static void *announce(void *context)
{
    struct loader *loader = context;
    const struct dataset *set = loader->params.set;
    uint64_t next = loader->params.first * loader->params.batch, lead = lead_of(loader);
    uint32_t indices[ANNOUNCED_AT_ONCE];
    while (wait_for_makers(loader, next, lead)) {
        for (size_t i = 0; i < ANNOUNCED_AT_ONCE; i++)
            indices[i] = index_of(loader, &loader->announced, next++);
        set->ops->will_need(set, indices, ANNOUNCED_AT_ONCE);
    }
    return NULL;
}

/* --- set-up and end --- */

static void make_slot(struct loader *loader, struct slot *slot)
{
    const struct loader_params *params = &loader->params;
    if (params->picks)
        slot->picks = memory_alloc_aligned(params->batch * sizeof(struct picture_pick));
    else
        slot->images = memory_alloc_aligned_for(params->batch * loader->picture_size * sizeof(float),
                                                "images of train.batch=%zu, read ahead", params->batch);
    slot->labels = memory_alloc_aligned(params->batch * sizeof(int32_t));
}

static void make_slots(struct loader *loader)
{
    const struct loader_params *params = &loader->params;
    size_t count = params->slots > 0 ? (size_t)params->slots : 1;
    loader->slots = memory_zalloc(count, sizeof *loader->slots);
    if (params->slots == 0)
        loader->slots[0] =
            (struct slot){.images = params->lent_images, .picks = params->lent_picks, .labels = params->lent_labels};
    for (size_t i = 0; i < count; i++) {
        if (params->slots > 0)
            make_slot(loader, &loader->slots[i]);
        loader->slots[i].indices = memory_zalloc(params->batch, sizeof loader->slots[i].indices[0]);
    }
}

static enum status start_threads(struct loader *loader)
{
    const struct loader_params *params = &loader->params;
    if (params->slots == 0)
        return STATUS_OK;
    for (int i = 0; i < params->threads; i++)
        TRY(thread_start(&loader->makers[i], "loader", make_pictures, loader));
    if (params->set->ops->will_need == NULL)
        return STATUS_OK;
    create_order(loader, &loader->announced);
    return thread_start(&loader->announcer, "reader", announce, loader);
}

static size_t largest_picture(const struct loader_params *params)
{
    const struct dataset *set = params->set;
    size_t rows = params->sizes.last > 0 ? (size_t)params->sizes.last : (size_t)set->height;
    size_t columns = params->sizes.last > 0 ? (size_t)params->sizes.last : (size_t)set->width;
    return (size_t)set->channels * rows * columns;
}

double loader_plan_bytes(const struct loader_params *params)
{
    double slots = params->slots > 0 ? params->slots : 1, batch = (double)params->batch;
    double picture = params->picks ? sizeof(struct picture_pick) : (double)largest_picture(params) * sizeof(float);
    double lent = params->slots > 0 ? 0 : picture + sizeof(int32_t);
    double orders = params->slots > 0 && params->set->ops->will_need != NULL ? 2 : 1;
    return slots * batch * (picture + sizeof(int32_t) + sizeof(uint32_t) - lent) +
           orders * (double)params->partition->count * sizeof(uint32_t);
}

enum status loader_create(const struct loader_params *params, struct loader **out)
{
    const struct dataset *set = params->set;
    assert(params->batch > 0 && (params->slots == 0 || params->slots >= 2) && params->partition->count > 0);
    assert(!params->picks || set->ops->pick != NULL);
    assert(params->sizes.last == 0 || set->ops->fetch_at != NULL);
    struct loader *loader = memory_zalloc(1, sizeof *loader);
    loader->params = *params;
    loader->params.threads = params->threads > 0 ? params->threads : 1;
    loader->picture_size = largest_picture(params);
    loader->makers = memory_zalloc((size_t)loader->params.threads, sizeof loader->makers[0]);
    make_slots(loader);
    create_order(loader, &loader->order);
    pthread_mutex_init(&loader->mutex, NULL);
    pthread_cond_init(&loader->filled, NULL);
    pthread_cond_init(&loader->freed, NULL);
    pthread_cond_init(&loader->opened, NULL);
    enum status status = start_threads(loader);
    if (status == STATUS_OK)
        *out = loader;
    else
        loader_destroy(loader);
    return status;
}

static void stop_threads(struct loader *loader)
{
    pthread_mutex_lock(&loader->mutex);
    loader->stop = true;
    pthread_cond_broadcast(&loader->freed);
    pthread_cond_broadcast(&loader->opened);
    pthread_mutex_unlock(&loader->mutex);
    for (int i = 0; i < loader->params.threads; i++)
        thread_join(&loader->makers[i]);
    thread_join(&loader->announcer);
}

static void release_slots(struct loader *loader)
{
    size_t count = loader->params.slots > 0 ? (size_t)loader->params.slots : 1;
    for (size_t i = 0; i < count; i++)
        free(loader->slots[i].indices);
    for (int i = 0; i < loader->params.slots; i++) {
        memory_free_aligned(loader->slots[i].images);
        memory_free_aligned(loader->slots[i].picks);
        memory_free_aligned(loader->slots[i].labels);
    }
    free(loader->slots);
}

void loader_destroy(struct loader *loader)
{
    if (loader == NULL)
        return;
    stop_threads(loader);
    pthread_cond_destroy(&loader->opened);
    pthread_cond_destroy(&loader->freed);
    pthread_cond_destroy(&loader->filled);
    pthread_mutex_destroy(&loader->mutex);
    release_slots(loader);
    free(loader->order.indices);
    free(loader->announced.indices);
    free(loader->makers);
    free(loader);
}

/* --- the taker --- */

static struct batch of_slot(const struct loader *loader, uint64_t number, const struct slot *slot)
{
    return (struct batch){.number = number,
                          .size = picture_size_of(&loader->params.sizes, number),
                          .images = slot->images,
                          .picks = slot->picks,
                          .labels = slot->labels};
}

static enum status make_now(struct loader *loader, struct batch *out)
{
    uint64_t number = loader->params.first + loader->freed_count;
    struct slot *slot = &loader->slots[0];
    enum status status = STATUS_OK;
    open_batch(loader, number, slot);
#pragma omp parallel for num_threads(loader->params.threads) schedule(dynamic, 1) if (loader->params.threads > 1)
    for (size_t i = 0; i < loader->params.batch; i++) {
        enum status made = make_picture(loader, number, slot, i);
        if (made != STATUS_OK) {
#pragma omp atomic write
            status = made;
        }
    }
    TRY(status);
    loader->taken = true;
    *out = of_slot(loader, number, slot);
    return STATUS_OK;
}

enum status loader_next(struct loader *loader, struct batch *out)
{
    assert(!loader->taken);
    if (loader->params.slots == 0)
        return make_now(loader, out);
    pthread_mutex_lock(&loader->mutex);
    uint64_t serial = loader->freed_count;
    const struct slot *slot = slot_of(loader, serial);
    while (!(loader->opened_count > serial && slot->done == loader->params.batch) &&
           !(loader->status != STATUS_OK && loader->failed <= serial))
        pthread_cond_wait(&loader->filled, &loader->mutex);
    enum status status = loader->failed <= serial ? loader->status : STATUS_OK;
    pthread_mutex_unlock(&loader->mutex);
    TRY(status);
    loader->taken = true;
    *out = of_slot(loader, loader->params.first + serial, slot);
    return STATUS_OK;
}

void loader_release(struct loader *loader)
{
    assert(loader->taken);
    loader->taken = false;
    pthread_mutex_lock(&loader->mutex);
    loader->freed_count++;
    pthread_cond_broadcast(&loader->freed);
    pthread_mutex_unlock(&loader->mutex);
}

void loader_seek(struct loader *loader, uint64_t number)
{
    assert(loader->params.slots == 0 && !loader->taken && number >= loader->params.first);
    loader->freed_count = number - loader->params.first;
}

void loader_lend(struct loader *loader, float *images, struct picture_pick *picks, int32_t *labels)
{
    assert(loader->params.slots == 0 && !loader->taken);
    loader->slots[0].images = images;
    loader->slots[0].picks = picks;
    loader->slots[0].labels = labels;
}
