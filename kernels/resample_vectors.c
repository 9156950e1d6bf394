/* Resampling with AVX-512: rows sixteen bytes at a time; columns four pixels at a time, each of whose channels is
 * picked out of two registers. */
#include "kernels/resample_vectors.h"

#include "kernels/clones.h"

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>

#define VECTORS __attribute__((target("avx512f,avx512bw,avx512vl")))
#define VECTORS_INLINE VECTORS KERNEL_INLINE

enum { LANES = 16, QUAD = 4 /* pixels in one register */, REACH = 2 * LANES /* floats in two */ };

bool resample_vectors_known(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

/* --- rows --- */

VECTORS_INLINE __m512 numbers(const uint8_t *bytes, __mmask16 there)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(there, bytes)));
}

VECTORS void resample_vectors_rows(size_t count, int taps, const uint8_t *const *rows, const float *weights, float *out)
{
    size_t j = 0;
    for (; j + 4 * LANES <= count; j += 4 * LANES) {
        __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
        for (int k = 0; k < taps; k++) {
            __m512 weight = _mm512_set1_ps(weights[k]);
            for (int part = 0; part < 4; part++)
                sums[part] = _mm512_add_ps(sums[part],
                                           _mm512_mul_ps(weight, numbers(rows[k] + j + (size_t)part * LANES, 0xffff)));
        }
        for (int part = 0; part < 4; part++)
            _mm512_storeu_ps(out + j + (size_t)part * LANES, sums[part]);
    }
    for (; j < count; j += LANES) {
        __mmask16 there = count - j < LANES ? (__mmask16)((1u << (count - j)) - 1) : 0xffff;
        __m512 sum = _mm512_setzero_ps();
        for (int k = 0; k < taps; k++)
            sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_set1_ps(weights[k]), numbers(rows[k] + j, there)));
        _mm512_mask_storeu_ps(out + j, there, sum);
    }
}

/* --- columns --- */

/* The first element that any of four pixels needs: they rise, or fall where mirrored. */
static int first_of(const struct resample_axis *axis, int i)
{
    int left = axis->first[i], right = axis->first[i + QUAD - 1];
    return left < right ? left : right;
}

/* The places and weights of one pixel, channel by channel, for each of its weights. */
static void fill_pixel(const struct resample_axis *axis, int i, int place, struct resample_lanes *lanes)
{
    int begin = i % QUAD * QUAD;
    for (int k = 0; k < axis->taps; k++, place += RESAMPLE_CHANNELS)
        for (int c = 0; c < QUAD; c++) {
            bool real = c < RESAMPLE_CHANNELS;
            lanes[k].places[begin + c] = real ? place + c : 0;
            lanes[k].weights[begin + c] = real ? axis->weights[i * axis->taps + k] : 0;
        }
}

bool resample_vectors_lanes(const struct resample_axis *axis, int out_count)
{
    for (int i = 0; i < out_count / QUAD * QUAD; i++) {
        int place = (axis->first[i] - first_of(axis, i / QUAD * QUAD)) * RESAMPLE_CHANNELS;
        if (place + axis->taps * RESAMPLE_CHANNELS > REACH)
            return false;
        fill_pixel(axis, i, place, axis->lanes + i / QUAD * axis->taps);
    }
    return true;
}

/* Four pixels, turned: the first channel of each, the second of each, the third of each. */
VECTORS_INLINE __m512 make_quad(const float *from, const struct resample_lanes *lanes, int taps, __m512 factors,
                                __m512 shifts)
{
    const __m512i turned = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + LANES), sum = _mm512_setzero_ps();
    for (int k = 0; k < taps; k++) {
        __m512 picked = _mm512_permutex2var_ps(low, _mm512_load_si512(lanes[k].places), high);
        sum = _mm512_add_ps(sum, _mm512_mul_ps(_mm512_load_ps(lanes[k].weights), picked));
    }
    return _mm512_permutexvar_ps(turned, _mm512_add_ps(_mm512_mul_ps(factors, sum), shifts));
}

VECTORS_INLINE void put(float *to, __m512 values)
{
    if (((uintptr_t)to & 63) == 0)
        _mm512_stream_ps(to, values);
    else
        _mm512_storeu_ps(to, values);
}

/* Sixteen pixels, from four times four. */
VECTORS_INLINE void put_quads(const __m512 quads[4], float *const *planes, int i)
{
    __m512 first = _mm512_shuffle_f32x4(quads[0], quads[1], 0x44),
           second = _mm512_shuffle_f32x4(quads[2], quads[3], 0x44);
    __m512 third = _mm512_shuffle_f32x4(quads[0], quads[1], 0xee),
           fourth = _mm512_shuffle_f32x4(quads[2], quads[3], 0xee);
    put(planes[0] + i, _mm512_shuffle_f32x4(first, second, 0x88));
    put(planes[1] + i, _mm512_shuffle_f32x4(first, second, 0xdd));
    put(planes[2] + i, _mm512_shuffle_f32x4(third, fourth, 0x88));
}

/* With a number of weights that the compiler knows. */
VECTORS_INLINE int resample_all(const struct resample_axis *axis, int taps, int out_count, const float *row,
                                const float *factor, const float *shift, float *const *planes)
{
    const __m512 factors = _mm512_broadcast_f32x4(_mm_set_ps(0, factor[2], factor[1], factor[0]));
    const __m512 shifts = _mm512_broadcast_f32x4(_mm_set_ps(0, shift[2], shift[1], shift[0]));
    const struct resample_lanes *lanes = axis->lanes;
    int i = 0;
    for (; i + LANES <= out_count; i += LANES) {
        __m512 quads[4];
#pragma GCC unroll 4
        for (int part = 0; part < 4; part++, lanes += taps) {
            const float *from = row + first_of(axis, i + part * QUAD) * RESAMPLE_CHANNELS;
            quads[part] = make_quad(from, lanes, taps, factors, shifts);
        }
        put_quads(quads, planes, i);
    }
    return i;
}

VECTORS int resample_vectors_columns(const struct resample_axis *axis, int out_count, const float *row,
                                     const float *factor, const float *shift, float *const *planes)
{
    switch (axis->taps) {
    case 2:
        return resample_all(axis, 2, out_count, row, factor, shift, planes);
    case 3:
        return resample_all(axis, 3, out_count, row, factor, shift, planes);
    case 4:
        return resample_all(axis, 4, out_count, row, factor, shift, planes);
    default:
        return resample_all(axis, axis->taps, out_count, row, factor, shift, planes);
    }
}
#else
bool resample_vectors_known(void)
{
    return false;
}

void resample_vectors_rows(size_t count, int taps, const uint8_t *const *rows, const float *weights, float *out)
{
    (void)count, (void)taps, (void)rows, (void)weights, (void)out;
}

bool resample_vectors_lanes(const struct resample_axis *axis, int out_count)
{
    (void)axis, (void)out_count;
    return false;
}

int resample_vectors_columns(const struct resample_axis *axis, int out_count, const float *row, const float *factor,
                             const float *shift, float *const *planes)
{
    (void)axis, (void)out_count, (void)row, (void)factor, (void)shift, (void)planes;
    return 0;
}
#endif
