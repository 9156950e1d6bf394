/* The ranks' metrics-<rank>.jsonl put together, ordered by time: metrics.jsonl. */
#ifndef GRAPEVINE_SRC_APP_METRICS_MERGE_H
#define GRAPEVINE_SRC_APP_METRICS_MERGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "graph/graph.h"

/* Where rank `rank` writes its part; owned by the caller. */
char *metrics_part_path(const char *directory, int rank);

/* Merge the parts of `size` ranks; each rank's lines keep their order. False after one warning. `graph` (may be NULL):
 * with lines about the network (network_lines.h). */
bool metrics_merge(const char *directory, int size, const struct graph *graph);
void metrics_remove_parts(const char *directory, int size);

/* The parts of `size` ranks again, as they were before they were merged; 0: of one process with all workers. What was
 * merged stays as before-<gradients>-metrics.jsonl. Nothing to do without metrics.jsonl. STATUS_MACHINE (logged). */
enum status metrics_take_apart(const char *directory, int size, uint64_t gradients);

#endif
