/* libnccl: all-reduce of the ranks of one machine, by shared memory that the unique id names.
 *
 * Each rank copies a piece into its slot, all wait for each other, each adds the slots in order of the ranks, all wait
 * again. An all-reduce runs when its stream's work runs and blocks until every rank is there; so with several ranks old
 * work runs by itself, or one rank's program could wait for another whose all-reduce nothing forces. */
#include <nccl.h>

#include <algorithm>
#include <atomic>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "emulator.h"

using namespace emulator;

namespace
{

enum { PIECE = 1 << 16 /* floats */, PATIENCE_S = 60 };

struct shared_header {
    std::atomic<uint32_t> joined, arrived, round;
};

struct communicator {
    int rank, size;
    int device;
    shared_header *shared; /* NULL with one rank */
    float *slots;          /* (ranks, PIECE) */
    size_t mapped;
    std::atomic<bool> aborted;
    std::atomic<int> error; /* ncclResult_t */

    ~communicator()
    {
        if (shared)
            munmap(shared, mapped);
    }
};

} // namespace

struct ncclComm {
    std::shared_ptr<communicator> content;
};

static double clock_s()
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Until `ready`; false if that takes too long or the communicator is aborted. */
template <typename F> static bool wait_until(communicator *c, F ready)
{
    double end_s = clock_s() + PATIENCE_S;
    struct timespec pause = {0, 20000};
    while (!ready()) {
        if (c->aborted || clock_s() > end_s)
            return false;
        nanosleep(&pause, NULL);
    }
    return true;
}

static bool meet(communicator *c)
{
    uint32_t round = c->shared->round;
    if (++c->shared->arrived == (uint32_t)c->size) {
        c->shared->arrived = 0;
        c->shared->round = round + 1;
        return true;
    }
    return wait_until(c, [&]() { return c->shared->round != round; });
}

static bool reduce_piece(communicator *c, const float *from, float *to, size_t count, float scale)
{
    memcpy(c->slots + (size_t)c->rank * PIECE, from, count * sizeof(float));
    if (!meet(c))
        return false;
    for (size_t i = 0; i < count; i++) {
        float sum = c->slots[i];
        for (int rank = 1; rank < c->size; rank++)
            sum += c->slots[(size_t)rank * PIECE + i];
        to[i] = sum * scale;
    }
    return meet(c);
}

static void run_all_reduce(communicator *c, const float *from, float *to, size_t count, float scale)
{
    if (c->size == 1) {
        memmove(to, from, count * sizeof(float));
        return;
    }
    for (size_t first = 0; first < count && c->error == ncclSuccess; first += PIECE) {
        if (!reduce_piece(c, from + first, to + first, std::min<size_t>(PIECE, count - first), scale))
            c->error = ncclRemoteError;
    }
}

/* --- communicators --- */

ncclResult_t ncclGetVersion(int *version)
{
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId *id)
{
    static std::atomic<unsigned> serial(0);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    memset(id, 0, sizeof(*id));
    snprintf(id->internal, sizeof(id->internal), "/grapevine-emulated-nccl-%d-%u-%lld.%09ld", (int)getpid(), serial++,
             (long long)now.tv_sec, now.tv_nsec);
    return ncclSuccess;
}

/* Every rank makes the memory if it is not there, alike; the last to join takes its name away. */
static ncclResult_t join(communicator *c, const char *name)
{
    c->mapped = 4096 + (size_t)c->size * PIECE * sizeof(float);
    int file = shm_open(name, O_RDWR | O_CREAT, 0600);
    if (file < 0)
        return ncclSystemError;
    void *memory = MAP_FAILED;
    if (ftruncate(file, (off_t)c->mapped) == 0)
        memory = mmap(NULL, c->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED)
        return ncclSystemError;
    c->shared = (shared_header *)memory;
    c->slots = (float *)((char *)memory + 4096);
    if (++c->shared->joined == (uint32_t)c->size)
        shm_unlink(name);
    if (wait_until(c, [&]() { return c->shared->joined >= (uint32_t)c->size; }))
        return ncclSuccess;
    shm_unlink(name);
    return ncclRemoteError;
}

ncclResult_t ncclCommInitRank(ncclComm_t *made, int size, ncclUniqueId id, int rank)
{
    *made = NULL;
    if (device_count() == 0)
        return ncclUnhandledCudaError;
    if (size < 1 || rank < 0 || rank >= size)
        return ncclInvalidArgument;
    if (size > 1 && setting_number("NCCL_REFUSE", 0) != 0)
        return ncclInvalidUsage;
    auto c = std::make_shared<communicator>();
    c->rank = rank;
    c->size = size;
    c->device = current_device();
    if (size > 1) {
        ncclResult_t status = join(c.get(), id.internal);
        if (status != ncclSuccess)
            return status;
        locked hold;
        run_without_call();
    }
    *made = new ncclComm{c};
    return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *made, int size, ncclUniqueId id, int rank, ncclConfig_t *config)
{
    bool blocking = config == NULL || config->blocking == NCCL_CONFIG_UNDEF_INT || config->blocking != 0;
    return blocking ? ncclCommInitRank(made, size, id, rank) : ncclInvalidArgument;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    delete comm;
    return ncclSuccess;
}

/* Not under the lock: an all-reduce that waits for the others may hold it. */
ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    if (comm == NULL)
        return ncclInvalidArgument;
    comm->content->aborted = true;
    return ncclCommDestroy(comm);
}

ncclResult_t ncclCommFinalize(ncclComm_t comm)
{
    return comm ? ncclSuccess : ncclInvalidArgument;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error)
{
    if (comm == NULL)
        return ncclInvalidArgument;
    *error = (ncclResult_t)comm->content->error.load();
    return ncclSuccess;
}

ncclResult_t ncclCommCount(const ncclComm_t comm, int *count)
{
    *count = comm->content->size;
    return ncclSuccess;
}

ncclResult_t ncclCommUserRank(const ncclComm_t comm, int *rank)
{
    *rank = comm->content->rank;
    return ncclSuccess;
}

/* --- work --- */

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t comm, cudaStream_t stream)
{
    locked hold;
    if (comm == NULL || type != ncclFloat32 || (operation != ncclSum && operation != ncclAvg))
        return ncclInvalidArgument;
    size_t size = count * sizeof(float);
    if (!on_device(from, size, true) || !on_device(to, size, true))
        fail("NCCL: %zu bytes at %p and %p are not in device memory", size, from, to);
    std::shared_ptr<communicator> c = comm->content;
    if (check_stream(stream) != 0)
        return ncclUnhandledCudaError;
    float scale = operation == ncclAvg ? 1.0f / (float)c->size : 1.0f;
    int error = submit(stream, "NCCL all-reduce",
                       [=]() { run_all_reduce(c.get(), (const float *)from, (float *)to, count, scale); });
    return remember_error(error) ? ncclUnhandledCudaError : ncclSuccess;
}

ncclResult_t ncclGroupStart(void)
{
    return ncclSuccess;
}

ncclResult_t ncclGroupEnd(void)
{
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t error)
{
    static const char *const texts[] = {"no error",
                                        "unhandled cuda error",
                                        "unhandled system error",
                                        "internal error",
                                        "invalid argument",
                                        "invalid usage",
                                        "remote process exited or there was a network error",
                                        "NCCL operation in progress"};
    return error >= 0 && error < ncclNumResults ? texts[error] : "unknown result code";
}

const char *ncclGetLastError(ncclComm_t)
{
    return "";
}
