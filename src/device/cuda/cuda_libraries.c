/* Loading cuBLAS, cuDNN and NCCL. */
#include "device/cuda/cuda_libraries.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

struct symbol {
    const char *name;
    size_t offset; /* in its struct */
};

#define SYMBOL(member, function)                          \
    {                                                     \
        function, offsetof(struct cuda_libraries, member) \
    }

static const struct symbol cublas_symbols[] = {
    SYMBOL(cublas_create, "cublasCreate_v2"),
    SYMBOL(cublas_destroy, "cublasDestroy_v2"),
    SYMBOL(cublas_set_stream, "cublasSetStream_v2"),
    SYMBOL(cublas_set_workspace, "cublasSetWorkspace_v2"),
    SYMBOL(cublas_gemm, "cublasGemmEx"),
    SYMBOL(cublas_status_string, "cublasGetStatusString"),
    SYMBOL(cublas_version, "cublasGetVersion_v2"),
    {NULL, 0},
};

static const struct symbol cudnn_symbols[] = {
    SYMBOL(cudnn_create, "cudnnCreate"),
    SYMBOL(cudnn_destroy, "cudnnDestroy"),
    SYMBOL(cudnn_set_stream, "cudnnSetStream"),
    SYMBOL(cudnn_version, "cudnnGetVersion"),
    SYMBOL(cudnn_error_string, "cudnnGetErrorString"),
    SYMBOL(cudnn_last_error, "cudnnGetLastErrorString"),
    SYMBOL(cudnn_create_descriptor, "cudnnBackendCreateDescriptor"),
    SYMBOL(cudnn_destroy_descriptor, "cudnnBackendDestroyDescriptor"),
    SYMBOL(cudnn_set_attribute, "cudnnBackendSetAttribute"),
    SYMBOL(cudnn_get_attribute, "cudnnBackendGetAttribute"),
    SYMBOL(cudnn_finalize, "cudnnBackendFinalize"),
    SYMBOL(cudnn_execute, "cudnnBackendExecute"),
    {NULL, 0},
};

#define NCCL_SYMBOL(member, function)                   \
    {                                                   \
        function, offsetof(struct nccl_library, member) \
    }

static const struct symbol nccl_symbols[] = {
    NCCL_SYMBOL(get_unique_id, "ncclGetUniqueId"),     NCCL_SYMBOL(comm_init, "ncclCommInitRank"),
    NCCL_SYMBOL(comm_destroy, "ncclCommDestroy"),      NCCL_SYMBOL(comm_abort, "ncclCommAbort"),
    NCCL_SYMBOL(async_error, "ncclCommGetAsyncError"), NCCL_SYMBOL(all_reduce, "ncclAllReduce"),
    NCCL_SYMBOL(error_string, "ncclGetErrorString"),   {NULL, 0},
};

/* Written once, under the mutex, before anybody reads them. */
static struct cuda_libraries loaded;
static struct nccl_library loaded_nccl;
static bool is_loaded, is_nccl_loaded;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* The library that this build was made with, then the folder it lay in, then what the loader calls by that name. */
static void *open_library(const char *name, int major)
{
    char path[512];
    snprintf(path, sizeof path, "lib%s.so.%d", name, major);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library != NULL)
        return library;
    snprintf(path, sizeof path, "%s/lib%s.so.%d", GRAPEVINE_CUDA_LIBRARIES, name, major);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

/* The functions may be in this program already: then no library is opened. */
static enum status load(const char *name, int major, const struct symbol *symbols, void *out)
{
    void *library = dlsym(RTLD_DEFAULT, symbols[0].name) != NULL ? RTLD_DEFAULT : open_library(name, major);
    if (library == NULL && dlsym(RTLD_DEFAULT, symbols[0].name) == NULL) {
        log_error("device.name=cuda needs lib%s.so.%d: %s; install it (cuBLAS comes with the CUDA Toolkit, cuDNN and "
                  "NCCL by themselves), or name its folder in LD_LIBRARY_PATH, or set device.name=cpu",
                  name, major, dlerror());
        return STATUS_MACHINE;
    }
    for (const struct symbol *symbol = symbols; symbol->name != NULL; symbol++) {
        void *function = dlsym(library, symbol->name);
        if (function == NULL) {
            log_error("lib%s.so.%d has no function %s: it is older than this build needs; update it, or set "
                      "device.name=cpu",
                      name, major, symbol->name);
            return STATUS_MACHINE;
        }
        memcpy((char *)out + symbol->offset, &function, sizeof function);
    }
    return STATUS_OK;
}

enum status cuda_libraries_load(void)
{
    enum status status = STATUS_OK;
    pthread_mutex_lock(&mutex);
    if (!is_loaded) {
        status = load("cublas", CUBLAS_VER_MAJOR, cublas_symbols, &loaded);
        if (status == STATUS_OK)
            status = load("cudnn", CUDNN_MAJOR, cudnn_symbols, &loaded);
        is_loaded = status == STATUS_OK;
    }
    pthread_mutex_unlock(&mutex);
    return status;
}

const struct cuda_libraries *cuda_libraries(void)
{
    return &loaded;
}

enum status nccl_library_load(void)
{
    enum status status = STATUS_OK;
    pthread_mutex_lock(&mutex);
    if (!is_nccl_loaded) {
        status = load("nccl", NCCL_MAJOR, nccl_symbols, &loaded_nccl);
        is_nccl_loaded = status == STATUS_OK;
    }
    pthread_mutex_unlock(&mutex);
    return status;
}

const struct nccl_library *nccl_library(void)
{
    return &loaded_nccl;
}
