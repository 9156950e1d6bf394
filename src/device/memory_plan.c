/* Activation memory, planned once: the largest buffer first, each at the lowest offset free during its whole
 * lifetime. */
#include "device/memory_plan.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

static int root_of(const struct memory_plan *plan, int buffer)
{
    while (plan->buffers[buffer].alias != NO_BUFFER)
        buffer = plan->buffers[buffer].alias;
    return buffer;
}

int memory_plan_add(struct memory_plan *plan, size_t bytes, int step)
{
    if (plan->count == plan->capacity) {
        plan->capacity = plan->capacity == 0 ? 64 : 2 * plan->capacity;
        plan->buffers = memory_realloc(plan->buffers, (size_t)plan->capacity, sizeof *plan->buffers);
    }
    size_t rounded = (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    plan->buffers[plan->count] =
        (struct planned_buffer){.bytes = rounded, .first = step, .last = step, .alias = NO_BUFFER};
    return plan->count++;
}

int memory_plan_alias(struct memory_plan *plan, int target, int step)
{
    int buffer = memory_plan_add(plan, 0, step);
    plan->buffers[buffer].alias = target;
    memory_plan_use(plan, buffer, step);
    return buffer;
}

void memory_plan_use(struct memory_plan *plan, int buffer, int step)
{
    if (buffer == NO_BUFFER)
        return;
    struct planned_buffer *root = &plan->buffers[root_of(plan, buffer)];
    if (step < root->first)
        root->first = step;
    if (step > root->last)
        root->last = step;
}

static int by_size(const void *left, const void *right)
{
    const struct planned_buffer *a = *(struct planned_buffer *const *)left, *b = *(struct planned_buffer *const *)right;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return a < b ? -1 : a > b;
}

static int by_offset(const void *left, const void *right)
{
    const struct planned_buffer *a = *(struct planned_buffer *const *)left, *b = *(struct planned_buffer *const *)right;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

/* The lowest gap that holds `buffer` between the already placed ones that live at the same time. */
static size_t lowest_gap(const struct planned_buffer *buffer, struct planned_buffer **placed, size_t placed_count)
{
    size_t offset = 0;
    for (size_t i = 0; i < placed_count; i++) {
        const struct planned_buffer *other = placed[i];
        if (other->last < buffer->first || other->first > buffer->last)
            continue;
        if (offset + buffer->bytes <= other->offset)
            break;
        if (other->offset + other->bytes > offset)
            offset = other->offset + other->bytes;
    }
    return offset;
}

void memory_plan_place(struct memory_plan *plan)
{
    struct planned_buffer **order = memory_zalloc((size_t)plan->count, sizeof *order);
    size_t count = 0;
    for (int i = 0; i < plan->count; i++) {
        if (plan->buffers[i].alias == NO_BUFFER)
            order[count++] = &plan->buffers[i];
    }
    qsort(order, count, sizeof *order, by_size);
    for (size_t i = 0; i < count; i++) {
        order[i]->offset = lowest_gap(order[i], order, i);
        if (order[i]->offset + order[i]->bytes > plan->bytes)
            plan->bytes = order[i]->offset + order[i]->bytes;
        qsort(order, i + 1, sizeof *order, by_offset);
    }
    free(order);
}

void *memory_plan_pointer(const struct memory_plan *plan, int buffer)
{
    assert(plan->memory != NULL);
    return buffer == NO_BUFFER ? NULL : plan->memory + plan->buffers[root_of(plan, buffer)].offset;
}

void memory_plan_release(struct memory_plan *plan)
{
    free(plan->buffers);
    *plan = (struct memory_plan){0};
}
