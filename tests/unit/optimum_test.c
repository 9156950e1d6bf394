/* The minimiser of a convex model (worker/optimum.h), against the objective as its header writes it: one loop over the
 * pictures in long double, of value and gradient, which knows nothing of how a minimum is found. That objective itself
 * is held against what a network on the device computes. Then cases that can be solved by hand, and what is refused. */
#include "worker/optimum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "capture.h"
#include "device/device.h"
#include "nn/model.h"

enum { PARAMETERS_MAX = 256, FEATURES_MAX = 64, CLASSES_MAX = 8, PICTURES_MAX = 512, WORKERS_MAX = 8 };

static struct capture capture;
static const char *const models[] = {"quadratic", "linear", "logistic"};

/* Pictures of any shape, given as numbers. */
struct table {
    struct dataset base; /* first, so that a dataset is a table */
    float rows[PICTURES_MAX * FEATURES_MAX];
    int32_t labels[PICTURES_MAX];
    bool broken; /* the second half cannot be read */
};

static enum status table_fetch(const struct dataset *set, size_t index, struct random_stream *augment, float *out)
{
    const struct table *table = (const struct table *)set;
    assert_null(augment);
    if (table->broken && index >= set->count / 2)
        return STATUS_DATA;
    size_t features = (size_t)set->channels * (size_t)set->height * (size_t)set->width;
    memcpy(out, table->rows + index * features, features * sizeof *out);
    return STATUS_OK;
}

static const struct dataset_ops table_ops = {.fetch = table_fetch};

/* rows (count, features) and labels (count), or NULL: 0. */
static struct table *table_create(size_t count, size_t features, int classes, const float *rows, const int32_t *labels)
{
    struct table *table = memory_zalloc(1, sizeof *table);
    assert_true(count <= PICTURES_MAX && features <= FEATURES_MAX && classes <= CLASSES_MAX);
    table->base = (struct dataset){.ops = &table_ops, .count = count, .channels = 1, .height = 1};
    table->base.width = (int)features;
    table->base.class_count = classes;
    table->base.labels = table->labels;
    for (size_t i = 0; rows != NULL && i < count * features; i++)
        table->rows[i] = rows[i];
    for (size_t i = 0; labels != NULL && i < count; i++)
        table->labels[i] = labels[i];
    return table;
}

/* Features N(0, 1) times scales that fall to 1/10 of the first's, labels of which no class is without a picture. */
static struct table *table_draw(size_t count, size_t features, int classes, uint64_t seed)
{
    struct table *table = table_create(count, features, classes, NULL, NULL);
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 1, 0);
    for (size_t i = 0; i < count * features; i++)
        table->rows[i] = (float)(random_normal(&stream) * pow(0.1, (double)(i % features) / (double)features));
    for (size_t i = 0; i < count; i++)
        table->labels[i] = (int32_t)(i < (size_t)classes ? i : random_below(&stream, (uint32_t)classes));
    return table;
}

/* What optimum_create is given. */
struct problem {
    struct net_spec *spec; /* owned */
    uint32_t indices[PICTURES_MAX];
    struct partition partitions[WORKERS_MAX]; /* their indices are in `indices` */
    struct optimum_params params;
};

/* Pictures in a row for each of the workers: counts (workers), summing to the set's pictures or fewer. */
static struct problem *problem_create(const char *model, const struct dataset *set, int workers, const size_t *counts)
{
    struct problem *problem = memory_zalloc(1, sizeof *problem);
    struct model_params params = {.name = model, .channels = set->channels, .height = set->height, .width = set->width};
    params.class_count = set->class_count;
    params.condition = strcmp(model, "quadratic") == 0 ? 16 : 0;
    assert_int_equal(model_build(&params, &problem->spec), STATUS_OK);
    assert_true(problem->spec->parameter_size <= PARAMETERS_MAX);
    uint32_t at = 0;
    for (int i = 0; i < workers; i++) {
        problem->partitions[i] = (struct partition){.indices = problem->indices + at, .count = counts[i]};
        for (size_t k = 0; k < counts[i]; k++, at++)
            problem->indices[at] = at;
    }
    problem->params = (struct optimum_params){.spec = problem->spec,
                                              .train = set,
                                              .partitions = problem->partitions,
                                              .partition_count = workers,
                                              .threads = 1};
    return problem;
}

