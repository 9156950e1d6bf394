/* A transport on which snapshots are damaged as a scenario has it. */
#include "runtime/mpi/injected_transport.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/stopwatch.h"

enum { NONE = -1, FLIPS_MOST = 8, PAYLOADS_LATE = 4 };

/* What becomes of the payload that a record is putting: puts are numbered 2·chunk for data, 2·chunk + 1 for the tag. */
struct fate {
    int corrupt, torn; /* the put that is, or NONE */
    double cut;        /* of a torn put of data: the share that comes at once */
    double torn_s, duplicate_s;
    bool duplicate;
    uint64_t flips; /* seed of what is changed in a corrupt put */
};

struct late_put {
    int neighbor, slot;
    size_t offset, bytes;
    unsigned char *data; /* owned (bytes) */
    double due_s;
    bool put; /* and not yet known to be complete */
};

struct transport {
    struct transport_ops own;        /* this layer's table */
    const struct transport_ops *ops; /* of the transport around which it lies */
    struct transport *inner;         /* owned */
    struct scenario_damage damage;
    struct payload_shape shape;
    int record, puts_most;         /* that late puts are counted under, and how many at a time */
    struct random_stream *streams; /* owned (degree) */
    struct fate *fates;            /* owned (record): of the other records */
    struct late_put *late;         /* owned (late_most) */
    int late_count, late_most;
};

static int some_put(struct random_stream *stream, double share, int puts)
{
    double drawn = random_uniform(stream);
    int which = (int)random_below(stream, (uint32_t)puts);
    return drawn < share ? which : NONE;
}

/* As many draws for every payload. */
static struct fate draw_fate(struct transport *transport, int neighbor)
{
    struct random_stream *stream = &transport->streams[neighbor];
    int puts = 2 * transport->shape.chunk_count;
    struct fate fate = {.corrupt = some_put(stream, transport->damage.corrupt, puts)};
    fate.torn = some_put(stream, transport->damage.torn, puts);
    fate.cut = 1.25 * random_uniform(stream) - 0.25; /* below 0: nothing */
    fate.torn_s = INJECTED_LATE_S * random_uniform(stream);
    fate.duplicate = random_uniform(stream) < transport->damage.duplicate;
    fate.duplicate_s = INJECTED_LATE_S * (2 * random_uniform(stream) - 1); /* below 0: at once */
    fate.flips = random_u32(stream);
    return fate;
}

/* One to so many bytes in a row are others than they were. */
static void flip(uint64_t seed, unsigned char *data, size_t bytes)
{
    struct random_stream stream = random_stream(seed, RANDOM_DAMAGE, 0, 0);
    size_t from = random_below(&stream, (uint32_t)bytes), to = from + 1 + random_below(&stream, FLIPS_MOST);
    for (size_t k = from; k < bytes && k < to; k++)
        data[k] ^= (unsigned char)(1 + random_below(&stream, 255));
}

/* A copy, to be put later. */
static struct late_put *keep(struct transport *transport, const struct late_put *what, const void *source)
{
    struct late_put *late = &transport->late[transport->late_count++];
    *late = *what;
    late->data = memory_alloc_aligned(late->bytes);
    memcpy(late->data, source, late->bytes);
    return late;
}

/* Room for all that a payload may leave behind: all its puts once more, and two. */
static bool has_room(const struct transport *transport)
{
    return transport->late_count + 2 * transport->shape.chunk_count + 2 <= transport->late_most;
}

static enum status put_damaged(struct transport *transport, const struct late_put *what, const void *source, int put,
                               int record)
{
    const struct fate *fate = &transport->fates[record];
    struct late_put late = *what;
    double now_s = stopwatch_now();
    if (fate->duplicate) {
        late.due_s = now_s + fate->duplicate_s;
        keep(transport, &late, source);
    }
    late = *what;
    if (put == fate->corrupt) { /* from a copy, in the next poll */
        flip(fate->flips, keep(transport, &late, source)->data, late.bytes);
        return STATUS_OK;
    }
    if (put == fate->torn) {
        size_t first = put % 2 == 0 && fate->cut > 0 ? (size_t)(fate->cut * (double)what->bytes) : 0;
        late.offset += first;
        late.bytes -= first;
        late.due_s = now_s + fate->torn_s;
        keep(transport, &late, (const char *)source + first);
        if (first == 0)
            return STATUS_OK;
        return transport->ops->put_payload(transport->inner, what->neighbor, what->slot, what->offset, source, first,
                                           record);
    }
    return transport->ops->put_payload(transport->inner, what->neighbor, what->slot, what->offset, source, what->bytes,
                                       record);
}

static enum status injected_put_payload(struct transport *transport, int neighbor, int slot, size_t offset,
                                        const void *source, size_t bytes, int record)
{
    const struct payload_shape *shape = &transport->shape;
    if (offset >= shape->answers_offset)
        return transport->ops->put_payload(transport->inner, neighbor, slot, offset, source, bytes, record);
    if (offset == 0) { /* a payload begins */
        transport->fates[record] = draw_fate(transport, neighbor);
        if (!has_room(transport))
            transport->fates[record] = (struct fate){.corrupt = NONE, .torn = NONE};
    }
    struct late_put what = {.neighbor = neighbor, .slot = slot, .offset = offset, .bytes = bytes};
    int put = offset < shape->tags_offset ? 2 * (int)(offset / shape->chunk_bytes)
                                          : 2 * (int)((offset - shape->tags_offset) / sizeof(struct payload_tag)) + 1;
    return put_damaged(transport, &what, source, put, record);
}

