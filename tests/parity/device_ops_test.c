/* Every operation of a backend, forward and backward, against the float64 reference (reference_net.h), and the
 * reference's own gradients against central finite differences, over odd shapes. In fp32, on the device that
 * $GRAPEVINE_TEST_DEVICE names, else the CPU.
 *
 * Bounds, the Winograd transforms included: logits and loss within 1e-4 of their norm, each tensor's gradient
 * within 1e-3 of its own norm, or 5e-5 of the whole gradient's: before batch norm over two values almost
 * everything cancels but rounding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "parity/reference_net.h"

enum { CLASSES = 4, LARGEST_BATCH = 3 };

/* One net on the device, and the same on the reference. */
struct pair {
    const struct device_ops *ops;
    struct device *device;
    struct net *net;
    float *x, *gradient, *buffers;                               /* host memory */
    float *x_on_device, *gradient_on_device, *buffers_on_device; /* the vectors themselves */
    float *images;
    int32_t labels[LARGEST_BATCH];
    struct net_batch batch;
    struct reference reference;
};

static void fill(struct pair *p, const struct net_spec *spec, uint64_t seed)
{
    struct random_stream stream = random_stream(seed, RANDOM_TEST, 0, 0);
    for (int i = 0; i < spec->parameter_count; i++) {
        const struct net_tensor *tensor = &spec->parameters[i];
        double scale = tensor->rank == 1 ? 0.5 : sqrt(2.0 * (double)tensor->shape[0] / (double)tensor->count);
        for (size_t j = tensor->offset; j < tensor->offset + tensor->count; j++)
            p->x[j] = (float)(scale * random_normal(&stream) + (tensor->rank == 1 ? 0.7 : 0.0));
    }
    for (size_t i = 0; i < spec->buffer_size; i++)
        p->buffers[i] = (float)(0.5 + random_uniform(&stream));
    for (size_t i = 0; i < reference_count(&p->reference, 0); i++)
        p->images[i] = (float)random_normal(&stream);
    for (size_t i = 0; i < p->reference.batch; i++)
        p->labels[i] = (int32_t)random_below(&stream, (uint32_t)spec->class_count);
    for (size_t i = 0; i < spec->parameter_size; i++)
        p->reference.parameters[i] = p->x[i];
    for (size_t i = 0; i < spec->buffer_size; i++)
        p->reference.buffers[i] = p->buffers[i];
}

/* The working copy is made of p->x. */
static void cast(struct pair *p)
{
    p->ops->vector_write(p->device, p->x_on_device, p->reference.spec->parameter_size, p->x);
    p->ops->net_cast(p->net, p->x_on_device);
}

/* p->gradient and p->buffers are what the device has. */
static void look(struct pair *p)
{
    p->ops->vector_read(p->device, p->gradient_on_device, p->reference.spec->parameter_size, p->gradient);
    p->ops->vector_read(p->device, p->buffers_on_device, p->reference.spec->buffer_size, p->buffers);
}

static void pair_init(struct pair *p, const struct net_spec *spec, size_t batch, uint64_t seed)
{
    const char *name = getenv("GRAPEVINE_TEST_DEVICE");
    struct device_params params = {
        .name = name != NULL ? name : "cpu", .threads = 2, .precision = "fp32", .deterministic = true};
    *p = (struct pair){.ops = device_choose(params.name)};
    assert_non_null(p->ops);
    reference_init(&p->reference, spec, batch);
    assert_int_equal(p->ops->create(&params, &p->device), STATUS_OK);
    p->ops->vector_alloc(p->device, spec->parameter_size, &p->x_on_device);
    p->ops->vector_alloc(p->device, spec->parameter_size, &p->gradient_on_device);
    p->ops->vector_alloc(p->device, spec->buffer_size + 1, &p->buffers_on_device);
    p->x = memory_zalloc(spec->parameter_size, sizeof *p->x);
    p->gradient = memory_zalloc(spec->parameter_size, sizeof *p->x);
    p->buffers = memory_zalloc(spec->buffer_size + 1, sizeof *p->x);
    p->images = memory_zalloc(reference_count(&p->reference, 0), sizeof *p->images);
    fill(p, spec, seed);
    p->batch = (struct net_batch){.images = p->images, .labels = p->labels, .count = batch};
    p->ops->vector_write(p->device, p->buffers_on_device, spec->buffer_size, p->buffers);
    assert_int_equal(p->ops->net_create(p->device, spec, batch, p->gradient_on_device, p->buffers_on_device, &p->net),
                     STATUS_OK);
    cast(p);
}

