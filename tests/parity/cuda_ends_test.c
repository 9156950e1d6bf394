/* Both ends of a network on the device (kernels/cuda_layers.h): pictures into activations, logits into a loss. Pictures
 * are compared with the twin on the host, data/memory_set.c, and must be equal; the loss with float64. Runs on a GPU or
 * on the emulator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "cuda_fixture.h"

#include "cuda_arrays.h"
#include "data/memory_set.h"

/* --- loss --- */

struct problem {
    struct cuda_loss loss;
    uint32_t real;
    bool scaled, with_gradient;
    float *logits;   /* owned, (batch, classes) */
    int32_t *labels; /* owned, (batch) */
};

/* Logits are multiples of 1/2, so that there are ties; what is not real is NaN. */
static struct problem problem_create(enum cuda_loss_kind kind, size_t batch, int classes, uint32_t real)
{
    struct problem p = {.loss = {.kind = kind, .batch = batch, .classes = classes},
                        .real = real,
                        .scaled = batch % 2,
                        .with_gradient = true};
    struct random_stream stream = random_stream(batch, RANDOM_TEST, 3, (uint64_t)classes);
    p.logits = memory_zalloc(batch * (size_t)classes, sizeof *p.logits);
    p.labels = memory_zalloc(batch, sizeof *p.labels);
    for (size_t i = 0; i < batch * (size_t)classes; i++)
        p.logits[i] = i / (size_t)classes < real ? 0.5f * (float)((int)random_below(&stream, 25) - 12) : NAN;
    for (size_t n = 0; n < batch; n++)
        p.labels[n] = n < real ? (int32_t)random_below(&stream, (uint32_t)classes) : INT32_MIN;
    return p;
}

static void problem_release(struct problem *p)
{
    free(p->logits);
    free(p->labels);
}

static const float loss_scale = 1024;
static const uint64_t serial = 0xfedcba9876543211u;
enum { OUTCOMES = 3 }; /* of which the second is meant */

/* What the device leaves. */
struct result {
    float *d_logits; /* owned */
    struct cuda_outcome outcome;
};

static struct result run_loss(const struct problem *p)
{
    size_t count = p->loss.batch * (size_t)p->loss.classes;
    float *logits = device_upload(p->logits, count * sizeof(float)), *d_logits = device_alloc(count * sizeof(float));
    int32_t *labels = device_upload(p->labels, p->loss.batch * sizeof *p->labels);
    uint32_t *real = device_upload(&p->real, sizeof p->real);
    float *scale = device_upload(&loss_scale, sizeof loss_scale), *losses = device_alloc(p->loss.batch * sizeof(float));
    uint8_t *places = device_alloc(p->loss.batch);
    uint64_t *device_serial = device_upload(&serial, sizeof serial);
    struct cuda_outcome *outcomes, poison;
    struct result result = {.d_logits = memory_zalloc(count, sizeof(float))};
    assert_int_equal(serial % OUTCOMES, 1);
    DEVICE_MUST(cudaHostAlloc((void **)&outcomes, OUTCOMES * sizeof *outcomes, cudaHostAllocMapped));
    memset(outcomes, 0xff, OUTCOMES * sizeof *outcomes);
    memset(&poison, 0xff, sizeof poison);
    bool no_labels = p->loss.kind == CUDA_LOSS_SQUARED_NORM && p->scaled; /* else they play no part there */
    DEVICE_MUST(cuda_loss(NULL, &p->loss, logits, no_labels ? NULL : labels, real, p->scaled ? scale : NULL,
                          p->with_gradient ? d_logits : NULL, losses, places, device_serial, outcomes, OUTCOMES));
    device_download(result.d_logits, d_logits, count * sizeof(float));
    result.outcome = outcomes[1];
    assert_memory_equal(&outcomes[0], &poison, sizeof poison);
    assert_memory_equal(&outcomes[2], &poison, sizeof poison);
    DEVICE_MUST(cudaFreeHost(outcomes));
    void *const arrays[] = {logits, d_logits, labels, real, scale, losses, places, device_serial};
    for (size_t i = 0; i < COUNT_OF(arrays); i++)
        device_free(arrays[i]);
    return result;
}

