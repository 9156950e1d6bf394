/* A device: where vectors live and networks run. A backend is a folder (cpu/, cuda/) that fills in device_ops.
 *
 * Vectors are flat fp32 arrays of device memory, in the canonical layout of net_spec.h. They may be plain memory of the
 * host (`host_memory`) or not: whoever wants their values reads them with vector_read. Calls are made by one thread at
 * a time for networks (the compute thread), while vector operations may be called by the compute thread and the
 * communication thread at once, on vectors that the caller's lock keeps apart. `shared` selects how many threads a
 * vector operation may use: the compute thread passes true (all of the device's threads), the communication thread
 * false (its own only).
 *
 * Order: operations take effect as if each were done when it is called. A device with a queue of its own may still be
 * at work when a call returns; calls that hand values to the host (vector_read, sum_squares, pair_distance, spread,
 * digest, net_result, net_logits) wait for them, copy_out and copy_in say when they are done.
 *
 * Errors: the machine's (memory, library) are logged where they are detected and returned as STATUS_MACHINE; those of
 * work in a queue come out of the next net_result or net_forward, or of health, under the operation's name. */
#ifndef GRAPEVINE_DEVICE_DEVICE_H
#define GRAPEVINE_DEVICE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "device/net_spec.h"

struct device; /* a backend's own */
struct net;    /* a compiled network, a backend's own */

struct device_params {
    const char *name;      /* "auto", "cpu", "cuda" */
    int threads;           /* CPU threads of the compute thread, ≥ 1 */
    const char *precision; /* "auto", "fp32", … as the backend offers */
    bool deterministic;    /* the same input gives the same bits, where the backend could be faster otherwise */
    int local_rank;        /* GPU = local_rank mod device count */
    /* Once it is true, a pass of a network that takes long may be broken off: STATUS_REQUEUE. NULL: never. */
    bool (*cancel)(void);
};

/* Constants of one gradient event, kernels/update.h has the formulas. */
struct update_coefficients {
    double mix;           /* ½(1 − exp(−2ηΔ)); 0 when x̃ is not kept */
    double learning_rate; /* γ */
    double momentum;      /* μ */
    double weight_decay;  /* on the first `decayed` elements */
    double clip_norm; /* gradients of a larger norm ‖g‖ are scaled down: min(1, clip/(‖g‖ + 1e-6)); 0: none */
    bool nesterov;
};

/* Constants of one pair event. */
struct pair_coefficients {
    double mix; /* as above */
    double alpha, alpha_tilde;
};

enum net_mode {
    NET_TRAIN,      /* batch statistics, dropout, running statistics updated */
    NET_STATISTICS, /* as NET_TRAIN without dropout, and no backward pass may follow: recomputes running statistics */
    NET_EVALUATE    /* running statistics, no dropout */
};

struct pictures; /* a set of pictures in device memory, a backend's own */

/* Pictures as bytes, and what makes network inputs of them. Host memory, borrowed during pictures_create. */
struct picture_bytes {
    const uint8_t *pixels; /* (count, channels, height, width) */
    size_t count;
    int channels, height, width;
    const float *normalised; /* (channels, 256): the input that stands for a pixel value */
};

/* One picture of such a set: out of a border of pixel value 0, `row` and `column` say where the crop begins. */
struct picture_pick {
    uint32_t index;
    int8_t row, column;
    uint8_t mirrored, unused;
};

/* One batch, in host memory: inputs, or picks out of a set that lies on the device. It may be overwritten as soon as
 * net_forward has returned. */
struct net_batch {
    const float *images;              /* (batch, channels, height, width), normalised; NULL: picks */
    const struct pictures *pictures;  /* else NULL */
    const struct picture_pick *picks; /* (batch) */
    const int32_t *labels;            /* (batch) in [0, class_count), unless the loss reads none */
    size_t count;                     /* images that are real, ≤ the net's batch; training: equal to it */
};

/* A class comes before the label if its logit is larger, or the same and its number smaller; NaN is larger than any
 * number, and a label whose own logit is NaN is no hit. Both counts are 0 where the loss reads no labels. */
struct net_result {
    double loss;         /* mean over `count` of the loss that the specification names */
    size_t correct;      /* no class comes before the label */
    size_t correct_top5; /* fewer than NET_TOP5 classes do */
    bool finite;         /* loss is finite */
};

enum { NET_TOP5 = 5 };

enum { DEVICE_NAME_BYTES = 128 };

struct device_group; /* the devices of all ranks, a backend's own */

