/* What is said when a call of CUDA, cuBLAS or cuDNN fails. */
#include "device/cuda/cuda_call.h"

#include <cuda_runtime_api.h>

#include "base/log.h"
#include "device/cuda/cuda_libraries.h"

static const char *remedy_of(cudaError_t code)
{
    switch (code) {
    case cudaErrorNoDevice:
        return "; this machine has no NVIDIA GPU that this process may use: look at nvidia-smi and "
               "CUDA_VISIBLE_DEVICES, or set device.name=cpu";
    case cudaErrorInsufficientDriver:
        return "; the driver is older than this build's CUDA: update the driver, or build with an older toolkit";
    case cudaErrorDevicesUnavailable:
        return "; another process holds the GPU exclusively: see `nvidia-smi -q -d COMPUTE`";
    case cudaErrorNoKernelImageForDevice:
        return "; this build has no code for this GPU: build with CUDA_ARCHITECTURES set to its compute capability";
    case cudaErrorIllegalAddress: /* of a kernel: found by whatever asks next */
    case cudaErrorLaunchFailure:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
        return "; an operation before this one may have failed: GRAPEVINE_CUDA_CHECK=1 in the environment tells which";
    case cudaErrorMemoryAllocation:
        return "; lower train.batch, or let fewer ranks share the GPU";
    default:
        return "";
    }
}

enum status cuda_call_failed(const char *operation, int code)
{
    cudaError_t error = (cudaError_t)code;
    log_on_this_rank(LOG_ERROR, "%s: CUDA: %s (%s)%s", operation, cudaGetErrorString(error), cudaGetErrorName(error),
                     remedy_of(error));
    return STATUS_MACHINE;
}

enum status cublas_call_failed(const char *operation, int code)
{
    log_on_this_rank(LOG_ERROR, "%s: cuBLAS: %s", operation,
                     cuda_libraries()->cublas_status_string((cublasStatus_t)code));
    return STATUS_MACHINE;
}

enum status cudnn_call_failed(const char *operation, int code)
{
    char more[512] = "";
    cuda_libraries()->cudnn_last_error(more, sizeof more);
    log_on_this_rank(LOG_ERROR, "%s: cuDNN: %s%s%s", operation,
                     cuda_libraries()->cudnn_error_string((cudnnStatus_t)code), more[0] != '\0' ? ": " : "", more);
    return STATUS_MACHINE;
}
