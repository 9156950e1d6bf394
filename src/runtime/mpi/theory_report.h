/* One worker's reports beside theory: what it knows of its own edges, and the whole network's once the run is over.
 * By the compute thread. */
#ifndef GRAPEVINE_RUNTIME_MPI_THEORY_REPORT_H
#define GRAPEVINE_RUNTIME_MPI_THEORY_REPORT_H

#include <stdint.h>

#include "runtime/mpi/communicator.h"
#include "runtime/runtime.h"

struct theory_report;

struct theory_report *theory_report_create(const struct runtime_params *params, int worker);
void theory_report_destroy(struct theory_report *theory); /* NULL is fine */

/* Complete a report whose `worker`, `step` and `pair_distance` stand: consensus_estimated, consensus_predicted, met
 * (borrowed until the next call). Warns once when its edges lag, or when workers are farther apart than predicted. */
void theory_report_fill(struct theory_report *theory, struct communicator *communicator, double update_square,
                        struct step_report *report);

/* The level for updates of this mean square. */
double theory_report_predicted(const struct theory_report *theory, double update_square);
/* Realised χ of the whole run, from the result's meetings and gradients_per_worker. */
void theory_report_result(struct theory_report *theory, struct runtime_result *result);

#endif
