/* Mean softmax cross-entropy over the batch's real images, and its gradient: (softmax − one-hot) / count. Each image
 * in float64, the images summed in order: the loss does not depend on the thread count. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "device/cpu/cpu_net.h"

struct loss_image {
    double loss;
    bool correct;
};

/* One image; `d_logits` may be NULL. */
static struct loss_image image_loss(const struct cpu_shape *shape, const float *logits, size_t n, int32_t label,
                                    float *d_logits, double scale)
{
    size_t best = 0;
    double largest = logits[cpu_shape_index(shape, n, 0, 0, 0)], sum = 0.0;
    for (size_t c = 1; c < shape->channels; c++) {
        double value = logits[cpu_shape_index(shape, n, c, 0, 0)];
        if (value > largest) {
            largest = value;
            best = c;
        }
    }
    for (size_t c = 0; c < shape->channels; c++)
        sum += exp(logits[cpu_shape_index(shape, n, c, 0, 0)] - largest);
    double log_sum = largest + log(sum);
    for (size_t c = 0; d_logits != NULL && c < shape->channels; c++) {
        size_t at = cpu_shape_index(shape, n, c, 0, 0);
        d_logits[at] = (float)(scale * (exp(logits[at] - log_sum) - ((int32_t)c == label ? 1.0 : 0.0)));
    }
    return (struct loss_image){.loss = log_sum - logits[cpu_shape_index(shape, n, (size_t)label, 0, 0)],
                               .correct = best == (size_t)label};
}

void cpu_loss(struct net *net, enum net_mode mode, const struct net_batch *batch, struct net_result *result)
{
    const struct cpu_value *value = &net->values[net->spec.node_count];
    const float *logits = cpu_pointer(net, value->data);
    float *d_logits = mode == NET_TRAIN ? cpu_pointer(net, value->gradient[0]) : NULL;
    double scale = 1.0 / (double)batch->count;
    if (d_logits != NULL)
        memset(d_logits, 0, cpu_shape_count(&value->shape) * sizeof *d_logits);
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t n = 0; n < batch->count; n++) {
        assert(batch->labels[n] >= 0 && (size_t)batch->labels[n] < value->shape.channels);
        struct loss_image image = image_loss(&value->shape, logits, n, batch->labels[n], d_logits, scale);
        net->losses[n] = image.loss;
        net->hits[n] = image.correct;
    }
    *result = (struct net_result){0};
    for (size_t n = 0; n < batch->count; n++) {
        result->loss += net->losses[n] * scale;
        result->correct += net->hits[n];
    }
    result->finite = isfinite(result->loss);
}
