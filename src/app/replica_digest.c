/* Digests of a worker's vectors. */
#include "app/replica_digest.h"

#include "base/digest.h"
#include "base/memory.h"

static uint64_t digest_of(struct worker *worker, const float *vector, size_t count)
{
    if (vector == NULL || count == 0)
        return 0;
    float *values = memory_alloc_aligned(count * sizeof values[0]);
    worker_device_ops(worker)->vector_read(worker_device(worker), vector, count, values);
    uint64_t digest = digest_bytes(0, values, count * sizeof values[0]);
    memory_free_aligned(values);
    return digest;
}

struct replica_digest replica_digest_of(struct worker *worker)
{
    size_t count = worker_parameter_size(worker);
    return (struct replica_digest){
        .of = {[REPLICA_X] = digest_of(worker, worker_parameters(worker), count),
               [REPLICA_X_TILDE] = digest_of(worker, worker_vector(worker, "x_tilde"), count),
               [REPLICA_MOMENTUM] = digest_of(worker, worker_vector(worker, "momentum"), count),
               [REPLICA_BUFFERS] = digest_of(worker, worker_buffers(worker), worker_buffer_size(worker))}};
}