enum { NET_RESULTS = 4 }; /* a net remembers the results of its last forward passes, so many */

/* Called by net_backward as soon as elements [first, first + count) of the gradient are final, for calls that follow in
 * the device's order; each element once, in any order of ranges. */
typedef void net_ready_fn(void *context, size_t first, size_t count);

struct device_ops {
    const char *name;
    bool host_memory; /* vectors are plain pointers into host memory */
    int run_ahead;    /* forward passes that the host should enqueue before it waits for the result of the first:
                       * less than NET_RESULTS; 0: nothing is gained */
    /* This machine can run it: what "auto" asks. */
    bool (*available)(void);
    /* The libraries it needs are there, else STATUS_MACHINE after one message. */
    enum status (*check)(void);
    /* Library versions and the processor, on one line, for `grapevine doctor`. */
    void (*describe)(char *text, size_t size);

    enum status (*create)(const struct device_params *params, struct device **out);
    void (*destroy)(struct device *device);

    /* Vectors: zeroed, aligned; `vector_free` takes NULL. */
    enum status (*vector_alloc)(struct device *device, size_t count, float **out);
    void (*vector_free)(struct device *device, float *vector);
    void (*vector_read)(struct device *device, const float *vector, size_t count, float *host);
    void (*vector_write)(struct device *device, float *vector, size_t count, const float *host);
    /* Has everything gone well that a vector_read so far has waited for? What it brought is to be kept only then. */
    enum status (*health)(struct device *device);

    /* Gradient event (kernels/update.h): advance, then x and x̃ −= γ·direction. x_tilde may be NULL. A gradient that is
     * not finite is left out: advance only, m stays. Where the backend can, the working copy of `net` (NULL: none) is
     * made of the new x in the same pass; true if it was. */
    bool (*update)(struct device *device, bool shared, const struct update_coefficients *c, size_t count,
                   size_t decayed, float *x, float *x_tilde, float *m, const float *g, struct net *net);
    /* How many gradients have been left out so far, but for those that fp16's loss scale provokes. A device with a
     * queue of its own may not yet know of the last. */
    uint64_t (*left_out)(struct device *device);
    /* Pair event (kernels/pair.h): advance, then x −= α·(own − peer), x̃ −= α̃·(own − peer). x_tilde may be NULL. */
    void (*pair)(struct device *device, bool shared, const struct pair_coefficients *c, size_t count, float *x,
                 float *x_tilde, const float *own, const float *peer);
    /* out = x advanced by `mix`, x and x̃ unchanged. x_tilde may be NULL: a copy. */
    void (*snapshot)(struct device *device, bool shared, double mix, size_t count, const float *x, const float *x_tilde,
                     float *out);
    /* sum += part, and v *= factor: by the compute thread, with all of the device's threads. */
    void (*add)(struct device *device, size_t count, const float *part, float *sum);
    void (*scale)(struct device *device, size_t count, float factor, float *v);
    /* Σ v², in float64, in an order that depends on `count` alone. */
    double (*sum_squares)(struct device *device, bool shared, size_t count, const float *v);
    /* ½‖own − peer‖², or for a long vector an estimate from a sample of it. */
    double (*pair_distance)(struct device *device, size_t count, const float *own, const float *peer);
    /* Σ_i ‖v_i − mean‖² over `vector_count` vectors, in float64, in an order that depends on the counts alone, and
     * their mean (count) as a vector; `mean` may be NULL. By the compute thread, with all of the device's threads. */
    double (*spread)(struct device *device, int vector_count, size_t count, const float *const *vectors, float *mean);

    /* kernel_digest (kernels/vector_digest.h) of the vector as the operations called so far leave it: by the
     * communication thread. */
    uint64_t (*digest)(struct device *device, size_t count, const float *v);

    /* Copies beside the computation, by the communication thread: `copy_out` begins to bring device memory, as it is
     * after the operations called so far, to the host, `copy_in` the other way; operations called after copied() was
     * true see the new values. Host memory that was pinned is copied faster. */
    uint64_t (*copy_out)(struct device *device, const float *from, size_t count, float *host);
    uint64_t (*copy_in)(struct device *device, const float *host, size_t count, float *to);
    bool (*copied)(struct device *device, uint64_t ticket);
    enum status (*pin)(struct device *device, void *memory, size_t bytes);
    void (*unpin)(struct device *device, void *memory);

