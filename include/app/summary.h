/* The result of a run: summary.json for programs, a short table for people. */
#ifndef GRAPEVINE_APP_SUMMARY_H
#define GRAPEVINE_APP_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "config/config.h"

/* What was injected (runtime/scenario.h): the texts of the configuration, NULL or "" for none. */
struct summary_injected {
    const char *slow, *pause, *death, *nan, *links;
    double loss, duplicate, torn, corrupt;
};

/* All pointers are borrowed. Numbers that are not finite become null, NULL texts are left out. */
struct summary {
    const char *version, *command, *config_file;
    const struct config *config;        /* all keys as they were resolved; NULL: left out */
    const char *train_data, *test_data; /* what the data were (data/fingerprint.h) */
    double learning_rate;               /* the peak of the schedule */
    const char *algorithm, *graph, *model, *data, *partition;
    const double *mean, *deviation; /* (channels), or NULL: the data set's usual ones */
    int channels;
    const char *test_images; /* where they come from, NULL: from where they usually do */
    const char *transport, *device, *batch_norm;
    int workers;
    const bool *died; /* (workers); NULL: none has */
    int64_t seed;
    size_t batch;
    double epochs;
    double chi1, chi2, eta, alpha, alpha_tilde;
    double rate_wanted;                   /* meetings of a worker per gradient; NAN where nobody meets in pairs */
    uint64_t gradients;                   /* of all workers */
    const uint64_t *gradients_per_worker; /* (workers) */
    uint64_t exchanges;                   /* pairs that met */
    uint64_t ticks, ticks_unserved;
    uint64_t meetings_lost;           /* ticks whose invitation was lost */
    uint64_t payloads_damaged;        /* snapshots that came damaged and were asked for again */
    uint64_t payloads_repeated;       /* times that one was sent again */
    struct summary_injected injected; /* it and the three above are written where something was injected; the last two
                                       * also where they are not 0 */
    const uint64_t *class_counts;     /* (workers × classes): images that each trains on; NULL: all have the same */
    int classes;
    const uint64_t *meetings;         /* (workers × workers); NULL: too many workers, left out */
    const double *idle, *data_wait;   /* (workers): shares of the time; NAN where there is no such thing */
    const double *samples_per_second; /* (workers); NAN likewise */
    double wall_seconds;              /* real time of the training */
    double finalisation_seconds;      /* real time after it: average, batch-norm statistics, test */
    const char *time;    /* simulate: "ideal", "modelled"; NULL: real. Rates, idle and data_wait are in it */
    double virtual_time; /* simulate: how long the training took in it; expected gradients (ideal), seconds */
    double test_accuracy, test_loss;     /* of the averaged model; accuracy as a fraction of 1 */
    double test_accuracy_own_statistics; /* before the batch-norm statistics were treated */
    double test_accuracy_top5, test_accuracy_top5_own_statistics; /* likewise; NAN: few classes, left out */
    double consensus_distance;           /* (1/n) Σ ‖x_i − x̄‖² at the end of training (runtime.h) */
    double consensus_predicted;          /* the level that updates as large as the last lead to */
    double chi1_realised, chi2_realised; /* at the rates that edges had; these three NAN: not known, left out */
    double optimum_distance, optimum_gap; /* ‖x − x*‖², F(x) − F(x*) of the averaged model; NAN: not known, left out */
};

/* Meetings a worker took part in, per gradient: 2·exchanges / gradients; NAN without gradients. */
double summary_exchanges_per_gradient(const struct summary *summary);

/* Write <directory>/summary.json, whole or not at all. STATUS_MACHINE (logged). */
enum status summary_write(const struct summary *summary, const char *directory);

/* The table at the end of a run. */
void summary_print(const struct summary *summary, const char *directory, FILE *out);

#endif
