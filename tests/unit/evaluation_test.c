/* Tests of a network: what is counted of a set, and what is said of it. The network is the identity on sets of one
 * pixel for each class, so that a picture is its own logits. */
#include "worker/evaluation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parity/reference_net.h"

enum { CLASSES_MAX = 12, PICTURES = 7, BATCH = 3 };

/* Picture i has the label i; class c has the logit −c there. */
static enum status fetch(const struct dataset *set, size_t index, struct random_stream *augment, float *out)
{
    (void)index;
    assert_null(augment);
    for (int c = 0; c < set->channels; c++)
        out[c] = (float)-c;
    return STATUS_OK;
}

static const struct dataset_ops ops_of_set = {.fetch = fetch};
static const int32_t labels[PICTURES] = {0, 1, 2, 3, 4, 5, 6};

static struct evaluation test_on(int class_count, const struct evaluation_range *part)
{
    const struct device_ops *ops = device_choose("cpu");
    struct device_params params = {.name = "cpu", .threads = 1, .precision = "fp32"};
    struct dataset set = {.ops = &ops_of_set,
                          .count = PICTURES,
                          .channels = class_count,
                          .height = 1,
                          .width = 1,
                          .class_count = class_count,
                          .labels = labels};
    struct evaluation_range range = *part;
    struct evaluator evaluator;
    struct evaluation found;
    struct device *device;
    struct net_spec spec;
    struct net *net;
    float gradient[1], buffers[1];
    range.set = &set;
    assert_int_equal(ops->create(&params, &device), STATUS_OK);
    spec_start(&spec, "identity", class_count, 1, class_count);
    spec_add(&spec, (struct net_node){.op = NET_DROPOUT, .input = 0, .rate = 0.5}, false);
    assert_int_equal(ops->net_create(device, &spec, BATCH, gradient, buffers, &net), STATUS_OK);
    evaluator_init(&evaluator, ops, &spec, BATCH, 3);
    assert_int_equal(evaluator_run(&evaluator, net, &range, &found), STATUS_OK);
    evaluator_release(&evaluator);
    ops->net_destroy(net);
    ops->destroy(device);
    spec_release(&spec);
    return found;
}

static void counts_what_is_right(void **state)
{
    (void)state;
    struct evaluation all = test_on(CLASSES_MAX, &(struct evaluation_range){.last = PICTURES});
    assert_int_equal(all.count, PICTURES);
    assert_int_equal(all.correct, 1);
    assert_int_equal(all.correct_top5, 5);
    assert_int_equal(all.class_count, CLASSES_MAX);
    struct evaluation some = test_on(CLASSES_MAX, &(struct evaluation_range){.first = 3, .last = PICTURES});
    assert_int_equal(some.count, 4);
    assert_int_equal(some.correct, 0);
    assert_int_equal(some.correct_top5, 2);
    struct evaluation listed = test_on(
        CLASSES_MAX, &(struct evaluation_range){.indices = (const uint32_t[]){0, 6, 4, 0, 5}, .first = 1, .last = 5});
    assert_int_equal(listed.count, 4);
    assert_int_equal(listed.correct, 1);
    assert_int_equal(listed.correct_top5, 2);
}

/* In the range's order, across batches; the loss is the cross-entropy of the logits 0, −1, … */
static void says_what_it_predicts(void **state)
{
    struct prediction found[4];
    double sum = 0;
    (void)state;
    struct evaluation counts = test_on(
        CLASSES_MAX, &(struct evaluation_range){
                         .indices = (const uint32_t[]){0, 6, 4, 0, 5}, .first = 1, .last = 5, .predictions = found});
    double log_sum = log((1 - exp(-CLASSES_MAX)) / (1 - exp(-1)));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(found[i].label, ((const int[]){6, 4, 0, 5})[i]);
        assert_int_equal(found[i].predicted, 0);
        assert_true(fabs(found[i].loss - (log_sum + found[i].label)) < 1e-12);
        assert_true(fabs(found[i].probability - exp(-log_sum)) < 1e-12);
        sum += found[i].loss;
    }
    assert_true(fabs(sum - counts.loss_sum) < 1e-9);
}

static void says_means(void **state)
{
    (void)state;
    struct evaluation found = {.loss_sum = 2, .correct = 1, .correct_top5 = 3, .count = 4, .class_count = 11};
    assert_true(evaluation_loss(&found) == 0.5);
    assert_true(evaluation_accuracy(&found) == 0.25);
    assert_true(evaluation_accuracy_top5(&found) == 0.75);
    found.class_count = 10; /* too few for five guesses */
    assert_true(isnan(evaluation_accuracy_top5(&found)));
    assert_true(evaluation_accuracy(&found) == 0.25);
    found = (struct evaluation){.class_count = 1000};
    assert_true(isnan(evaluation_loss(&found)));
    assert_true(isnan(evaluation_accuracy(&found)));
    assert_true(isnan(evaluation_accuracy_top5(&found)));
}

static void nothing_to_test_is_no_error(void **state)
{
    (void)state;
    struct evaluation none = test_on(CLASSES_MAX, &(struct evaluation_range){.first = 2, .last = 2});
    assert_true(none.count == 0 && none.correct == 0 && none.class_count == CLASSES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_is_right),
        cmocka_unit_test(says_what_it_predicts),
        cmocka_unit_test(says_means),
        cmocka_unit_test(nothing_to_test_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
