/* A worker: one replica = network + data + algorithm. Its verbs are what runtimes call; it knows no other worker, no
 * MPI and no real time.
 *
 * Two threads may call it. The compute thread: load, gradient, update, cast, cast_test, evaluate,
 * recompute_statistics. Any thread, under the runtime's lock: update, snapshot, exchange, adopt (they touch x, x̃ and
 * the momentum). The working copy of the network is written by `cast` alone, after the update, so an exchange may land
 * in the middle of a gradient without tearing it.
 *
 * A runtime that drives many workers in one process gives them one engine (engine.h), and calls them one at a time from
 * one thread. */
#ifndef GRAPEVINE_WORKER_WORKER_H
#define GRAPEVINE_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "algo/algo.h"
#include "algo/schedule.h"
#include "base/status.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "data/partition.h"
#include "device/device.h"
#include "worker/engine.h"
#include "worker/evaluation.h"

struct worker_params {
    int worker, worker_count;
    uint64_t seed;
    size_t batch;
    const struct device_ops *ops;
    struct device *device;       /* borrowed */
    const struct net_spec *spec; /* borrowed: for the pictures of the tests */
    /* Where training pictures are smaller, or grow: as in engine.h (without a shared engine). */
    spec_of_size_fn *spec_of_size;
    const void *spec_context;   /* borrowed */
    struct picture_sizes sizes; /* of training pictures (data/loader.h); zeros: that of `train` */
    const struct algo_ops *algo;
    double eta, alpha, alpha_tilde;
    struct optimizer_params optimizer;
    struct schedule schedule;
    const struct dataset *train;        /* borrowed */
    const struct partition *partition;  /* borrowed: this worker's pictures */
    const struct dataset *test;         /* borrowed */
    const struct dataset *held_out_set; /* borrowed: training pictures, not augmented, for validation; NULL: none */
    const struct partition *held_out;   /* borrowed: the validation pictures; NULL: none */
    const struct pictures *pictures;    /* borrowed: `train` on the device, for picks; NULL: batches are images */
    bool augment;
    int data_threads;      /* that make pictures; 0 is 1 */
    struct engine *engine; /* borrowed: shared with other workers; NULL: the worker makes its own */
    bool keeps_point; /* with a shared engine: worker_cast keeps a copy of x for the gradient to come (one more vector);
                       * without, the gradient is taken at x as it is by then */
    const float *initial_parameters; /* (parameter_size), host memory; read by worker_create only */
    const float *initial_buffers;    /* (buffer_size), host memory; likewise */
    uint64_t first_step; /* gradients that it has computed before, in a run that goes on; without a shared engine */
};

struct worker;

enum status worker_create(const struct worker_params *params, struct worker **out);
void worker_destroy(struct worker *worker);

/* With a shared engine: compute in another one, of the same parameters, from here on. Workers in different engines may
 * compute at the same time. With no batch loaded. */
void worker_move(struct worker *worker, struct engine *engine);

/* Take the next batch; blocks while the loader has none. */
enum status worker_load(struct worker *worker);

struct gradient_result {
    double loss;
    size_t correct; /* of the batch, by the weights before the step */
    bool finite;
};

/* Forward and backward on the loaded batch at the working copy; the batch is then given back to the loader. `ready` as
 * in device.h, may be NULL. `out` may be NULL: worker_result has it. Where the next batch's pictures have another size
 * the network is then made anew, and an update or a cast must come before its gradient. */
enum status worker_gradient(struct worker *worker, net_ready_fn *ready, void *context, struct gradient_result *out);
/* The result of the gradient before which `age` more have been called for, on this engine; waits for it. */
enum status worker_result(struct worker *worker, int age, struct gradient_result *out);
/* Gradients that should be called for before the first one's result is asked for, so that the device never waits for
 * the host. */
int worker_run_ahead(const struct worker *worker);
/* Gradient event at the worker's time t; `progress` is the global one in [0, 1]. Under the lock. */
void worker_update(struct worker *worker, double t, double progress);
/* Working copy ← x. By the compute thread, under the lock (it reads x). */
void worker_cast(struct worker *worker);
/* Working copy ← x advanced to t, x itself left as it is: a gradient at one point in time. With a shared engine only,
 * and without keeps_point; the gradient or evaluation must follow before another worker's. */