static void pair_release(struct pair *p)
{
    p->ops->net_destroy(p->net);
    p->ops->vector_free(p->device, p->x_on_device);
    p->ops->vector_free(p->device, p->gradient_on_device);
    p->ops->vector_free(p->device, p->buffers_on_device);
    p->ops->destroy(p->device);
    free(p->x);
    free(p->gradient);
    free(p->buffers);
    free(p->images);
    reference_release(&p->reference);
}

static double norm_of(const double *v, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += v[i] * v[i];
    return sqrt(sum);
}

static double distance(const float *a, const double *b, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum);
}

static void check(const char *what, const char *net, double error, double bound)
{
    if (!(error <= bound))
        fail_msg("%s of %s: off by %g, bound %g", what, net, error, bound);
}

static void compare_logits(struct pair *p, size_t count)
{
    const struct net_spec *spec = p->reference.spec;
    float logits[LARGEST_BATCH * 64];
    size_t size = count * (size_t)spec->class_count;
    assert_true(p->reference.batch * (size_t)spec->class_count <= sizeof logits / sizeof *logits);
    p->ops->net_logits(p->net, logits);
    const double *wanted = p->reference.values[spec->node_count];
    check("logits", spec->name, distance(logits, wanted, size), 1e-4 * norm_of(wanted, size));
}

static void compare_gradients(struct pair *p)
{
    look(p);
    const struct net_spec *spec = p->reference.spec;
    double all = norm_of(p->reference.d_parameters, spec->parameter_size);
    for (int i = 0; i < spec->parameter_count; i++) {
        const struct net_tensor *tensor = &spec->parameters[i];
        const double *wanted = p->reference.d_parameters + tensor->offset;
        double error = distance(p->gradient + tensor->offset, wanted, tensor->count);
        check(tensor->name, spec->name, error, 1e-3 * fmax(norm_of(wanted, tensor->count), 5e-2 * all));
    }
}

static void compare_buffers(struct pair *p)
{
    look(p);
    size_t size = p->reference.spec->buffer_size;
    check("running statistics", p->reference.spec->name, distance(p->buffers, p->reference.buffers, size),
          1e-5 * norm_of(p->reference.buffers, size));
}

/* The reference's gradient of three elements of every parameter against (F(+h) − F(−h)) / 2h. */
static void compare_differences(struct pair *p)
{
    const struct net_spec *spec = p->reference.spec;
    const double h = 1e-6;
    for (int i = 0; i < spec->parameter_count; i++) {
        const struct net_tensor *tensor = &spec->parameters[i];
        for (size_t j = 0; j < 3; j++) {
            size_t at = tensor->offset + j * (tensor->count - 1) / 2;
            double saved = p->reference.parameters[at], sides[2];
            for (int side = 0; side < 2; side++) {
                p->reference.parameters[at] = saved + (side == 0 ? h : -h);
                sides[side] = reference_forward(&p->reference, NET_TRAIN, &p->batch);
            }
            p->reference.parameters[at] = saved;
            double slope = (sides[0] - sides[1]) / (2.0 * h), wanted = p->reference.d_parameters[at];
            check("finite difference", spec->name, fabs(slope - wanted), 1e-6 + 1e-4 * fabs(wanted));
        }
    }
}

struct coverage {
    size_t elements, calls;
    unsigned char *seen;
};

static void on_ready(void *context, size_t first, size_t count)
{
    struct coverage *coverage = context;
    coverage->calls++;
    for (size_t i = first; i < first + count; i++) {
        assert_int_equal(coverage->seen[i], 0);
        coverage->seen[i] = 1;
        coverage->elements++;
    }
}

/* Training steps (from the second on in a used arena, and as a device repeats them), then evaluation of a partial
 * batch. */