static struct problem *problem_of_all(const char *model, const struct dataset *set)
{
    return problem_create(model, set, 1, &set->count);
}

static void problem_destroy(struct problem *problem)
{
    model_destroy(problem->spec);
    free(problem);
}

static struct optimum *solve(const struct problem *problem)
{
    struct optimum *optimum = NULL;
    assert_int_equal(optimum_create(&problem->params, &optimum), STATUS_OK);
    assert_int_equal(optimum->count, problem->spec->parameter_size);
    return optimum;
}

/* The objective: `gradient` is added to. Returns the loss of one picture times `weight`. */
static long double quadratic_loss(const struct net_spec *spec, const float *row, long double weight, const double *x,
                                  long double *gradient)
{
    size_t dimension = spec->parameter_size;
    long double sum = 0;
    for (size_t k = 0; k < dimension; k++) {
        long double a = k == 0 ? 1 : powl(spec->nodes[0].condition, -(long double)k / (long double)(dimension - 1));
        long double difference = (long double)x[k] - row[k];
        sum += a / 2 * difference * difference;
        gradient[k] += weight * a * difference;
    }
    return weight * sum;
}

/* d (classes) = the loss's gradient with respect to z. */
static long double loss_of_logits(enum net_loss loss, const long double *z, int classes, int32_t label, long double *d)
{
    long double sum = 0, top = -INFINITY;
    for (int c = 0; c < classes; c++)
        top = fmaxl(top, z[c]);
    for (int c = 0; c < classes; c++)
        sum += loss == NET_LOSS_SQUARED ? powl(z[c] - (c == label), 2) / 2 : expl(z[c] - top);
    for (int c = 0; c < classes; c++)
        d[c] = (loss == NET_LOSS_SQUARED ? z[c] : expl(z[c] - top) / sum) - (c == label);
    return loss == NET_LOSS_SQUARED ? sum : logl(sum) + top - z[label];
}

static long double layer_loss(const struct net_spec *spec, const float *row, int32_t label, long double weight,
                              const double *x, long double *gradient)
{
    const struct net_tensor *w = &spec->parameters[spec->nodes[0].weight], *b = &spec->parameters[spec->nodes[0].bias];
    size_t features = w->shape[1];
    long double z[CLASSES_MAX], d[CLASSES_MAX];
    for (int c = 0; c < spec->class_count; c++) {
        z[c] = x[b->offset + (size_t)c];
        for (size_t k = 0; k < features; k++)
            z[c] += (long double)x[w->offset + (size_t)c * features + k] * row[k];
    }
    long double loss = loss_of_logits(spec->loss, z, spec->class_count, label, d);
    for (int c = 0; c < spec->class_count; c++) {
        gradient[b->offset + (size_t)c] += weight * d[c];
        for (size_t k = 0; k < features; k++)
            gradient[w->offset + (size_t)c * features + k] += weight * d[c] * row[k];
    }
    return weight * loss;
}

/* F(x), and its gradient (parameter_size). */
static long double objective(const struct problem *problem, const double *x, long double *gradient)
{
    const struct optimum_params *p = &problem->params;
    const struct net_spec *spec = problem->spec;
    float row[FEATURES_MAX];
    long double sum = 0;
    memset(gradient, 0, spec->parameter_size * sizeof *gradient);
    for (int i = 0; i < p->partition_count; i++)
        for (size_t k = 0; k < p->partitions[i].count; k++) {
            uint32_t index = p->partitions[i].indices[k];
            long double weight = 1 / ((long double)p->partition_count * (long double)p->partitions[i].count);
            assert_int_equal(p->train->ops->fetch(p->train, index, NULL, row), STATUS_OK);
            sum += spec->loss == NET_LOSS_SQUARED_NORM
                       ? quadratic_loss(spec, row, weight, x, gradient)
                       : layer_loss(spec, row, p->train->labels[index], weight, x, gradient);
        }
    for (size_t k = 0; k < (p->decay_norm_and_bias ? spec->parameter_size : spec->decayed_size); k++) {
        sum += (long double)p->weight_decay / 2 * x[k] * x[k];
        gradient[k] += (long double)p->weight_decay * x[k];
    }
    return sum;
}

