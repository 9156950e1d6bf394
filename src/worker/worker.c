/* One replica: the network on its device, the data that feeds it, and the algorithm that moves its parameters.
 *
 * Owns the vectors x (the model), its gradient and the batch-norm statistics; the algorithm owns what it keeps beside
 * x. The network reads its own working copy of x, never x itself. */
#include "worker/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "worker/engine_parts.h"

enum { LOADER_SLOTS = 4, LOADER_SLOTS_LARGE = 3 }; /* batches kept ready: enough to ride out a slow read */

static const size_t large_batch_bytes = (size_t)32 << 20; /* of which three are kept, not four */

struct worker {
    struct worker_params params;
    struct algo *algo;     /* owned */
    struct engine *engine; /* owned unless it is params.engine */
    struct loader *loader; /* owned */
    float *x;              /* owned, (parameter_size), device memory */
    float *point;          /* owned, (parameter_size), device memory; NULL unless keeps_point */
    float *buffers;        /* (buffer_size), device memory; owned if the engine is shared, else the engine's */
    struct batch batch;    /* the loaded one, while `loaded` */
    bool loaded;
    bool cast;              /* the last update has made the working copy too */
    uint64_t step;          /* gradients computed: names the dropout masks */
    float *kept_buffers;    /* owned, (buffer_size), device memory: between gradients */
    float *statistics;      /* owned, (buffer_size), host memory */
    double *statistics_sum; /* owned, (buffer_size) */
};

static bool shares_engine(const struct worker *worker)
{
    return worker->params.engine != NULL;
}

enum status worker_create_algo(const struct worker *worker, float *x, struct algo **out)
{
    const struct worker_params *p = &worker->params;
    struct algo_params params = {
        .ops = p->ops,
        .device = p->device,
        .count = p->spec->parameter_size,
        .decayed = p->spec->decayed_size,
        .eta = p->eta,
        .alpha = p->alpha,
        .alpha_tilde = p->alpha_tilde,
        .optimizer = p->optimizer,
    };
    params.x = x;
    return p->algo->create(&params, out);
}

static int slot_count(const struct worker_params *p, bool picks)
{
    size_t picture = (size_t)p->train->channels * (size_t)p->train->height * (size_t)p->train->width;
    bool large = !picks && p->batch * picture * sizeof(float) > large_batch_bytes;
    return large ? LOADER_SLOTS_LARGE : LOADER_SLOTS;
}

static struct loader_params loader_params_of(const struct worker_params *p, bool shared, bool picks)
{
    return (struct loader_params){
        .set = p->train,
        .partition = p->partition,
        .batch = p->batch,
        .worker = p->worker,
        .seed = p->seed,
        .augment = p->augment,
        .first = p->first_step,
        .slots = shared ? 0 : slot_count(p, picks),
        .threads = p->data_threads,
        .sizes = p->sizes,
        .picks = picks,
    };
}

static enum status create_loader(struct worker *worker)
{
    struct loader_params params =
        loader_params_of(&worker->params, shares_engine(worker), worker->params.pictures != NULL);
    params.lent_images = worker->engine->images;
    params.lent_picks = worker->engine->picks;
    params.lent_labels = worker->engine->labels;
    return loader_create(&params, &worker->loader);
}

/* Rows and columns of a batch's pictures. */
static int size_of_batch(const struct worker *worker, uint64_t number)
{
    int size = picture_size_of(&worker->params.sizes, number);
    return size > 0 ? size : worker->params.train->height;
}

static enum status create_engine(struct worker *worker)
{
    const struct worker_params *p = &worker->params;
    const struct engine_params params = {.ops = p->ops,
                                         .data_threads = p->data_threads,
                                         .device = p->device,
                                         .spec = p->spec,
                                         .batch = p->batch,
                                         .picks = p->pictures != NULL,
                                         .spec_of_size = p->spec_of_size,
                                         .spec_context = p->spec_context};
    worker->engine = p->engine;
    if (shares_engine(worker)) {
        if (p->keeps_point)
            TRY(engine_vector(&params, p->spec->parameter_size, NULL, &worker->point));
        TRY(engine_vector(&params, p->spec->buffer_size, p->initial_buffers, &worker->buffers));
        return engine_vector(&params, p->spec->buffer_size, p->initial_buffers, &worker->kept_buffers);
    }
    assert(!p->keeps_point);
    TRY(engine_create(&params, &worker->engine));
    TRY(engine_fit(worker->engine, size_of_batch(worker, p->first_step)));
    worker->buffers = worker->engine->buffers;
    if (p->initial_buffers != NULL && p->spec->buffer_size > 0)
        p->ops->vector_write(p->device, worker->buffers, p->spec->buffer_size, p->initial_buffers);
    return engine_vector(&params, p->spec->buffer_size, p->initial_buffers, &worker->kept_buffers);
}

