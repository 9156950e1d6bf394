/* Activation memory, planned once: every buffer of a training step has a lifetime in steps of the program, and buffers
 * that are never alive at the same time share memory. */
#ifndef GRAPEVINE_DEVICE_CPU_PLAN_H
#define GRAPEVINE_DEVICE_CPU_PLAN_H

#include <stddef.h>

enum { CPU_NO_BUFFER = -1 };

struct cpu_buffer {
    size_t bytes;
    int first, last; /* steps of the program in which it is alive, both inclusive */
    int alias;       /* the buffer whose memory this one is, or CPU_NO_BUFFER */
    size_t offset;   /* set by cpu_plan_place */
};

/* Start with {0}. */
struct cpu_plan {
    struct cpu_buffer *buffers; /* owned */
    int count, capacity;
    size_t bytes;          /* of the arena; set by cpu_plan_place */
    unsigned char *memory; /* owned; set by cpu_plan_place */
};

/* A new buffer, alive in step `step`; its index. */
int cpu_plan_add(struct cpu_plan *plan, size_t bytes, int step);
/* A name for the memory of `target`, in place. */
int cpu_plan_alias(struct cpu_plan *plan, int target, int step);
/* Keep it alive in step `step` too. Does nothing for CPU_NO_BUFFER. */
void cpu_plan_use(struct cpu_plan *plan, int buffer, int step);
/* Give every buffer its place and allocate the arena. */
void cpu_plan_place(struct cpu_plan *plan);
/* Where it is, after cpu_plan_place; NULL for CPU_NO_BUFFER. */
void *cpu_plan_pointer(const struct cpu_plan *plan, int buffer);
void cpu_plan_release(struct cpu_plan *plan);

#endif
