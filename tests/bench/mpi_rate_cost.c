/* What exchanges cost training: ResNet-18, two ranks of one thread each, rate 1, samples/s with exchanges over without.
 *
 *   mpirun -n 2 … mpi_rate_cost [STEPS]        batch 128, synthetic pictures
 *
 * One run, in windows of a few gradients that alternate between the two: in a window without exchanges the worker's
 * clock stands still, so no meeting falls due, while everything else is the same. Both ranks change windows together,
 * by the host's clock. The figure is the ratio of the mean durations of a gradient, with the gradients of both ranks
 * pooled; a gradient that began in one window and ended in the next counts for neither. */
#include <math.h>

#include "mpi/mpi_fixture.h"

enum { BATCH = 128, WITH = 0, WITHOUT = 1 };

struct account {
    double seconds[2];
    int steps[2];
};

static int window_at(double now_s, double length_s)
{
    return (int)fmod(floor(now_s / length_s), 2);
}

static double one_step(struct mpi_fixture *f, struct communicator *c, bool with, uint64_t *events)
{
    struct gradient_result result;
    double begin_s = stopwatch_now();
    if (with) {
        communicator_wait_rate(c);
        communicator_begin_step(c, stopwatch_now());
    }
    must(worker_load(f->worker), "worker_load");
    must(worker_gradient(f->worker, NULL, NULL, &result), "worker_gradient");
    communicator_lock(c);
    if (with) {
        communicator_end_step(c, stopwatch_now());
        ++*events;
    }
    worker_update(f->worker, (double)*events, 0.5);
    worker_cast(f->worker);
    communicator_unlock(c);
    return stopwatch_now() - begin_s;
}

int main(int argc, char **argv)
{
    int steps = argc > 1 ? atoi(argv[1]) : 96;
    struct mpi_fixture f;
    mpi_fixture_open_batch(&f, &argc, &argv, "ring", "resnet18", "acid", "auto", 1.0, 0, BATCH);
    f.run.chunk_bytes = 1 << 20;
    struct communicator *c = NULL;
    struct communicator_params params = mpi_fixture_communicator(&f);
    must(communicator_create(&params, &c), "communicator_create");
    must(job_barrier(&f.job, "start"), "barrier");
    must(communicator_start(c), "communicator_start");
    uint64_t events = 0;
    double length_s = 5 * one_step(&f, c, true, &events); /* warms up too */
    length_s = 5 * one_step(&f, c, true, &events);
    /* Both ranks need the same windows: the length is rounded up to a whole second. */
    length_s = ceil(length_s);
    struct account account = {0};
    for (int k = 0; k < steps; k++) {
        int window = window_at(stopwatch_now(), length_s);
        double seconds = one_step(&f, c, window == WITH, &events);
        if (window_at(stopwatch_now(), length_s) != window)
            continue;
        account.seconds[window] += seconds;
        account.steps[window]++;
    }
    uint64_t exchanges = communicator_counts(c).exchanges;
    must(communicator_finish(c), "communicator_finish");
    double sums[6] = {account.seconds[0], account.seconds[1],    account.steps[0],
                      account.steps[1],   (double)exchanges / 2, (double)events};
    must(job_sum_doubles(&f.job, "sums", sums, 6), "sums");
    double with_s = sums[0] / sums[2], without_s = sums[1] / sums[3];
    if (f.job.rank == 0) {
        printf("ResNet-18, batch %d, 2 ranks of 1 thread: %.1f samples/s a rank with exchanges, %.1f without (%.0f and "
               "%.0f "
               "gradients)\n",
               BATCH, BATCH / with_s, BATCH / without_s, sums[2], sums[3]);
        printf("samples/s with exchanges over without  %.3f   to reach: 0.98   (%.2f exchanges per gradient)\n",
               without_s / with_s, 2 * sums[4] / sums[5]);
    }
    communicator_destroy(c);
    return mpi_fixture_close(&f, 0);
}
