/* Does this MPI library know GPU memory ("CUDA-aware")? */
#ifndef GRAPEVINE_RUNTIME_MPI_GPU_MEMORY_H
#define GRAPEVINE_RUNTIME_MPI_GPU_MEMORY_H

enum gpu_memory_in_mpi { GPU_MEMORY_REFUSED, GPU_MEMORY_KNOWN, GPU_MEMORY_UNKNOWN };

/* What the library itself says, at run time: MPIX_Query_cuda_support of Open MPI, MPICH and those made of them. UNKNOWN
 * where it has no such function. After the job has started. */
enum gpu_memory_in_mpi gpu_memory_in_mpi(void);

#endif
