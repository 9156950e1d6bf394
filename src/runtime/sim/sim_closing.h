/* The end of a run with all its workers in one process: final average, batch-norm statistics, test. What
 * runtime/mpi/closing.c does, with every sum made in the order of the workers. */
#ifndef GRAPEVINE_SRC_RUNTIME_SIM_SIM_CLOSING_H
#define GRAPEVINE_SRC_RUNTIME_SIM_SIM_CLOSING_H

#include "runtime/runtime.h"

struct sim_closing {
    const struct runtime_params *run; /* borrowed */
    const struct device_ops *ops;
    struct device *device;         /* borrowed */
    struct worker *const *workers; /* borrowed (count): those that live, by ascending number */
    int count;
    double consensus_distance; /* when training ended; NAN: that of the workers as they are is measured */
};

/* Every worker ends with the averaged model and the statistics that run->batch_norm asks for; fills in the result's
 * consensus distance and tests. result->gradients must be set. */
enum status sim_closing_average_and_test(const struct sim_closing *closing, struct runtime_result *result);

#endif
