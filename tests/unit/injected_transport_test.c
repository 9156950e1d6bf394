/* runtime/mpi/injected_transport.h around a transport in memory: what is put, what comes of it, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "runtime/mpi/injected_transport.h"

enum { FLOATS = 40, CHUNK = 64, RECORDS = 2, PAYLOADS = 2000, WRITER = 0, PEER = 1 };

/* The transport inside: puts land in the peer's slots at once. */
struct transport {
    unsigned char slots[RECORDS][1024];
    int puts[RECORDS + 1]; /* counted under each record; the last one is for late puts */
    bool drained;
};

static enum status memory_poll(struct transport *transport)
{
    (void)transport;
    return STATUS_OK;
}

static enum status memory_put_payload(struct transport *transport, int neighbor, int slot, size_t offset,
                                      const void *source, size_t bytes, int record)
{
    assert_int_equal(neighbor, 0);
    memcpy(transport->slots[slot] + offset, source, bytes);
    transport->puts[record]++;
    return STATUS_OK;
}

static bool memory_drained(struct transport *transport, int record)
{
    (void)record;
    return transport->drained;
}

static void memory_destroy(struct transport *transport)
{
    (void)transport; /* lies in its fixture */
}

static const struct transport_ops memory_ops = {.name = "memory",
                                                .destroy = memory_destroy,
                                                .poll = memory_poll,
                                                .put_payload = memory_put_payload,
                                                .drained = memory_drained};

struct fixture {
    struct transport inner;
    const struct transport_ops *ops;
    struct transport *layer; /* owned */
    struct payload_shape shape;
    float *snapshot; /* owned (FLOATS) */
};

static void set_up(struct fixture *fixture, struct scenario_damage damage)
{
    *fixture = (struct fixture){.inner.drained = true, .ops = &memory_ops, .shape = payload_shape(FLOATS, CHUNK)};
    struct graph_params ring = {.name = "ring", .worker_count = 2, .rate = 1};
    struct graph *graph = NULL;
    assert_int_equal(graph_create(&ring, &graph), STATUS_OK);
    struct scenario_params scenario_params = {.damage = damage, .worker_count = 2};
    struct scenario *scenario = NULL;
    assert_int_equal(scenario_create(&scenario_params, &scenario), STATUS_OK);
    struct transport_params outer = {.graph = graph,
                                     .worker = WRITER,
                                     .slots = RECORDS + 1,
                                     .slot_bytes = fixture->shape.slot_bytes,
                                     .puts_per_slot = 2 * fixture->shape.chunk_count + 1};
    struct injected_transport_params params = {
        .scenario = scenario, .seed = 1, .shape = fixture->shape, .transport = &outer};
    assert_true(fixture->shape.slot_bytes <= sizeof fixture->inner.slots[0]);
    fixture->layer = &fixture->inner;
    injected_transport_wrap(&params, &fixture->ops, &fixture->layer);
    assert_string_equal(fixture->ops->name, "memory");
    scenario_destroy(scenario);
    graph_destroy(graph);
    fixture->snapshot = memory_alloc_aligned(FLOATS * sizeof(float));
}

static void tear_down(struct fixture *fixture)
{
    fixture->ops->destroy(fixture->layer);
    memory_free_aligned(fixture->snapshot);
}

static void put(struct fixture *fixture, int slot, uint64_t attempt)
{
    const struct payload_shape *shape = &fixture->shape;
    for (int k = 0; k < FLOATS; k++)
        fixture->snapshot[k] = (float)(attempt * FLOATS) + (float)k;
    for (int chunk = 0; chunk < shape->chunk_count; chunk++) {
        struct payload_tag tag = payload_seal(shape, fixture->snapshot, chunk, WRITER, attempt);
        size_t offset = payload_chunk_offset(shape, chunk);
        assert_int_equal(fixture->ops->put_payload(fixture->layer, 0, slot, offset,
                                                   (const char *)fixture->snapshot + offset,
                                                   payload_chunk_length(shape, chunk), slot),
                         STATUS_OK);
        assert_int_equal(fixture->ops->put_payload(fixture->layer, 0, slot,
                                                   shape->tags_offset + (size_t)chunk * sizeof tag, &tag, sizeof tag,
                                                   slot),
                         STATUS_OK);
    }
}

static bool whole(const struct fixture *fixture, int slot, uint64_t attempt)
{
    for (int chunk = 0; chunk < fixture->shape.chunk_count; chunk++)
        if (!payload_chunk_valid(&fixture->shape, fixture->inner.slots[slot], chunk, WRITER, attempt))
            return false;
    return true;
}