static enum status create_parts(struct worker *worker)
{
    const struct worker_params *p = &worker->params;
    const struct net_spec *spec = p->spec;
    TRY(create_engine(worker));
    TRY(engine_vector(&worker->engine->params, spec->parameter_size, p->initial_parameters, &worker->x));
    TRY(worker_create_algo(worker, worker->x, &worker->algo));
    worker_cast(worker);
    worker->statistics = memory_zalloc(spec->buffer_size, sizeof worker->statistics[0]);
    worker->statistics_sum = memory_zalloc(spec->buffer_size, sizeof worker->statistics_sum[0]);
    return create_loader(worker);
}

enum status worker_create(const struct worker_params *params, struct worker **out)
{
    assert(params->batch > 0 && params->initial_parameters != NULL);
    assert(params->worker >= 0 && params->worker < params->worker_count);
    struct worker *worker = memory_zalloc(1, sizeof *worker);
    worker->params = *params;
    worker->step = params->first_step;
    enum status status = create_parts(worker);
    worker->params.initial_parameters = worker->params.initial_buffers = NULL;
    if (status == STATUS_OK)
        *out = worker;
    else
        worker_destroy(worker);
    return status;
}

void worker_destroy(struct worker *worker)
{
    if (worker == NULL)
        return;
    const struct worker_params *p = &worker->params;
    loader_destroy(worker->loader);
    if (worker->algo != NULL)
        p->algo->destroy(worker->algo);
    p->ops->vector_free(p->device, worker->x);
    p->ops->vector_free(p->device, worker->point);
    p->ops->vector_free(p->device, worker->kept_buffers);
    if (shares_engine(worker))
        p->ops->vector_free(p->device, worker->buffers);
    else
        engine_destroy(worker->engine);
    free(worker->statistics);
    free(worker->statistics_sum);
    free(worker);
}

void worker_move(struct worker *worker, struct engine *engine)
{
    assert(shares_engine(worker) && !worker->loaded);
    if (worker->engine == engine)
        return;
    if (engine->owner == worker)
        engine->owner = NULL; /* what it had of this worker is out of date */
    worker->engine = engine;
    loader_lend(worker->loader, engine->images, engine->picks, engine->labels);
}

enum status worker_load(struct worker *worker)
{
    assert(!worker->loaded);
    TRY(loader_next(worker->loader, &worker->batch));
    worker->loaded = true;
    return STATUS_OK;
}

static void release_batch(struct worker *worker)
{
    loader_release(worker->loader);
    worker->loaded = false;
}

/* The name of this step's dropout masks: a draw of its own for every (seed, worker, step). */
static uint64_t dropout_seed(const struct worker *worker)
{
    const struct worker_params *p = &worker->params;
    struct random_stream stream = random_stream(p->seed, RANDOM_DROPOUT, (uint32_t)p->worker, worker->step << 8);
    uint64_t high = random_u32(&stream);
    return high << 32 | random_u32(&stream);
}

static enum status forward_loaded(struct worker *worker, enum net_mode mode, uint64_t seed, struct net_result *result)
{
    const struct worker_params *p = &worker->params;
    assert(worker->loaded && !worker->engine->stale);
    struct net_batch batch = {.images = worker->batch.images,
                              .pictures = p->pictures,
                              .picks = worker->batch.picks,
                              .labels = worker->batch.labels,
                              .count = p->batch};
    TRY(p->ops->net_forward(worker->engine->net, mode, &batch, seed, result));
    worker->engine->passes++;
    return STATUS_OK;
}