/* Of row n: its loss, whether the guess and the five best are right, and the gradient of class c, all in float64. */
struct row {
    double loss, log_sum;
    bool hit, hit_top5;
};

/* The share of class c in the target of row n. */
static double target_of(const struct problem *p, size_t n, size_t c)
{
    bool own = p->loss.kind != CUDA_LOSS_SQUARED_NORM && (int32_t)c == p->labels[n];
    double smoothing = p->loss.kind == CUDA_LOSS_CROSS_ENTROPY ? p->loss.label_smoothing : 0;
    return (own ? 1 - smoothing : 0) + smoothing / p->loss.classes;
}

static struct row row_of(const struct problem *p, size_t n)
{
    size_t classes = (size_t)p->loss.classes, before = 0;
    const float *y = p->logits + n * classes;
    bool labelled = p->loss.kind != CUDA_LOSS_SQUARED_NORM;
    float own = labelled ? y[p->labels[n]] : 0;
    struct row row = {0};
    double sum = 0;
    for (size_t c = 0; c < classes; c++) {
        before += labelled && (y[c] > own || (y[c] == own && (int32_t)c < p->labels[n]));
        sum += exp((double)y[c]);
    }
    row.log_sum = log(sum);
    for (size_t c = 0; c < classes; c++) {
        double target = target_of(p, n, c);
        row.loss += p->loss.kind == CUDA_LOSS_CROSS_ENTROPY ? target * (row.log_sum - y[c])
                                                            : 0.5 * (y[c] - target) * (y[c] - target);
    }
    row.hit = labelled && before == 0;
    row.hit_top5 = labelled && before < 5;
    return row;
}

static double gradient_of(const struct problem *p, const struct row *row, size_t n, size_t c)
{
    double y = p->logits[n * (size_t)p->loss.classes + c], scale = (p->scaled ? loss_scale : 1) / (double)p->real;
    return scale * ((p->loss.kind == CUDA_LOSS_CROSS_ENTROPY ? exp(y - row->log_sum) : y) - target_of(p, n, c));
}

/* Cross-entropy: logits lie within ±6, so that an exponential is off by the rounding of an argument of 12 and two
 * units in the last place, and the sum of 1000 by those of 32 in a lane and 5 more; that is less than 128·2⁻²⁴ of the
 * sum, and absolutely of its logarithm. A quarter of the mean gap to the largest logit, at most 12, with smoothed
 * labels: off by 40 roundings of it, less than that too. Squared: 2 roundings per term and those of the sum, below
 * 48·2⁻²⁴. */
static void check_loss(const struct problem *p)
{
    size_t classes = (size_t)p->loss.classes;
    bool entropy = p->loss.kind == CUDA_LOSS_CROSS_ENTROPY;
    struct result found = run_loss(p);
    double mean = 0, unit = entropy ? 128 * 0x1p-24 : 48 * 0x1p-24;
    uint32_t correct = 0, correct_top5 = 0;
    for (size_t n = 0; n < p->real; n++) {
        struct row row = row_of(p, n);
        mean += row.loss / p->real;
        correct += row.hit;
        correct_top5 += row.hit_top5;
        for (size_t c = 0; c < classes && p->with_gradient; c++) {
            double expected = gradient_of(p, &row, n, c), scale = (p->scaled ? loss_scale : 1) / (double)p->real;
            check("d_logits", n * classes + c, found.d_logits[n * classes + c], expected,
                  unit * (fabs(expected) + scale));
        }
    }
    for (size_t i = p->real * classes; i < p->loss.batch * classes && p->with_gradient; i++)
        assert_true(found.d_logits[i] == 0);
    for (size_t i = 0; i < p->loss.batch * classes && !p->with_gradient; i++)
        assert_true(isnan(found.d_logits[i])); /* as it was */
    check("loss", p->loss.batch, found.outcome.loss, mean, unit * (1 + mean));
    assert_int_equal(found.outcome.correct, correct);
    assert_int_equal(found.outcome.correct_top5, correct_top5);
    assert_int_equal(found.outcome.finite, 1);
    assert_true(found.outcome.serial == serial);
    free(found.d_logits);
}

