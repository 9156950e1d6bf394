/* What a device says of whole vectors: distances, of a pair and of many to their mean, against float64, and a digest
 * of the bits. On the device that $GRAPEVINE_TEST_DEVICE names, else the CPU. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/random.h"
#include "device/device.h"
#include "kernels/vector_digest.h"
#include "kernels/distance.h"

enum { VECTORS_MOST = 65 };

static const size_t counts[] = {1, 3, 255, 513, 1024, 100003, DISTANCE_EXACT, DISTANCE_EXACT + 1};

struct vectors {
    const struct device_ops *ops;
    struct device *device;
    int vector_count;
    size_t count;
    float *host[VECTORS_MOST]; /* owned (count) */
    float *on[VECTORS_MOST];   /* owned (count), device memory */
    float *mean;               /* owned (count), device memory */
};

static void vectors_init(struct vectors *v, int vector_count, size_t count)
{
    const char *name = getenv("GRAPEVINE_TEST_DEVICE");
    struct device_params params = {.name = name != NULL ? name : "cpu", .threads = 2, .precision = "fp32"};
    *v = (struct vectors){.ops = device_choose(params.name), .vector_count = vector_count, .count = count};
    assert_non_null(v->ops);
    assert_int_equal(v->ops->create(&params, &v->device), STATUS_OK);
    assert_int_equal(v->ops->vector_alloc(v->device, count, &v->mean), STATUS_OK);
    for (int i = 0; i < vector_count; i++) {
        struct random_stream stream = random_stream(7, RANDOM_TEST, (uint32_t)i, 0);
        v->host[i] = memory_zalloc(count, sizeof v->host[i][0]);
        assert_int_equal(v->ops->vector_alloc(v->device, count, &v->on[i]), STATUS_OK);
        for (size_t k = 0; k < count; k++) /* far from zero, near one another */
            v->host[i][k] = (float)(100 + random_normal(&stream));
        v->ops->vector_write(v->device, v->on[i], count, v->host[i]);
    }
}

static void vectors_release(struct vectors *v)
{
    for (int i = 0; i < v->vector_count; i++) {
        v->ops->vector_free(v->device, v->on[i]);
        free(v->host[i]);
    }
    v->ops->vector_free(v->device, v->mean);
    v->ops->destroy(v->device);
}

static double mean_of(const struct vectors *v, size_t k)
{
    double sum = 0;
    for (int i = 0; i < v->vector_count; i++)
        sum += (double)v->host[i][k];
    return sum / v->vector_count;
}

static double expected_spread(const struct vectors *v)
{
    double sum = 0;
    for (size_t k = 0; k < v->count; k++) {
        double mean = mean_of(v, k);
        for (int i = 0; i < v->vector_count; i++)
            sum += ((double)v->host[i][k] - mean) * ((double)v->host[i][k] - mean);
    }
    return sum;
}

static double spread(const struct vectors *v, float *mean)
{
    return v->ops->spread(v->device, v->vector_count, v->count, (const float *const *)v->on, mean);
}

static void check_spread(int vector_count, size_t count)
{
    struct vectors v;
    vectors_init(&v, vector_count, count);
    double expected = expected_spread(&v), found = spread(&v, v.mean);
    assert_true(fabs(found - expected) <= 1e-12 * expected);
    assert_true(spread(&v, NULL) == found); /* the same bits again */
    float *mean = memory_zalloc(count, sizeof mean[0]);
    v.ops->vector_read(v.device, v.mean, count, mean);
    for (size_t k = 0; k < count; k++)
        assert_true(mean[k] == (float)mean_of(&v, k));
    free(mean);
    vectors_release(&v);
}

static void test_spread(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        check_spread(1, counts[i]);
        check_spread(2, counts[i]);
        check_spread(7, counts[i]);
    }
    check_spread(VECTORS_MOST, 1025);
}

/* It is of the vectors as the operations called before leave them, and grows with how many they are. */
static void test_spread_is_in_order(void **state)
{
    (void)state;
    struct vectors v;
    vectors_init(&v, 3, 100003);
    int all = v.vector_count;
    v.vector_count = 1;
    assert_true(spread(&v, NULL) == 0);
    v.vector_count = all;
    double expected = expected_spread(&v);
    for (int i = 0; i < all; i++)
        v.ops->scale(v.device, v.count, 2, v.on[i]);
    assert_true(fabs(spread(&v, NULL) - 4 * expected) <= 4e-12 * expected);
    vectors_release(&v);
}

