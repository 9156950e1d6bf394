/* What every algorithm of this folder keeps: where x lives, and SGD's momentum vector. Private to src/algo. */
#ifndef GRAPEVINE_SRC_ALGO_REPLICA_H
#define GRAPEVINE_SRC_ALGO_REPLICA_H

#include "algo/algo.h"

/* Start with {0}. */
struct replica {
    struct algo_params params; /* `decayed` is the whole of x under decay_norm_and_bias */
    float *momentum;           /* owned, (count) */
};

enum status replica_init(struct replica *replica, const struct algo_params *params);
void replica_release(struct replica *replica);

/* Gradient event: x and x̃ (NULL: not kept) advance by `mix`, then move along the optimizer's direction. */
bool replica_update(struct replica *replica, double mix, float *x_tilde, const struct update *update);

/* out (count) ← elements [first, first + count) of x; also the way to set x̃. */
void replica_copy(const struct replica *replica, bool shared, size_t first, size_t count, float *out);

/* `momentum` for that name, else NULL. */
float *replica_vector(const struct replica *replica, const char *name);

#endif
