/* The 16-bit floating-point types: storage, and conversion with the device's rounding. Nothing else, so that a kernel
 * that calculates in them does not compile. */
#ifndef GRAPEVINE_TESTS_EMULATOR_NUMBER_H
#define GRAPEVINE_TESTS_EMULATOR_NUMBER_H

#include <stdint.h>
#include <string.h>

struct fp16 {
    uint16_t bits;
};
struct bf16 {
    uint16_t bits;
};

inline uint32_t emulator_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}
inline float emulator_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

inline float to_float(float value)
{
    return value;
}
inline float to_float(bf16 value)
{
    return emulator_float((uint32_t)value.bits << 16);
}
/* The exponent is moved to its place by a multiplication, which makes subnormals right too. */
inline float to_float(fp16 value)
{
    uint32_t sign = (uint32_t)(value.bits & 0x8000u) << 16, rest = value.bits & 0x7fffu;
    if (rest >= 0x7c00u)
        return emulator_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
    return emulator_float(sign | emulator_bits(emulator_float(rest << 13) * 0x1p112f));
}

template <typename T> inline T from_float(float value);
template <> inline float from_float<float>(float value)
{
    return value;
}
/* Round to nearest, ties to even; every NaN becomes 0x7fff, as on the device. */
template <> inline bf16 from_float<bf16>(float value)
{
    uint32_t bits = emulator_bits(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return bf16{0x7fff};
    return bf16{(uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
}
template <> inline fp16 from_float<fp16>(float value)
{
    uint32_t bits = emulator_bits(value), sign = bits >> 16 & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u)
        return fp16{0x7fff};
    if (rest >= 0x477ff000u) /* 65520 and more: infinity */
        return fp16{(uint16_t)(sign | 0x7c00u)};
    if (rest < 0x38800000u) /* below 2^-14: adding 1/2 leaves the rounded multiple of 2^-24 in the lowest bits */
        return fp16{(uint16_t)(sign | (emulator_bits(emulator_float(rest) + 0.5f) - 0x3f000000u))};
    return fp16{(uint16_t)(sign | (rest - 0x38000000u + 0xfffu + (rest >> 13 & 1u)) >> 13)};
}

#endif