void worker_cast_at(struct worker *worker, double t);
/* Where the network that is tested is another one than that of training (engine.h): its working copy ← x; else nothing.
 * By the compute thread, under the lock, before worker_evaluate. With a shared engine worker_evaluate does it. */
void worker_cast_test(struct worker *worker);
/* out (count, device memory) = elements [first, first + count) of x, advanced to t. Under the lock. */
void worker_snapshot(struct worker *worker, double t, size_t first, size_t count, float *out);
/* Pair event at t; both snapshots in device memory. Under the lock. */
void worker_exchange(struct worker *worker, double t, const float *own, const float *peer);
/* From t on its algorithm has these constants: the graph has changed. Under the lock. */
void worker_retune(struct worker *worker, double t, const struct dynamic *dynamic);
/* Take over a peer's model, a snapshot in device memory: x and x̃ are it, the momentum is zero. Under the lock. */
void worker_adopt(struct worker *worker, double t, const float *peer);
/* ½‖own − peer‖² of two snapshots in device memory, or an estimate. */
double worker_pair_distance(struct worker *worker, const float *own, const float *peer);

/* Test the working copy (worker_cast_test's, where there is one) on part `part` of `part_count` of the test set (or the
 * held-out pictures, where there are any). The parts are contiguous, differ by one picture at most and cover the set.
 * By the compute thread. */
enum status worker_evaluate(struct worker *worker, bool held_out, int part, int part_count, struct evaluation *out);
/* Recompute the batch-norm statistics at the working copy: plain mean over the next `batches` ≥ 1 batches of the
 * loader's (the variances unbiased, as running ones are). Nothing to do without batch norm. By the compute thread, with
 * no batch loaded, and while x stands still: where the size of the pictures changes a working copy is made of it. */
enum status worker_recompute_statistics(struct worker *worker, int batches);

/* The vectors themselves, device memory, under the lock where others may write. */
float *worker_parameters(struct worker *worker);               /* x, (parameter_size) */
float *worker_buffers(struct worker *worker);                  /* batch-norm statistics, (buffer_size) */
float *worker_gradient_vector(struct worker *worker);          /* (parameter_size); the engine's */
float *worker_vector(struct worker *worker, const char *name); /* algo's: "x_tilde", "momentum", or NULL */
/* Where they lie: values are read and written through it. */
const struct device_ops *worker_device_ops(const struct worker *worker);
struct device *worker_device(const struct worker *worker);
/* x was set from outside: x̃ ← x, working copy ← x. */
void worker_reset(struct worker *worker, double t);
/* The rest of what a replica is, for a run that goes on where another has ended. The point of the gradient under way,
 * (parameter_size), NULL unless keeps_point; the time of the algorithm's last event, NULL where it keeps none; and:
 * `steps` gradients have been computed (without a shared engine: as first_step has it), and all vectors set from
 * outside. */
float *worker_point(struct worker *worker);
double *worker_time(struct worker *worker);
/* Statistics as they are between two gradients, since a pass changes them long before it is over: kept (under the
 * lock, before worker_update), taken back when a gradient is broken off, and (buffer_size, device memory) for whoever
 * copies the replica meanwhile; as they were at the start until they are kept for the first time. */
void worker_keep_statistics(struct worker *worker);
void worker_take_statistics_back(struct worker *worker);
const float *worker_kept_statistics(const struct worker *worker);
void worker_resume(struct worker *worker, uint64_t steps);

double worker_learning_rate(const struct worker *worker, double progress);
/* γ²‖m‖², the square of the last update as learning rate and momentum have it (Nesterov's correction left out). By the
 * thread that updates. */
double worker_update_square(struct worker *worker, double progress);
size_t worker_parameter_size(const struct worker *worker);
size_t worker_buffer_size(const struct worker *worker);
size_t worker_batch(const struct worker *worker);
enum algo_meeting worker_meets(const struct worker *worker);
const struct algo_ops *worker_algo(const struct worker *worker);
/* Another instance of its algorithm, on a vector x (parameter_size) of the caller's. */
enum status worker_create_algo(const struct worker *worker, float *x, struct algo **out);
/* What worker_create allocates for such params, beside an engine; nothing is. `picks`: params.pictures will be there,
 * so that batches are picks. */
struct memory_need worker_plan(const struct worker_params *params, bool shares_engine, bool picks);

#endif
