/* Lines about the network as a whole, made from what its workers wrote of themselves.
 *
 *     {"network": true, "time": 12.5, "global_step": 1603, "epoch": 1.05, "consensus_estimated": 2.9,
 *      "consensus_predicted": 3.4, "chi1": 1.02, "chi2": 0.76, "exchanges_per_gradient": 0.98}
 *
 * Under MPI no process sees the whole network while a run goes on, and nothing is sent to find out. But every step
 * report has its worker's meetings and gradients so far: put in the order of time they give χ1 and χ2 of the rates that
 * really happened, and the means over workers of what each estimated and predicted. */
#ifndef GRAPEVINE_SRC_APP_NETWORK_LINES_H
#define GRAPEVINE_SRC_APP_NETWORK_LINES_H

#include <stdio.h>

#include "graph/graph.h"

struct network_lines;

/* The graph is borrowed. */
struct network_lines *network_lines_create(const struct graph *graph);
void network_lines_destroy(struct network_lines *lines); /* NULL is fine */

/* Take a line of metrics.jsonl, in the order of time; writes a line about the network to `out` whenever every worker
 * has reported since the last one. */
void network_lines_add(struct network_lines *lines, const char *text, FILE *out);

#endif
