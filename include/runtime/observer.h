/* What a runtime tells whoever watches: numbers, never text. app/record.c turns them into files and lines.
 *
 * Calls come from the compute thread, except on_span, which both threads make (each with its own `lane`). They must
 * return quickly: they run inside the training loop. */
#ifndef GRAPEVINE_RUNTIME_OBSERVER_H
#define GRAPEVINE_RUNTIME_OBSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How often a worker has met one of its neighbors. */
struct neighbor_meetings {
    int worker;
    uint64_t count;
};

/* One worker after one of its gradients. Rates and means are over the time since the last step_report. Times are real
 * under MPI; in the simulator virtual: units of the expected gradient (ideal) or seconds (modelled). */
struct step_report {
    int worker;
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
    double pair_distance; /* mean of ‖x_i − x_j‖²/2 over its meetings since the last report; NAN without meetings */
    double consensus_estimated; /* (1/n) Σ ‖x_i − x̄‖² as it follows from pair_distance for this graph and dynamic */
    double consensus_predicted; /* the level that updates as large as its last lead to (graph/mixing.h); both NAN where
                                 * not known */
    const struct neighbor_meetings *met; /* (met_count): its meetings so far by neighbor; NULL: not told */
    size_t met_count;
    double idle;      /* share of the time that compute waited for enforce_rate or an all-reduce */
    double data_wait; /* share of the time that compute waited for data */
    uint64_t pending; /* meetings due and not yet held */
};

/* A test of this worker's own replica (mid-run: its share of the pictures; `averaged`: the final model, all
 * pictures). */
struct evaluation_report {
    int worker;
    double time_s;
    uint64_t step;
    uint64_t global_step;
    double epoch;
    const char *set;       /* "test" or "validation" */
    double loss, accuracy; /* mean; fraction of 1 */
    double accuracy_top5;  /* NAN where it says too little: few classes */
    size_t count;          /* pictures */
    bool averaged;
};

/* The network as a whole, as far as it is known. NAN: not known (by this runtime, or yet). */
struct network_report {
    double time_s;
    uint64_t global_step;
    double epoch;
    double consensus_distance;     /* (1/n) Σ ‖x_i − x̄‖², every x_i advanced to time_s */
    double consensus_predicted;    /* the level at which updates of the present size balance mixing (graph/mixing.h) */
    double chi1, chi2;             /* of the rates at which edges really met since the run began */
    double exchanges_per_gradient; /* of a worker, since the run began */
    double optimum_distance;       /* ‖x̄ − x*‖² where the minimiser x* is known */
    double optimum_gap;            /* F(x̄) − F(x*) likewise */
};

/* One event of one worker, in the worker's own order: what `grapevine replay` executes again. */
enum event_kind {
    EVENT_BEGIN,    /* the working copy was taken (cast) at t: a gradient begins. Before the first one too, at 0; the
                     * one after the last gradient has no EVENT_UPDATE */
    EVENT_UPDATE,   /* gradient event at t */
    EVENT_SNAPSHOT, /* snapshot for a meeting, of x advanced to t */
    EVENT_APPLY,    /* difference of a meeting applied at t */
    EVENT_GIVE_UP,  /* a wait of a meeting ran out; the meeting may still be served later */
    EVENT_LOST,     /* a meeting was lost (injected): nothing was exchanged; it has no number, `meeting` is 0 */
    EVENT_DONE /* the worker makes no more gradients: the run's consensus distance is of x advanced to t. Only where
                     * workers meet in pairs: exchanges that are still due follow */
};
struct event_report {
    enum event_kind kind;
    int worker;
    int peer;         /* −1 where there is none */
    uint64_t meeting; /* number of the meeting on this edge, the same at both ends; grows, maybe not by ones */
    uint64_t step;    /* gradients that the worker has done, this one included */
    double time_s;    /* as elsewhere */
    double t;         /* the worker's own time, as given to the algorithm: exact */
    double progress;  /* EVENT_UPDATE: exact, what the learning rate follows from */
    double learning_rate;
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
    /* NULL when not wanted. By whichever thread has made the event, in the order of the worker's events (under the
     * worker's lock). */
    void (*on_event)(void *context, const struct event_report *report);
    /* NULL when not wanted. */
    void (*on_network)(void *context, const struct network_report *report);
    void (*on_step)(void *context, const struct step_report *report);
    void (*on_evaluation)(void *context, const struct evaluation_report *report);
    /* NULL when no trace is wanted. Times in seconds since the run began; peer −1 where there is none. */
    void (*on_span)(void *context, int worker, enum span_lane lane, enum span_kind kind, double begin_s, double end_s,
                    int peer);
};

#endif