/* Of a long vector every sixteenth block. */
static double expected_pair(const struct vectors *v)
{
    size_t stride = v->count <= DISTANCE_EXACT ? 1 : DISTANCE_STRIDE, used = 0;
    double sum = 0;
    for (size_t k = 0; k < v->count; k++) {
        if (k / DISTANCE_BLOCK % stride != 0)
            continue;
        double difference = (double)v->host[0][k] - (double)v->host[1][k];
        sum += difference * difference;
        used++;
    }
    return sum * (double)v->count / (double)used / 2;
}

static void test_pair(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct vectors v;
        vectors_init(&v, 2, counts[i]);
        double expected = expected_pair(&v);
        double found = v.ops->pair_distance(v.device, v.count, v.on[0], v.on[1]);
        assert_true(fabs(found - expected) <= 1e-4 * expected);
        vectors_release(&v);
    }
}

/* Every bit of every element counts, and where it stands. */
static void test_digest(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct vectors v;
        size_t count = counts[i];
        vectors_init(&v, 1, count);
        uint64_t first = v.ops->digest(v.device, count, v.on[0]);
        assert_true(first == kernel_digest(count, v.host[0]));
        const size_t places[] = {0, count / 2, count - 1};
        for (size_t k = 0; k < sizeof places / sizeof places[0]; k++) {
            uint32_t bits, changed;
            memcpy(&bits, &v.host[0][places[k]], sizeof bits);
            changed = bits ^ UINT32_C(1) << (k * 15);
            memcpy(&v.host[0][places[k]], &changed, sizeof changed);
            v.ops->vector_write(v.device, v.on[0], count, v.host[0]);
            uint64_t now = v.ops->digest(v.device, count, v.on[0]);
            assert_true(now != first && now == kernel_digest(count, v.host[0]));
            memcpy(&v.host[0][places[k]], &bits, sizeof bits);
        }
        if (count > 1) {
            float swapped = v.host[0][0];
            v.host[0][0] = v.host[0][count - 1];
            v.host[0][count - 1] = swapped;
            assert_true(kernel_digest(count, v.host[0]) != first);
        }
        v.ops->scale(v.device, count, 0, v.on[0]); /* as the operations before it leave them */
        memset(v.host[0], 0, count * sizeof v.host[0][0]);
        assert_true(v.ops->digest(v.device, count, v.on[0]) == kernel_digest(count, v.host[0]));
        vectors_release(&v);
    }
}

/* --- sums of squares --- */

enum { SUMS_TOGETHER = 300 }; /* scratch in common is found in most runs, not in each */

static void *sum_beside(void *context)
{
    const struct vectors *v = context;
    double expected = v->ops->sum_squares(v->device, false, v->count, v->on[1]);
    for (int k = 0; k < SUMS_TOGETHER; k++)
        if (v->ops->sum_squares(v->device, false, v->count, v->on[1]) != expected)
            return context;
    return NULL;
}

/* The compute thread and the communication thread want sums at the same time, and each gets its own. */
static void sums_of_two_threads_do_not_mix(void **state)
{
    (void)state;
    struct vectors v;
    pthread_t beside;
    void *wrong = NULL;
    vectors_init(&v, 2, 1024);
    double first = v.ops->sum_squares(v.device, true, v.count, v.on[0]);
    double second = v.ops->sum_squares(v.device, true, v.count, v.on[1]);
    assert_true(first != second && v.ops->sum_squares(v.device, false, v.count, v.on[0]) == first);
    assert_int_equal(pthread_create(&beside, NULL, sum_beside, &v), 0);
    for (int k = 0; k < SUMS_TOGETHER; k++)
        assert_true(v.ops->sum_squares(v.device, true, v.count, v.on[0]) == first);
    pthread_join(beside, &wrong);
    assert_null(wrong);
    vectors_release(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread), cmocka_unit_test(test_spread_is_in_order),        cmocka_unit_test(test_pair),
        cmocka_unit_test(test_digest), cmocka_unit_test(sums_of_two_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
