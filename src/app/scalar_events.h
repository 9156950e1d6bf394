/* The record as scalars for TensorBoard: which tags a report has, and in which run folder they stand.
 *
 *     tensorboard/worker-<i>    loss, accuracy, lr, ...; test/accuracy: of this worker's own model;
 *                               test_averaged/accuracy: of the averaged model (worker 0)
 *     tensorboard/network       consensus_distance (simulate) or consensus_estimated, consensus_predicted, chi1, chi2,
 *                               exchanges_per_gradient, ...: the fields of the lines about the network (app/record.h)
 *
 * A run that goes on begins a new file, whose session start makes void what the sessions before it wrote after the
 * state that it goes on from. */
#ifndef GRAPEVINE_SRC_APP_SCALAR_EVENTS_H
#define GRAPEVINE_SRC_APP_SCALAR_EVENTS_H

#include <stdint.h>

#include "app/tensorboard.h"
#include "runtime/observer.h"

/* Where a session begins: reports of `step` and later are its own; its clock, whose reports begin at `time_s`, is real
 * time from now on. */
struct scalar_events_start {
    uint64_t step;
    double time_s;
};

/* Open <directory>/tensorboard/<name>. STATUS_MACHINE (logged). */
enum status scalar_events_open(const char *directory, const char *name, const struct scalar_events_start *start,
                               struct tensorboard **out);
void scalar_events_add_step(struct tensorboard *events, const struct step_report *report);
void scalar_events_add_evaluation(struct tensorboard *events, const struct evaluation_report *report);
/* Every number of a line of metrics.jsonl about the network. */
void scalar_events_add_network_line(struct tensorboard *events, const char *line);
/* tensorboard/network of the lines that <directory>/metrics.jsonl has. Best effort: it has said what is missing. */
void scalar_events_of_metrics(const char *directory);

#endif
