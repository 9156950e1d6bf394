/* Vector operations: kernels on the state stream. */
#include "device/cuda/cuda_backend.h"
#include "device/cuda/cuda_net.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "kernels/cuda_distance.h"

enum status cuda_vector_alloc(struct device *device, size_t count, float **out)
{
    cuda_enter(device);
    TRY(cuda_alloc(count * sizeof(float), "a vector of parameters", out));
    TRY_CUDA("clearing a vector", cudaMemsetAsync(*out, 0, count * sizeof(float), device->state));
    return STATUS_OK;
}

void cuda_vector_free(struct device *device, float *vector)
{
    cuda_enter(device);
    cuda_note(device, "freeing a vector", (int)cudaFree(vector));
}

static bool within(const float *pointer, const float *first, size_t count)
{
    return pointer >= first && pointer < first + count;
}

/* Where a network writes the vector, the state stream waits for what it is computing. */
static void wait_for_networks(struct device *device, const float *vector)
{
    for (int k = 0; k < device->net_count; k++) {
        const struct net *net = device->nets[k];
        if (within(vector, net->gradient, net->spec.parameter_size) ||
            within(vector, net->buffers, net->spec.buffer_size))
            cuda_note(device, "order of streams", (int)cudaStreamWaitEvent(device->state, net->done, 0));
    }
}

void cuda_vector_read(struct device *device, const float *vector, size_t count, float *host)
{
    cuda_enter(device);
    wait_for_networks(device, vector);
    cuda_note(device, "reading a vector",
              (int)cudaMemcpyAsync(host, vector, count * sizeof *host, cudaMemcpyDeviceToHost, device->state));
    cuda_note(device, "reading a vector", (int)cudaStreamSynchronize(device->state));
}

void cuda_vector_write(struct device *device, float *vector, size_t count, const float *host)
{
    cuda_enter(device);
    wait_for_networks(device, vector);
    cuda_note(device, "writing a vector",
              (int)cudaMemcpyAsync(vector, host, count * sizeof *host, cudaMemcpyHostToDevice, device->state));
    cuda_note(device, "writing a vector", (int)cudaStreamSynchronize(device->state));
}

/* The network that has computed this gradient, or NULL: several may write to it, for pictures of different sizes. */
static struct net *net_of(const struct device *device, const float *g)
{
    struct net *last = NULL;
    for (int k = 0; k < device->net_count; k++) {
        struct net *net = device->nets[k];
        if (net->gradient == g && (last == NULL || net->last_trained > last->last_trained))
            last = net;
    }
    return last;
}

/* The factor that clipping asks for, or a gradient that is not finite, left in device memory. Of fp16 such gradients
 * are nothing to tell of: they move the loss scale. Where many workers apply one mean gradient, each leaves it out, and
 * the first alone moves the scale. */
static const float *clip(struct device *device, const struct update_coefficients *c, size_t count, const float *g)
{
    struct net *net = net_of(device, g);
    bool scales = net != NULL && net->scaling != NULL, moves = scales && net->scaled != net->trained;
    const struct cuda_sums *sums = &device->state_sums;
    struct cuda_scaling *scaling = moves ? net->scaling : NULL;
    if (moves)
        net->scaled = net->trained;
    cuda_note(device, "norm of the gradient", cuda_sum_squares(device->state, count, g, sums->parts, sums->sum));
    cuda_note(device, "clipping",
              cuda_clip(device->state, sums->sum, c->clip_norm, device->clip_scale,
                        scales ? NULL : device->left_out_on_device, scaling != NULL ? &scaling->loss_scale : NULL,
                        scaling != NULL ? &scaling->unscale : NULL, scaling != NULL ? &scaling->good_steps : NULL));
    return device->clip_scale;
}

uint64_t cuda_vector_left_out(struct device *device)
{
    return __atomic_load_n(device->left_out, __ATOMIC_RELAXED);
}