static double norm_of(const long double *v, size_t count)
{
    long double sum = 0;
    for (size_t k = 0; k < count; k++)
        sum += v[k] * v[k];
    return (double)sqrtl(sum);
}

static void assert_near(double value, double wanted, double bound)
{
    if (!(fabs(value - wanted) <= bound))
        fail_msg("%.17g, wanted %.17g to within %.2g", value, wanted, bound);
}

/* Points ever nearer to x*. What is left of the gradient there is part of F(x) − F(x*), and no part of optimum_gap. */
static void check_gaps(const struct problem *problem, const struct optimum *optimum, long double least, double left)
{
    float x[PARAMETERS_MAX];
    double wide[PARAMETERS_MAX];
    long double gradient[PARAMETERS_MAX];
    struct random_stream stream = random_stream(5, RANDOM_TEST, 2, 0);
    for (double scale = 10; scale > 1e-5; scale /= 10) {
        double square = 0;
        for (size_t k = 0; k < optimum->count; k++) {
            wide[k] = x[k] = (float)(optimum->exact[k] + scale * random_normal(&stream));
            square += (wide[k] - optimum->exact[k]) * (wide[k] - optimum->exact[k]);
        }
        double gap = (double)(objective(problem, wide, gradient) - least);
        assert_near(optimum_distance(optimum, x), square, 1e-14 * square);
        assert_near(optimum_gap(optimum, x), gap, 1e-9 * gap + 1.01 * left * sqrt(square) + 1e-15 * (double)least);
    }
}

static void check_minimiser(const struct problem *problem)
{
    struct optimum *optimum = solve(problem);
    double zero[PARAMETERS_MAX] = {0}, square = 0;
    long double start[PARAMETERS_MAX], gradient[PARAMETERS_MAX];
    size_t count = optimum->count;
    objective(problem, zero, start);
    long double least = objective(problem, optimum->exact, gradient);
    double left = norm_of(gradient, count);
    assert_near(left, 0, 1e-9 * norm_of(start, count));
    assert_near(optimum->value, (double)least, 1e-13 * (double)least + 1e-14);
    for (size_t k = 0; k < count; k++) {
        assert_true(optimum->x[k] == (float)optimum->exact[k]);
        square += optimum->exact[k] * optimum->exact[k];
    }
    assert_true(optimum_distance(optimum, optimum->x) <= 0x1p-48 * square);
    double gap = optimum_gap(optimum, optimum->x); /* of the second order in the rounding of x */
    assert_true(gap >= -1e-15 * fabs(optimum->value) && gap <= 1e-12 * (1 + square));
    check_gaps(problem, optimum, least, left);
    optimum_destroy(optimum);
}

/* Every kind of model, decay and partition. */
static void check_set(const struct dataset *set)
{
    const size_t all = set->count, even[] = {40, 40, 40}, uneven[] = {7, 90, 20, 3};
    const size_t *const counts[] = {&all, even, uneven};
    const int workers[] = {1, 3, 4};
    const double decays[] = {0, 1e-4, 0.3};
    for (int model = 0; model < 3; model++)
        for (int d = 0; d < 3; d++)
            for (int k = 0; k < 3; k++)
                for (int decay_all = 0; decay_all < 2; decay_all++) {
                    struct problem *problem = problem_create(models[model], set, workers[k], counts[k]);
                    problem->params.weight_decay = decays[d];
                    problem->params.decay_norm_and_bias = decay_all;
                    check_minimiser(problem);
                    problem_destroy(problem);
                }
}

