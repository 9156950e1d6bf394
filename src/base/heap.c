/* A stable binary heap of events in time. */
#include "base/heap.h"

#include <stdlib.h>

#include "base/memory.h"

static bool before(const struct heap_event *a, const struct heap_event *b)
{
    return a->time < b->time || (a->time == b->time && a->serial < b->serial);
}

void heap_reserve(struct heap *heap, size_t capacity)
{
    if (capacity <= heap->capacity)
        return;
    heap->events = memory_realloc(heap->events, capacity, sizeof heap->events[0]);
    heap->capacity = capacity;
}

void heap_push(struct heap *heap, double time, uint32_t kind, uint32_t index)
{
    if (heap->count == heap->capacity)
        heap_reserve(heap, heap->capacity * 2 + 16);
    struct heap_event event = {.time = time, .serial = heap->next_serial++, .kind = kind, .index = index};
    size_t hole = heap->count++;
    while (hole > 0 && before(&event, &heap->events[(hole - 1) / 2])) {
        heap->events[hole] = heap->events[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap->events[hole] = event;
}

const struct heap_event *heap_first(const struct heap *heap)
{
    return heap->count > 0 ? &heap->events[0] : NULL;
}

bool heap_pop(struct heap *heap, struct heap_event *event)
{
    if (heap->count == 0)
        return false;
    *event = heap->events[0];
    struct heap_event last = heap->events[--heap->count];
    size_t hole = 0;
    for (size_t child = 1; child < heap->count; child = 2 * hole + 1) {
        if (child + 1 < heap->count && before(&heap->events[child + 1], &heap->events[child]))
            child++;
        if (!before(&heap->events[child], &last))
            break;
        heap->events[hole] = heap->events[child];
        hole = child;
    }
    if (heap->count > 0)
        heap->events[hole] = last;
    return true;
}

void heap_release(struct heap *heap)
{
    free(heap->events);
    *heap = (struct heap){0};
}
