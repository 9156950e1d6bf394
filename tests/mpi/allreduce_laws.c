/* Laws of the averaged gradient between real ranks.
 *
 *   allreduce_laws [BUCKET_BYTES]
 *
 *   1. The reducer yields the mean exactly where arithmetic allows: integers whose sum is a multiple of the ranks.
 *   2. n ranks with batch b equal one rank with batch n·b (a network without batch norm): the averaged gradient of n
 *      parts of a batch agrees with the whole batch's to ‖difference‖₂ ≤ 10⁻⁶·‖gradient‖₂, the error of summing in
 *      another order.
 *   3. So do the parameters after ten steps of momentum SGD with weight decay, to 10⁻⁶·‖x‖₂. */
#include <math.h>

#include "mpi/mpi_fixture.h"
#include "runtime/mpi/reducer.h"

enum { BATCH = 8, STEPS = 10, HIDDEN = 48 };

static int failures;

static void expect(const struct job *job, int good, const char *law, double found, double bound)
{
    if (job->rank == 0)
        printf("%s %-52s %.4g (bound %.4g)\n", good ? "ok  " : "FAIL", law, found, bound);
    failures += !good;
}

/* Elements become final from the back, in pieces that do not fit the buckets. */
static void announce(struct reducer *reducer, size_t count)
{
    for (size_t last = count, piece = 1; last > 0; piece = piece * 3 % 1009 + 1) {
        size_t length = piece < last ? piece : last;
        last -= length;
        reducer_ready(reducer, last, length);
    }
}

static void check_exact(struct mpi_fixture *f, struct reducer *reducer)
{
    size_t count = worker_parameter_size(f->worker), wrong = 0;
    float *gradient = worker_gradient_vector(f->worker);
    int n = f->job.size;
    for (int round = 0; round < 3; round++) {
        for (size_t k = 0; k < count; k++)
            gradient[k] = (float)(n * (int)((k + (size_t)round) % 1000) + (2 * f->job.rank - (n - 1)));
        announce(reducer, count);
        must(reducer_wait(reducer), "reducer_wait");
        for (size_t k = 0; k < count; k++)
            wrong += gradient[k] != (float)((k + (size_t)round) % 1000) * (float)n;
    }
    expect(&f->job, wrong == 0, "the mean is exact on integers", (double)wrong, 0);
}

/* One replica that trains on given pictures. */
struct learner {
    struct net *net;
    struct algo *algo;
    float *x, *gradient, *buffers;
};

static struct learner learner_create(struct mpi_fixture *f, size_t batch, float *gradient)
{
    struct learner learner = {.gradient = gradient};
    size_t count = f->spec->parameter_size;
    must(f->ops->vector_alloc(f->device, count, &learner.x), "vector_alloc");
    must(f->ops->vector_alloc(f->device, 1, &learner.buffers), "vector_alloc");
    f->ops->vector_write(f->device, learner.x, count, f->initial);
    struct algo_params params = {.ops = f->ops,
                                 .device = f->device,
                                 .count = count,
                                 .decayed = f->spec->decayed_size,
                                 .x = learner.x,
                                 .optimizer = {.momentum = 0.9, .weight_decay = 1e-3}};
    must(algo_find("allreduce")->create(&params, &learner.algo), "algo");
    must(f->ops->net_create(f->device, f->spec, batch, gradient, learner.buffers, &learner.net), "net_create");
    return learner;
}

static void learner_destroy(struct mpi_fixture *f, struct learner *learner)
{
    f->ops->net_destroy(learner->net);
    algo_find("allreduce")->destroy(learner->algo);
    f->ops->vector_free(f->device, learner->x);
    f->ops->vector_free(f->device, learner->buffers);
}

