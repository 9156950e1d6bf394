/* The loss at the end of a network by hand: which guesses count, and labels that are smoothed. The network is the
 * identity, so that the pictures are the logits. In fp32, on the device that $GRAPEVINE_TEST_DEVICE names, else the
 * CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parity/reference_net.h"

enum { CLASSES = 12, BATCH = 3 };

/* A dropout that drops nothing. */
struct identity {
    const struct device_ops *ops;
    struct device *device;
    struct net_spec spec;
    struct net *net;
    float *gradient, *buffers; /* device memory */
};

static void identity_init(struct identity *id, enum net_loss loss, double label_smoothing)
{
    const char *name = getenv("GRAPEVINE_TEST_DEVICE");
    struct device_params params = {.name = name != NULL ? name : "cpu", .threads = 2, .precision = "fp32"};
    *id = (struct identity){.ops = device_choose(params.name)};
    assert_non_null(id->ops);
    assert_int_equal(id->ops->create(&params, &id->device), STATUS_OK);
    spec_start(&id->spec, "identity", CLASSES, 1, CLASSES);
    id->spec.loss = loss;
    id->spec.label_smoothing = label_smoothing;
    spec_add(&id->spec, (struct net_node){.op = NET_DROPOUT, .residual = NET_NONE}, false);
    id->ops->vector_alloc(id->device, 1, &id->gradient);
    id->ops->vector_alloc(id->device, 1, &id->buffers);
    assert_int_equal(id->ops->net_create(id->device, &id->spec, BATCH, id->gradient, id->buffers, &id->net), STATUS_OK);
}

static void identity_release(struct identity *id)
{
    id->ops->net_destroy(id->net);
    id->ops->vector_free(id->device, id->gradient);
    id->ops->vector_free(id->device, id->buffers);
    id->ops->destroy(id->device);
    spec_release(&id->spec);
}

/* logits (count, CLASSES) */
static struct net_result run(struct identity *id, enum net_mode mode, const float *logits, const int32_t *labels,
                             size_t count)
{
    struct net_result result;
    struct net_batch batch = {.images = logits, .labels = labels, .count = count};
    assert_int_equal(id->ops->net_forward(id->net, mode, &batch, 0, &result), STATUS_OK);
    return result;
}

/* Class c has the logit −c, so that c classes come before it. */
static void test_places(void **state)
{
    (void)state;
    struct identity id;
    float logits[BATCH][CLASSES];
    for (int i = 0; i < BATCH * CLASSES; i++)
        logits[i / CLASSES][i % CLASSES] = (float)(-i % CLASSES);
    static const struct {
        int32_t labels[BATCH];
        size_t correct, correct_top5;
    } cases[] = {{{0, 4, 5}, 1, 2}, {{1, 2, 3}, 0, 3}, {{11, 6, 10}, 0, 0}, {{0, 0, 0}, 3, 3}};
    for (int loss = NET_LOSS_CROSS_ENTROPY; loss <= NET_LOSS_SQUARED; loss++) {
        identity_init(&id, (enum net_loss)loss, 0);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct net_result result =
                run(&id, i % 2 == 0 ? NET_TRAIN : NET_EVALUATE, logits[0], cases[i].labels, BATCH);
            assert_int_equal(result.correct, cases[i].correct);
            assert_int_equal(result.correct_top5, cases[i].correct_top5);
        }
        struct net_result one = run(&id, NET_EVALUATE, logits[0], (int32_t[BATCH]){4, 0, 0}, 1);
        assert_true(one.correct == 0 && one.correct_top5 == 1); /* what is not real counts for nothing */
        identity_release(&id);
    }
}

/* Of equal logits the smaller class comes first: the label 4 is the fifth, 5 the sixth. */
static void test_ties(void **state)
{
    (void)state;
    struct identity id;
    const float logits[BATCH][CLASSES] = {{0}};
    identity_init(&id, NET_LOSS_CROSS_ENTROPY, 0);
    struct net_result result = run(&id, NET_EVALUATE, logits[0], (int32_t[BATCH]){4, 5, 0}, BATCH);
    assert_true(result.correct == 1 && result.correct_top5 == 2);
    identity_release(&id);
}

/* NaN comes before any number, and a label whose own logit it is counts nowhere. */
static void test_nan(void **state)
{
    (void)state;
    struct identity id;
    const float logits[][BATCH][CLASSES] = {{{[3] = NAN}, {1, 2}, {[2] = NAN}},
                                            {{NAN, 1}, {NAN, 1, NAN, NAN, NAN}, {NAN, 1, NAN, NAN, NAN, NAN}}};
    identity_init(&id, NET_LOSS_CROSS_ENTROPY, 0);
    struct net_result own = run(&id, NET_EVALUATE, logits[0][0], (int32_t[BATCH]){3, 1, 2}, BATCH);
    assert_true(own.correct == 1 && own.correct_top5 == 1 && !own.finite);
    struct net_result others = run(&id, NET_EVALUATE, logits[1][0], (int32_t[BATCH]){1, 1, 1}, BATCH);
    assert_true(others.correct == 0 && others.correct_top5 == 2 && !others.finite);
    identity_release(&id);
}

/* Labels play no part, and none is a hit. */
static void test_no_labels(void **state)
{
    (void)state;
    struct identity id;
    const float logits[BATCH][CLASSES] = {{3}, {3}, {3}};
    identity_init(&id, NET_LOSS_SQUARED_NORM, 0);
    struct net_result result = run(&id, NET_EVALUATE, logits[0], NULL, BATCH);
    assert_true(result.correct == 0 && result.correct_top5 == 0);
    assert_float_equal(result.loss, 4.5, 1e-6);
    identity_release(&id);
}

/* Training: (1 − ε) of the label's loss and ε of the mean of all labels' losses. Tests: the label's alone. */
static void test_smoothed_labels(void **state)
{
    (void)state;
    const double smoothing = 0.3;
    struct identity id;
    const float logits[BATCH][CLASSES] = {{2, 1, -3, 0.5f}, {0, 0, 4}, {-1, 1}};
    const int32_t labels[BATCH] = {0, 5, 1};
    double plain = 0, even = 0;
    for (int n = 0; n < BATCH; n++) {
        double sum = 0, mean = 0;
        for (int c = 0; c < CLASSES; c++) {
            sum += exp((double)logits[n][c]);
            mean += (double)logits[n][c] / CLASSES;
        }
        plain += (log(sum) - (double)logits[n][labels[n]]) / BATCH;
        even += (log(sum) - mean) / BATCH;
    }
    identity_init(&id, NET_LOSS_CROSS_ENTROPY, smoothing);
    double trained = run(&id, NET_TRAIN, logits[0], labels, BATCH).loss;
    assert_float_equal(trained, (1 - smoothing) * plain + smoothing * even, 1e-5);
    assert_float_equal(run(&id, NET_EVALUATE, logits[0], labels, BATCH).loss, plain, 1e-5);
    assert_float_equal(run(&id, NET_STATISTICS, logits[0], labels, BATCH).loss, plain, 1e-5);
    identity_release(&id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_no_labels),
        cmocka_unit_test(test_smoothed_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
