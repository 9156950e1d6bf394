/* The GPU of a rank: streams, handles, and the order among them. Private to this folder.
 *
 * Three kinds of work run beside one another:
 *
 *     compute   forward and backward passes: reads working copies, writes gradients, in the order of the compute thread
 *     state     everything on vectors (update, pair, snapshot, cast): in the order of the calls, which the runtime's
 * lock               makes the order of events
 *     copies    out, in and side: the exchange's transfers
 *
 * State waits for compute only where it touches what the network writes (its gradient, its statistics, its working
 * copy); compute waits for all state work called before a forward pass. So an exchange may land in the middle of a
 * gradient, and neither waits for the other's transfer. */
#ifndef GRAPEVINE_DEVICE_CUDA_DEVICE_H
#define GRAPEVINE_DEVICE_CUDA_DEVICE_H

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "device/cuda/cuda_call.h"
#include "device/device.h"
#include "kernels/cuda_types.h"

enum { CUDA_RING_EVENTS = 64, CUDA_NETS = 16 };

enum cuda_precision { PRECISION_AUTO, PRECISION_FP32, PRECISION_TF32, PRECISION_BF16, PRECISION_FP16 };

/* Scratch of one stream's reductions. */
struct cuda_sums {
    double *parts; /* owned (CUDA_SUM_PARTS), device memory */
    double *sum;   /* owned (1), device memory */
    double *host;  /* owned (1), pinned */
};

/* What is waited for by events: a stream has a ring of them, so that a later one is no sooner done. */
enum cuda_ring_name { CUDA_RING_OUT, CUDA_RING_IN, CUDA_RING_SIDE, CUDA_RING_STATE, CUDA_RINGS };

struct cuda_ring {
    cudaStream_t stream;                  /* borrowed from the device */
    cudaEvent_t events[CUDA_RING_EVENTS]; /* owned */
    uint64_t used;                        /* so far; number k was events[k mod CUDA_RING_EVENTS] */
};

struct cuda_scaling { /* device memory: fp16 only */
    float loss_scale, unscale;
    uint32_t good_steps, unused;
};

struct device {
    int index; /* of the GPU */
    enum cuda_precision precision;
    bool deterministic;
    bool checks;   /* $GRAPEVINE_CUDA_CHECK: wait for each operation, so that a failure has its name */
    char gpu[256]; /* its name */
    cudaStream_t compute, state, out, in, side;
    cudaEvent_t state_done;
    cublasHandle_t cublas; /* on `compute` */
    cudnnHandle_t cudnn;   /* on `compute` */
    void *cublas_workspace;
    struct cuda_sums state_sums, side_sums;
    float *clip_scale;  /* owned (1), device memory */
    uint64_t *left_out; /* owned (1), pinned and mapped: gradients that were not finite; the device writes it */
    uint64_t *left_out_on_device;
    const float **pointers; /* owned (pointer_count), device memory: the vectors of a spread */
    int pointer_count;
    pthread_mutex_t copies; /* guards what the rings have used, and the side stream's scratch */
    struct cuda_ring rings[CUDA_RINGS];
    /* Networks of this device; by the compute thread. */
    struct net *nets[CUDA_NETS];
    int net_count;
    uint64_t trained;            /* forward passes in NET_TRAIN of all of them */
    struct cuda_scaling scaling; /* what the last one that trained and is gone had come to; loss_scale 0: none */
    atomic_int failed; /* a vector operation's status, logged: the next network call returns it. Of either thread; set
                        * once, and nothing else is published through it */
};

/* Device memory, not set; NULL for 0 bytes. What it is for stands in the message when there is too little. */
enum status cuda_alloc(size_t bytes, const char *purpose, void *out);
/* Pinned host memory, zeroed. */
enum status cuda_alloc_host(size_t bytes, void *out);

/* Note a failure of work that cannot report it; the first is logged. */
void cuda_note(struct device *device, const char *operation, int code);
/* What was noted. */
enum status cuda_failed(struct device *device);

/* The GPU of a rank is chosen thread by thread: whatever launches kernels by a thread that may not be the one that
 * created the device calls this first. */
void cuda_enter(struct device *device);

/* Let a ring's stream wait for the state work called so far: code of CUDA, and the event to be recorded at the end of
 * what comes next. Under `copies`. */
int cuda_ring_begin(struct device *device, struct cuda_ring *ring, cudaEvent_t *event);

/* A copy on the ring's stream, behind the state work called so far; count 0: that work alone. `strict`: after a failure
 * the ticket is never done. */
uint64_t cuda_begin_copy(struct device *device, enum cuda_ring_name ring, bool strict, const float *from, size_t count,
                         float *to);

#endif
