/* The record of a run: what the runtime reports, as files in the run directory and lines on standard output.
 *
 * Every process writes metrics-<rank>.jsonl, one JSON object per line and report, as the run goes on (and, on
 * request, its TensorBoard events); spans stay in memory until the end. Rank 0 then merges the parts into
 * metrics.jsonl and trace.json.
 *
 *     {"rank": 0, "time": 12.5, "step": 400, "global_step": 1603, "epoch": 1.05, "samples": 51200, "progress": 0.105,
 *      "loss": 1.21, "lr": 0.1, "accuracy": 0.56, "samples_per_second": 812.1, "exchanges": 395, "pair_distance": 3.1,
 *      "consensus_estimated": 3.2, "consensus_predicted": 3.4, "idle": 0.01, "data_wait": 0, "pending": 1,
 *      "meetings": {"1": 201, "3": 194}}
 *     {"rank": 0, "time": 13.1, "step": 400, "global_step": 1605, "epoch": 1.05, "test_loss": 1.1,
 *      "test_accuracy": 0.6, "pictures": 2500, "averaged": false}
 *
 *     {"network": true, "time": 12.5, "global_step": 1603, "epoch": 1.05, "consensus_distance": 2.9,
 *      "consensus_predicted": 3.4, "chi1": 1.02, "chi2": 0.76, "exchanges_per_gradient": 0.98}
 *
 * The last is about all workers (observer.h, struct network_report); convex models add optimum_distance and
 * optimum_gap. Under MPI the merge makes it of the workers' reports, with consensus_estimated, the mean of theirs,
 * instead of the consensus_distance, which nobody sees. Numbers that are not finite are null. A test on a set
 * of more than ten classes has test_accuracy_top5 too. A validation report has validation_loss, validation_accuracy
 * (and validation_accuracy_top5). When a file can no longer be written the run goes on; one warning says what
 * is missing. */
#ifndef GRAPEVINE_APP_RECORD_H
#define GRAPEVINE_APP_RECORD_H

#include <stdbool.h>
#include <stdio.h>

#include "app/event_log.h"
#include "base/status.h"
#include "graph/graph.h"
#include "runtime/observer.h"

struct record_params {
    const char *directory; /* the run directory, which rank 0 has made */
    int rank;              /* first worker of this process */
    int worker_count;      /* workers of this process: 1 under MPI, all in the simulator; 0: 1 */
    bool trace, tensorboard;
    bool simulated; /* reports are in virtual time: progress is shown in real time all the same */
    bool goes_on;   /* a run that was interrupted: this rank's metrics are cut to `metrics_bytes`, and written on */
    uint64_t metrics_bytes;
    uint64_t steps_before; /* gradients of all that this run's own follow, where it does not go on: of another run */
    bool later;                            /* files are opened by record_open: until then nothing there changes */
    FILE *progress;                        /* rank 0: where to show progress (stdout); NULL for nowhere */
    const struct event_log_header *events; /* copied; NULL: no event logs; else their first lines, but for `worker` */
    int columns; /* of the terminal that `progress` is, for one line rewritten in place; 0: plain lines */
};

struct record;

/* Open this rank's files. STATUS_MACHINE (logged): they cannot be made. STATUS_DATA (logged): the metrics that are to
 * be written on are shorter than they were. */
enum status record_create(const struct record_params *params, struct record **out);

/* The same for a record that was created to be opened later, before its first report. Events may come before. */
enum status record_open(struct record *record);

/* How long this rank's metrics are: by the thread that reports. */
uint64_t record_length(const struct record *record);
/* Bring what has been written so far to the disk. Any thread, while others write. Best effort. */
void record_sync(const struct record *record);

/* What to give to the runtime; lives as long as the record. */
const struct observer *record_observer(const struct record *record);

/* What the event logs end with: digests of a worker of this process when training was over, and of the final model.
 * Nothing to do without event logs. */
void record_trained(struct record *record, struct worker *worker, int number);
void record_final(struct record *record, struct worker *worker, int number);

/* End the progress line and close this rank's files, also after a failed run. NULL is fine. */
void record_close(struct record *record);

/* By rank 0, after every rank has closed its record: put the parts of `size` ranks together, ordered by time;
 * `trace`: the traces of `worker_count` workers too; `graph` (may be NULL): add lines about the network, as far as the
 * workers' reports together tell of it. False, after one warning: the metrics cannot be put together, and their parts
 * are all that there is. */
bool record_merge(const char *directory, int size, int worker_count, const struct graph *graph, bool trace);
/* Remove the merged parts of the metrics, once the run has come to its end: one that is killed before goes on with
 * them. */
void record_remove_parts(const char *directory, int size);

#endif