static void copy_vector(const struct worker *worker, size_t count, const float *from, float *to)
{
    const struct worker_params *p = &worker->params;
    if (count > 0)
        p->ops->snapshot(p->device, true, 0, count, from, NULL, to);
}

static void make_working_copy(struct worker *worker, struct net *net, const float *source)
{
    struct engine *engine = worker->engine;
    worker->params.ops->net_cast(net, source);
    if (net == engine->net)
        engine->stale = false;
}

/* What the worker's gradient is taken at, in a shared engine. */
static const float *source_of(const struct worker *worker)
{
    if (worker->engine->owner == worker)
        return worker->engine->source;
    return worker->point != NULL ? worker->point : worker->x;
}

/* The network takes pictures of that size. A shared engine becomes this worker's: its statistics, and its working copy
 * unless that is in place. */
static enum status enter_engine(struct worker *worker, int size)
{
    struct engine *engine = worker->engine;
    const float *source = source_of(worker);
    TRY(engine_fit(engine, size));
    if (!shares_engine(worker))
        return STATUS_OK;
    copy_vector(worker, worker->params.spec->buffer_size, worker->buffers, engine->buffers);
    if (engine->owner != worker)
        make_working_copy(worker, engine->net, source);
    engine->owner = worker;
    engine->source = source;
    return STATUS_OK;
}

/* Statistics that a training pass has changed go back to the worker. */
static void leave_engine(struct worker *worker)
{
    if (shares_engine(worker))
        copy_vector(worker, worker->params.spec->buffer_size, worker->engine->buffers, worker->buffers);
}

enum status worker_gradient(struct worker *worker, net_ready_fn *ready, void *context, struct gradient_result *out)
{
    TRY(enter_engine(worker, size_of_batch(worker, worker->batch.number)));
    enum status status = forward_loaded(worker, NET_TRAIN, dropout_seed(worker), NULL);
    if (status == STATUS_OK)
        status = worker->params.ops->net_backward(worker->engine->net, ready, context);
    release_batch(worker);
    leave_engine(worker);
    TRY(status);
    worker->step++;
    if (!shares_engine(worker)) /* before the cast, which is made under the lock, and of x as it is then */
        TRY(engine_fit(worker->engine, size_of_batch(worker, worker->step)));
    return out != NULL ? worker_result(worker, 0, out) : STATUS_OK;
}

enum status worker_result(struct worker *worker, int age, struct gradient_result *out)
{
    struct net_result result;
    TRY(engine_result(worker->engine, age, &result));
    *out = (struct gradient_result){.loss = result.loss, .correct = result.correct, .finite = result.finite};
    return STATUS_OK;
}

int worker_run_ahead(const struct worker *worker)
{
    return worker->params.ops->run_ahead;
}

void worker_update(struct worker *worker, double t, double progress)
{
    struct update update = {.gradient = worker->engine->gradient,
                            .learning_rate = worker_learning_rate(worker, progress),
                            .net = shares_engine(worker) ? NULL : worker->engine->net};
    worker->cast = worker->params.algo->on_update(worker->algo, t, &update);
    if (worker->cast)
        worker->engine->stale = false;
}

void worker_cast(struct worker *worker)
{
    struct engine *engine = worker->engine;
    if (!shares_engine(worker)) {
        if (!worker->cast)
            make_working_copy(worker, engine->net, worker->x);
        worker->cast = false;
        return;
    }
    if (worker->point != NULL)
        copy_vector(worker, worker->params.spec->parameter_size, worker->x, worker->point);
    if (engine->owner == worker)
        engine->owner = NULL; /* what it has is out of date */
}

void worker_cast_at(struct worker *worker, double t)
{
    const struct worker_params *p = &worker->params;
    struct engine *engine = worker->engine;
    assert(shares_engine(worker) && worker->point == NULL);
    p->algo->snapshot(worker->algo, t, true, 0, p->spec->parameter_size, engine->point);
    make_working_copy(worker, engine->net, engine->point);
    engine->owner = worker;
    engine->source = engine->point;
}

void worker_cast_test(struct worker *worker)
{
    const struct engine *engine = worker->engine;
    if (!shares_engine(worker) && engine->test_net != engine->net)
        make_working_copy(worker, engine->test_net, worker->x);
}