/* Put what is due, as far as there is room for the puts, and forget what has left. */
static enum status put_late(struct transport *transport)
{
    int on_their_way = 0, kept = 0;
    double now_s = stopwatch_now();
    bool drained = transport->ops->drained(transport->inner, transport->record);
    for (int k = 0; k < transport->late_count; k++) {
        struct late_put *late = &transport->late[k];
        if (late->put && drained) {
            memory_free_aligned(late->data);
            continue;
        }
        on_their_way += late->put;
        transport->late[kept++] = *late;
    }
    transport->late_count = kept;
    for (int k = 0; k < kept && on_their_way < transport->puts_most; k++) {
        struct late_put *late = &transport->late[k];
        if (late->put || late->due_s > now_s)
            continue;
        TRY(transport->ops->put_payload(transport->inner, late->neighbor, late->slot, late->offset, late->data,
                                        late->bytes, transport->record));
        late->put = true;
        on_their_way++;
    }
    return STATUS_OK;
}

static enum status injected_poll(struct transport *transport)
{
    TRY(transport->ops->poll(transport->inner));
    return put_late(transport);
}

/* --- the end --- */

bool injected_transport_leave(struct transport *transport)
{
    int kept = 0;
    for (int k = 0; k < transport->late_count; k++)
        if (transport->late[k].put)
            transport->late[kept++] = transport->late[k];
        else
            memory_free_aligned(transport->late[k].data);
    transport->late_count = kept;
    return put_late(transport) != STATUS_OK || transport->late_count == 0;
}

static void injected_destroy(struct transport *transport)
{
    if (transport == NULL)
        return;
    transport->ops->destroy(transport->inner);
    for (int k = 0; k < transport->late_count; k++)
        memory_free_aligned(transport->late[k].data);
    free(transport->late);
    free(transport->fates);
    free(transport->streams);
    free(transport);
}

/* --- what passes --- */

static uint64_t injected_read_word(struct transport *transport, int neighbor)
{
    return transport->ops->read_word(transport->inner, neighbor);
}

static enum status injected_put_word(struct transport *transport, int neighbor, uint64_t word)
{
    return transport->ops->put_word(transport->inner, neighbor, word);
}

static const uint64_t *injected_read_counts(struct transport *transport, int neighbor)
{
    return transport->ops->read_counts(transport->inner, neighbor);
}

static bool injected_put_counts(struct transport *transport, int neighbor, const uint64_t *counts)
{
    return transport->ops->put_counts(transport->inner, neighbor, counts);
}

static unsigned char *injected_slot(struct transport *transport, int slot)
{
    return transport->ops->slot(transport->inner, slot);
}

static bool injected_drained(struct transport *transport, int record)
{
    return transport->ops->drained(transport->inner, record);
}

/* Of what is still to come late, that which is for the dead is dropped by the transport. */
static void injected_bury(struct transport *transport, int neighbor)
{
    transport->ops->bury(transport->inner, neighbor);
}

void injected_transport_wrap(const struct injected_transport_params *params, const struct transport_ops **ops,
                             struct transport **transport)
{
    const struct transport_params *outer = params->transport;
    size_t degree = (size_t)graph_degree(outer->graph, outer->worker);
    struct transport *layer = memory_zalloc(1, sizeof *layer);
    *layer = (struct transport){
        .own = {.name = (*ops)->name,
                .description = (*ops)->description,
                .destroy = injected_destroy,
                .poll = injected_poll,
                .read_word = injected_read_word,
                .put_word = injected_put_word,
                .read_counts = injected_read_counts,
                .put_counts = injected_put_counts,
                .slot = injected_slot,
                .put_payload = injected_put_payload,
                .drained = injected_drained,
                .bury = (*ops)->bury != NULL ? injected_bury : NULL},
        .ops = *ops,
        .inner = *transport,
        .damage = scenario_damage(params->scenario),
        .shape = params->shape,
        .record = outer->slots - 1,
        .puts_most = outer->puts_per_slot,
        .streams = memory_zalloc(degree, sizeof layer->streams[0]),
        .fates = memory_zalloc((size_t)outer->slots - 1, sizeof layer->fates[0]),
        .late_most = PAYLOADS_LATE * (2 * params->shape.chunk_count + 2),
    };
    layer->late = memory_zalloc((size_t)layer->late_most, sizeof layer->late[0]);
    for (size_t j = 0; j < degree; j++)
        layer->streams[j] = random_stream(params->seed, RANDOM_DAMAGE, (uint32_t)outer->worker,
                                          (uint64_t)graph_neighbors(outer->graph, outer->worker)[j].worker);
    *ops = &layer->own;
    *transport = layer;
}
