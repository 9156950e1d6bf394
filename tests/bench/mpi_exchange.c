/* One whole exchange of a ResNet-18 (11 M parameters) between two ranks of a node, beside two concurrent memcpys.
 *
 *   mpirun -n 2 … mpi_exchange [ROUNDS]
 *
 * An exchange is: snapshot (x, x̃ read, s written), put (s read, slot written), checksums on both sides, apply (own
 * and peer read, x and x̃ read and written). The yardstick moves 10 vectors per side too: five memcpys of one vector
 * each, on both ranks at once. Both are measured in turn, in one run; the median of the rounds' ratios counts. Also:
 * what the communication thread costs while nothing happens, and, as a check of the result, that both replicas end at
 * their mean. */
#include <math.h>
#include <sys/resource.h>

#include "mpi/mpi_fixture.h"

enum { EXCHANGES_PER_ROUND = 12, VECTORS_MOVED = 10, ROUNDS_MOST = 32 };
static const double idle_watch_s = 3, step_s = 2e-3; /* short steps: a meeting is always due */

static double process_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* Seconds spent on each kind of span, by the communication thread. */
static double spent_s[SPAN_KIND_COUNT];

static void add_span(void *context, int worker, enum span_lane lane, enum span_kind kind, double begin_s, double end_s,
                     int peer)
{
    (void)context, (void)worker, (void)lane, (void)peer;
    spent_s[kind] += end_s - begin_s;
}

/* Seconds of one exchange, back to back; time stands still between rounds. */
static double time_exchanges(struct mpi_fixture *f, double *idle_cpu)
{
    struct communicator *c = NULL;
    worker_reset(f->worker, 0); /* each round has a clock of its own */
    struct communicator_params params = mpi_fixture_communicator(f);
    must(communicator_create(&params, &c), "communicator_create");
    must(job_barrier(&f->job, "round"), "barrier");
    must(communicator_start(c), "communicator_start");
    double cpu = process_cpu();
    if (idle_cpu != NULL) {
        stopwatch_sleep(idle_watch_s);
        *idle_cpu = (process_cpu() - cpu) / idle_watch_s;
    }
    double begin_s = stopwatch_now();
    while (communicator_counts(c).exchanges < EXCHANGES_PER_ROUND) {
        communicator_begin_step(c, stopwatch_now());
        stopwatch_sleep(step_s);
        communicator_end_step(c, stopwatch_now());
        communicator_wait_rate(c);
    }
    double seconds = (stopwatch_now() - begin_s) / (double)communicator_counts(c).exchanges;
    must(communicator_finish(c), "communicator_finish");
    communicator_destroy(c);
    return seconds;
}

/* Seconds of moving VECTORS_MOVED vectors through memory by memcpy, on both ranks at once. */
static double time_copies(struct mpi_fixture *f, float *from, float *to)
{
    size_t bytes = worker_parameter_size(f->worker) * sizeof(float);
    must(job_barrier(&f->job, "copies"), "barrier");
    double begin_s = stopwatch_now();
    for (int k = 0; k < EXCHANGES_PER_ROUND * VECTORS_MOVED / 2; k++)
        memcpy(k % 2 ? from : to, k % 2 ? to : from, bytes);
    return (stopwatch_now() - begin_s) / EXCHANGES_PER_ROUND;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 7;
    struct mpi_fixture f;
    double exchange[ROUNDS_MOST], copy[ROUNDS_MOST], ratio[ROUNDS_MOST], idle_cpu = 0;
    mpi_fixture_open(&f, &argc, &argv, "ring", "resnet18", "acid", "auto", 4.0, 0);
    f.run.chunk_bytes = argc > 2 ? (size_t)atol(argv[2]) : 1 << 20;
    size_t count = worker_parameter_size(f.worker);
    float *from = memory_alloc_aligned(count * sizeof(float)), *to = memory_alloc_aligned(count * sizeof(float));
    float *x = worker_parameters(f.worker);
    for (size_t k = 0; k < count; k++)
        x[k] = f.job.rank == 0 ? 1.0f : 3.0f;
    worker_reset(f.worker, 0);
    f.observer.on_span = add_span;
    rounds = rounds < ROUNDS_MOST ? rounds : ROUNDS_MOST;
    for (int k = 0; k < rounds; k++) {
        exchange[k] = time_exchanges(&f, k == 0 ? &idle_cpu : NULL);
        copy[k] = time_copies(&f, from, to);
        ratio[k] = copy[k] / exchange[k];
    }
    qsort(ratio, (size_t)rounds, sizeof ratio[0], ascending);
    qsort(exchange, (size_t)rounds, sizeof exchange[0], ascending);
    qsort(copy, (size_t)rounds, sizeof copy[0], ascending);
    double off = 0;
    for (size_t k = 0; k < count; k++)
        off = fmax(off, fabs((double)x[k] - 2));
    if (f.job.rank == 0) {
        printf("one exchange of %zu floats, 2 ranks, %d × %d: %.1f ms; the same bytes by memcpy: %.1f ms\n", count,
               rounds, EXCHANGES_PER_ROUND, exchange[rounds / 2] * 1e3, copy[rounds / 2] * 1e3);
        printf("memcpy time over exchange time  %.2f (median; %.2f to %.2f)   to reach: 0.70\n", ratio[rounds / 2],
               ratio[0], ratio[rounds - 1]);
        double all = rounds * EXCHANGES_PER_ROUND * 1e-3;
        printf("  of which snapshot %.1f, put %.1f, wait for the peer %.1f, apply %.1f ms\n", spent_s[SPAN_COPY] / all,
               spent_s[SPAN_PUT] / all, spent_s[SPAN_PEER] / all, spent_s[SPAN_APPLY] / all);
        printf("communication thread with nothing to do  %.4f of a core      to reach: at most 0.02\n", idle_cpu);
        printf("replicas off their mean by %.2g\n", off);
    }
    memory_free_aligned(from);
    memory_free_aligned(to);
    return mpi_fixture_close(&f, off > 1e-5);
}