static const enum cuda_loss_kind kinds[] = {CUDA_LOSS_CROSS_ENTROPY, CUDA_LOSS_SQUARED, CUDA_LOSS_SQUARED_NORM};

static void test_loss(void **state)
{
    (void)state;
    const size_t batches[] = {1, 2, 9, 128, 300, 1025};
    const int classes[] = {1, 2, 10, 31, 32, 33, 1000};
    for (size_t b = 0; b < COUNT_OF(batches); b++)
        for (size_t c = 0; c < COUNT_OF(classes); c++)
            for (size_t k = 0; k < COUNT_OF(kinds); k++) {
                size_t batch = batches[b];
                struct problem p =
                    problem_create(kinds[k], batch, classes[c], (uint32_t)(c % 2 ? batch : (2 * batch + 2) / 3));
                p.with_gradient = (b + c) % 4 != 1;
                p.loss.label_smoothing = (b + c) % 3 == 0 ? 0.25 : 0;
                check_loss(&p);
                problem_release(&p);
            }
}

/* A logit that is not finite makes the loss so, in a real row; the gradient elsewhere is as it was. */
static void test_loss_that_is_not_finite(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -NAN};
    for (size_t k = 0; k < COUNT_OF(kinds); k++)
        for (size_t i = 0; i < COUNT_OF(bad); i++) {
            struct problem p = problem_create(kinds[k], 40, 10, 30);
            p.logits[29 * 10 + 3 * i] = bad[i];
            struct result found = run_loss(&p);
            assert_int_equal(found.outcome.finite, 0);
            assert_false(isfinite(found.outcome.loss));
            assert_true(found.outcome.serial == serial);
            assert_true(isfinite(found.d_logits[0]) && found.d_logits[30 * 10] == 0);
            free(found.d_logits);
            problem_release(&p);
        }
}

/* One row of ten classes, label 6, of which some logits are NaN. */
static void check_nan(const float logits[10], uint32_t correct, uint32_t correct_top5)
{
    struct problem p = problem_create(CUDA_LOSS_CROSS_ENTROPY, 1, 10, 1);
    memcpy(p.logits, logits, 10 * sizeof logits[0]);
    p.labels[0] = 6;
    struct result found = run_loss(&p);
    assert_int_equal(found.outcome.correct, correct);
    assert_int_equal(found.outcome.correct_top5, correct_top5);
    free(found.d_logits);
    problem_release(&p);
}