bool cuda_vector_update(struct device *device, bool shared, const struct update_coefficients *c, size_t count,
                        size_t decayed, float *x, float *x_tilde, float *m, const float *g, struct net *net)
{
    cuda_enter(device);
    const struct cuda_update update = {.mix = (float)c->mix,
                                       .learning_rate = (float)c->learning_rate,
                                       .momentum = (float)c->momentum,
                                       .weight_decay = (float)c->weight_decay,
                                       .nesterov = c->nesterov};
    (void)shared;
    wait_for_networks(device, g);
    const float *scale = clip(device, c, count, g);
    if (net == NULL) {
        cuda_note(device, "gradient event",
                  cuda_update(device->state, &update, scale, count, decayed, x, x_tilde, m, g));
        return false;
    }
    cuda_note(device, "order of streams", (int)cudaStreamWaitEvent(device->state, net->done, 0)); /* it reads w */
    cuda_note(device, "gradient event",
              cuda_update_working(device->state, &update, scale, count, decayed, x, x_tilde, m, g, net->tiles,
                                  net->tile_count, &net->working));
    return true;
}

void cuda_vector_pair(struct device *device, bool shared, const struct pair_coefficients *c, size_t count, float *x,
                      float *x_tilde, const float *own, const float *peer)
{
    cuda_enter(device);
    (void)shared;
    cuda_note(
        device, "pair event",
        cuda_pair(device->state, (float)c->mix, (float)c->alpha, (float)c->alpha_tilde, count, x, x_tilde, own, peer));
}

void cuda_vector_snapshot(struct device *device, bool shared, double mix, size_t count, const float *x,
                          const float *x_tilde, float *out)
{
    cuda_enter(device);
    (void)shared;
    wait_for_networks(device, x);
    wait_for_networks(device, out);
    cuda_note(device, "snapshot", cuda_snapshot(device->state, (float)mix, count, x, x_tilde, out));
}

void cuda_vector_add(struct device *device, size_t count, const float *part, float *sum)
{
    cuda_enter(device);
    wait_for_networks(device, part);
    wait_for_networks(device, sum);
    cuda_note(device, "sum of vectors", cuda_add(device->state, CUDA_FP32, count, sum, part));
}

void cuda_vector_scale(struct device *device, size_t count, float factor, float *v)
{
    cuda_enter(device);
    wait_for_networks(device, v);
    cuda_note(device, "scaling a vector", cuda_scale(device->state, count, factor, v));
}

/* --- for the communication thread: on a stream of its own, behind the state work called so far but not what is called
 * later --- */

/* Bring the word that the side stream's kernels have left to the host. */
static int finish_side(struct device *device)
{
    const struct cuda_sums *sums = &device->side_sums;
    int code = (int)cudaMemcpyAsync(sums->host, sums->sum, sizeof *sums->host, cudaMemcpyDeviceToHost, device->side);
    return code != 0 ? code : (int)cudaStreamSynchronize(device->side);
}

static int side_sum_squares(struct device *device, size_t count, const float *v)
{
    const struct cuda_sums *sums = &device->side_sums;
    cudaEvent_t event;
    int code = cuda_ring_begin(device, &device->rings[CUDA_RING_SIDE], &event);
    if (code == 0)
        code = cuda_sum_squares(device->side, count, v, sums->parts, sums->sum);
    return code != 0 ? code : finish_side(device);
}

static double compute_sum_squares(struct device *device, size_t count, const float *v)
{
    const struct cuda_sums *sums = &device->state_sums;
    wait_for_networks(device, v);
    cuda_note(device, "norm of a vector", cuda_sum_squares(device->state, count, v, sums->parts, sums->sum));
    cuda_note(device, "norm of a vector",
              (int)cudaMemcpyAsync(sums->host, sums->sum, sizeof *sums->host, cudaMemcpyDeviceToHost, device->state));
    cuda_note(device, "norm of a vector", (int)cudaStreamSynchronize(device->state));
    return *sums->host;
}

