/* The loss of a batch of fp32 logits, the correct guesses, and the gradient; contract: kernels/cuda_layers.h.
 *
 * A warp takes a row: its lanes take classes lane, lane + 32, ...; what they have is combined by exchanges in which all
 * lanes get the same bits. One block then adds the rows in float64, neighbors first, in an order that depends on the
 * batch alone. */
#include "kernels/cuda_layers.h"

#include <cuda_kernel.h>
#include <math.h>

enum { WARP = 32, ROWS = 8 /* of a block */, SUM_THREADS = 256, PLACE_LAST = 255 };

struct loss {
    size_t batch;
    int classes;
    float smoothing;
    const float *logits;
    const int32_t *labels; /* NULL: none */
    const uint32_t *real;
    const float *loss_scale; /* NULL: 1 */
    float *d_logits;         /* NULL: not wanted */
    float *losses;
    uint8_t *places; /* of each label: how many classes come before it, PLACE_LAST if that many or more do */
};

__device__ __forceinline__ float sum_over_warp(float value)
{
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    return value;
}

/* The greatest logit, and its class: the first of equals. NaN is not greater than anything. */
struct guess {
    float logit;
    int label;
};

__device__ __forceinline__ struct guess guess_of(const float *logits, int classes, int lane)
{
    struct guess best = {-INFINITY, lane < classes ? lane : classes};
    for (int c = lane; c < classes; c += WARP) {
        if (logits[c] > best.logit)
            best = {logits[c], c};
    }
    for (int distance = WARP / 2; distance > 0; distance /= 2) {
        float logit = __shfl_xor_sync(0xffffffffu, best.logit, distance);
        int label = __shfl_xor_sync(0xffffffffu, best.label, distance);
        if (logit > best.logit || (logit == best.logit && label < best.label))
            best = {logit, label};
    }
    return best;
}

/* All lanes get it. NaN is larger than any number. */
__device__ __forceinline__ uint8_t place_of_label(const float *logits, int classes, int lane, int label)
{
    float own = label >= 0 ? logits[label] : NAN;
    int before = 0;
    for (int c = lane; c < classes; c += WARP)
        before += !(logits[c] <= own) || (logits[c] == own && c < label);
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        before += __shfl_xor_sync(0xffffffffu, before, distance);
    return static_cast<uint8_t>(own == own && before < PLACE_LAST ? before : PLACE_LAST);
}

/* log Σ exp(y_c) − y_label, both less the greatest logit; d = softmax(y) − one-hot. By way of Σ exp(y_c − y_greatest)
 * over the others, so that a sure and right guess does not lose its small loss and gradient to the greatest's 1. With
 * smoothing ε: (1 − ε) of that loss and ε of its mean over all labels; d = softmax(y) − (1 − ε) one-hot − ε/classes. */
__device__ __forceinline__ float cross_entropy(const float *logits, int classes, int lane, int label, float smoothing,
                                               struct guess greatest, float scale, float *d_logits)
{
    float others = 0.0f, gaps = 0.0f, even = smoothing / (float)classes;
    for (int c = lane; c < classes; c += WARP) {
        others += c != greatest.label ? expf(logits[c] - greatest.logit) : 0.0f;
        gaps += greatest.logit - logits[c];
    }
    others = sum_over_warp(others);
    for (int c = lane; d_logits != NULL && c < classes; c += WARP) {
        float share = expf(logits[c] - greatest.logit) / (1.0f + others) - (c == label ? 1.0f : 0.0f);
        if (c == label && c == greatest.label)
            share = -others / (1.0f + others);
        d_logits[c] = (share + ((c == label ? smoothing : 0.0f) - even)) * scale;
    }
    float loss = log1pf(others) + (greatest.logit - logits[label]);
    if (smoothing == 0.0f)
        return loss;
    return (1.0f - smoothing) * loss + (smoothing * log1pf(others) + even * sum_over_warp(gaps));
}

/* ½ ‖y − one-hot‖²; d = y − one-hot. A label of −1 is none. */
__device__ __forceinline__ float squared(const float *logits, int classes, int lane, int label, float scale,
                                         float *d_logits)
{
    float squares = 0.0f;
    for (int c = lane; c < classes; c += WARP) {
        float difference = logits[c] - (c == label ? 1.0f : 0.0f);
        squares += difference * difference;
        if (d_logits != NULL)
            d_logits[c] = difference * scale;
    }
    return 0.5f * sum_over_warp(squares);
}