static void run_case(const struct net_spec *spec, size_t batch, uint64_t seed, bool differences)
{
    struct pair p;
    struct net_result result;
    struct coverage coverage = {.seen = memory_zalloc(spec->parameter_size, 1)};
    pair_init(&p, spec, batch, seed);
    for (int step = 0; step < 3; step++) {
        double wanted = reference_forward(&p.reference, NET_TRAIN, &p.batch);
        reference_backward(&p.reference);
        assert_int_equal(p.ops->net_forward(p.net, NET_TRAIN, &p.batch, 7, &result), STATUS_OK);
        compare_logits(&p, batch);
        check("loss", spec->name, fabs(result.loss - wanted), 1e-4 * fabs(wanted));
        assert_int_equal(p.ops->net_backward(p.net, step == 0 ? on_ready : NULL, &coverage), STATUS_OK);
        compare_gradients(&p);
        compare_buffers(&p);
    }
    assert_int_equal(coverage.elements, spec->parameter_size);
    assert_int_equal(coverage.calls, spec->parameter_count);
    p.batch.count = batch > 1 ? batch - 1 : 1;
    double wanted = reference_forward(&p.reference, NET_EVALUATE, &p.batch);
    assert_int_equal(p.ops->net_forward(p.net, NET_EVALUATE, &p.batch, 7, &result), STATUS_OK);
    compare_logits(&p, p.batch.count);
    check("evaluation loss", spec->name, fabs(result.loss - wanted), 1e-4 * fabs(wanted));
    compare_buffers(&p);
    p.batch.count = batch;
    if (differences)
        compare_differences(&p);
    free(coverage.seen);
    pair_release(&p);
}

static struct net_node conv(int input, int out_channels, int kernel, int stride, int pad)
{
    return (struct net_node){.op = NET_CONV,
                             .input = input,
                             .residual = NET_NONE,
                             .out_channels = out_channels,
                             .kernel = kernel,
                             .stride = stride,
                             .pad = pad};
}

static struct net_node norm(int input, int residual, bool relu)
{
    return (struct net_node){.op = NET_NORM, .input = input, .residual = residual, .relu = relu};
}

static struct net_node relu(int input)
{
    return (struct net_node){.op = NET_RELU, .input = input, .residual = NET_NONE};
}

static struct net_node max_pool(int input, int kernel, int stride, int pad)
{
    return (struct net_node){
        .op = NET_MAX_POOL, .input = input, .residual = NET_NONE, .kernel = kernel, .stride = stride, .pad = pad};
}

static struct net_node avg_pool(int input, int out_size)
{
    return (struct net_node){.op = NET_ADAPTIVE_AVG_POOL, .input = input, .residual = NET_NONE, .out_size = out_size};
}

static struct net_node linear(int input, int units, bool with_relu)
{
    return (struct net_node){
        .op = NET_LINEAR, .input = input, .residual = NET_NONE, .out_channels = units, .relu = with_relu};
}

static struct net_node dropout(int input, double rate)
{
    return (struct net_node){.op = NET_DROPOUT, .input = input, .residual = NET_NONE, .rate = rate};
}

/* Convolutions with and without bias, strides, norm with and without ReLU, pooling, a head. */
static void build_plain(struct net_spec *spec, int in, int width, int size, int stride)
{
    spec_start(spec, "plain", in, size, CLASSES);
    int v = spec_add(spec, conv(0, width, 3, 1, 1), true);
    v = spec_add(spec, norm(v, NET_NONE, true), false);
    v = spec_add(spec, conv(v, width + 3, 3, stride, 1), false);
    v = spec_add(spec, norm(v, NET_NONE, false), false);
    v = spec_add(spec, conv(v, width, 1, stride, 0), true);
    v = spec_add(spec, relu(v), false);
    v = spec_add(spec, avg_pool(v, 1), false);
    spec_add(spec, linear(v, CLASSES, false), true);
}

/* Identity and projection shortcuts; values with two and three readers, after a norm and after a convolution. */
static void build_residual(struct net_spec *spec, int in, int width, int size, int stride)
{
    spec_start(spec, "residual", in, size, CLASSES);
    int stem = spec_add(spec, norm(spec_add(spec, conv(0, width, 3, 1, 1), false), NET_NONE, true), false);
    int v = spec_add(spec, norm(spec_add(spec, conv(stem, width, 3, 1, 1), false), NET_NONE, true), false);
    int block = spec_add(spec, norm(spec_add(spec, conv(v, width, 3, 1, 1), false), stem, true), false);
    v = spec_add(spec, norm(spec_add(spec, conv(block, width + 1, 3, stride, 1), false), NET_NONE, true), false);
    int main_branch = spec_add(spec, conv(v, width + 1, 3, 1, 1), false);
    int shortcut =
        spec_add(spec, norm(spec_add(spec, conv(block, width + 1, 1, stride, 0), false), NET_NONE, false), false);
    int second = spec_add(spec, norm(main_branch, shortcut, true), false);
    int third = spec_add(spec, norm(second, second, false), false); /* its own residual */
    int raw = spec_add(spec, conv(third, width + 1, 1, 1, 0), true);
    int left = spec_add(spec, norm(raw, third, true), false);
    int both = spec_add(spec, norm(raw, left, true), false);
    v = spec_add(spec, norm(spec_add(spec, conv(both, width + 1, 1, 1, 0), false), raw, false), false);
    v = spec_add(spec, norm(v, third, true), false);
    spec_add(spec, linear(spec_add(spec, avg_pool(v, 1), false), CLASSES, false), true);
}

