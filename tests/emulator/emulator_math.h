/* What the emulated libraries calculate with: elements of three types, and one matrix product. */
#ifndef GRAPEVINE_TESTS_EMULATOR_MATH_H
#define GRAPEVINE_TESTS_EMULATOR_MATH_H

#include <stddef.h>

namespace emulator
{

enum number_type { FLOAT32, FLOAT16, BFLOAT16 };

size_t size_of(number_type type);
float load(number_type type, const void *array, size_t index);
void store(number_type type, void *array, size_t index, float value);
/* `count` elements, `stride` apart from `first` on, to floats that follow one another. */
void load_many(number_type type, const void *array, size_t first, size_t stride, size_t count, float *to);

/* fp32 with the 10 bits of fraction that tensor cores take of it (tf32). */
void round_to_tf32(float *numbers, size_t count);

/* c (m, n) += a (m, k) · b (k, n), all contiguous by rows. Products are summed in float32 in short pieces, and these in
 * float64: more exact than a device, and near enough to it. */
void multiply(size_t m, size_t n, size_t k, const float *a, const float *b, double *c);

} // namespace emulator

#endif