    /* Vectors of another process on the same node, put into from device to device. NULL where the backend cannot.
     * `alloc_shared` makes a zeroed vector that others may put into, and its name; vector_free, once nobody has it
     * open. `open_shared` maps the vector of that name, which is another process', until `close_shared`: each once.
     * `copy_across` begins to copy into it, after the operations called so far, and is done when copied() says so: what
     * the other process calls from then on sees the values. `mark` copies nothing: it is done when the operations
     * called so far are. No order holds between the queues of two processes: who lets others put into a vector again
     * waits for a mark behind whatever reads it. After a failure neither is ever done, and the next network call
     * reports it. STATUS_MACHINE where the two GPUs cannot reach one another. */
    enum status (*alloc_shared)(struct device *device, size_t count, float **out,
                                unsigned char name[DEVICE_NAME_BYTES]);
    enum status (*open_shared)(struct device *device, const unsigned char name[DEVICE_NAME_BYTES], float **out);
    void (*close_shared)(struct device *device, float *vector);
    uint64_t (*copy_across)(struct device *device, const float *from, size_t count, float *to);
    uint64_t (*mark)(struct device *device);

    /* Means over the devices of all ranks, beside the computation. NULL where the backend cannot. One rank makes the
     * name, all open the group with it (collective; STATUS_MACHINE where the devices cannot form one, as where two
     * ranks share a GPU). `group_mean` begins to replace `values` by their mean over the ranks, after what the compute
     * thread has called so far: from within net_ready_fn, after what made them final; `group_join` makes all later
     * operations wait for the means begun so far. By the compute thread, the same calls on every rank. */
    enum status (*group_name)(unsigned char name[DEVICE_NAME_BYTES]);
    enum status (*group_open)(struct device *device, const unsigned char name[DEVICE_NAME_BYTES], int rank, int size,
                              struct device_group **out);
    void (*group_close)(struct device_group *group); /* NULL is fine */
    enum status (*group_mean)(struct device_group *group, float *values, size_t count);
    enum status (*group_join)(struct device_group *group);
    /* Are the means of all joins but the last `age` < NET_RESULTS done? Never waits. */
    bool (*group_done)(struct device_group *group, int age);

    /* A set of pictures kept on the device, for picks. NULL where inputs are best made by the host. STATUS_MACHINE
     * where the device has not the memory. */
    enum status (*pictures_create)(struct device *device, const struct picture_bytes *bytes, struct pictures **out);
    void (*pictures_destroy)(struct pictures *pictures); /* NULL is fine */

    /* Networks. `gradient` (parameter_size) is borrowed for the life of the net. The net owns the working copy w of the
     * parameters (backend layout and type) and works on `buffers` (buffer_size, borrowed) in place. */
    enum status (*net_create)(struct device *device, const struct net_spec *spec, size_t batch, float *gradient,
                              float *buffers, struct net **out);
    void (*net_destroy)(struct net *net); /* NULL is fine */
    /* w ← x: the only writer of the working copy. A failure is logged, and the next net_forward returns it. */
    void (*net_cast)(struct net *net, const float *x);
    /* Forward pass and loss; `dropout_seed` names this step's dropout masks (NET_TRAIN). Keeps what net_backward
     * needs. `result` may be NULL: net_result has it. */
    enum status (*net_forward)(struct net *net, enum net_mode mode, const struct net_batch *batch,
                               uint64_t dropout_seed, struct net_result *result);
    /* The result of the forward pass before which `age` < NET_RESULTS more have been called, 0: of the last; waits for
     * it and for the backward pass that was called after it. */
    enum status (*net_result)(struct net *net, int age, struct net_result *result);
    /* Gradient of the mean loss of the last NET_TRAIN forward into `gradient` (overwritten). `ready` may be NULL. */
    enum status (*net_backward)(struct net *net, net_ready_fn *ready, void *context);
    /* Logits of the last forward pass, (batch, class_count), in host memory. */
    void (*net_logits)(struct net *net, float *host);
    /* What net_create would make, planned the same way and with nothing of it allocated: *bytes as of net_bytes. */
    enum status (*net_plan)(struct device *device, const struct net_spec *spec, size_t batch, size_t *bytes);
    /* Bytes the net holds: activations and their gradients, working weights, scratch. */
    size_t (*net_bytes)(const struct net *net);
};

/* The backend that `params->name` chooses ("auto": the first that this machine can run), or NULL after one
 * logged message. */
const struct device_ops *device_choose(const char *name);
/* The backend of that name, or NULL where this build has none. */
const struct device_ops *device_find(const char *name);

#endif
