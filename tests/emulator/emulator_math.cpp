/* Elements of three types, and one matrix product: b is packed into panels of columns, and a piece of c the size of the
 * registers is summed over a stretch of k. */
#include "emulator_math.h"

#include <algorithm>
#include <string.h>
#include <vector>

#include "emulator_number.h"

namespace emulator
{

size_t size_of(number_type type)
{
    return type == FLOAT32 ? 4 : 2;
}

float load(number_type type, const void *array, size_t index)
{
    switch (type) {
    case FLOAT16:
        return to_float(((const fp16 *)array)[index]);
    case BFLOAT16:
        return to_float(((const bf16 *)array)[index]);
    default:
        return ((const float *)array)[index];
    }
}

void store(number_type type, void *array, size_t index, float value)
{
    switch (type) {
    case FLOAT16:
        ((fp16 *)array)[index] = from_float<fp16>(value);
        break;
    case BFLOAT16:
        ((bf16 *)array)[index] = from_float<bf16>(value);
        break;
    default:
        ((float *)array)[index] = value;
    }
}

template <typename T> static void widen(const T *from, size_t stride, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++)
        to[i] = to_float(from[i * stride]);
}

void load_many(number_type type, const void *array, size_t first, size_t stride, size_t count, float *to)
{
    switch (type) {
    case FLOAT16:
        widen((const fp16 *)array + first, stride, count, to);
        break;
    case BFLOAT16:
        widen((const bf16 *)array + first, stride, count, to);
        break;
    default:
        widen((const float *)array + first, stride, count, to);
    }
}

void round_to_tf32(float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = emulator_bits(numbers[i]);
        if ((bits & 0x7f800000u) != 0x7f800000u)
            numbers[i] = emulator_float((bits + 0xfffu + (bits >> 13 & 1u)) & ~0x1fffu);
    }
}

enum { ROWS = 4, COLUMNS = 16, STRETCH = 128 };

struct piece {
    size_t rows, columns, depth; /* at most ROWS, COLUMNS, STRETCH */
    const float *a, *panel;
    size_t a_stride;
    double *c;
    size_t c_stride;
};

using lanes = float __attribute__((vector_size(COLUMNS * sizeof(float))));

/* c += a · panel, of a piece with all its rows: the sums stay in registers. */
__attribute__((always_inline)) static inline void multiply_rows(const piece &it)
{
    lanes sum[ROWS] = {}, row;
    for (size_t p = 0; p < it.depth; p++) {
        memcpy(&row, it.panel + p * COLUMNS, sizeof(row));
        for (size_t i = 0; i < ROWS; i++)
            sum[i] += it.a[i * it.a_stride + p] * row;
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < it.columns; j++)
            it.c[i * it.c_stride + j] += (double)sum[i][j];
    }
}

/* The same sums for the last rows, one by one. */
__attribute__((always_inline)) static inline void multiply_row(const piece &it, size_t i)
{
    lanes sum = {}, row;
    for (size_t p = 0; p < it.depth; p++) {
        memcpy(&row, it.panel + p * COLUMNS, sizeof(row));
        sum += it.a[i * it.a_stride + p] * row;
    }
    for (size_t j = 0; j < it.columns; j++)
        it.c[i * it.c_stride + j] += (double)sum[j];
}

/* The same code twice: the compiler's own way to do that, target_clones, does not start under the thread sanitizer. */
__attribute__((optimize("O3"), target("avx2"))) static void multiply_piece_avx2(const piece &it)
{
    if (it.rows == ROWS)
        return multiply_rows(it);
    for (size_t i = 0; i < it.rows; i++)
        multiply_row(it, i);
}

__attribute__((optimize("O3"))) static void multiply_piece(const piece &it)
{
    if (it.rows == ROWS)
        return multiply_rows(it);
    for (size_t i = 0; i < it.rows; i++)
        multiply_row(it, i);
}

/* Columns from `first` on of b, COLUMNS wide, zeros beyond the last. */
static void pack_panel(size_t k, size_t n, size_t first, const float *b, float *panel)
{
    size_t columns = std::min<size_t>(COLUMNS, n - first);
    for (size_t p = 0; p < k; p++) {
        std::copy(b + p * n + first, b + p * n + first + columns, panel + p * COLUMNS);
        std::fill(panel + p * COLUMNS + columns, panel + (p + 1) * COLUMNS, 0.0f);
    }
}

void multiply(size_t m, size_t n, size_t k, const float *a, const float *b, double *c)
{
    static const bool avx2 = __builtin_cpu_supports("avx2");
    std::vector<float> panel(k * COLUMNS);
    for (size_t first = 0; first < n; first += COLUMNS) {
        pack_panel(k, n, first, b, panel.data());
        size_t columns = std::min<size_t>(COLUMNS, n - first);
        for (size_t p = 0; p < k; p += STRETCH) {
            size_t depth = std::min<size_t>(STRETCH, k - p);
            for (size_t i = 0; i < m; i += ROWS) {
                piece it = {std::min<size_t>(ROWS, m - i),
                            columns,
                            depth,
                            a + i * k + p,
                            panel.data() + p * COLUMNS,
                            k,
                            c + i * n + first,
                            n};
                avx2 ? multiply_piece_avx2(it) : multiply_piece(it);
            }
        }
    }
}

} // namespace emulator
