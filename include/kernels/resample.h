/* Antialiased bilinear resampling of interleaved 8-bit pixels, one axis at a time: what Pillow's BILINEAR and
 * torchvision's Resize(antialias=True) compute, without their rounding to 8 bits in between.
 *
 * An element of the result is a mean of the elements around its center, weighted by a triangle whose half width is one
 * element of whichever of the two is coarser; elements outside of what is resampled have no part. Rows come first, for
 * they lie contiguous; their means stay in fp32. */
#ifndef GRAPEVINE_KERNELS_RESAMPLE_H
#define GRAPEVINE_KERNELS_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RESAMPLE_CHANNELS = 3,
    RESAMPLE_PADDING = 32 /* elements after a row that may be read, whatever they are */
};

/* What is resampled: [begin, begin + length) of an axis of which elements [0, in_count) are there, to out_total
 * elements; of these, [out_first, out_first + out_count) are wanted. */
struct resample_span {
    double begin, length;
    int in_count;
    double out_total;
    double out_first;
    int out_count;
};

/* One weight of four pixels' channels, for vectors of sixteen: the places of what it is for, counted from the first
 * element that any of the four needs. */
struct resample_lanes {
    int places[16];
    float weights[16];
};

/* out[i] = Σ_k weights[i·taps + k] · in[first[i] + k], k < taps; Σ_k weights = 1, some may be 0, and all elements that
 * are named are there. */
struct resample_axis {
    int taps;
    int *first;                   /* (out_count) */
    float *weights;               /* (out_count, taps) */
    struct resample_lanes *lanes; /* (out_count / 4, taps), aligned to 64 bytes; or NULL */
};

/* So many weights each element has: as many as a triangle can cover, but no more than there are elements. */
int kernel_resample_taps(const struct resample_span *span);
/* Fill first and weights, whose memory is the caller's; taps is set, from kernel_resample_taps. `mirrored`: the
 * elements of the result in reverse. */
void kernel_resample_axis(const struct resample_span *span, bool mirrored, struct resample_axis *axis);

/* For kernel_resample_columns to be faster: fill lanes, whose memory is the caller's. False where that is of no use:
 * this processor has no such vectors, or the elements lie too far apart (below half of the size, about). */
bool kernel_resample_lanes(const struct resample_axis *axis, int out_count);

/* out[j] = Σ_k weights[k] · rows[k][j], j < count, summed in fp32 from the first k to the last: the same bits on every
 * processor. */
void kernel_resample_rows(size_t count, int taps, const uint8_t *const *rows, const float *weights, float *out);

/* A row of (…, RESAMPLE_CHANNELS) fp32 elements, with RESAMPLE_PADDING more after the last, to out_count elements in
 * three planes, each normalised: planes[c][i] = factor[c] · Σ_k … + shift[c]. With or without lanes: the same bits. */
void kernel_resample_columns(const struct resample_axis *axis, int out_count, const float *row,
                             const float factor[RESAMPLE_CHANNELS], const float shift[RESAMPLE_CHANNELS],
                             float *const planes[RESAMPLE_CHANNELS]);

#endif