/* Drawn numbers, and the set `gaussian`, whose features' variances differ by 10⁴ here. */
static void gradient_vanishes_at_the_minimiser(void **state)
{
    (void)state;
    struct table *table = table_draw(120, 12, 4, 1);
    check_set(&table->base);
    free(table);
    struct dataset_params params = {
        .name = "gaussian", .path = "", .train = true, .count = 300, .seed = 2, .dimension = 9, .class_count = 5};
    params.condition = 1e4;
    struct dataset *set;
    assert_int_equal(dataset_open(&params, &set), STATUS_OK);
    check_set(set);
    dataset_close(set);
}

/* Tiny problems of all kinds: with decay of everything there always is a minimiser, and where one is found without, it
 * is one. Counts of pictures around the multiples of four, in which logistic takes them. */
static void any_small_problem(void **state)
{
    (void)state;
    struct random_stream stream = random_stream(6, RANDOM_TEST, 0, 0);
    int solved = 0;
    for (uint64_t i = 0; i < 400; i++) {
        int classes = 1 + (int)random_below(&stream, 5);
        size_t features = 1 + random_below(&stream, 5), count = (size_t)classes + random_below(&stream, 40);
        struct table *table = table_draw(count, features, classes, 1000 + i);
        struct problem *problem = problem_of_all(models[1 + i % 2], &table->base);
        problem->params.weight_decay = pow(10, (double)random_below(&stream, 9) - 6);
        problem->params.decay_norm_and_bias = true;
        check_minimiser(problem);
        problem->params.weight_decay = 0;
        struct optimum *optimum;
        capture_begin(&capture);
        enum status status = optimum_create(&problem->params, &optimum);
        capture_end(&capture);
        assert_true(status == (optimum != NULL ? STATUS_OK : STATUS_USAGE));
        optimum_destroy(optimum);
        if (status == STATUS_OK)
            check_minimiser(problem);
        solved += status == STATUS_OK;
        problem_destroy(problem);
        free(table);
    }
    assert_in_range(solved, 100, 380);
}

/* What the network computes from one batch of all pictures is this objective, without decay, so x* is the minimiser of
 * what a run minimises. fp32 against long double; vectors of the CPU device are plain memory. */
static void network_computes_the_same_objective(void **state)
{
    (void)state;
    struct table *table = table_draw(30, 12, 3, 3);
    table->base.channels = 3;
    table->base.height = table->base.width = 2;
    struct device_params params = {.name = "cpu", .threads = 1, .precision = "fp32"};
    const struct device_ops *ops = device_choose("cpu");
    struct device *device;
    assert_int_equal(ops->create(&params, &device), STATUS_OK);
    for (int model = 0; model < 3; model++) {
        static float x[PARAMETERS_MAX], gradient[PARAMETERS_MAX], none[1];
        double wide[PARAMETERS_MAX];
        long double wanted[PARAMETERS_MAX], difference[PARAMETERS_MAX];
        struct problem *problem = problem_of_all(models[model], &table->base);
        size_t count = problem->spec->parameter_size;
        struct random_stream stream = random_stream(4, RANDOM_TEST, 0, (uint64_t)model);
        for (size_t k = 0; k < count; k++)
            wide[k] = x[k] = (float)random_normal(&stream);
        struct net *net;
        struct net_batch batch = {.images = table->rows, .labels = table->labels, .count = table->base.count};
        struct net_result result;
        assert_int_equal(ops->net_create(device, problem->spec, batch.count, gradient, none, &net), STATUS_OK);
        ops->net_cast(net, x);
        assert_int_equal(ops->net_forward(net, NET_TRAIN, &batch, 1, &result), STATUS_OK);
        assert_int_equal(ops->net_backward(net, NULL, NULL), STATUS_OK);
        assert_near(result.loss, (double)objective(problem, wide, wanted), 1e-5 * result.loss);
        for (size_t k = 0; k < count; k++)
            difference[k] = gradient[k] - wanted[k];
        assert_true(norm_of(difference, count) <= 1e-5 * norm_of(wanted, count));
        ops->net_destroy(net);
        problem_destroy(problem);
    }
    ops->destroy(device);
    free(table);
}