/* Pooling with padding and overlap, a linear layer that flattens a blocked layout, a multilayer head. */
static void build_pooled(struct net_spec *spec, int in, int width, int size, int stride)
{
    spec_start(spec, "pooled", in, size, CLASSES);
    int v = spec_add(spec, relu(spec_add(spec, conv(0, width, 3, 1, 1), true)), false);
    v = spec_add(spec, max_pool(v, 3, stride, 1), false);
    v = spec_add(spec, norm(spec_add(spec, conv(v, width, 3, 1, 1), true), NET_NONE, true), false);
    v = spec_add(spec, linear(v, width + 2, true), true);
    v = spec_add(spec, linear(v, 7, true), true);
    spec_add(spec, linear(v, CLASSES, false), false);
}

/* Averages in bins that overlap or repeat, and everything on a plain layout: no convolution comes first. */
static void build_averaged(struct net_spec *spec, int in, int width, int size, int stride)
{
    spec_start(spec, "averaged", in, size, CLASSES);
    int v = spec_add(spec, norm(0, NET_NONE, true), false);
    v = spec_add(spec, norm(v, 0, true), false);
    v = spec_add(spec, relu(v), false);
    v = spec_add(spec, avg_pool(v, stride + 2), false);
    v = spec_add(spec, norm(spec_add(spec, conv(v, width, 3, 1, 1), false), NET_NONE, true), false);
    v = spec_add(spec, max_pool(v, 2, 1, 0), false);
    v = spec_add(spec, avg_pool(v, 7), false);
    v = spec_add(spec, linear(v, 9, false), false);
    v = spec_add(spec, norm(v, NET_NONE, true), false);
    spec_add(spec, linear(v, CLASSES, false), true);
}

/* The square of the distance to a label's corner, with something learned before it. */
static void build_squared(struct net_spec *spec, int in, int width, int size, int stride)
{
    spec_start(spec, "squared", in, size, CLASSES);
    spec->loss = NET_LOSS_SQUARED;
    int v = spec_add(spec, conv(0, width, 3, stride, 1), true);
    spec_add(spec, linear(v, CLASSES, false), true);
}

/* Smoothed labels, in training alone. */
static void build_smoothed(struct net_spec *spec, int in, int width, int size, int stride)
{
    build_plain(spec, in, width, size, stride);
    spec->label_smoothing = 0.3;
}

/* A quadratic whose centre is learned too, in a blocked layout where `width` allows one. */
static void build_quadratic(struct net_spec *spec, int in, int width, int size, int stride)
{
    spec_start(spec, "quadratic", in, size, CLASSES);
    spec->loss = NET_LOSS_SQUARED_NORM;
    int v = spec_add(spec, conv(0, width, 3, stride, 1), true);
    v = spec_add(spec, avg_pool(v, 1 + (stride == 1 && width <= 5)), false);
    v = spec_add(spec, (struct net_node){.op = NET_QUADRATIC, .input = v, .residual = NET_NONE, .condition = 30},
                 false);
    spec->class_count = spec->nodes[v - 1].channels;
}

typedef void build_fn(struct net_spec *spec, int in, int width, int size, int stride);

static void sweep(build_fn *build, int smallest_size)
{
    static const int widths[] = {1, 3, 5, 8, 12, 16, 17, 20}, sizes[] = {1, 5, 8}, inputs[] = {1, 3, 5, 17};
    uint64_t seed = 1;
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++, seed++) {
            size_t batch = 1 + seed % LARGEST_BATCH;
            if (sizes[s] < smallest_size || (sizes[s] == 1 && batch == 1))
                continue;
            struct net_spec spec;
            build(&spec, inputs[seed % 4], widths[w], sizes[s], 1 + (int)((w + s) % 2));
            run_case(&spec, batch, seed, widths[w] <= 5 && sizes[s] == 5);
            spec_release(&spec);
        }
    }
}

static void test_plain(void **state)
{
    (void)state;
    sweep(build_plain, 1);
}

static void test_residual(void **state)
{
    (void)state;
    sweep(build_residual, 5);
}

static void test_pooled(void **state)
{
    (void)state;
    sweep(build_pooled, 1);
}

