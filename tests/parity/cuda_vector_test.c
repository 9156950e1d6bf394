/* CUDA kernels on flat vectors (kernels/cuda_vector.h; sums and clipping: cuda_sum_test.c) against their plain-C twins,
 * bit by bit, on a GPU or on the emulator. Vectors begin at any element; lengths lie around the ends of packs and
 * blocks; every array is compared whole, with what lies before and behind the vector in it. Tiles are held against the
 * definition of the working copy, element by element, padding included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdbool.h>

#include "cuda_fixture.h"
#include "kernels/cuda_vector.h"
#include "kernels/pair.h"
#include "kernels/update.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

enum { X, TILDE, M, G, VECTORS };
enum { BEHIND = 3 }; /* elements of an array behind its vector */

static const size_t counts[] = {1, 3, 4, 5, 1023, 1024, 1025, 2303, 2304, 2305, 100003};
/* Where the vectors begin in their arrays: only the first is for 16-byte accesses. */
static const size_t starts[][VECTORS] = {{0, 0, 0, 0}, {1, 1, 1, 1}, {0, 1, 2, 3}, {0, 0, 0, 1}};

struct vectors {
    size_t count;
    const size_t *start;                    /* (VECTORS) */
    float *host[VECTORS], *device[VECTORS]; /* owned; start + count + BEHIND elements */
};

static size_t bytes_of(const struct vectors *v, int which)
{
    return (v->start[which] + v->count + BEHIND) * sizeof(float);
}

static float *on_host(const struct vectors *v, int which)
{
    return v->host[which] + v->start[which];
}

static float *on_device(const struct vectors *v, int which)
{
    return v->device[which] + v->start[which];
}

static void vectors_upload(struct vectors *v)
{
    for (int i = 0; i < VECTORS; i++)
        v->device[i] = device_upload(v->host[i], bytes_of(v, i));
}

static void vectors_init(struct vectors *v, size_t count, const size_t *start)
{
    *v = (struct vectors){.count = count, .start = start};
    for (int i = 0; i < VECTORS; i++)
        v->host[i] = new_normal(bytes_of(v, i) / sizeof(float), count * VECTORS + (size_t)i);
}

/* The device's arrays hold what the host's do, to the bit; both are freed. */
static void vectors_compare(struct vectors *v)
{
    for (int i = 0; i < VECTORS; i++) {
        float *found = memory_zalloc(bytes_of(v, i), 1);
        device_download(found, v->device[i], bytes_of(v, i));
        assert_memory_equal(found, v->host[i], bytes_of(v, i));
        free(found);
        free(v->host[i]);
        device_free(v->device[i]);
    }
}

/* --- gradient event --- */

static const struct cuda_update plain = {.mix = 0.3f, .learning_rate = 0.1f, .momentum = 0.9f, .weight_decay = 5e-2f};
static const struct cuda_update nesterov = {
    .mix = 0.125f, .learning_rate = 0.07f, .momentum = 0.8f, .weight_decay = 1e-1f, .nesterov = true};
static const float scales[] = {1.0f, 0.37f, -1.0f}; /* the first is passed as NULL */

/* What cuda_update does; x_tilde may be NULL. */
static void expect_update(const struct cuda_update *c, float scale, size_t count, size_t decayed, float *x,
                          float *x_tilde, float *m, const float *g)
{
    struct update_constants constants = {.mix = c->mix,
                                         .learning_rate = c->learning_rate,
                                         .momentum = c->momentum,
                                         .weight_decay = c->weight_decay,
                                         .gradient_scale = scale,
                                         .nesterov = c->nesterov};
    if (scale >= 0) {
        kernel_update(&constants, 0, count, decayed, x, x_tilde, m, g);
        return;
    }
    for (size_t i = 0; i < count && x_tilde != NULL; i++) {
        float delta = c->mix * (x_tilde[i] - x[i]);
        x[i] = x[i] + delta;
        x_tilde[i] = x_tilde[i] - delta;
    }
}

/* A gradient that is left out may hold anything. */
static void overflow(const struct vectors *v)
{
    for (size_t i = 0; i < v->count; i++)
        on_host(v, G)[i] = i % 2 == 0 ? INFINITY : NAN;
}