/* Curvatures 1, ¼, 1/16; worker 0 has one picture, worker 1 three: the mean picture is ½(2, 4, 0) + ½(6, 12, −4). */
static void quadratic_by_hand(void **state)
{
    (void)state;
    const float rows[] = {2, 4, 0, 3, 12, -4, 9, 12, -4, 6, 12, -4};
    const double x[] = {4 / 1.25, 2 / 0.5, -0.125 / 0.3125}; /* am/(a + λ) */
    const double means[] = {4, 8, -2}, variances[] = {7, 16, 4}, curvatures[] = {1, 0.25, 0.0625};
    const size_t counts[] = {1, 3};
    struct table *table = table_create(4, 3, 1, rows, NULL);
    struct problem *problem = problem_create("quadratic", &table->base, 2, counts);
    problem->params.weight_decay = 0.25;
    struct optimum *optimum = solve(problem);
    double value = 0;
    for (int k = 0; k < 3; k++) {
        assert_near(optimum->exact[k], x[k], 1e-14);
        value += (curvatures[k] * (pow(x[k] - means[k], 2) + variances[k]) + 0.25 * x[k] * x[k]) / 2;
    }
    assert_near(optimum->value, value, 1e-13);
    optimum_destroy(optimum);
    problem_destroy(problem);
    free(table);
}

/* Of a class, with one feature: its weight, or its bias. */
static double value_of(const struct optimum *optimum, const struct problem *problem, bool bias, size_t class)
{
    const struct net_node *node = &problem->spec->nodes[0];
    return optimum->exact[problem->spec->parameters[bias ? node->bias : node->weight].offset + class];
}

/* Slope and intercept of class 1's indicator. Destroys the problem. */
static void check_line(struct problem *problem, double decay, double slope, double intercept)
{
    problem->params.weight_decay = decay;
    struct optimum *optimum = solve(problem);
    assert_near(value_of(optimum, problem, false, 1), slope, 1e-14);
    assert_near(value_of(optimum, problem, true, 1), intercept, 1e-14);
    optimum_destroy(optimum);
    problem_destroy(problem);
}

/* ξ = 0, 1, 2, 3 with labels 0, 0, 1, 1: the line through the indicator has slope cov/(var + λ) and goes through both
 * means where the bias is not decayed. Two workers: weights ½, ⅙, ⅙, ⅙, cov ½, var 4/3, means 1 and ⅓. */
static void line_by_hand(void **state)
{
    (void)state;
    const float rows[] = {0, 1, 2, 3};
    const int32_t labels[] = {0, 0, 1, 1};
    const size_t counts[] = {1, 3};
    struct table *table = table_create(4, 1, 2, rows, labels);
    double slope = 0.5 / (4.0 / 3 + 0.25);
    check_line(problem_create("linear", &table->base, 2, counts), 0, 3.0 / 8, 1.0 / 3 - 3.0 / 8);
    check_line(problem_create("linear", &table->base, 2, counts), 0.25, slope, 1.0 / 3 - slope);
    struct problem *all = problem_of_all("linear", &table->base);
    all->params.decay_norm_and_bias = true; /* [4.5 1.5; 1.5 2] (slope, intercept) = (1.25, 0.5) */
    check_line(all, 1, 7.0 / 27, 1.0 / 18);
    free(table);
}

/* A feature of 0 or 1 leaves the shares of the classes free at either value, so softmax meets the data's: logits are
 * logarithms of shares, less their mean over the classes. Three workers: one picture, six and five. */