/* Rows that are not real have neither loss nor gradient, whatever their logits and labels. */
__device__ __forceinline__ void clear_row(const struct loss &c, size_t row, int lane)
{
    for (int i = lane; c.d_logits != NULL && i < c.classes; i += WARP)
        c.d_logits[row * (unsigned)c.classes + i] = 0.0f;
    if (lane == 0) {
        c.losses[row] = 0.0f;
        c.places[row] = PLACE_LAST;
    }
}

template <bool ENTROPY> __global__ void loss_rows(struct loss c)
{
    int lane = (int)threadIdx.x;
    size_t row = (size_t)blockIdx.x * ROWS + threadIdx.y;
    if (row >= c.batch)
        return;
    if (row >= *c.real) {
        clear_row(c, row, lane);
        return;
    }
    const float *logits = c.logits + row * (unsigned)c.classes;
    float *d_logits = c.d_logits != NULL ? c.d_logits + row * (unsigned)c.classes : NULL;
    int label = c.labels != NULL ? c.labels[row] : -1;
    float scale = (c.loss_scale != NULL ? *c.loss_scale : 1.0f) / (float)*c.real;
    struct guess best = {};
    if (ENTROPY)
        best = guess_of(logits, c.classes, lane);
    float value = ENTROPY ? cross_entropy(logits, c.classes, lane, label, c.smoothing, best, scale, d_logits)
                          : squared(logits, c.classes, lane, label, scale, d_logits);
    uint8_t place = place_of_label(logits, c.classes, lane, label);
    if (lane == 0) {
        c.losses[row] = value;
        c.places[row] = place;
    }
}

struct row_sums {
    double loss;
    unsigned correct, correct_top5;
};

/* Every thread of the block has the sums of as many rows, in their order; thread 0 gets those of all. */
__device__ __forceinline__ struct row_sums sum_over_block(struct row_sums own)
{
    __shared__ double losses[SUM_THREADS];
    __shared__ unsigned correct[SUM_THREADS], correct_top5[SUM_THREADS];
    unsigned thread = threadIdx.x;
    for (unsigned distance = 1; distance < SUM_THREADS; distance *= 2) {
        losses[thread] = own.loss;
        correct[thread] = own.correct;
        correct_top5[thread] = own.correct_top5;
        __syncthreads();
        if (thread % (2 * distance) == 0) {
            own.loss += losses[thread + distance];
            own.correct += correct[thread + distance];
            own.correct_top5 += correct_top5[thread + distance];
        }
        __syncthreads();
    }
    return own;
}

/* One block. What the host waits for is written last. */
__global__ void loss_total(size_t batch, const float *losses, const uint8_t *places, const uint32_t *real,
                           const uint64_t *serial, struct cuda_outcome *outcomes, int outcome_count)
{
    struct cuda_outcome *outcome = outcomes + *serial % static_cast<unsigned>(outcome_count);
    size_t rows = (batch + SUM_THREADS - 1) / SUM_THREADS, first = threadIdx.x * rows;
    struct row_sums own = {0.0, 0, 0};
    for (size_t row = first; row < min(first + rows, batch); row++) {
        own.loss += losses[row];
        own.correct += places[row] == 0;
        own.correct_top5 += places[row] < CUDA_TOP5;
    }
    own = sum_over_block(own);
    if (threadIdx.x > 0)
        return;
    double mean = *real > 0 ? own.loss / *real : 0.0;
    outcome->loss = mean;
    outcome->correct = own.correct;
    outcome->correct_top5 = own.correct_top5;
    outcome->finite = mean - mean == 0.0;
    __threadfence_system();
    *const_cast<volatile uint64_t *>(&outcome->serial) = *serial;
}

int cuda_loss(struct CUstream_st *stream, const struct cuda_loss *loss, const float *logits, const int32_t *labels,
              const uint32_t *real, const float *loss_scale, float *d_logits, float *losses, uint8_t *places,
              const uint64_t *serial, struct cuda_outcome *outcomes, int outcome_count)
{
    float smoothing = static_cast<float>(loss->label_smoothing);
    struct loss c = {loss->batch, loss->classes, smoothing, logits, labels, real, loss_scale, d_logits, losses, places};
    if (loss->kind == CUDA_LOSS_SQUARED_NORM)
        c.labels = NULL;
    auto rows = loss->kind == CUDA_LOSS_CROSS_ENTROPY ? loss_rows<true> : loss_rows<false>;
    int error = LAUNCH(rows, (unsigned)((loss->batch + ROWS - 1) / ROWS), dim3(WARP, ROWS), stream, c);
    if (error != 0)
        return error;
    return LAUNCH(loss_total, 1, SUM_THREADS, stream, loss->batch, losses, places, real, serial, outcomes,
                  outcome_count);
}
