/* cuBLAS, cuDNN and NCCL, found when they are needed: a program that does not use a GPU neither needs nor loads them,
 * and a missing one is a message instead of a program that does not start. Private to this folder. */
#ifndef GRAPEVINE_DEVICE_CUDA_LIBRARIES_H
#define GRAPEVINE_DEVICE_CUDA_LIBRARIES_H

#include <cublas_v2.h>
#include <cudnn.h>
#include <nccl.h>

#include "base/status.h"

struct cuda_libraries {
    __typeof__(cublasCreate_v2) *cublas_create;
    __typeof__(cublasDestroy_v2) *cublas_destroy;
    __typeof__(cublasSetStream_v2) *cublas_set_stream;
    __typeof__(cublasSetWorkspace_v2) *cublas_set_workspace;
    __typeof__(cublasGemmEx) *cublas_gemm;
    __typeof__(cublasGetStatusString) *cublas_status_string;
    __typeof__(cublasGetVersion_v2) *cublas_version;
    __typeof__(cudnnCreate) *cudnn_create;
    __typeof__(cudnnDestroy) *cudnn_destroy;
    __typeof__(cudnnSetStream) *cudnn_set_stream;
    __typeof__(cudnnGetVersion) *cudnn_version;
    __typeof__(cudnnGetErrorString) *cudnn_error_string;
    __typeof__(cudnnGetLastErrorString) *cudnn_last_error;
    __typeof__(cudnnBackendCreateDescriptor) *cudnn_create_descriptor;
    __typeof__(cudnnBackendDestroyDescriptor) *cudnn_destroy_descriptor;
    __typeof__(cudnnBackendSetAttribute) *cudnn_set_attribute;
    __typeof__(cudnnBackendGetAttribute) *cudnn_get_attribute;
    __typeof__(cudnnBackendFinalize) *cudnn_finalize;
    __typeof__(cudnnBackendExecute) *cudnn_execute;
};

struct nccl_library {
    __typeof__(ncclGetUniqueId) *get_unique_id;
    __typeof__(ncclCommInitRank) *comm_init;
    __typeof__(ncclCommDestroy) *comm_destroy;
    __typeof__(ncclCommAbort) *comm_abort;
    __typeof__(ncclCommGetAsyncError) *async_error;
    __typeof__(ncclAllReduce) *all_reduce;
    __typeof__(ncclGetErrorString) *error_string;
};

/* Load cuBLAS and cuDNN, once per process. STATUS_MACHINE after one message that names the library and the remedy. */
enum status cuda_libraries_load(void);
/* After that was STATUS_OK. */
const struct cuda_libraries *cuda_libraries(void);

/* The same for NCCL, which only the all-reduce of several GPUs needs. */
enum status nccl_library_load(void);
const struct nccl_library *nccl_library(void);

#endif
