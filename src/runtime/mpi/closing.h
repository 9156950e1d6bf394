/* The end of a run, all workers together: average the parameters once, treat the batch-norm statistics, test the
 * result. By the main thread, after the communication threads have ended. */
#ifndef GRAPEVINE_RUNTIME_MPI_CLOSING_H
#define GRAPEVINE_RUNTIME_MPI_CLOSING_H

#include "base/status.h"
#include "runtime/runtime.h"

/* Fills in consensus_distance, which is that of the workers' `last` (parameter_size, host memory; NULL: of x as it is),
 * and the test_* figures; the worker then holds the averaged model. */
enum status closing_average_and_test(const struct runtime_params *params, const struct job *job, struct worker *worker,
                                     const float *last, struct runtime_result *result);

#endif
