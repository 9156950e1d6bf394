/* The state of a run, put together. */
#include "runtime/run_state.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void run_state_add(struct run_state *state, const char *name, float *vector, size_t count)
{
    if (vector == NULL || count == 0)
        return;
    state->vectors = memory_realloc(state->vectors, state->vector_count + 1, sizeof state->vectors[0]);
    struct run_state_vector *added = &state->vectors[state->vector_count++];
    *added = (struct run_state_vector){.count = count};
    added->vector = vector;
    snprintf(added->name, sizeof added->name, "%s", name);
}

void run_state_release(struct run_state *state)
{
    free(state->vectors);
    free(state->numbers);
    *state = (struct run_state){0};
}

void run_state_walk_whole(struct run_state_walk *walk, uint64_t *value)
{
    if (walk->takes_up) {
        assert(walk->at < walk->count);
        *value = (uint64_t)walk->numbers[walk->at++];
        return;
    }
    walk->numbers = memory_realloc(walk->numbers, walk->count + 1, sizeof walk->numbers[0]);
    walk->numbers[walk->count++] = (int64_t)*value;
}

static int64_t bits_of(double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double double_of(int64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void run_state_walk_double(struct run_state_walk *walk, double *value)
{
    uint64_t bits = (uint64_t)bits_of(*value);
    run_state_walk_whole(walk, &bits);
    *value = double_of((int64_t)bits);
}