static void poll_once(struct fixture *fixture)
{
    assert_int_equal(fixture->ops->poll(fixture->layer), STATUS_OK);
}

static void poll_to_the_end(struct fixture *fixture)
{
    for (double begin_s = stopwatch_now(); stopwatch_now() - begin_s < 1.1 * INJECTED_LATE_S;) {
        poll_once(fixture);
        stopwatch_sleep(1e-3);
    }
}

/* Their share is damaged, within 5 standard deviations, and the others arrive as they are. */
static void corrupt_payloads_stay_so(void **state)
{
    (void)state;
    const double share = 0.25;
    struct fixture fixture;
    double damaged = 0;
    set_up(&fixture, (struct scenario_damage){.corrupt = share});
    for (uint64_t attempt = 1; attempt <= PAYLOADS; attempt++) {
        put(&fixture, 0, attempt);
        poll_once(&fixture);
        damaged += !whole(&fixture, 0, attempt);
    }
    double off = damaged - share * PAYLOADS;
    assert_true(off * off <= 25 * share * (1 - share) * PAYLOADS);
    tear_down(&fixture);
}

static void torn_payloads_are_whole_later(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, (struct scenario_damage){.torn = 0.99});
    for (uint64_t attempt = 1; attempt <= 3; attempt++) {
        put(&fixture, 0, attempt);
        assert_false(whole(&fixture, 0, attempt));
        poll_to_the_end(&fixture);
        assert_true(whole(&fixture, 0, attempt));
    }
    tear_down(&fixture);
}

/* The second time it comes from a copy, into a slot that holds something else by now. */
static void duplicates_come_again(void **state)
{
    (void)state;
    struct fixture fixture;
    int again = 0;
    set_up(&fixture, (struct scenario_damage){.duplicate = 0.99});
    for (uint64_t attempt = 1; attempt <= 6; attempt += 2) {
        put(&fixture, 0, attempt);
        assert_true(whole(&fixture, 0, attempt));
        put(&fixture, 1, attempt + 1);
        memset(fixture.inner.slots[0], 0, sizeof fixture.inner.slots[0]);
        poll_to_the_end(&fixture);
        again += whole(&fixture, 0, attempt);
        assert_true(whole(&fixture, 1, attempt + 1));
    }
    assert_true(again >= 2);
    assert_int_equal(fixture.inner.puts[RECORDS] % (2 * fixture.shape.chunk_count), 0);
    tear_down(&fixture);
}

/* As many late puts as a record may count, and then none until they have left; what finds no room passes unhurt. */
static void late_puts_have_a_limit(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture, (struct scenario_damage){.duplicate = 0.99, .corrupt = 0.99});
    fixture.inner.drained = false;
    for (uint64_t attempt = 1; attempt <= 20; attempt++)
        put(&fixture, 0, attempt);
    assert_true(whole(&fixture, 0, 20));
    int most = 2 * fixture.shape.chunk_count + 1;
    poll_to_the_end(&fixture);
    assert_int_equal(fixture.inner.puts[RECORDS], most);
    fixture.inner.drained = true;
    poll_once(&fixture);
    assert_true(fixture.inner.puts[RECORDS] > most);
    tear_down(&fixture);
}

/* The same fates for the same seed; answers are let through. */
static void fates_are_drawn_from_the_seed(void **state)
{
    (void)state;
    struct fixture a, b;
    struct scenario_damage damage = {.corrupt = 0.5};
    set_up(&a, damage);
    set_up(&b, damage);
    for (uint64_t attempt = 1; attempt <= 200; attempt++) {
        put(&a, 0, attempt);
        put(&b, 0, attempt);
        poll_once(&a);
        poll_once(&b);
        assert_memory_equal(a.inner.slots[0], b.inner.slots[0], a.shape.slot_bytes);
        struct payload_tag answer = payload_seal_answer(PAYLOAD_AGAIN, attempt, PEER, attempt);
        uint64_t number;
        size_t offset = payload_answer_offset(&a.shape, PAYLOAD_AGAIN);
        assert_int_equal(a.ops->put_payload(a.layer, 0, 1, offset, &answer, sizeof answer, 1), STATUS_OK);
        assert_true(payload_answered(&a.shape, a.inner.slots[1], PAYLOAD_AGAIN, PEER, attempt, &number));
    }
    tear_down(&a);
    tear_down(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(corrupt_payloads_stay_so),      cmocka_unit_test(torn_payloads_are_whole_later),
        cmocka_unit_test(duplicates_come_again),         cmocka_unit_test(late_puts_have_a_limit),
        cmocka_unit_test(fates_are_drawn_from_the_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
