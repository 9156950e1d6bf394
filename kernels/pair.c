/* Pair event and snapshot on flat vectors: one pass each, the formulas of kernels/pair.h. */
#include "kernels/pair.h"

#include <string.h>

#include "kernels/clones.h"

KERNEL_CLONES
static void pair_plain(float alpha, size_t first, size_t last, float *restrict x, const float *restrict own,
                       const float *restrict peer)
{
    for (size_t i = first; i < last; i++)
        x[i] = x[i] - alpha * (own[i] - peer[i]);
}

KERNEL_CLONES
static void pair_tilde(float mix, float alpha, float alpha_tilde, size_t first, size_t last, float *restrict x,
                       float *restrict x_tilde, const float *restrict own, const float *restrict peer)
{
    for (size_t i = first; i < last; i++) {
        float delta = mix * (x_tilde[i] - x[i]);
        float difference = own[i] - peer[i];
        x[i] = (x[i] + delta) - alpha * difference;
        x_tilde[i] = (x_tilde[i] - delta) - alpha_tilde * difference;
    }
}

KERNEL_CLONES
static void snapshot_tilde(float mix, size_t first, size_t last, const float *restrict x, const float *restrict x_tilde,
                           float *restrict out)
{
    for (size_t i = first; i < last; i++)
        out[i] = x[i] + mix * (x_tilde[i] - x[i]);
}

void kernel_pair(float mix, float alpha, float alpha_tilde, size_t first, size_t last, float *x, float *x_tilde,
                 const float *own, const float *peer)
{
    if (x_tilde == NULL)
        pair_plain(alpha, first, last, x, own, peer);
    else
        pair_tilde(mix, alpha, alpha_tilde, first, last, x, x_tilde, own, peer);
}

void kernel_snapshot(float mix, size_t first, size_t last, const float *x, const float *x_tilde, float *out)
{
    if (x_tilde == NULL)
        memcpy(out + first, x + first, (last - first) * sizeof *out);
    else
        snapshot_tilde(mix, first, last, x, x_tilde, out);
}