void worker_snapshot(struct worker *worker, double t, size_t first, size_t count, float *out)
{
    worker->params.algo->snapshot(worker->algo, t, false, first, count, out);
}

void worker_exchange(struct worker *worker, double t, const float *own, const float *peer)
{
    struct pair pair = {.own = own, .peer = peer};
    worker->params.algo->on_pair(worker->algo, t, false, &pair);
}

void worker_retune(struct worker *worker, double t, const struct dynamic *dynamic)
{
    if (worker->params.algo->retune != NULL)
        worker->params.algo->retune(worker->algo, t, dynamic);
}

void worker_adopt(struct worker *worker, double t, const float *peer)
{
    const struct worker_params *p = &worker->params;
    size_t count = p->spec->parameter_size;
    float *zero = memory_zalloc(count, sizeof zero[0]);
    p->ops->snapshot(p->device, false, 0, count, peer, NULL, worker->x);
    p->ops->vector_write(p->device, worker_vector(worker, "momentum"), count, zero);
    p->algo->reset(worker->algo, t);
    free(zero);
}

double worker_pair_distance(struct worker *worker, const float *own, const float *peer)
{
    const struct worker_params *p = &worker->params;
    return p->ops->pair_distance(p->device, p->spec->parameter_size, own, peer);
}

/* The tests' network and statistics are this worker's. */
static enum status enter_test(struct worker *worker)
{
    struct engine *engine = worker->engine;
    if (engine->net == engine->test_net)
        return enter_engine(worker, engine->size);
    if (!shares_engine(worker))
        return STATUS_OK;
    copy_vector(worker, worker->params.spec->buffer_size, worker->buffers, engine->buffers);
    make_working_copy(worker, engine->test_net, source_of(worker));
    return STATUS_OK;
}

enum status worker_evaluate(struct worker *worker, bool held_out, int part, int part_count, struct evaluation *out)
{
    const struct worker_params *p = &worker->params;
    assert(part >= 0 && part < part_count);
    assert(!held_out || (p->held_out_set != NULL && p->held_out != NULL));
    size_t total = held_out ? p->held_out->count : p->test->count;
    struct evaluation_range range = {
        .set = held_out ? p->held_out_set : p->test,
        .indices = held_out ? p->held_out->indices : NULL,
        .first = total * (size_t)part / (size_t)part_count,
        .last = total * ((size_t)part + 1) / (size_t)part_count,
    };
    TRY(enter_test(worker));
    return evaluator_run(&worker->engine->evaluator, worker->engine->test_net, &range, out);
}

/* Divide the summed statistics of one buffer by `divisor`, into host memory. */
static void finish_statistic(struct worker *worker, int buffer, double divisor)
{
    const struct net_tensor *tensor = &worker->params.spec->buffers[buffer];
    for (size_t i = tensor->offset; i < tensor->offset + tensor->count; i++)
        worker->statistics[i] = (float)(worker->statistics_sum[i] / divisor);
}

/* The network takes the loaded batch. */
static enum status enter_for_statistics(struct worker *worker)
{
    TRY(enter_engine(worker, size_of_batch(worker, worker->batch.number)));
    if (worker->engine->stale)
        make_working_copy(worker, worker->engine->net, worker->x);
    return STATUS_OK;
}

/* A forward pass leaves (1 − momentum)·running + momentum·batch in the buffers; started from zero that is
 * momentum·batch, which is read, summed in float64 and in the end divided by momentum × batches. */
enum status worker_recompute_statistics(struct worker *worker, int batches)
{
    const struct worker_params *p = &worker->params;
    const struct net_spec *spec = p->spec;
    size_t size = spec->buffer_size;
    assert(batches >= 1);
    if (size == 0)
        return STATUS_OK;
    memset(worker->statistics_sum, 0, size * sizeof worker->statistics_sum[0]);
    for (int batch = 0; batch < batches; batch++) {
        struct net_result result;
        memset(worker->statistics, 0, size * sizeof worker->statistics[0]);
        TRY(worker_load(worker));
        enum status status = enter_for_statistics(worker);
        if (status == STATUS_OK) {
            p->ops->vector_write(p->device, worker->engine->buffers, size, worker->statistics);
            status = forward_loaded(worker, NET_STATISTICS, 0, &result);
        }
        release_batch(worker);
        TRY(status);
        p->ops->vector_read(p->device, worker->engine->buffers, size, worker->statistics);
        for (size_t i = 0; i < size; i++)
            worker->statistics_sum[i] += (double)worker->statistics[i];
    }
    for (int k = 0; k < spec->node_count; k++) {
        const struct net_node *node = &spec->nodes[k];
        if (node->op != NET_NORM)
            continue;
        assert(node->momentum > 0);
        finish_statistic(worker, node->mean, node->momentum * batches);
        finish_statistic(worker, node->variance, node->momentum * batches);
    }
    p->ops->vector_write(p->device, worker->buffers, size, worker->statistics);
    return STATUS_OK;
}