static void test_averaged(void **state)
{
    (void)state;
    sweep(build_averaged, 5);
}

static void test_squared(void **state)
{
    (void)state;
    sweep(build_squared, 1);
}

static void test_smoothed(void **state)
{
    (void)state;
    sweep(build_smoothed, 5);
}

static void test_quadratic(void **state)
{
    (void)state;
    sweep(build_quadratic, 1);
}

/* F(w, ξ) = ½ Σ a_k (w_k − ξ_k)², a_k = 1, ¼, 1/16, by hand: exact in binary, whatever the labels are. */
static void test_quadratic_by_hand(void **state)
{
    (void)state;
    struct net_spec spec;
    struct pair p;
    struct net_result result;
    const float samples[2][3] = {{1, 2, 4}, {3, -2, 0}};
    spec_start(&spec, "quadratic", 3, 1, 3);
    spec.loss = NET_LOSS_SQUARED_NORM;
    spec_add(&spec, (struct net_node){.op = NET_QUADRATIC, .residual = NET_NONE, .condition = 16}, false);
    pair_init(&p, &spec, 2, 3);
    memcpy(p.images, samples, sizeof samples);
    p.labels[0] = p.labels[1] = -5;
    memset(p.x, 0, 3 * sizeof *p.x);
    cast(&p);
    assert_int_equal(p.ops->net_forward(p.net, NET_TRAIN, &p.batch, 1, &result), STATUS_OK);
    assert_true(result.loss == 0.5 * ((1 + 4 * 0.25 + 16 * 0.0625) + (9 + 4 * 0.25)) / 2);
    assert_true(result.correct == 0 && result.finite);
    assert_int_equal(p.ops->net_backward(p.net, NULL, NULL), STATUS_OK);
    look(&p);
    assert_true(p.gradient[0] == -2 && p.gradient[1] == 0 && p.gradient[2] == -2 * 0.0625f);
    pair_release(&p);
    spec_release(&spec);
}

/* With the squared loss the arg max counts as correct, as with cross-entropy. */
static void test_squared_counts(void **state)
{
    (void)state;
    struct net_spec spec;
    struct pair p;
    struct net_result result;
    const float outputs[2][3] = {{0.5f, 0.25f, 0}, {0, 1, 0}};
    spec_start(&spec, "squared", 3, 1, 3);
    spec.loss = NET_LOSS_SQUARED;
    spec_add(&spec, linear(0, 3, false), false);
    pair_init(&p, &spec, 2, 3);
    memcpy(p.images, outputs, sizeof outputs);
    for (size_t i = 0; i < 9; i++)
        p.x[i] = i % 4 == 0; /* the identity */
    p.labels[0] = 2;
    p.labels[1] = 1;
    cast(&p);
    assert_int_equal(p.ops->net_forward(p.net, NET_TRAIN, &p.batch, 1, &result), STATUS_OK);
    assert_true(result.loss == 0.5 * (0.25 + 0.0625 + 1) / 2);
    assert_int_equal(result.correct, 1);
    pair_release(&p);
    spec_release(&spec);
}

/* Wide enough for the Winograd transforms, with sizes that their tiles do not divide. */
static void test_winograd(void **state)
{
    (void)state;
    static const int sizes[] = {4, 5, 8, 9};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct net_spec spec;
        build_residual(&spec, 3, i % 2 == 0 ? 32 : 41, sizes[i], 1 + (int)i % 2);
        run_case(&spec, LARGEST_BATCH, 100 + i, false);
        spec_release(&spec);
    }
}