static void check_update(size_t count, const size_t *start, const struct cuda_update *c, bool tilde, size_t decayed,
                         const float *scale)
{
    struct vectors v;
    vectors_init(&v, count, start);
    if (*scale < 0)
        overflow(&v);
    vectors_upload(&v);
    float *device_scale = scale == scales ? NULL : device_upload(scale, sizeof *scale);
    DEVICE_MUST(cuda_update(NULL, c, device_scale, count, decayed, on_device(&v, X),
                            tilde ? on_device(&v, TILDE) : NULL, on_device(&v, M), on_device(&v, G)));
    expect_update(c, *scale, count, decayed, on_host(&v, X), tilde ? on_host(&v, TILDE) : NULL, on_host(&v, M),
                  on_host(&v, G));
    vectors_compare(&v);
    device_free(device_scale);
}

static void test_update_is_its_twin(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (size_t j = 0; j < COUNT_OF(starts); j++)
            for (size_t k = 0; k < COUNT_OF(scales); k++) {
                const size_t decayed[] = {0, counts[i] / 3, counts[i] - 1, counts[i], counts[i] + 9};
                size_t d = (i + j + k) % COUNT_OF(decayed);
                check_update(counts[i], starts[j], &plain, true, decayed[d], &scales[k]);
                check_update(counts[i], starts[j], &plain, false, decayed[d], &scales[k]);
                check_update(counts[i], starts[j], &nesterov, true, decayed[d], &scales[k]);
                check_update(counts[i], starts[j], &nesterov, false, decayed[d], &scales[k]);
            }
}

static void test_decay_ends_anywhere(void **state)
{
    (void)state;
    for (size_t decayed = 0; decayed <= 12; decayed++) {
        check_update(11, starts[0], &nesterov, true, decayed, &scales[1]);
        check_update(11, starts[1], &plain, false, decayed, &scales[0]);
    }
}

/* With x̃ = x the event is plain SGD, and x̃ stays x. */
static void test_equal_tilde_is_plain(void **state)
{
    (void)state;
    enum { COUNT = 4099 };
    static float x[COUNT], tilde[COUNT], expected[COUNT];
    struct vectors v;
    vectors_init(&v, COUNT, starts[0]);
    memcpy(on_host(&v, TILDE), on_host(&v, X), sizeof x);
    vectors_upload(&v);
    DEVICE_MUST(cuda_update(NULL, &nesterov, NULL, COUNT, 77, on_device(&v, X), on_device(&v, TILDE), on_device(&v, M),
                            on_device(&v, G)));
    device_download(x, on_device(&v, X), sizeof x);
    device_download(tilde, on_device(&v, TILDE), sizeof x);
    float *other = device_upload(on_host(&v, X), sizeof x), *m = device_upload(on_host(&v, M), sizeof x);
    DEVICE_MUST(cuda_update(NULL, &nesterov, NULL, COUNT, 77, other, NULL, m, on_device(&v, G)));
    device_download(expected, other, sizeof x);
    assert_memory_equal(x, expected, sizeof x);
    assert_memory_equal(tilde, expected, sizeof x);
    assert_memory_not_equal(x, on_host(&v, X), sizeof x);
    device_free(other);
    device_free(m);
    for (int i = 0; i < VECTORS; i++) {
        free(v.host[i]);
        device_free(v.device[i]);
    }
}