/* NaN comes before any number, and a label that has it is no hit. */
static void test_nan_is_no_hit(void **state)
{
    (void)state;
    check_nan((float[10]){0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 1, 1);
    check_nan((float[10]){0, 0, 0, 0, 0, 0, NAN, 0, 0, 0}, 0, 0);
    check_nan((float[10]){0, 0, 0, 0, 0, 0, 1, 0, 0, NAN}, 0, 1);
    check_nan((float[10]){NAN, NAN, 0, NAN, 0, NAN, 1, 0, 0, 0}, 0, 1);
    check_nan((float[10]){NAN, NAN, 0, NAN, 0, NAN, 1, 0, 0, 2}, 0, 0);
    check_nan((float[10]){NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN}, 0, 0);
}

/* Sure guesses, right and wrong: the loss and the gradient are small, and relatively as exact as elsewhere. */
static void test_loss_of_sure_guesses(void **state)
{
    (void)state;
    enum { CLASSES = 10 };
    struct problem p = problem_create(CUDA_LOSS_CROSS_ENTROPY, 1, CLASSES, 1);
    for (int size = 5; size < 60; size += 5)
        for (int label = 0; label < 2; label++) {
            for (int c = 0; c < CLASSES; c++)
                p.logits[c] = c == 0 ? (float)size : -0.25f * (float)c;
            p.labels[0] = label;
            struct result found = run_loss(&p);
            double others = 0, unit = 256 * 0x1p-24;
            for (int c = 1; c < CLASSES; c++)
                others += exp((double)p.logits[c] - size);
            double loss = log1p(others) + (label == 0 ? 0 : (double)size - p.logits[label]);
            check("loss", (size_t)size, found.outcome.loss, loss, unit * loss);
            for (int c = 0; c < CLASSES; c++) {
                double share = exp((double)p.logits[c] - size) / (1 + others);
                double expected = c != label ? share : label == 0 ? -others / (1 + others) : share - 1;
                check("d_logits", (size_t)c, found.d_logits[c], loss_scale * expected,
                      unit * loss_scale * fabs(expected));
            }
            free(found.d_logits);
        }
    problem_release(&p);
}

static void test_loss_has_the_same_bits_twice(void **state)
{
    (void)state;
    struct problem p = problem_create(CUDA_LOSS_CROSS_ENTROPY, 777, 100, 700);
    struct result first = run_loss(&p), second = run_loss(&p);
    assert_memory_equal(&first.outcome, &second.outcome, sizeof first.outcome);
    assert_memory_equal(first.d_logits, second.d_logits, 777 * 100 * sizeof(float));
    free(first.d_logits);
    free(second.d_logits);
    problem_release(&p);
}

/* --- pictures --- */

enum { PICTURES = 7, BATCH = 24 };

static const struct {
    int channels, height, width, stored;
} picture_shapes[] = {{3, 8, 12, 8}, {3, 8, 12, 4}, {3, 9, 7, 3}, {1, 11, 11, 1}, {1, 28, 28, 8}, {3, 32, 32, 16}};

/* A set whose pixels are drawn, taken in both ways. */
static struct dataset *set_create(int channels, int height, int width)
{
    const struct dataset_kind kind = {.name = "drawn",
                                      .channels = channels,
                                      .height = height,
                                      .width = width,
                                      .class_count = 2,
                                      .flip = true,
                                      .mean = {0.3, 0.5, 0.6},
                                      .deviation = {0.2, 0.25, 0.3}};
    struct random_stream stream = random_stream(9, RANDOM_TEST, 4, 0);
    struct raw_pictures raw;
    raw_pictures_init(&raw, &kind, PICTURES);
    for (size_t i = 0; i < PICTURES * (size_t)channels * (size_t)height * (size_t)width; i++)
        raw.pixels[i] = (uint8_t)random_u32(&stream);
    memset(raw.labels, 0, PICTURES * sizeof *raw.labels);
    return memory_set_create(&kind, true, &raw);
}

/* Planes (batch, channels, height, width) as the set makes them, and how: the first without augmentation. */
static void fetch(const struct dataset *set, float *planes, struct cuda_pick *picks)
{
    size_t size = (size_t)set->channels * (size_t)set->height * (size_t)set->width;
    for (size_t n = 0; n < BATCH; n++) {
        struct random_stream streams[2];
        struct picture_pick pick;
        for (int i = 0; i < 2; i++)
            streams[i] = random_stream(n, RANDOM_AUGMENT, 0, 0);
        assert_int_equal(set->ops->fetch(set, n % PICTURES, n > 0 ? &streams[0] : NULL, planes + n * size), STATUS_OK);
        set->ops->pick(set, n % PICTURES, n > 0 ? &streams[1] : NULL, &pick);
        picks[n] = (struct cuda_pick){pick.index, pick.row, pick.column, pick.mirrored, 0xff};
    }
}

/* Activations against planes, of which the first `real` count. */
static void check_pictures(const struct cuda_pictures *shape, const float *planes, size_t real, const struct array *out)
{
    size_t stored = (size_t)shape->stored_channels, channels = (size_t)shape->channels;
    size_t pixels = (size_t)shape->height * (size_t)shape->width;
    for (size_t i = 0; i < out->count; i++) {
        size_t c = i % stored, pixel = i / stored % pixels, n = i / stored / pixels;
        float expected = c < channels && n < real ? planes[(n * channels + c) * pixels + pixel] : 0;
        uint32_t bytes;
        type_store(shape->type, &bytes, 0, expected);
        check("activation", i, at(out, i), type_load(shape->type, &bytes, 0), 0);
    }
}

static void check_both_ways(const struct cuda_pictures *shape)
{
    size_t pixels = (size_t)shape->height * (size_t)shape->width, size = (size_t)shape->channels * pixels;
    struct dataset *set = set_create(shape->channels, shape->height, shape->width);
    float *planes = memory_zalloc(BATCH * size, sizeof *planes);
    struct cuda_pick picks[BATCH];
    const uint32_t real = BATCH / 2 + 1;
    fetch(set, planes, picks);
    struct array out = array_empty(shape->type, BATCH * pixels * (size_t)shape->stored_channels);
    struct array again = array_empty(shape->type, out.count);
    void *bytes = device_upload(set->bytes->pixels, PICTURES * size);
    void *table = device_upload(set->bytes->normalised, (size_t)shape->channels * 256 * sizeof(float));
    void *device_picks = device_upload(picks, sizeof picks);
    DEVICE_MUST(cuda_pictures_from_bytes(NULL, shape, bytes, table, device_picks, out.device));
    array_download(&out);
    check_pictures(shape, planes, BATCH, &out);
    for (size_t i = real * size; i < BATCH * size; i++)
        planes[i] = NAN; /* what is not real may hold anything */
    void *device_planes = device_upload(planes, BATCH * size * sizeof(float));
    void *device_real = device_upload(&real, sizeof real);
    DEVICE_MUST(cuda_pictures_from_planes(NULL, shape, device_planes, device_real, again.device));
    array_download(&again);
    check_pictures(shape, planes, real, &again);
    set->ops->destroy(set);
    free(planes);
    void *const arrays[] = {bytes, table, device_picks, device_planes, device_real};
    for (size_t i = 0; i < COUNT_OF(arrays); i++)
        device_free(arrays[i]);
    RELEASE(&out, &again);
}

static void test_pictures(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(picture_shapes); i++)
        for (size_t t = 0; t < COUNT_OF(types); t++) {
            const struct cuda_pictures shape = {BATCH,
                                                picture_shapes[i].channels,
                                                picture_shapes[i].height,
                                                picture_shapes[i].width,
                                                picture_shapes[i].stored,
                                                types[t]};
            check_both_ways(&shape);
        }
}

