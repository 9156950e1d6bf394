/* Bucketed all-reduce of the gradient, overlapped with the backward pass. */
#include "runtime/mpi/reducer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stopwatch.h"
#include "base/thread.h"
#include "runtime/mpi/mpi_call.h"

struct reducer {
    struct reducer_params params;
    size_t bucket_size; /* elements */
    int bucket_count;
    struct thread thread;
    struct device_group *group; /* owned; NULL: through MPI, by the thread */
    enum status group_status;   /* of the step's means; the compute thread's own */
    float *values;              /* the gradient in host memory; owned (count) unless the gradient itself is there */
    size_t *missing;            /* owned (bucket_count): elements not yet final; the compute thread's own */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int *queue;          /* owned (bucket_count), guarded by mutex as all below: buckets in order of completion */
    int queued, reduced; /* of this step */
    bool stop;
    enum status status;
};

static size_t bucket_length(const struct reducer *reducer, int bucket)
{
    size_t first = (size_t)bucket * reducer->bucket_size;
    size_t left = reducer->params.count - first;
    return left < reducer->bucket_size ? left : reducer->bucket_size;
}

static void expect_all(struct reducer *reducer)
{
    for (int k = 0; k < reducer->bucket_count; k++)
        reducer->missing[k] = bucket_length(reducer, k);
}

static enum status reduce_bucket(struct reducer *reducer, int bucket)
{
    const struct job *job = reducer->params.job;
    const struct observer *observer = reducer->params.observer;
    float *values = reducer->values + (size_t)bucket * reducer->bucket_size;
    size_t length = bucket_length(reducer, bucket);
    double begin_s = stopwatch_now();
    TRY(job_sum_floats(job, "all-reduce of the gradient", values, length));
    float share = 1.0f / (float)job->size;
    for (size_t k = 0; k < length; k++)
        values[k] *= share;
    if (observer->on_span != NULL)
        observer->on_span(observer->context, job->rank, LANE_COMMUNICATION, SPAN_REDUCE,
                          begin_s - reducer->params.origin_s, stopwatch_now() - reducer->params.origin_s, -1);
    return STATUS_OK;
}

static void *run(void *context)
{
    struct reducer *reducer = context;
    pthread_mutex_lock(&reducer->mutex);
    while (!reducer->stop && reducer->status == STATUS_OK) {
        if (reducer->reduced == reducer->queued) {
            pthread_cond_wait(&reducer->changed, &reducer->mutex);
            continue;
        }
        int bucket = reducer->queue[reducer->reduced];
        pthread_mutex_unlock(&reducer->mutex);
        enum status status = reduce_bucket(reducer, bucket);
        pthread_mutex_lock(&reducer->mutex);
        reducer->reduced++;
        reducer->status = status;
        pthread_cond_broadcast(&reducer->changed);
    }
    pthread_mutex_unlock(&reducer->mutex);
    return NULL;
}

/* The bucket is final: the devices' turn, or the thread's. */
static void hand_over(struct reducer *reducer, int bucket)
{
    const struct reducer_params *p = &reducer->params;
    if (reducer->group != NULL) {
        if (reducer->group_status == STATUS_OK)
            reducer->group_status = p->ops->group_mean(
                reducer->group, p->gradient + (size_t)bucket * reducer->bucket_size, bucket_length(reducer, bucket));
        return;
    }
    pthread_mutex_lock(&reducer->mutex);
    reducer->queue[reducer->queued++] = bucket;
    pthread_cond_broadcast(&reducer->changed);
    pthread_mutex_unlock(&reducer->mutex);
}

void reducer_ready(void *context, size_t first, size_t count)
{
    struct reducer *reducer = context;
    if (reducer->group == NULL && !reducer->params.ops->host_memory)
        return;
    for (size_t last = first + count; first < last;) {
        int bucket = (int)(first / reducer->bucket_size);
        size_t end = (size_t)(bucket + 1) * reducer->bucket_size;
        size_t part = (end < last ? end : last) - first;
        assert(reducer->missing[bucket] >= part);
        reducer->missing[bucket] -= part;
        first += part;
        if (reducer->missing[bucket] == 0)
            hand_over(reducer, bucket);
    }
}

/* A gradient on a device is fetched whole once the backward pass is done, and all its buckets are handed over. */
static void fetch(struct reducer *reducer)
{
    const struct reducer_params *p = &reducer->params;
    p->ops->vector_read(p->device, p->gradient, p->count, reducer->values);
    for (int k = 0; k < reducer->bucket_count; k++)
        hand_over(reducer, k);
}