static void shares_by_hand(void **state)
{
    (void)state;
    const float rows[] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1};
    const int32_t labels[] = {0, 0, 0, 1, 1, 2, 0, 1, 2, 2, 2, 2};
    const size_t counts[] = {1, 6, 5};
    const double weights[2][3] = {{1 / 3.0 + 2 / 18.0, 2 / 18.0, 1 / 18.0}, {1 / 18.0, 1 / 15.0, 4 / 15.0}};
    struct table *table = table_create(12, 1, 3, rows, labels);
    struct problem *problem = problem_create("logistic", &table->base, 3, counts);
    struct optimum *optimum = solve(problem);
    double value = 0;
    for (int at = 0; at < 2; at++) {
        double mean = log(weights[at][0] * weights[at][1] * weights[at][2]) / 3;
        for (size_t c = 0; c < 3; c++) {
            double logit = value_of(optimum, problem, true, c) + at * value_of(optimum, problem, false, c);
            assert_near(logit, log(weights[at][c]) - mean, 1e-9);
            value -= weights[at][c] * log(weights[at][c] / (weights[at][0] + weights[at][1] + weights[at][2]));
        }
    }
    assert_near(optimum->value, value, 1e-14);
    optimum_destroy(optimum);
    problem_destroy(problem);
    free(table);
}

/* Not a bit depends on the number of threads; and four workers with the same pictures are one. */
static void threads_and_copies_change_nothing(void **state)
{
    (void)state;
    struct table *table = table_draw(183, 20, 6, 7);
    const float *point = table->rows; /* any numbers */
    for (int model = 0; model < 3; model++) {
        struct problem *problem = problem_of_all(models[model], &table->base);
        struct optimum *one = solve(problem);
        for (problem->params.threads = 2; problem->params.threads <= 3; problem->params.threads++) {
            struct optimum *other = solve(problem);
            assert_memory_equal(other->exact, one->exact, one->count * sizeof one->exact[0]);
            assert_true(other->value == one->value && optimum_gap(other, point) == optimum_gap(one, point));
            optimum_destroy(other);
        }
        for (int i = 1; i < 4; i++)
            problem->partitions[i] = problem->partitions[0];
        problem->params.partition_count = 4;
        struct optimum *four = solve(problem);
        for (size_t k = 0; k < one->count; k++)
            assert_near(four->exact[k], one->exact[k], 1e-9);
        assert_near(four->value, one->value, 1e-14 * one->value);
        optimum_destroy(one);
        optimum_destroy(four);
        problem_destroy(problem);
    }
    free(table);
}

static enum status status_without_one(const struct problem *problem)
{
    struct optimum nothing, *optimum = &nothing;
    enum status status = optimum_create(&problem->params, &optimum);
    assert_null(optimum);
    return status;
}

