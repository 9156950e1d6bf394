/* The flat parameter store: initial values of x, and of the buffers, in the layout that net_spec describes. */
#ifndef GRAPEVINE_NN_STORE_H
#define GRAPEVINE_NN_STORE_H

#include <stdint.h>

#include "device/net_spec.h"

/* Fill x (spec->parameter_size, host memory): every parameter from its own random stream
 * (seed, RANDOM_INIT, worker 0, step = index of the parameter). */
void store_init_parameters(const struct net_spec *spec, uint64_t seed, float *x);
/* Fill the buffers (spec->buffer_size, host memory): running means 0, running variances 1. */
void store_init_buffers(const struct net_spec *spec, float *buffers);

#endif
