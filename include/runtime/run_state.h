/* What a run is at a moment between two gradients, in vectors of device memory and numbers: what a runtime keeps when
 * it is asked to leave, and takes up again. Its layout is the runtime's own. */
#ifndef GRAPEVINE_RUNTIME_RUN_STATE_H
#define GRAPEVINE_RUNTIME_RUN_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run_state_vector {
    char name[40];
    float *vector; /* borrowed (count), device memory */
    size_t count;
};

struct run_state {
    struct run_state_vector *vectors; /* owned (vector_count) */
    int64_t *numbers;                 /* owned (number_count); doubles by their bits */
    size_t vector_count, number_count;
    uint64_t gradients; /* of all workers, so far */
    uint64_t recorded;  /* how far the record of the run had got, as runtime_params.recorded has it */
};

/* One more vector; nothing where it is NULL or empty. */
void run_state_add(struct run_state *state, const char *name, float *vector, size_t count);
void run_state_release(struct run_state *state);

/* The numbers, one after another: kept, or taken up again, by the same calls in the same order. */
struct run_state_walk {
    int64_t *numbers; /* owned by the state that is kept, which it grows in; read where they are taken up */
    size_t count, at;
    bool takes_up;
};

void run_state_walk_whole(struct run_state_walk *walk, uint64_t *value);
void run_state_walk_double(struct run_state_walk *walk, double *value);

#endif
