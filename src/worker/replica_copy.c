/* A copy of what a replica is at one moment: an algorithm of its own on vectors of its own. */
#include "worker/replica_copy.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

struct replica_copy {
    struct worker *worker; /* borrowed */
    const struct algo_ops *ops;
    struct algo *algo;  /* owned; it owns x̃ and the momentum */
    float *x, *buffers; /* owned, device memory */
};

static enum status alloc_vector(const struct worker *worker, size_t count, float **out)
{
    return worker_device_ops(worker)->vector_alloc(worker_device(worker), count > 0 ? count : 1, out);
}

static enum status create_parts(struct replica_copy *copy)
{
    const struct worker *worker = copy->worker;
    TRY(alloc_vector(worker, worker_parameter_size(worker), &copy->x));
    TRY(alloc_vector(worker, worker_buffer_size(worker), &copy->buffers));
    return worker_create_algo(worker, copy->x, &copy->algo);
}

enum status replica_copy_create(struct worker *worker, struct replica_copy **out)
{
    struct replica_copy *copy = memory_zalloc(1, sizeof *copy);
    copy->worker = worker;
    copy->ops = worker_algo(worker);
    enum status status = create_parts(copy);
    if (status == STATUS_OK) {
        replica_copy_take(copy);
        *out = copy;
    } else {
        replica_copy_destroy(copy);
    }
    return status;
}

void replica_copy_destroy(struct replica_copy *copy)
{
    if (copy == NULL)
        return;
    const struct device_ops *ops = worker_device_ops(copy->worker);
    struct device *device = worker_device(copy->worker);
    if (copy->algo != NULL)
        copy->ops->destroy(copy->algo);
    ops->vector_free(device, copy->buffers);
    ops->vector_free(device, copy->x);
    free(copy);
}

static void copy_vector(const struct replica_copy *copy, size_t count, const float *from, float *to)
{
    if (from != NULL && to != NULL && count > 0)
        worker_device_ops(copy->worker)->snapshot(worker_device(copy->worker), false, 0, count, from, NULL, to);
}

void replica_copy_take(struct replica_copy *copy)
{
    static const char *const names[] = {"x_tilde", "momentum"};
    struct worker *worker = copy->worker;
    size_t count = worker_parameter_size(worker);
    copy_vector(copy, count, worker_parameters(worker), copy->x);
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        copy_vector(copy, count, worker_vector(worker, names[k]), copy->ops->vector(copy->algo, names[k]));
    copy_vector(copy, worker_buffer_size(worker), worker_kept_statistics(worker), copy->buffers);
    double *time = replica_copy_time(copy);
    if (time != NULL)
        *time = *worker_time(worker);
}

void replica_copy_exchange(struct replica_copy *copy, const float *own, const float *peer)
{
    const double *time = replica_copy_time(copy);
    struct pair pair = {.own = own, .peer = peer};
    copy->ops->on_pair(copy->algo, time != NULL ? *time : 0, false, &pair);
}

float *replica_copy_vector(struct replica_copy *copy, const char *name)
{
    if (strcmp(name, "x") == 0)
        return copy->x;
    if (strcmp(name, "buffers") == 0)
        return copy->buffers;
    return copy->ops->vector(copy->algo, name);
}

double *replica_copy_time(struct replica_copy *copy)
{
    return copy->ops->time != NULL ? copy->ops->time(copy->algo) : NULL;
}