/* A message says `words` and `remedy`, which is this decay, of all or not, and helps. Destroys the problem. */
static void expect_refusal(struct problem *problem, const char *words, const char *remedy, double decay, bool all)
{
    capture_begin(&capture);
    enum status status = status_without_one(problem);
    const char *message = capture_end(&capture);
    assert_int_equal(status, STATUS_USAGE);
    const char *const wanted[] = {"model.name", problem->spec->name, words, remedy, "or run.optimum to false"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (strstr(message, wanted[i]) == NULL)
            fail_msg("\"%s\" is not in: %s", wanted[i], message);
    problem->params.weight_decay = decay;
    problem->params.decay_norm_and_bias = all;
    check_minimiser(problem);
    problem_destroy(problem);
}

/* Apart; touching at 0; classes 0 and 1 alike; hardly more pictures than features; a feature of one picture alone. */
static void separable_pictures_are_refused(void **state)
{
    (void)state;
    const float line[] = {-1, -2, 1, 3, 0, 0}, three[] = {-3, -2, -3, -2, 4, 5};
    const int32_t sides[] = {0, 0, 1, 1, 0, 1}, apart[] = {0, 0, 1, 1, 2, 2};
    for (uint64_t i = 0; i < 40; i++) {
        struct table *table = i == 0   ? table_create(4, 1, 2, line, sides)
                              : i == 1 ? table_create(6, 1, 2, line, sides)
                              : i == 2 ? table_create(6, 1, 3, three, apart)
                              : i == 3 ? table_draw(9, 8, 2, 11)
                                       : table_draw(40, 3, 4, i);
        for (size_t k = 0; i > 3 && k < 40; k++)
            table->rows[3 * k + 2] = k == i;
        expect_refusal(problem_of_all("logistic", &table->base), "separates classes", "set optimizer.weight_decay",
                       1e-4, false);
        free(table);
    }
}

/* A column that is a combination of others, a constant one beside the bias, fewer pictures than features. */
static void dependent_features_are_refused(void **state)
{
    (void)state;
    struct table *tables[] = {table_draw(60, 4, 3, 12), table_draw(60, 4, 3, 13), table_draw(6, 6, 2, 14)};
    for (size_t i = 0; i < 60; i++) {
        tables[0]->rows[4 * i + 3] = 0.5f * tables[0]->rows[4 * i] - tables[0]->rows[4 * i + 1];
        tables[1]->rows[4 * i + 2] = 3;
    }
    for (int k = 0; k < 3; k++) {
        for (int model = 1; model < (k == 2 ? 2 : 3); model++) /* logistic separates the third's */
            expect_refusal(problem_of_all(models[model], &tables[k]->base), "linearly dependent",
                           "set optimizer.weight_decay", 1e-4, false);
        free(tables[k]);
    }
}

/* Decay of the weights does not help: the bias falls for ever. */
static void a_class_without_a_picture_is_refused(void **state)
{
    (void)state;
    struct table *table = table_draw(60, 3, 3, 15);
    for (size_t i = 0; i < 60; i++)
        table->labels[i] = i % 2 == 0 ? 0 : 2;
    for (int k = 0; k < 2; k++) {
        struct problem *problem = problem_of_all("logistic", &table->base);
        problem->params.weight_decay = k == 0 ? 0 : 1e-3;
        expect_refusal(problem, "of class 1", "set optimizer.decay_norm_and_bias to true", 1e-4, true);
    }
    free(table);
}

static void unreadable_pictures_are_an_error(void **state)
{
    (void)state;
    struct table *table = table_draw(60, 3, 3, 16);
    table->broken = true;
    for (int model = 0; model < 3; model++) {
        struct problem *problem = problem_of_all(models[model], &table->base);
        assert_int_equal(status_without_one(problem), STATUS_DATA);
        problem_destroy(problem);
    }
    free(table);
}

static void expect_known(const char *model, int side, int classes, double label_smoothing, bool known)
{
    static struct problem problem;
    struct model_params params = {model, 3, side, side, classes, .label_smoothing = label_smoothing};
    assert_int_equal(model_build(&params, &problem.spec), STATUS_OK);
    problem.params.spec = problem.spec;
    assert_true(optimum_known(problem.spec) == known);
    assert_true(known || status_without_one(&problem) == STATUS_OK);
    model_destroy(problem.spec);
}

static void convex_models_alone_have_one(void **state)
{
    (void)state;
    expect_known("mlp", 32, 10, 0, false);
    expect_known("quadratic", 600, 1, 0, true); /* of any size */
    expect_known("linear", 36, 269, 0, true);   /* 3888 features and a bias: 2²⁰ parameters less 2455 */
    expect_known("linear", 36, 270, 0, false);
    expect_known("logistic", 37, 2, 0, false);  /* 4107 features */
    expect_known("logistic", 2, 2, 0.1, false); /* another objective */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(network_computes_the_same_objective),
                                       cmocka_unit_test(gradient_vanishes_at_the_minimiser),
                                       cmocka_unit_test(any_small_problem),
                                       cmocka_unit_test(quadratic_by_hand),
                                       cmocka_unit_test(line_by_hand),
                                       cmocka_unit_test(shares_by_hand),
                                       cmocka_unit_test(threads_and_copies_change_nothing),
                                       cmocka_unit_test(separable_pictures_are_refused),
                                       cmocka_unit_test(dependent_features_are_refused),
                                       cmocka_unit_test(a_class_without_a_picture_is_refused),
                                       cmocka_unit_test(unreadable_pictures_are_an_error),
                                       cmocka_unit_test(convex_models_alone_have_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
