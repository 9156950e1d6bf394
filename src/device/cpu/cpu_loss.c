/* The mean loss over the batch's real images, and its gradient in the logits y, divided by `count`:
 * cross-entropy: softmax(y) − target, one-hot or smoothed; squared: y − one-hot; squared norm: y. Each image in
 * float64, the images summed in order: the loss does not depend on the thread count. */
#include <assert.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "device/cpu/cpu_net.h"

/* One image: place of its logit c is cpu_shape_index(shape, n, c, 0, 0). */
struct loss_image {
    const struct cpu_shape *shape;
    const float *logits;
    float *d_logits; /* NULL: not wanted */
    size_t n;
    int32_t label;
    double scale;     /* of the gradient: 1 / count */
    double smoothing; /* of the labels, cross-entropy only */
};

enum { PLACE_LAST = UCHAR_MAX };

static size_t place(const struct loss_image *image, size_t c)
{
    return cpu_shape_index(image->shape, image->n, c, 0, 0);
}

/* The first of the largest logits. */
static size_t arg_max(const struct loss_image *image)
{
    size_t best = 0;
    for (size_t c = 1; c < image->shape->channels; c++)
        if (image->logits[place(image, c)] > image->logits[place(image, best)])
            best = c;
    return best;
}

/* How many classes come before the label (device.h), PLACE_LAST if that many or more do. */
static unsigned char place_of_label(const struct loss_image *image)
{
    double own = image->label >= 0 ? image->logits[place(image, (size_t)image->label)] : (double)NAN;
    size_t before = 0;
    if (isnan(own))
        return PLACE_LAST;
    for (size_t c = 0; c < image->shape->channels && before < PLACE_LAST; c++) {
        double other = image->logits[place(image, c)];
        before += isnan(other) || other > own || (other == own && (int32_t)c < image->label);
    }
    return (unsigned char)before;
}

/* `even`: every class's part of the target, whatever the label. */
static double cross_entropy(const struct loss_image *image)
{
    size_t classes = image->shape->channels;
    double largest = image->logits[place(image, arg_max(image))], sum = 0.0, gaps = 0.0;
    double even = image->smoothing / (double)classes, own = 1.0 - image->smoothing;
    for (size_t c = 0; c < classes; c++)
        sum += exp(image->logits[place(image, c)] - largest);
    double log_sum = largest + log(sum);
    for (size_t c = 0; image->d_logits != NULL && c < classes; c++) {
        double gap = log_sum - image->logits[place(image, c)];
        double target = even + ((int32_t)c == image->label ? own : 0.0);
        image->d_logits[place(image, c)] = (float)(image->scale * (exp(-gap) - target));
        gaps += gap;
    }
    double loss = log_sum - image->logits[place(image, (size_t)image->label)];
    return image->smoothing > 0 ? own * loss + even * gaps : loss;
}

/* A label of −1 is none: the target is 0. */
static double squared(const struct loss_image *image)
{
    double sum = 0.0;
    for (size_t c = 0; c < image->shape->channels; c++) {
        double difference = image->logits[place(image, c)] - ((int32_t)c == image->label ? 1.0 : 0.0);
        sum += difference * difference;
        if (image->d_logits != NULL)
            image->d_logits[place(image, c)] = (float)(image->scale * difference);
    }
    return 0.5 * sum;
}

static void measure(struct net *net, const struct loss_image *image)
{
    net->losses[image->n] = net->spec.loss == NET_LOSS_CROSS_ENTROPY ? cross_entropy(image) : squared(image);
    net->places[image->n] = place_of_label(image);
}

void cpu_loss(struct net *net, enum net_mode mode, const struct net_batch *batch, struct net_result *result)
{
    const struct cpu_value *value = &net->values[net->spec.node_count];
    const float *logits = cpu_pointer(net, value->data);
    float *d_logits = mode == NET_TRAIN ? cpu_pointer(net, value->gradient[0]) : NULL;
    bool labelled = net->spec.loss != NET_LOSS_SQUARED_NORM;
    double scale = 1.0 / (double)batch->count, smoothing = mode == NET_TRAIN ? net->spec.label_smoothing : 0.0;
    if (d_logits != NULL)
        memset(d_logits, 0, cpu_shape_count(&value->shape) * sizeof *d_logits);
#pragma omp parallel for schedule(static) num_threads(net->device->threads)
    for (size_t n = 0; n < batch->count; n++) {
        struct loss_image image = {.shape = &value->shape,
                                   .logits = logits,
                                   .d_logits = d_logits,
                                   .n = n,
                                   .label = labelled ? batch->labels[n] : -1,
                                   .scale = scale,
                                   .smoothing = smoothing};
        assert(!labelled || (image.label >= 0 && (size_t)image.label < value->shape.channels));
        measure(net, &image);
    }
    *result = (struct net_result){0};
    for (size_t n = 0; n < batch->count; n++) {
        result->loss += net->losses[n] * scale;
        result->correct += net->places[n] == 0;
        result->correct_top5 += net->places[n] < NET_TOP5;
    }
    result->finite = isfinite(result->loss);
}
