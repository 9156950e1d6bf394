/* States that exchange_laws records at intervals while its ranks go on, and what must hold of each that all ranks have
 * kept: it is a consistent state of all. Sums of long vectors are compared in a few random directions. */
#ifndef GRAPEVINE_TESTS_RECORDED_CUTS_H
#define GRAPEVINE_TESTS_RECORDED_CUTS_H

#include <math.h>
#include <pthread.h>

#include "mpi/mpi_fixture.h"
#include "runtime/mpi/state_cut.h"

enum { DIRECTIONS = 4, CUTS_MOST = 64 };

/* What one rank has kept at one cut. */
struct recorded_cut {
    double kept;             /* 1: it is there */
    double sums[DIRECTIONS]; /* of the recorded x + x̃, less what this rank's gradient events had done to it by then */
    double norm;             /* ‖x + x̃‖ */
    double steps;            /* gradient events by then */
};

struct recorded_cuts {
    struct mpi_fixture *fixture;   /* borrowed */
    struct state_cut *cut;         /* owned */
    float *directions;             /* owned (DIRECTIONS × count): ±1 */
    double *start;                 /* owned (count): x + x̃ of this rank at first */
    double (*applied)[DIRECTIONS]; /* owned (step_count + 1): what gradient events have done by each step */
    uint64_t step_count;
    pthread_mutex_t mutex; /* guards `applied` */
    struct recorded_cut own[CUTS_MOST];
    double *meetings; /* owned (CUTS_MOST × ranks): of this rank, at each cut */
};

/* Element k of a direction: ±1. */
static inline double direction_at(int direction, size_t k)
{
    uint64_t bits =
        (uint64_t)(k + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)(direction + 1) * UINT64_C(0xd1342543de82ef95);
    bits ^= bits >> 29;
    bits *= UINT64_C(0xbf58476d1ce4e5b9);
    return (bits >> 40 & 1) != 0 ? 1 : -1;
}

static inline double recorded_value(const struct run_state *state, size_t k)
{
    double x = (double)state->vectors[0].vector[k];
    bool keeps_x_tilde = strcmp(state->vectors[1].name, "x_tilde") == 0;
    return x + (keeps_x_tilde ? (double)state->vectors[1].vector[k] : x);
}

/* By the thread that writes states: look at it instead. */
static inline void recorded_keep(void *context, const struct run_state *state)
{
    struct recorded_cuts *cuts = context;
    struct mpi_fixture *f = cuts->fixture;
    struct run_state_walk walk = {.numbers = state->numbers, .count = state->number_count, .takes_up = true};
    struct communicator_saved saved;
    struct books books;
    double time;
    communicator_saved_init(&saved, f->graph, f->job.rank);
    books_walk(&walk, &books, &time, &saved);
    uint64_t number = state_cut_due(cuts->cut, state->gradients);
    if (number < CUTS_MOST) {
        struct recorded_cut *cut = &cuts->own[number];
        size_t count = state->vectors[0].count;
        *cut = (struct recorded_cut){.kept = 1, .steps = (double)books.steps};
        for (size_t k = 0; k < count; k++) {
            double value = recorded_value(state, k);
            cut->norm += value * value;
            for (int d = 0; d < DIRECTIONS; d++)
                cut->sums[d] += (double)cuts->directions[(size_t)d * count + k] * (value - cuts->start[k]);
        }
        cut->norm = sqrt(cut->norm);
        pthread_mutex_lock(&cuts->mutex);
        for (int d = 0; d < DIRECTIONS; d++)
            cut->sums[d] -= cuts->applied[books.steps][d];
        pthread_mutex_unlock(&cuts->mutex);
        for (size_t j = 0; j < saved.worker_count; j++)
            cuts->meetings[number * saved.worker_count + j] = (double)saved.meetings[j];
    }
    communicator_saved_release(&saved);
}

