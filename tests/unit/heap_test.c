/* The event heap against a sorted reference: earliest first, equal times in the order of insertion. */
#include "base/heap.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"

static int compare_events(const void *a, const void *b)
{
    const struct heap_event *left = a, *right = b;
    if (left->time != right->time)
        return left->time < right->time ? -1 : 1;
    return (left->serial > right->serial) - (left->serial < right->serial);
}

static void test_empty(void **state)
{
    struct heap heap = {0};
    struct heap_event event = {.time = 7};
    (void)state;
    assert_null(heap_first(&heap));
    assert_false(heap_pop(&heap, &event));
    assert_true(event.time == 7);
    heap_release(&heap);
}

/* Few distinct times, so that most events tie. */
static void test_order_of_ties(void **state)
{
    enum { COUNT = 5000 };
    static struct heap_event reference[COUNT];
    struct heap heap = {0};
    struct heap_event event;
    struct random_stream stream = random_stream(1, RANDOM_TEST, 0, 0);
    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        double time = random_below(&stream, 40) - 20.0;
        reference[i] = (struct heap_event){.time = time, .serial = i, .kind = i % 3, .index = i};
        heap_push(&heap, time, i % 3, i);
    }
    qsort(reference, COUNT, sizeof reference[0], compare_events);
    for (int i = 0; i < COUNT; i++) {
        assert_true(heap_first(&heap)->serial == reference[i].serial);
        assert_true(heap_pop(&heap, &event));
        assert_true(event.time == reference[i].time);
        assert_true(event.serial == reference[i].serial);
        assert_int_equal(event.kind, reference[i].kind);
        assert_int_equal(event.index, reference[i].index);
    }
    assert_false(heap_pop(&heap, &event));
    heap_release(&heap);
    assert_null(heap.events);
}

/* Pushes and pops mixed, as a simulation does: each pop gives the least of what is inside. */
static void test_mixed(void **state)
{
    enum { MAX = 300 };
    struct heap_event inside[MAX], event;
    size_t count = 0;
    struct heap heap = {0};
    struct random_stream stream = random_stream(2, RANDOM_TEST, 0, 0);
    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        bool push = count == 0 || (count < MAX && random_below(&stream, 2) == 0);
        if (push) {
            double time = random_below(&stream, 10);
            inside[count++] = (struct heap_event){.time = time, .serial = heap.next_serial, .index = i};
            heap_push(&heap, time, 0, i);
        } else {
            qsort(inside, count, sizeof inside[0], compare_events);
            assert_true(heap_pop(&heap, &event));
            assert_int_equal(event.index, inside[0].index);
            inside[0] = inside[--count];
        }
        assert_int_equal(heap.count, count);
    }
    heap_release(&heap);
}

static void test_infinite_times_come_last(void **state)
{
    struct heap heap = {0};
    struct heap_event event;
    (void)state;
    heap_push(&heap, INFINITY, 0, 2);
    heap_push(&heap, 1e300, 0, 1);
    heap_push(&heap, INFINITY, 0, 3);
    heap_push(&heap, -INFINITY, 0, 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(heap_pop(&heap, &event));
        assert_int_equal(event.index, i);
    }
    heap_release(&heap);
}

/* Within the reserve nothing is allocated, so the events stay where they are. */
static void test_reserve(void **state)
{
    struct heap heap = {0};
    (void)state;
    heap_reserve(&heap, 1000);
    const struct heap_event *events = heap.events;
    for (uint32_t i = 0; i < 1000; i++)
        heap_push(&heap, -(double)i, 0, i);
    assert_ptr_equal(heap.events, events);
    assert_int_equal(heap.capacity, 1000);
    heap_reserve(&heap, 10);
    assert_int_equal(heap.capacity, 1000);
    assert_int_equal(heap_first(&heap)->index, 999);
    heap_release(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),   cmocka_unit_test(test_order_of_ties),
        cmocka_unit_test(test_mixed),   cmocka_unit_test(test_infinite_times_come_last),
        cmocka_unit_test(test_reserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
