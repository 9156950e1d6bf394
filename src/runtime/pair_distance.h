/* How far apart two workers are when they meet: an estimate of the consensus distance at no traffic. */
#ifndef GRAPEVINE_SRC_RUNTIME_PAIR_DISTANCE_H
#define GRAPEVINE_SRC_RUNTIME_PAIR_DISTANCE_H

#include <stddef.h>

/* ‖own − peer‖²/2; of a long vector every sixteenth block is looked at, and the sum scaled. */
double pair_distance(const float *own, const float *peer, size_t count);

#endif