/* `period`: gradient events of all ranks between two cuts. */
static inline void recorded_cuts_open(struct recorded_cuts *cuts, struct mpi_fixture *f, double period)
{
    size_t count = worker_parameter_size(f->worker);
    const float *x = worker_parameters(f->worker);
    memset(cuts, 0, sizeof *cuts);
    cuts->fixture = f;
    pthread_mutex_init(&cuts->mutex, NULL);
    cuts->start = memory_zalloc(count, sizeof cuts->start[0]);
    cuts->directions = memory_zalloc(DIRECTIONS * count, sizeof cuts->directions[0]);
    for (int d = 0; d < DIRECTIONS; d++)
        for (size_t k = 0; k < count; k++)
            cuts->directions[(size_t)d * count + k] = (float)direction_at(d, k);
    for (size_t k = 0; k < count; k++)
        cuts->start[k] = 2 * (double)x[k]; /* x̃ = x */
    cuts->meetings = memory_zalloc((size_t)CUTS_MOST * (size_t)f->job.size, sizeof cuts->meetings[0]);
    cuts->applied = memory_zalloc(1, sizeof cuts->applied[0]);
    f->run.state_every_epochs = period;
    f->run.gradients_per_epoch = 1;
    f->run.keep_state = recorded_keep;
    f->run.state_context = cuts;
    must(state_cut_create(&f->run, f->worker, &cuts->cut), "state_cut_create");
}

/* A gradient event is over, which has done `change` (count) to x + x̃; before it is published. */
static inline void recorded_cuts_step(struct recorded_cuts *cuts, const double *change)
{
    size_t count = worker_parameter_size(cuts->fixture->worker);
    uint64_t step = ++cuts->step_count;
    pthread_mutex_lock(&cuts->mutex);
    cuts->applied = memory_realloc(cuts->applied, step + 1, sizeof cuts->applied[0]);
    for (int d = 0; d < DIRECTIONS; d++) {
        cuts->applied[step][d] = cuts->applied[step - 1][d];
        for (size_t k = 0; k < count; k++)
            cuts->applied[step][d] += (double)cuts->directions[(size_t)d * count + k] * change[k];
    }
    pthread_mutex_unlock(&cuts->mutex);
    struct books books = {.steps = step};
    state_cut_publish(cuts->cut, &books);
}

/* What was found: over all cuts that every rank has kept. */
struct cuts_found {
    int count;
    double off_most;  /* |Σ over ranks| of what must be nothing, over what rounding allows */
    double asymmetry; /* Σ |meetings of i with j − of j with i| */
};

static inline double cut_off(const struct recorded_cut *cuts, int ranks, double events)
{
    double norm = 0, most = 0;
    for (int i = 0; i < ranks; i++)
        norm += cuts[i].norm;
    for (int d = 0; d < DIRECTIONS; d++) {
        double sum = 0;
        for (int i = 0; i < ranks; i++)
            sum += cuts[i].sums[d];
        most = fmax(most, fabs(sum));
    }
    return most / (5 * 0x1p-24 * sqrt(events) * norm);
}

/* Collective, after the communicator has finished. */
static inline struct cuts_found recorded_cuts_close(struct recorded_cuts *cuts)
{
    struct mpi_fixture *f = cuts->fixture;
    int n = f->job.size;
    enum { FIGURES = sizeof(struct recorded_cut) / sizeof(double) };
    struct cuts_found found = {0};
    struct recorded_cut *all = memory_zalloc((size_t)n, sizeof all[0]);
    double *met = memory_zalloc((size_t)n * (size_t)n, sizeof met[0]);
    state_cut_settle(cuts->cut);
    for (int number = 1; number < CUTS_MOST; number++) {
        double events = 0, kept = 0;
        must(job_gather_doubles(&f->job, "cuts", &cuts->own[number].kept, FIGURES, &all[0].kept), "gather");
        must(job_gather_doubles(&f->job, "meetings at cuts", cuts->meetings + (size_t)number * (size_t)n, (size_t)n,
                                met),
             "gather");
        for (int i = 0; i < n; i++) {
            kept += all[i].kept;
            events += all[i].steps;
        }
        if (kept < n)
            continue;
        found.count++;
        for (int i = 0; i < n * n; i++)
            events += met[i];
        found.off_most = fmax(found.off_most, cut_off(all, n, events));
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                found.asymmetry += fabs(met[i * n + j] - met[j * n + i]);
    }
    state_cut_destroy(cuts->cut);
    pthread_mutex_destroy(&cuts->mutex);
    free(met);
    free(all);
    free(cuts->meetings);
    free(cuts->applied);
    free(cuts->start);
    free(cuts->directions);
    return found;
}

#endif
