/* A stable binary heap of events in time: the earliest first, equal times in the order of insertion. */
#ifndef GRAPEVINE_BASE_HEAP_H
#define GRAPEVINE_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_event {
    double time;
    uint64_t serial; /* given by heap_push: breaks ties */
    uint32_t kind;   /* the caller's */
    uint32_t index;  /* the caller's */
};

/* Start with {0}. */
struct heap {
    struct heap_event *events; /* owned */
    size_t count, capacity;
    uint64_t next_serial;
};

void heap_reserve(struct heap *heap, size_t capacity);
void heap_push(struct heap *heap, double time, uint32_t kind, uint32_t index); /* allocates beyond the reserve only */
const struct heap_event *heap_first(const struct heap *heap);                  /* NULL when empty */
bool heap_pop(struct heap *heap, struct heap_event *event);                    /* false when empty */
void heap_release(struct heap *heap);

#endif