/* The same number on either stream. Each has scratch of its own: the two threads may want sums at once. */
double cuda_vector_sum_squares(struct device *device, bool shared, size_t count, const float *v)
{
    cuda_enter(device);
    if (shared)
        return compute_sum_squares(device, count, v);
    pthread_mutex_lock(&device->copies);
    int code = side_sum_squares(device, count, v);
    double result = code == 0 ? *device->side_sums.host : NAN;
    cuda_note(device, "norm of a snapshot", code);
    pthread_mutex_unlock(&device->copies);
    return result;
}

static int distance(struct device *device, size_t count, const float *own, const float *peer)
{
    const struct cuda_sums *sums = &device->side_sums;
    cudaEvent_t event;
    int code = cuda_ring_begin(device, &device->rings[CUDA_RING_SIDE], &event);
    if (code == 0)
        code = cuda_pair_distance(device->side, count, own, peer, sums->parts, sums->sum);
    return code != 0 ? code : finish_side(device);
}

double cuda_vector_distance(struct device *device, size_t count, const float *own, const float *peer)
{
    cuda_enter(device);
    pthread_mutex_lock(&device->copies);
    int code = distance(device, count, own, peer);
    double result = code == 0 ? *device->side_sums.host : NAN;
    cuda_note(device, "distance of snapshots", code);
    pthread_mutex_unlock(&device->copies);
    return result;
}

static int digest(struct device *device, size_t count, const float *v)
{
    const struct cuda_sums *sums = &device->side_sums;
    cudaEvent_t event;
    int code = cuda_ring_begin(device, &device->rings[CUDA_RING_SIDE], &event);
    if (code == 0)
        code = cuda_digest(device->side, count, v, sums->parts, sums->sum);
    return code != 0 ? code : finish_side(device);
}

uint64_t cuda_vector_digest(struct device *device, size_t count, const float *v)
{
    uint64_t result = 0;
    static_assert(sizeof result == sizeof *device->side_sums.host, "a digest takes the place of a sum");
    cuda_enter(device);
    pthread_mutex_lock(&device->copies);
    int code = digest(device, count, v);
    if (code == 0)
        memcpy(&result, device->side_sums.host, sizeof result);
    cuda_note(device, "digest of a snapshot", code);
    pthread_mutex_unlock(&device->copies);
    return result;
}

/* --- many vectors --- */

/* The array of pointers, on the device: it grows with the largest call. */
static int upload_pointers(struct device *device, int vector_count, const float *const *vectors)
{
    size_t bytes = (size_t)vector_count * sizeof vectors[0];
    if (vector_count > device->pointer_count) {
        int code = (int)cudaFree(device->pointers);
        device->pointers = NULL;
        device->pointer_count = 0;
        if (code == 0)
            code = (int)cudaMalloc((void **)&device->pointers, bytes);
        if (code != 0)
            return code;
        device->pointer_count = vector_count;
    }
    return (int)cudaMemcpyAsync((void *)device->pointers, vectors, bytes, cudaMemcpyHostToDevice, device->state);
}

double cuda_vector_spread(struct device *device, int vector_count, size_t count, const float *const *vectors,
                          float *mean)
{
    const struct cuda_sums *sums = &device->state_sums;
    cuda_enter(device);
    int code = upload_pointers(device, vector_count, vectors);
    if (code == 0)
        code = cuda_spread(device->state, vector_count, count, device->pointers, mean, sums->parts, sums->sum);
    if (code == 0)
        code = (int)cudaMemcpyAsync(sums->host, sums->sum, sizeof *sums->host, cudaMemcpyDeviceToHost, device->state);
    if (code == 0)
        code = (int)cudaStreamSynchronize(device->state);
    cuda_note(device, "distance of vectors to their mean", code);
    return code == 0 ? *sums->host : (double)NAN;
}
