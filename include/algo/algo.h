/* An algorithm: how the vectors of one replica move. A passive state machine, and time is an argument.
 *
 * It never waits, sends, allocates after creation, or reads a clock; it does not know that x is a network. A runtime
 * decides when events happen and how snapshots travel. x is the worker's; the runtime's lock is held during every call.
 * Time t is the worker's own: gradients completed so far, with the fraction of the present one; it never goes back.
 *
 * A new algorithm is one file in src/algo/ and one line in the list of algo.c. */
#ifndef GRAPEVINE_ALGO_ALGO_H
#define GRAPEVINE_ALGO_ALGO_H

#include <stdbool.h>
#include <stddef.h>

#include "algo/optimizer.h"
#include "base/status.h"
#include "device/device.h"

enum algo_meeting {
    ALGO_MEETS_ONE,     /* one peer at a time, at the ticks of Poisson clocks */
    ALGO_MEETS_EVERYONE /* gradients are averaged over all workers before on_update */
};

struct algo_params {
    const struct device_ops *ops;
    struct device *device;          /* borrowed */
    size_t count, decayed;          /* elements of x, and of its decayed head */
    double eta, alpha, alpha_tilde; /* of the A²CiD² dynamic; an algorithm without them ignores them */
    struct optimizer_params optimizer;
    float *x; /* borrowed (count), device memory: the model */
};

/* A gradient event. */
struct update {
    const float *gradient; /* (count) */
    double learning_rate;  /* γ of this step */
    struct net *net;       /* whose working copy is to be made of the new x, where that costs no pass of its own; NULL:
                            * nobody's */
};

/* A pair event: both ends hold the same two snapshots. */
struct pair {
    const float *own;  /* (count) */
    const float *peer; /* (count) */
};

/* Constants that follow from the graph. */
struct dynamic {
    double eta, alpha, alpha_tilde;
};

struct algo;

struct algo_ops {
    const char *name; /* as written in the config */
    enum algo_meeting meets;
    bool has_momentum_vector;                                                   /* keeps x̃ */
    enum status (*create)(const struct algo_params *params, struct algo **out); /* x̃ ← x, momentum ← 0 */
    void (*destroy)(struct algo *algo);
    /* True if update->net has its new working copy (device.h). */
    bool (*on_update)(struct algo *algo, double t, const struct update *update);
    void (*on_pair)(struct algo *algo, double t, bool shared, const struct pair *pair); /* NULL unless meets ONE */
    /* out (count) = elements [first, first + count) of x, advanced to t; the state is unchanged. */
    void (*snapshot)(struct algo *algo, double t, bool shared, size_t first, size_t count, float *out);
    /* Vectors of length count beside x, for checkpoints and tests: "x_tilde", "momentum"; NULL for another name. */
    float *(*vector)(struct algo *algo, const char *name);
    /* x was set from outside (final average, checkpoint): x̃ ← x, time of the last event ← t. */
    void (*reset)(struct algo *algo, double t);
    /* From t on the dynamic has these constants: the graph has changed. NULL: it has none. */
    void (*retune)(struct algo *algo, double t, const struct dynamic *dynamic);
    /* Time of the last event, to which its vectors belong: kept with them, and set again. NULL: there is none. */
    double *(*time)(struct algo *algo);
};

/* By its name in the config, or NULL. */
const struct algo_ops *algo_find(const char *name);
/* NULL-terminated: acid gossip allreduce. */
const char *const *algo_names(void);

#endif