static void backward(struct mpi_fixture *f, struct learner *learner, const float *images, const int32_t *labels,
                     size_t count, struct reducer *reducer)
{
    struct net_batch batch = {.images = images, .labels = labels, .count = count};
    struct net_result result;
    f->ops->net_cast(learner->net, learner->x);
    must(f->ops->net_forward(learner->net, NET_TRAIN, &batch, 0, &result), "net_forward");
    must(f->ops->net_backward(learner->net, reducer != NULL ? reducer_ready : NULL, reducer), "net_backward");
    if (reducer != NULL)
        must(reducer_wait(reducer), "reducer_wait");
}

static double relative(const float *a, const float *b, size_t count)
{
    double off = 0, norm = 0;
    for (size_t k = 0; k < count; k++) {
        off += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
        norm += (double)b[k] * (double)b[k];
    }
    return sqrt(off / norm);
}

static void check_batches(struct mpi_fixture *f, struct reducer *reducer)
{
    size_t n = (size_t)f->job.size, picture = 3 * 32 * 32, all = n * BATCH, count = f->spec->parameter_size;
    float *images = memory_alloc_aligned(all * picture * sizeof(float)), *gradient = NULL;
    int32_t *labels = memory_zalloc(all, sizeof labels[0]);
    must(f->ops->vector_alloc(f->device, count, &gradient), "vector_alloc");
    struct learner part = learner_create(f, BATCH, worker_gradient_vector(f->worker));
    struct learner whole = learner_create(f, all, gradient);
    double worst = 0;
    for (size_t step = 0; step < STEPS; step++) {
        for (size_t i = 0; i < all; i++) {
            size_t index = (step * all + i) % f->set->count;
            must(f->set->ops->fetch(f->set, index, NULL, images + i * picture), "fetch");
            labels[i] = f->set->labels[index];
        }
        size_t first = (size_t)f->job.rank * BATCH;
        backward(f, &part, images + first * picture, labels + first, BATCH, reducer);
        backward(f, &whole, images, labels, all, NULL);
        worst = fmax(worst, relative(part.gradient, whole.gradient, count));
        struct update update = {.learning_rate = 0.02, .gradient = part.gradient};
        algo_find("allreduce")->on_update(part.algo, (double)step + 1, &update);
        update.gradient = whole.gradient;
        algo_find("allreduce")->on_update(whole.algo, (double)step + 1, &update);
    }
    double off = relative(part.x, whole.x, count);
    expect(&f->job, worst <= 1e-6, "n batches of b have the gradient of one of n·b", worst, 1e-6);
    expect(&f->job, off <= 1e-6, "and lead to the same parameters", off, 1e-6);
    learner_destroy(f, &whole);
    learner_destroy(f, &part);
    f->ops->vector_free(f->device, gradient);
    memory_free_aligned(images);
    free(labels);
}

int main(int argc, char **argv)
{
    size_t bucket_bytes = argc > 1 ? (size_t)atol(argv[1]) : 1 << 14;
    struct mpi_fixture f;
    mpi_fixture_open(&f, &argc, &argv, "complete", "mlp", "allreduce", "auto", 1, HIDDEN);
    struct reducer *reducer = NULL;
    struct reducer_params params = {.job = &f.job,
                                    .ops = f.ops,
                                    .device = f.device,
                                    .gradient = worker_gradient_vector(f.worker),
                                    .count = worker_parameter_size(f.worker),
                                    .bucket_bytes = bucket_bytes,
                                    .observer = &f.observer};
    must(reducer_create(&params, &reducer), "reducer_create");
    if (f.job.rank == 0)
        printf("all-reduce, %d ranks, %zu elements in buckets of %zu bytes\n", f.job.size,
               worker_parameter_size(f.worker), bucket_bytes);
    check_exact(&f, reducer);
    check_batches(&f, reducer);
    reducer_destroy(reducer);
    int rank = f.job.rank, failed = mpi_fixture_close(&f, failures);
    if (rank == 0)
        printf("%d passed, %d failed\n", 3 - failures, failures);
    return failed;
}
