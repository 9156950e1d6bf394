/* Replicas for tests of algorithms: one algorithm on one vector x, on the CPU device (vectors are plain pointers). */
#ifndef GRAPEVINE_TESTS_ALGO_FIXTURE_H
#define GRAPEVINE_TESTS_ALGO_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "algo/algo.h"
#include "base/random.h"
#include "device/device.h"

struct fixture {
    const struct device_ops *ops;
    struct device *device; /* owned */
};

struct replica_under_test {
    const struct fixture *fixture; /* borrowed */
    const struct algo_ops *ops;
    struct algo *algo; /* owned */
    float *x;          /* owned, (count) */
    size_t count;
};

static inline struct fixture fixture_create(void)
{
    struct fixture fixture = {.ops = device_choose("cpu")};
    struct device_params params = {.name = "cpu", .threads = 1, .precision = "auto"};
    assert_non_null(fixture.ops);
    assert_int_equal(fixture.ops->create(&params, &fixture.device), STATUS_OK);
    return fixture;
}

static inline void fixture_destroy(struct fixture *fixture)
{
    fixture->ops->destroy(fixture->device);
}

static inline float *fixture_vector(const struct fixture *fixture, size_t count)
{
    float *vector = NULL;
    assert_int_equal(fixture->ops->vector_alloc(fixture->device, count, &vector), STATUS_OK);
    return vector;
}

static inline void fixture_free(const struct fixture *fixture, float *vector)
{
    fixture->ops->vector_free(fixture->device, vector);
}

/* A vector of independent draws N(0, 1), named by (worker, step). */
static inline void fill_normal(float *vector, size_t count, uint32_t worker, uint64_t step)
{
    struct random_stream stream = random_stream(1, RANDOM_TEST, worker, step);
    for (size_t i = 0; i < count; i++)
        vector[i] = (float)random_normal(&stream);
}

/* x starts as `initial` (count), or as zero where it is NULL; `params` gives constants and the decayed head. */
static inline struct replica_under_test replica_create(const struct fixture *fixture, const char *name,
                                                       const struct algo_params *params, const float *initial)
{
    struct replica_under_test replica = {.fixture = fixture, .ops = algo_find(name), .count = params->count};
    assert_non_null(replica.ops);
    replica.x = fixture_vector(fixture, params->count);
    if (initial != NULL)
        memcpy(replica.x, initial, params->count * sizeof initial[0]);
    struct algo_params own = *params;
    own.ops = fixture->ops;
    own.device = fixture->device;
    own.x = replica.x;
    assert_int_equal(replica.ops->create(&own, &replica.algo), STATUS_OK);
    return replica;
}

static inline void replica_destroy(struct replica_under_test *replica)
{
    replica->ops->destroy(replica->algo);
    fixture_free(replica->fixture, replica->x);
}

static inline void replica_step(struct replica_under_test *replica, double t, const float *gradient,
                                double learning_rate)
{
    struct update update = {.gradient = gradient, .learning_rate = learning_rate};
    replica->ops->on_update(replica->algo, t, &update);
}

static inline void replica_meet(struct replica_under_test *replica, double t, const float *own, const float *peer)
{
    struct pair pair = {.own = own, .peer = peer};
    replica->ops->on_pair(replica->algo, t, false, &pair);
}

#endif