static void test_nothing_is_fine(void **state)
{
    (void)state;
    struct cuda_working working = {.type = CUDA_BF16};
    assert_int_equal(cuda_update(NULL, &plain, NULL, 0, 0, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(cuda_update_working(NULL, &plain, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, 0, &working), 0);
    assert_int_equal(cuda_cast(NULL, NULL, 0, NULL, &working), 0);
    assert_int_equal(cuda_gather(NULL, NULL, 0, CUDA_BF16, NULL, NULL, NULL), 0);
    assert_int_equal(cuda_pair(NULL, 0.5f, 0.5f, 0.5f, 0, NULL, NULL, NULL, NULL), 0);
    assert_int_equal(cuda_snapshot(NULL, 0.5f, 0, NULL, NULL, NULL), 0);
}

/* --- pair event and snapshot: own in the place of M, peer (or the snapshot) in that of G --- */

static void check_pair(size_t count, const size_t *start, bool tilde)
{
    const float mix = 0.21f, alpha = 0.5f, alpha_tilde = 1.7f;
    struct vectors v;
    vectors_init(&v, count, start);
    vectors_upload(&v);
    DEVICE_MUST(cuda_pair(NULL, mix, alpha, alpha_tilde, count, on_device(&v, X), tilde ? on_device(&v, TILDE) : NULL,
                          on_device(&v, M), on_device(&v, G)));
    kernel_pair(mix, alpha, alpha_tilde, 0, count, on_host(&v, X), tilde ? on_host(&v, TILDE) : NULL, on_host(&v, M),
                on_host(&v, G));
    vectors_compare(&v);
}

static void check_snapshot(size_t count, const size_t *start, bool tilde)
{
    struct vectors v;
    vectors_init(&v, count, start);
    vectors_upload(&v);
    DEVICE_MUST(
        cuda_snapshot(NULL, 0.21f, count, on_device(&v, X), tilde ? on_device(&v, TILDE) : NULL, on_device(&v, G)));
    kernel_snapshot(0.21f, 0, count, on_host(&v, X), tilde ? on_host(&v, TILDE) : NULL, on_host(&v, G));
    vectors_compare(&v);
}

static void test_pair_and_snapshot_are_their_twins(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        for (size_t j = 0; j < COUNT_OF(starts); j++) {
            check_pair(counts[i], starts[j], true);
            check_pair(counts[i], starts[j], false);
            check_snapshot(counts[i], starts[j], true);
            check_snapshot(counts[i], starts[j], false);
        }
}

/* From zero, what one end of an edge gains the other loses, exactly. */
static void test_pair_is_antisymmetric(void **state)
{
    (void)state;
    enum { COUNT = 5003, BYTES = COUNT * sizeof(float) };
    static float zeros[COUNT], one[2][COUNT], other[2][COUNT];
    struct vectors v;
    vectors_init(&v, COUNT, starts[0]);
    vectors_upload(&v);
    float *ends[2][2];
    for (int i = 0; i < 4; i++)
        ends[i / 2][i % 2] = device_upload(zeros, BYTES);
    DEVICE_MUST(cuda_pair(NULL, 0.3f, 0.5f, 1.3f, COUNT, ends[0][0], ends[0][1], on_device(&v, M), on_device(&v, G)));
    DEVICE_MUST(cuda_pair(NULL, 0.3f, 0.5f, 1.3f, COUNT, ends[1][0], ends[1][1], on_device(&v, G), on_device(&v, M)));
    for (int i = 0; i < 2; i++) {
        device_download(one[i], ends[0][i], BYTES);
        device_download(other[i], ends[1][i], BYTES);
        for (size_t k = 0; k < COUNT; k++)
            assert_true(one[i][k] == -other[i][k] && one[i][k] != 0);
        device_free(ends[0][i]);
        device_free(ends[1][i]);
    }
    vectors_compare(&v);
}

/* --- tiles: a flat vector of several tensors and its working copy --- */

/* (rows, channels, taps) in the flat vector, (rows, taps, stored) in the working copy. */
struct tensor {
    uint32_t rows, channels, taps, stored;
    bool wide;
};

static const struct tensor tensors[] = {
    {16, 3, 9, 8, false},     {1, 16, 1, 16, true},    {64, 64, 9, 64, false}, {1, 10, 1, 10, true},
    {10, 512, 1, 512, false}, {2, 512, 9, 512, false}, {8, 20, 49, 24, false}, {1, 64, 1, 64, true},
    {5, 3, 9, 3, false},      {16, 3, 9, 4, false},    {1, 7, 1, 7, true},     {7, 16, 25, 16, false},
};

enum { MAX_TILES = 128 };

struct layout {
    size_t count, sizes[2];            /* elements: flat; working copy, narrow and wide */
    size_t *place;                     /* (count), owned: where an element lies in the working copy */
    bool *wide;                        /* (count), owned: in which of the two */
    struct cuda_tile tiles[MAX_TILES]; /* the table */
    size_t tile_count;
    struct cuda_tile *device_tiles; /* owned */
};

/* The definition, element by element. */
static void place_tensor(struct layout *l, const struct tensor *t)
{
    size_t rows = t->rows, channels = t->channels, taps = t->taps;
    for (size_t i = 0; i < rows * channels * taps; i++) {
        size_t row = i / (channels * taps), channel = i / taps % channels, tap = i % taps;
        l->place[l->count + i] = l->sizes[t->wide] + (row * taps + tap) * t->stored + channel;
        l->wide[l->count + i] = t->wide;
    }
}

/* Whole rows if one fits, else a part of the channels of one row. */
static void cut_tensor(struct layout *l, const struct tensor *t)
{
    uint32_t rows = CUDA_TILE / (t->channels * t->taps), channels = t->channels;
    if (rows == 0) {
        rows = 1;
        channels = CUDA_TILE / t->taps / 8 * 8;
    }
    for (uint32_t row = 0; row < t->rows; row += rows)
        for (uint32_t channel = 0; channel < t->channels; channel += channels) {
            struct cuda_tile *tile = &l->tiles[l->tile_count++];
            assert_true(l->tile_count <= MAX_TILES);
            *tile = (struct cuda_tile){.first = l->count + ((size_t)row * t->channels + channel) * t->taps,
                                       .to = l->sizes[t->wide] + (size_t)row * t->taps * t->stored + channel,
                                       .rows = row + rows < t->rows ? rows : t->rows - row,
                                       .channels = channel + channels < t->channels ? channels : t->channels - channel,
                                       .taps = t->taps,
                                       .row_stride = t->taps * t->stored,
                                       .tap_stride = t->stored,
                                       .wide = t->wide};
        }
}

static void layout_init(struct layout *l)
{
    enum { MOST = 1 << 17 };
    *l = (struct layout){.place = memory_zalloc(MOST, sizeof *l->place), .wide = memory_zalloc(MOST, sizeof *l->wide)};
    for (size_t i = 0; i < COUNT_OF(tensors); i++) {
        const struct tensor *t = &tensors[i];
        place_tensor(l, t);
        cut_tensor(l, t);
        l->count += (size_t)t->rows * t->channels * t->taps;
        l->sizes[t->wide] += ((size_t)t->rows * t->taps * t->stored + 7) / 8 * 8;
        assert_true(l->count <= MOST);
    }
    l->device_tiles = device_upload(l->tiles, l->tile_count * sizeof *l->tiles);
}

static void layout_release(struct layout *l)
{
    free(l->place);
    free(l->wide);
    device_free(l->device_tiles);
}

/* The working copy on the device, `shift` elements into its arrays. */
static struct cuda_working working_alloc(const struct layout *l, enum cuda_type type, size_t shift)
{
    unsigned char *narrow = device_alloc((shift + l->sizes[false]) * type_bytes(type));
    float *wide = device_alloc((shift + l->sizes[true]) * sizeof *wide);
    return (struct cuda_working){.type = type, .narrow = narrow + shift * type_bytes(type), .wide = wide + shift};
}

/* It holds x, rounded, and between the elements what was there; freed. */
static void working_compare(const struct layout *l, struct cuda_working *working, size_t shift, const float *x)
{
    enum cuda_type types[2] = {working->type, CUDA_FP32};
    char *arrays[2] = {working->narrow, (char *)working->wide};
    for (int wide = 0; wide < 2; wide++) {
        size_t bytes = l->sizes[wide] * type_bytes(types[wide]);
        char *found = memory_zalloc(bytes, 1), *expected = memory_zalloc(bytes, 1);
        memset(expected, 0xff, bytes);
        for (size_t i = 0; i < l->count; i++) {
            if (l->wide[i] == wide)
                type_store(types[wide], expected, l->place[i], x[i]);
        }
        device_download(found, arrays[wide], bytes);
        assert_memory_equal(found, expected, bytes);
        device_free(arrays[wide] - shift * type_bytes(types[wide]));
        free(found);
        free(expected);
    }
}

static void check_update_working(const struct layout *l, enum cuda_type type, size_t shift, const size_t *start,
                                 bool tilde, size_t decayed, const float *scale)
{
    struct vectors v;
    vectors_init(&v, l->count, start);
    if (*scale < 0)
        overflow(&v);
    vectors_upload(&v);
    struct cuda_working working = working_alloc(l, type, shift);
    float *device_scale = scale == scales ? NULL : device_upload(scale, sizeof *scale);
    DEVICE_MUST(cuda_update_working(NULL, &nesterov, device_scale, l->count, decayed, on_device(&v, X),
                                    tilde ? on_device(&v, TILDE) : NULL, on_device(&v, M), on_device(&v, G),
                                    l->device_tiles, l->tile_count, &working));
    expect_update(&nesterov, *scale, l->count, decayed, on_host(&v, X), tilde ? on_host(&v, TILDE) : NULL,
                  on_host(&v, M), on_host(&v, G));
    working_compare(l, &working, shift, on_host(&v, X));
    vectors_compare(&v);
    device_free(device_scale);
}

static void test_update_writes_working_copy(void **state)
{
    struct layout *l = *state;
    for (size_t i = 0; i < COUNT_OF(starts); i++)
        for (size_t k = 0; k < COUNT_OF(scales); k++)
            for (enum cuda_type type = CUDA_FP32; type <= CUDA_BF16; type++) {
                size_t decayed[] = {l->count, 500, 1u << 14};
                check_update_working(l, type, i / 2, starts[i], true, decayed[(i + k) % 3], &scales[k]);
                check_update_working(l, type, i / 2, starts[i], false, decayed[(i + k) % 3], &scales[k]);
            }
}

/* Flat ← working, and what the cast made comes back; `start` elements into the flat array. */
static void check_cast_and_gather(const struct layout *l, enum cuda_type type, size_t start, size_t shift)
{
    size_t bytes = (start + l->count) * sizeof(float);
    float *x = new_normal(start + l->count, 3), *found = memory_zalloc(bytes, 1), *expected = memory_zalloc(bytes, 1);
    float unscale = 0.3f, *device_x = device_upload(x, bytes),
          *device_unscale = device_upload(&unscale, sizeof unscale);
    struct cuda_working working = working_alloc(l, type, shift);
    DEVICE_MUST(cuda_cast(NULL, l->device_tiles, l->tile_count, device_x + start, &working));
    for (int scaled = 0; scaled < 2; scaled++) {
        float *gradient = device_alloc(bytes), one, *factor = scaled ? device_unscale : NULL;
        DEVICE_MUST(cuda_gather(NULL, l->device_tiles, l->tile_count, type, working.narrow, factor, gradient + start));
        memset(expected, 0xff, bytes);
        for (size_t i = 0; i < l->count; i++) {
            type_store(type, &one, 0, x[start + i]);
            if (!l->wide[i])
                expected[start + i] = (scaled ? unscale : 1) * type_load(type, &one, 0);
        }
        device_download(found, gradient, bytes);
        assert_memory_equal(found, expected, bytes);
        device_free(gradient);
    }
    working_compare(l, &working, shift, x + start);
    device_free(device_x);
    device_free(device_unscale);
    free(x);
    free(found);
    free(expected);
}

static void test_cast_and_gather(void **state)
{
    for (enum cuda_type type = CUDA_FP32; type <= CUDA_BF16; type++)
        for (size_t start = 0; start < 4; start++) {
            check_cast_and_gather(*state, type, start, 0);
            check_cast_and_gather(*state, type, start, 1 + start);
        }
}

/* Values at the edges of the 16-bit formats: ties, subnormals, overflow, infinities, NaN. */
static void test_cast_rounds(void **state)
{
    (void)state;
    enum { COUNT = 2304 };
    static uint16_t found[COUNT], expected[COUNT];
    float *x = new_normal(COUNT, 4);
    const float special[] = {0.0f,    -0.0f,    65504,      65519.99f, 65520,     -65520,    1e-8f,
                             5.9e-8f, 0x1p-25f, 0x1.8p-24f, 6.1e-5f,   INFINITY,  -INFINITY, NAN,
                             FLT_MAX, FLT_MIN,  1e-40f,     -1e-45f,   0x1.01p0f, 0x1.03p0f, 0x1.002p0f};
    for (size_t i = 0; i < COUNT; i++)
        x[i] = i < COUNT_OF(special) ? special[i] : ldexpf(x[i], (int)(i % 280) - 140);
    struct cuda_tile tile = {.rows = 1, .channels = COUNT, .taps = 1}, *tiles = device_upload(&tile, sizeof tile);
    float *device_x = device_upload(x, COUNT * sizeof *x);
    for (enum cuda_type type = CUDA_FP16; type <= CUDA_BF16; type++) {
        struct cuda_working working = {.type = type, .narrow = device_alloc(sizeof found)};
        DEVICE_MUST(cuda_cast(NULL, tiles, 1, device_x, &working));
        device_download(found, working.narrow, sizeof found);
        for (size_t i = 0; i < COUNT; i++)
            expected[i] = narrow_bits(type, x[i]);
        assert_memory_equal(found, expected, sizeof found);
        device_free(working.narrow);
    }
    device_free(tiles);
    device_free(device_x);
    free(x);
}

static int setup(void **state)
{
    static struct layout layout;
    layout_init(&layout);
    *state = &layout;
    return 0;
}

static int teardown(void **state)
{
    layout_release(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_update_is_its_twin),
        cmocka_unit_test(test_decay_ends_anywhere),
        cmocka_unit_test(test_equal_tilde_is_plain),
        cmocka_unit_test(test_nothing_is_fine),
        cmocka_unit_test(test_pair_and_snapshot_are_their_twins),
        cmocka_unit_test(test_pair_is_antisymmetric),
        cmocka_unit_test_setup_teardown(test_update_writes_working_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cast_and_gather, setup, teardown),
        cmocka_unit_test(test_cast_rounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