float *worker_parameters(struct worker *worker)
{
    return worker->x;
}

float *worker_buffers(struct worker *worker)
{
    return worker->buffers;
}

float *worker_gradient_vector(struct worker *worker)
{
    return worker->engine->gradient;
}

float *worker_vector(struct worker *worker, const char *name)
{
    return worker->params.algo->vector(worker->algo, name);
}

const struct device_ops *worker_device_ops(const struct worker *worker)
{
    return worker->params.ops;
}

struct device *worker_device(const struct worker *worker)
{
    return worker->params.device;
}

void worker_reset(struct worker *worker, double t)
{
    worker->cast = false;
    worker->params.algo->reset(worker->algo, t);
    worker_cast(worker);
}

float *worker_point(struct worker *worker)
{
    return worker->point;
}

double *worker_time(struct worker *worker)
{
    const struct algo_ops *ops = worker->params.algo;
    return ops->time != NULL ? ops->time(worker->algo) : NULL;
}

void worker_keep_statistics(struct worker *worker)
{
    copy_vector(worker, worker->params.spec->buffer_size, worker->buffers, worker->kept_buffers);
}

void worker_take_statistics_back(struct worker *worker)
{
    copy_vector(worker, worker->params.spec->buffer_size, worker->kept_buffers, worker->buffers);
}

const float *worker_kept_statistics(const struct worker *worker)
{
    return worker->kept_buffers;
}

const struct algo_ops *worker_algo(const struct worker *worker)
{
    return worker->params.algo;
}

void worker_resume(struct worker *worker, uint64_t steps)
{
    assert(!worker->loaded);
    worker->cast = false;
    if (!shares_engine(worker)) {
        assert(steps == worker->params.first_step);
        worker_keep_statistics(worker);
        worker_cast(worker);
        return;
    }
    worker->step = steps;
    worker->engine->owner = NULL;
    loader_seek(worker->loader, steps);
}

double worker_learning_rate(const struct worker *worker, double progress)
{
    return schedule_rate(&worker->params.schedule, progress);
}

double worker_update_square(struct worker *worker, double progress)
{
    const struct worker_params *p = &worker->params;
    double rate = worker_learning_rate(worker, progress);
    const float *momentum = worker_vector(worker, "momentum");
    return rate * rate * p->ops->sum_squares(p->device, false, p->spec->parameter_size, momentum);
}

size_t worker_parameter_size(const struct worker *worker)
{
    return worker->params.spec->parameter_size;
}

size_t worker_buffer_size(const struct worker *worker)
{
    return worker->params.spec->buffer_size;
}

size_t worker_batch(const struct worker *worker)
{
    return worker->params.batch;
}

enum algo_meeting worker_meets(const struct worker *worker)
{
    return worker->params.algo->meets;
}

struct memory_need worker_plan(const struct worker_params *p, bool shared, bool picks)
{
    const struct loader_params loader = loader_params_of(p, shared, picks);
    double vectors = 2 + p->algo->has_momentum_vector + p->keeps_point; /* x, momentum; x̃; point */
    double statistics = shared ? 2 : 1;                                 /* of its own, and kept between gradients */
    double x = (double)memory_aligned_bytes(p->spec->parameter_size * sizeof(float));
    double buffers = (double)memory_aligned_bytes(p->spec->buffer_size * sizeof(float));
    return (struct memory_need){
        .device = vectors * x + statistics * buffers,
        .host = 3 * buffers + loader_plan_bytes(&loader),
    };
}
