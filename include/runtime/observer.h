/* What a runtime tells whoever watches: numbers, never text. app/record.c turns them into files and lines.
 *
 * Calls come from the compute thread, except on_span, which both threads make (each with its own `lane`). They must
 * return quickly: they run inside the training loop. */
#ifndef GRAPEVINE_RUNTIME_OBSERVER_H
#define GRAPEVINE_RUNTIME_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One worker after one of its gradients. Rates and means are over the time since the last step_report. */
struct step_report {
    double time_s;         /* since the run began */
    uint64_t step;         /* gradients this worker has done */
    uint64_t global_step;  /* gradients all workers have done, as far as this one knows */
    uint64_t samples;      /* step × batch */
    double progress;       /* of the run, in [0, 1] */
    double epoch;          /* summed over workers */
    double loss, accuracy; /* of training batches: mean since the last report */
    double learning_rate;
    double samples_per_second; /* this worker */
    uint64_t exchanges;        /* meetings this worker completed so far */
    double pair_distance; /* mean of ‖x_i − x_j‖²/2 over its meetings since the last report (an estimate of the
                                * consensus distance); NAN without meetings */
    double idle;          /* share of the time that compute waited for enforce_rate or an all-reduce */
    double data_wait;     /* share of the time that compute waited for data */
    uint64_t pending;     /* meetings due and not yet held */
};

/* A test of this worker's own replica (mid-run: its share of the pictures; `averaged`: the final model, all
 * pictures). */
struct evaluation_report {
    double time_s;
    uint64_t step;
    uint64_t global_step;
    double epoch;
    const char *set;       /* "test" or "validation" */
    double loss, accuracy; /* mean; fraction of 1 */
    size_t count;          /* pictures */
    bool averaged;
};

/* What a span of a thread's time was spent on: the rows of the trace. */
enum span_kind {
    /* of the compute thread */
    SPAN_LOAD,
    SPAN_COMPUTE,
    SPAN_UPDATE,
    SPAN_CAST,
    SPAN_WAIT,
    SPAN_EVALUATE,
    SPAN_CHECKPOINT,
    /* of the communication thread */
    SPAN_COPY,
    SPAN_PUT,
    SPAN_PEER,
    SPAN_APPLY,
    SPAN_REDUCE,
    SPAN_KIND_COUNT
};
/* "load", "compute", "update", "cast", "wait", "evaluate", "checkpoint", "copy", "put", "peer", "apply", "reduce". */
const char *span_kind_name(enum span_kind kind);

enum span_lane { LANE_COMPUTE, LANE_COMMUNICATION };

struct observer {
    void *context;
    void (*on_step)(void *context, const struct step_report *report);
    void (*on_evaluation)(void *context, const struct evaluation_report *report);
    /* NULL when no trace is wanted. Times in seconds since the run began; peer −1 where there is none. */
    void (*on_span)(void *context, enum span_lane lane, enum span_kind kind, double begin_s, double end_s, int peer);
};

#endif