enum status reducer_wait(struct reducer *reducer)
{
    const struct reducer_params *p = &reducer->params;
    if (reducer->group != NULL) {
        expect_all(reducer);
        TRY(reducer->group_status);
        return p->ops->group_join(reducer->group);
    }
    if (!p->ops->host_memory)
        fetch(reducer);
    pthread_mutex_lock(&reducer->mutex);
    assert(reducer->queued == reducer->bucket_count || reducer->status != STATUS_OK);
    while (reducer->reduced < reducer->bucket_count && reducer->status == STATUS_OK)
        pthread_cond_wait(&reducer->changed, &reducer->mutex); /* bounded: every reduction has job->limit_s */
    reducer->queued = 0;
    reducer->reduced = 0;
    enum status status = reducer->status;
    pthread_mutex_unlock(&reducer->mutex);
    expect_all(reducer);
    if (!p->ops->host_memory)
        p->ops->vector_write(p->device, p->gradient, p->count, reducer->values);
    return status;
}

enum status reducer_settle(const struct reducer *reducer, int age)
{
    const struct reducer_params *p = &reducer->params;
    const double poll_s = 50e-6;
    double begin_s = stopwatch_now();
    while (reducer->group != NULL && !p->ops->group_done(reducer->group, age)) {
        if (p->job->limit_s > 0 && stopwatch_now() - begin_s > p->job->limit_s) {
            log_on_this_rank(
                LOG_ERROR,
                "waited %.0f s for the all-reduce of the gradient by NCCL: another rank does not take part; "
                "is one stopped? (communication.limit_s)",
                p->job->limit_s);
            return STATUS_MACHINE;
        }
        stopwatch_sleep(poll_s);
    }
    return STATUS_OK;
}

/* The devices' own group, if all ranks can join it; else none, and no error. */
static enum status open_group(struct reducer *reducer)
{
    const struct reducer_params *p = &reducer->params;
    unsigned char name[DEVICE_NAME_BYTES] = {0};
    double bad = 0;
    if (p->ops->group_open == NULL || p->ordered)
        return STATUS_OK;
    log_hold(true);
    if (p->job->rank == 0)
        bad = p->ops->group_name(name) != STATUS_OK;
    log_hold(false);
    TRY(job_broadcast(p->job, "name of the group of GPUs", name, sizeof name));
    TRY(job_sum_doubles(p->job, "name of the group of GPUs", &bad, 1));
    if (bad == 0) {
        log_hold(true);
        bad = p->ops->group_open(p->device, name, p->job->rank, p->job->size, &reducer->group) != STATUS_OK;
        log_hold(false);
        TRY(job_sum_doubles(p->job, "group of GPUs", &bad, 1));
    }
    if (bad == 0)
        return STATUS_OK;
    p->ops->group_close(reducer->group);
    reducer->group = NULL;
    log_info("gradients are averaged through MPI: NCCL is not there, or ranks share a GPU");
    return STATUS_OK;
}

const char *reducer_name(const struct reducer *reducer)
{
    return reducer->group != NULL ? "nccl" : "allreduce";
}

enum status reducer_create(const struct reducer_params *params, struct reducer **out)
{
    struct reducer *reducer = memory_zalloc(1, sizeof *reducer);
    reducer->params = *params;
    reducer->bucket_size = params->bucket_bytes / sizeof(float);
    reducer->bucket_count = (int)((params->count + reducer->bucket_size - 1) / reducer->bucket_size);
    reducer->values = params->ops->host_memory ? params->gradient : memory_alloc_aligned(params->count * sizeof(float));
    reducer->missing = memory_zalloc((size_t)reducer->bucket_count, sizeof reducer->missing[0]);
    reducer->queue = memory_zalloc((size_t)reducer->bucket_count, sizeof reducer->queue[0]);
    expect_all(reducer);
    pthread_mutex_init(&reducer->mutex, NULL);
    pthread_cond_init(&reducer->changed, NULL);
    enum status status = open_group(reducer);
    if (status == STATUS_OK && reducer->group == NULL)
        status = thread_start(&reducer->thread, "communication", run, reducer);
    if (status != STATUS_OK)
        reducer_destroy(reducer);
    else
        *out = reducer;
    return status;
}

void reducer_destroy(struct reducer *reducer)
{
    if (reducer == NULL)
        return;
    pthread_mutex_lock(&reducer->mutex);
    reducer->stop = true;
    pthread_cond_broadcast(&reducer->changed);
    pthread_mutex_unlock(&reducer->mutex);
    thread_join(&reducer->thread);
    if (reducer->group != NULL)
        reducer->params.ops->group_close(reducer->group);
    pthread_cond_destroy(&reducer->changed);
    pthread_mutex_destroy(&reducer->mutex);
    free(reducer->queue);
    free(reducer->missing);
    if (!reducer->params.ops->host_memory)
        memory_free_aligned(reducer->values);
    free(reducer);
}
