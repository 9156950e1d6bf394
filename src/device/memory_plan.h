/* Activation memory, planned once: every buffer of a training step has a lifetime in steps of the program, and buffers
 * that are never alive at the same time share memory. */
#ifndef GRAPEVINE_DEVICE_MEMORY_PLAN_H
#define GRAPEVINE_DEVICE_MEMORY_PLAN_H

#include <stddef.h>

enum { NO_BUFFER = -1 };

struct planned_buffer {
    size_t bytes;
    int first, last; /* steps of the program in which it is alive, both inclusive */
    int alias;       /* the buffer whose memory this one is, or NO_BUFFER */
    size_t offset;   /* set by memory_plan_place */
};

/* Start with {0}. */
struct memory_plan {
    struct planned_buffer *buffers; /* owned */
    int count, capacity;
    size_t bytes;          /* of the arena; set by memory_plan_place */
    unsigned char *memory; /* the arena, borrowed; set by the backend, in whatever memory it computes, after that */
};

/* A new buffer, alive in step `step`; its index. */
int memory_plan_add(struct memory_plan *plan, size_t bytes, int step);
/* A name for the memory of `target`, in place. */
int memory_plan_alias(struct memory_plan *plan, int target, int step);
/* Keep it alive in step `step` too. Does nothing for NO_BUFFER. */
void memory_plan_use(struct memory_plan *plan, int buffer, int step);
/* Give every buffer its place. */
void memory_plan_place(struct memory_plan *plan);
/* Where it is, once `memory` is set; NULL for NO_BUFFER. */
void *memory_plan_pointer(const struct memory_plan *plan, int buffer);
void memory_plan_release(struct memory_plan *plan);

#endif
