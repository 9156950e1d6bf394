/* Digests: what makes two of them equal and what must not. */
#include "base/digest.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 600 /* bytes: beyond the lengths at which XXH3 changes its way, 3, 8, 16, 128, 240 and 512 */ };

/* No pattern that a digest could take for another's. */
static void fill(unsigned char *bytes, size_t count)
{
    uint32_t state = 12345;
    for (size_t k = 0; k < count; k++) {
        state = state * 1664525 + 1013904223;
        bytes[k] = (unsigned char)(state >> 24);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void assert_all_differ(uint64_t *digests, size_t count)
{
    qsort(digests, count, sizeof digests[0], compare);
    for (size_t k = 1; k < count; k++)
        assert_true(digests[k] != digests[k - 1]);
}

/* The published digest of nothing at all, with and without an address. */
static void nothing_has_the_digest_of_xxh3(void **state)
{
    (void)state;
    assert_true(digest_bytes(0, "", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(digest_bytes(0, NULL, 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(digest_bytes(1, "", 0) != digest_bytes(0, "", 0));
}

/* Wherever the bytes lie, and whatever lies around them. */
static void equal_bytes_have_equal_digests(void **state)
{
    (void)state;
    unsigned char bytes[MOST], copy[MOST + 16];
    fill(bytes, MOST);
    for (size_t count = 0; count <= MOST; count++) {
        uint64_t digest = digest_bytes(7, bytes, count);
        assert_true(digest_bytes(7, bytes, count) == digest);
        for (size_t shift = 1; shift < 16; shift += 7) {
            memset(copy, (int)shift, sizeof copy);
            memcpy(copy + shift, bytes, count);
            assert_true(digest_bytes(7, copy + shift, count) == digest);
        }
    }
}

/* One bit more or less, anywhere, in short and long pieces. */
static void every_bit_counts(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 3, 4, 8, 9, 16, 17, 128, 129, 240, 241, 512, MOST};
    static uint64_t digests[8 * MOST + 1];
    unsigned char bytes[MOST];
    fill(bytes, MOST);
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        size_t bits = 8 * counts[c];
        for (size_t bit = 0; bit < bits; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            digests[bit] = digest_bytes(0, bytes, counts[c]);
            bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        digests[bits] = digest_bytes(0, bytes, counts[c]);
        assert_all_differ(digests, bits + 1);
    }
}

/* Zeros too: a vector of zeros is not a shorter one. */
static void every_length_counts(void **state)
{
    (void)state;
    static const unsigned char zeros[MOST];
    uint64_t digests[MOST + 1];
    for (size_t count = 0; count <= MOST; count++)
        digests[count] = digest_bytes(0, zeros, count);
    assert_all_differ(digests, MOST + 1);
}

/* What comes before counts, and so do order and cuts, as the header says. */
static void pieces_are_chained(void **state)
{
    (void)state;
    const char text[] = "one two three";
    uint64_t one = digest_bytes(0, text, 3), two = digest_bytes(0, text + 3, 4);
    uint64_t digests[] = {digest_bytes(0, text, 7),
                          digest_bytes(one, text + 3, 4),
                          digest_bytes(two, text, 3),
                          digest_bytes(digest_bytes(0, text, 4), text + 4, 3),
                          digest_bytes(digest_bytes(0, text, 7), "", 0),
                          digest_bytes(digest_bytes(0, "", 0), text, 7),
                          digest_bytes(digest_bytes(one, text + 3, 4), text + 7, 6),
                          digest_bytes(0, text, 13)};
    assert_true(digest_bytes(digest_bytes(0, text, 3), text + 3, 4) == digests[1]);
    assert_all_differ(digests, sizeof digests / sizeof digests[0]);
}

/* Bits, not values: 0 and −0 are equal numbers, a NaN is not equal to itself. */
static void floats_are_compared_by_bits(void **state)
{
    (void)state;
    const float zero = 0.0f, negative = -0.0f, none = NAN;
    const float one = 1.0f, next = nextafterf(one, 2.0f);
    assert_true(digest_bytes(0, &zero, sizeof zero) != digest_bytes(0, &negative, sizeof negative));
    assert_true(digest_bytes(0, &none, sizeof none) == digest_bytes(0, &none, sizeof none));
    assert_true(digest_bytes(0, &one, sizeof one) != digest_bytes(0, &next, sizeof next));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_has_the_digest_of_xxh3),
        cmocka_unit_test(equal_bytes_have_equal_digests),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(every_length_counts),
        cmocka_unit_test(pieces_are_chained),
        cmocka_unit_test(floats_are_compared_by_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
