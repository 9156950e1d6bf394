/* What the MPI library says of GPU memory. The function is no part of MPI, and the header that declares it differs from
 * library to library: it is looked up in what is loaded. */
#include "runtime/mpi/gpu_memory.h"

#include <dlfcn.h>
#include <string.h>

enum gpu_memory_in_mpi gpu_memory_in_mpi(void)
{
    int (*query)(void) = NULL;
    void *found = dlsym(RTLD_DEFAULT, "MPIX_Query_cuda_support");
    if (found == NULL)
        return GPU_MEMORY_UNKNOWN;
    memcpy(&query, &found, sizeof query);
    return query() == 1 ? GPU_MEMORY_KNOWN : GPU_MEMORY_REFUSED;
}
