/* Every call of CUDA, cuBLAS and cuDNN is wrapped: it is logged once, where it failed, with the operation's name, the
 * library's own text and, where there is one, a remedy. Private to this folder. */
#ifndef GRAPEVINE_DEVICE_CUDA_CALL_H
#define GRAPEVINE_DEVICE_CUDA_CALL_H

#include "base/status.h"

/* Each logs and returns STATUS_MACHINE; `code` is the library's. */
enum status cuda_call_failed(const char *operation, int code);
enum status cublas_call_failed(const char *operation, int code);
enum status cudnn_call_failed(const char *operation, int code);

#define TRY_CALL(failed, operation, call)            \
    do {                                             \
        int try_code_ = (int)(call);                 \
        if (try_code_ != 0)                          \
            return (failed)((operation), try_code_); \
    } while (0)

#define TRY_CUDA(operation, call) TRY_CALL(cuda_call_failed, operation, call)
#define TRY_CUBLAS(operation, call) TRY_CALL(cublas_call_failed, operation, call)
#define TRY_CUDNN(operation, call) TRY_CALL(cudnn_call_failed, operation, call)

#endif
