/* The plan of a run: everything that the configuration asks for, made and checked, before the first step.
 *
 * The only module that reads struct config below app/: it hands every layer its own small params. */
#ifndef GRAPEVINE_APP_PLAN_H
#define GRAPEVINE_APP_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "algo/algo.h"
#include "algo/schedule.h"
#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include "data/dataset.h"
#include "data/partition.h"
#include "device/device.h"
#include "graph/graph.h"
#include "graph/spectrum.h"
#include "runtime/runtime.h"
#include "runtime/scenario.h"
#include "runtime/simulation.h"
#include "worker/optimum.h"
#include "worker/worker.h"

/* Which worker of how many this process is. */
struct plan_place {
    int worker, worker_count;
    int local_rank;
    double cores;   /* that this process has to itself; 0: those that it may run on */
    bool simulated; /* the network is modelled: links are as simulate.* says */
    bool dry;       /* nothing will be trained: no parameters are made, and nothing is put on the device */
};

struct plan {
    const struct config *config; /* borrowed */
    struct plan_place place;
    struct dataset *train, *test; /* owned; train is NULL in a plan to evaluate */
    struct dataset *held_out_set; /* owned; NULL without validation */
    struct partition partition, held_out;
    struct net_spec *spec; /* owned */
    const struct device_ops *ops;
    struct device *device;     /* owned */
    struct pictures *pictures; /* owned: `train` on the device; NULL where the host makes the inputs */
    const struct algo_ops *algo;
    struct graph *graph;               /* owned; NULL for an algorithm that meets everyone */
    struct text edges;                 /* what is known of them: "4 edges, digest 0123456789abcdef" */
    struct text class_names;           /* of the training data (app/class_names.h) */
    struct text train_data, test_data; /* likewise (data/fingerprint.h); empty in a plan that does not train */
    struct scenario *scenario;         /* owned: what config's inject.* says */
    struct spectrum spectrum;
    struct acid_constants given;     /* of them, those that no graph changes; NAN: the theorem's */
    struct acid_constants constants; /* in use: the theorem's unless the config gives others; η = 0 but for acid */
    struct schedule schedule;
    int picture_size, first_picture_size; /* of photographs: at the end and at the start of training; else 0 */
    int data_threads;                     /* that make pictures */
    double gradients_per_epoch;           /* of all workers together */
    uint64_t gradient_total;
    uint64_t gradients_before; /* of them, done by workers whose mean model the run begins with: whoever knows of such
                                * sets it before workers are made */
    float *initial_parameters; /* owned (parameter_size); NULL in a dry plan */
    float *initial_buffers;    /* owned (buffer_size) */
};

/* Everything for training. STATUS_USAGE, STATUS_DATA or STATUS_MACHINE after one logged message. */
enum status plan_create(const struct config *config, const struct plan_place *place, struct plan **out);
/* Test data, network and device only. */
enum status plan_create_evaluation(const struct config *config, struct plan **out);
/* Training data of one worker alone, without network or device. */
enum status plan_create_data(const struct config *config, struct plan **out);
void plan_destroy(struct plan *plan);

/* One more device like the plan's. STATUS_MACHINE (logged). */
enum status plan_device_create(const struct plan *plan, struct device **out);
/* How many gradients a simulation computes at once (simulate.jobs), 1 where that cannot be. */
int plan_jobs(const struct plan *plan);

/* The plan is borrowed by what is made of these. Of an engine that the workers of a process share: */
struct engine_params plan_engine_params(const struct plan *plan);
struct worker_params plan_worker_params(const struct plan *plan);
/* Of any worker of the run: a process with several of them makes their partitions itself. */
struct partition_params plan_partition_params(const struct plan *plan, int worker);
struct runtime_params plan_runtime_params(const struct plan *plan);
/* `run` is borrowed. */
struct simulation_params plan_simulation_params(const struct plan *plan, const struct runtime_params *run);
/* The minimiser of a convex model over the pictures of all workers; *out is NULL where none is known. Errors as of
 * optimum_create. */
enum status plan_optimum(const struct plan *plan, struct optimum **out);
enum status plan_schedule(const struct config *config, int worker_count, struct schedule *out);
struct optimizer_params plan_optimizer_params(const struct config *config);

/* Meetings per gradient and worker that the rates of the graph's edges amount to: communication.rate, unless an edge
 * list gives rates, or the best ones keep to a budget by worker. Of a plan with a graph. */
double plan_rate_wanted(const struct plan *plan);

/* The configuration injects something: slow or dead workers, pauses, links, losses, damage. */
bool plan_injects(const struct config *config);

/* What all ranks must have found alike: lines of app/agreement.h. */
void plan_facts(const struct plan *plan, struct text *facts);
/* And what follows from them: first digits alone, since the last ones are the machine's. */
void plan_constants(const struct plan *plan, struct text *facts);

/* What would be done, for a reader: sizes, steps, learning rate, graph, constants, edges. */
void plan_print(const struct plan *plan, FILE *out);

#endif
