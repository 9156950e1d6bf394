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
#include <stdbool.h>

#include "device/cuda/cuda_call.h"
#include "device/device.h"
#include "kernels/cuda_types.h"

enum { CUDA_TICKETS = 256, CUDA_NETS = 16 };

enum cuda_precision { PRECISION_AUTO, PRECISION_FP32, PRECISION_TF32, PRECISION_BF16, PRECISION_FP16 };

/* Scratch of one stream's reductions. */
struct cuda_sums {
    double *parts; /* owned (CUDA_SUM_PARTS), device memory */
    double *sum;   /* owned (1), device memory */
    double *host;  /* owned (1), pinned */
};

struct device {
    int index; /* of the GPU */
    enum cuda_precision precision;
    bool deterministic;
    char gpu[256]; /* its name */
    cudaStream_t compute, state, out, in, side;
    cudaEvent_t state_done;
    cublasHandle_t cublas; /* on `compute` */
    cudnnHandle_t cudnn;   /* on `compute` */
    void *cublas_workspace;
    struct cuda_sums state_sums, side_sums;
    float *clip_scale; /* owned (1), device memory */
    /* Copies: ticket k's event is events[k mod CUDA_TICKETS]. */
    pthread_mutex_t copies; /* guards the two below and the side stream's scratch */
    cudaEvent_t events[CUDA_TICKETS];
    uint64_t tickets;
    /* Networks of this device; by the compute thread. */
    struct net *nets[CUDA_NETS];
    int net_count;
    enum status failed; /* a vector operation's failure, which has been logged: the next network call returns it */
};

/* Device memory, not set; NULL for 0 bytes. What it is for stands in the message when there is too little. */
enum status cuda_alloc(size_t bytes, const char *purpose, void *out);
/* Pinned host memory, zeroed. */
enum status cuda_alloc_host(size_t bytes, void *out);

/* Note a failure of work that cannot report it. */
void cuda_note(struct device *device, const char *operation, int code);

#endif