/* logits = dropout(identity · x): the mask is seen in the logits, and must be the one that the gradient has. */
static void test_dropout(void **state)
{
    (void)state;
    enum { UNITS = 64 };
    const double rate = 0.25;
    struct net_spec spec;
    struct pair p;
    struct net_result result;
    float first[LARGEST_BATCH * UNITS], again[LARGEST_BATCH * UNITS];
    double mask[LARGEST_BATCH * UNITS];
    spec_start(&spec, "dropout", UNITS, 1, UNITS);
    spec_add(&spec, dropout(spec_add(&spec, linear(0, UNITS, false), false), rate), false);
    pair_init(&p, &spec, LARGEST_BATCH, 5);
    for (size_t i = 0; i < UNITS * UNITS; i++)
        p.reference.parameters[i] = p.x[i] = i / UNITS == i % UNITS;
    cast(&p);
    size_t dropped = 0, draws = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        assert_int_equal(p.ops->net_forward(p.net, NET_TRAIN, &p.batch, seed, &result), STATUS_OK);
        p.ops->net_logits(p.net, seed % 2 == 0 ? first : again);
        const float *logits = seed % 2 == 0 ? first : again;
        for (size_t i = 0; i < LARGEST_BATCH * UNITS; i++, draws++) {
            mask[i] = logits[i] == 0.0f ? 0.0 : 1.0 / (1.0 - rate);
            assert_float_equal(logits[i], mask[i] * p.images[i], 1e-6 * fabsf(p.images[i]));
            dropped += mask[i] == 0.0;
        }
    }
    double deviation = sqrt((double)draws * rate * (1.0 - rate));
    assert_true(fabs((double)dropped - rate * (double)draws) < 5.0 * deviation);
    assert_memory_not_equal(first, again, sizeof first);
    p.reference.mask = mask;
    reference_forward(&p.reference, NET_TRAIN, &p.batch);
    reference_backward(&p.reference);
    assert_int_equal(p.ops->net_backward(p.net, NULL, NULL), STATUS_OK);
    compare_gradients(&p);
    assert_int_equal(p.ops->net_forward(p.net, NET_TRAIN, &p.batch, 99, &result), STATUS_OK);
    p.ops->net_logits(p.net, first);
    assert_memory_equal(first, again, sizeof first);
    assert_int_equal(p.ops->net_forward(p.net, NET_EVALUATE, &p.batch, 99, &result), STATUS_OK);
    p.ops->net_logits(p.net, first);
    for (size_t i = 0; i < LARGEST_BATCH * UNITS; i++)
        assert_float_equal(first[i], p.images[i], 1e-6 * fabsf(p.images[i]));
    pair_release(&p);
    spec_release(&spec);
}

/* NET_STATISTICS: the same running statistics as training, and no dropout. */
static void test_statistics(void **state)
{
    (void)state;
    struct net_spec spec;
    struct pair p;
    struct net_result result;
    spec_start(&spec, "statistics", 3, 5, CLASSES);
    int v = spec_add(&spec, norm(spec_add(&spec, conv(0, 17, 3, 1, 1), false), NET_NONE, true), false);
    v = spec_add(&spec, dropout(v, 0.5), false);
    v = spec_add(&spec, norm(spec_add(&spec, conv(v, 5, 3, 2, 1), false), NET_NONE, true), false);
    spec_add(&spec, linear(v, CLASSES, false), true);
    pair_init(&p, &spec, LARGEST_BATCH, 6);
    reference_forward(&p.reference, NET_STATISTICS, &p.batch);
    assert_int_equal(p.ops->net_forward(p.net, NET_STATISTICS, &p.batch, 1, &result), STATUS_OK);
    compare_buffers(&p);
    compare_logits(&p, LARGEST_BATCH);
    pair_release(&p);
    spec_release(&spec);
}

/* A NaN anywhere reaches the loss: ReLU and pooling must not swallow it. With the weights as they were, nothing of it
 * is left. */
static void test_not_finite(void **state)
{
    (void)state;
    struct net_spec spec;
    struct pair p;
    struct net_result result, again;
    build_pooled(&spec, 3, 5, 8, 2);
    pair_init(&p, &spec, 2, 8);
    assert_int_equal(p.ops->net_forward(p.net, NET_TRAIN, &p.batch, 1, &result), STATUS_OK);
    assert_true(result.finite);
    float *place = &p.x[spec.parameters[0].offset], weight = *place;
    *place = NAN;
    cast(&p);
    assert_int_equal(p.ops->net_forward(p.net, NET_TRAIN, &p.batch, 1, &again), STATUS_OK);
    assert_false(again.finite);
    assert_int_equal(p.ops->net_backward(p.net, NULL, NULL), STATUS_OK);
    *place = weight;
    cast(&p);
    assert_int_equal(p.ops->net_forward(p.net, NET_TRAIN, &p.batch, 1, &again), STATUS_OK);
    assert_true(again.loss == result.loss);
    pair_release(&p);
    spec_release(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),          cmocka_unit_test(test_residual),
        cmocka_unit_test(test_pooled),         cmocka_unit_test(test_averaged),
        cmocka_unit_test(test_winograd),       cmocka_unit_test(test_dropout),
        cmocka_unit_test(test_statistics),     cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_squared),        cmocka_unit_test(test_quadratic),
        cmocka_unit_test(test_squared_counts), cmocka_unit_test(test_quadratic_by_hand),
        cmocka_unit_test(test_smoothed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