/* A crop may lie beyond the border altogether. */
static void test_crops_beyond_the_border(void **state)
{
    (void)state;
    const struct cuda_pictures shape = {4, 1, 5, 6, 4, CUDA_FP32};
    const struct cuda_pick picks[4] = {{0, 5, 0, 0, 0}, {0, -128, 127, 1, 0}, {0, 0, -6, 1, 0}, {0, 2, -3, 1, 0}};
    uint8_t pixels[5][6];
    float table[256];
    for (int i = 0; i < 256; i++)
        table[i] = (float)i - 0.5f;
    for (int i = 0; i < 30; i++)
        pixels[i / 6][i % 6] = (uint8_t)(i + 100);
    void *bytes = device_upload(pixels, sizeof pixels), *device_table = device_upload(table, sizeof table);
    void *device_picks = device_upload(picks, sizeof picks);
    struct array out = array_empty(CUDA_FP32, (size_t)4 * 5 * 6 * 4);
    DEVICE_MUST(cuda_pictures_from_bytes(NULL, &shape, bytes, device_table, device_picks, out.device));
    array_download(&out);
    for (size_t i = 0; i < out.count; i++) {
        int row = (int)(i / 24 % 5) + 2, column = 5 - (int)(i / 4 % 6) - 3; /* of the last picture, mirrored */
        bool inside = i / 120 == 3 && row < 5 && column >= 0;
        float expected = i % 4 > 0 ? 0 : table[inside ? pixels[row][column] : 0];
        check("activation", i, at(&out, i), expected, 0);
    }
    device_free(bytes);
    device_free(device_table);
    device_free(device_picks);
    RELEASE(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_loss_that_is_not_finite),
        cmocka_unit_test(test_nan_is_no_hit),
        cmocka_unit_test(test_loss_of_sure_guesses),
        cmocka_unit_test(test_loss_has_the_same_bits_twice),
        cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_crops_beyond_the_border),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
