/* What the parts of the emulator of CUDA have in common. Needs nothing of the toolkit: errors are cudaError_t as int.
 *
 * The emulator takes the place of libcudart, libcublas, libcudnn and libnccl in a test program: it defines the same
 * functions, keeps "device memory" in the host's, and runs the work on the CPU. Work is late. An enqueued operation is
 * a closure with the operations that it comes after; it runs when something forces it (a synchronize, a synchronous
 * copy, a query), and then only with what it depends on. A dependency that the program under test forgot shows as a
 * wrong result. One lock covers everything, so that at any time at most one operation runs.
 *
 * The environment. All but the last three are read once; each name begins with GRAPEVINE_EMULATOR_.
 *     SCHEDULE          lazy: as above, the default; eager: at once; random[:seed]: at each call some of the work that
 *                       may run, drawn from all streams
 *     ORDER             of the threads in a block: forward, the default, reverse, random[:seed]
 *     DEVICES           number of devices, 1; with 0, calls give cudaErrorNoDevice
 *     MEMORY_MIB        of each device, 8192
 *     CAPABILITY        compute capability, 9.0
 *     PROTECT           1: device memory cannot be touched while no operation runs, so host code that reads it dies
 *     PATIENCE_MS       work older than this runs by itself; 0, never, unless NCCL has several ranks
 *     IPC               works, the default; refuse: memory of another process cannot be opened; lose: what is written
 *                       there does not arrive
 *     MPI               knows, the default; refuses: what the MPI library says of device memory
 *     TIME              equal, the default: between any two events a microsecond, so that what is chosen by
 *                       measurement is the first, and the same every time; real: of the emulation
 *     NCCL_REFUSE       1: NCCL refuses several ranks, as it does when they share a device
 *     NO_GENSTATS, NO_POINTWISE, NO_WIDE_WGRAD, NONDETERMINISTIC   1: what cuDNN lacks or does
 *                       (emulator_cudnn_graph.cpp) */
#ifndef GRAPEVINE_TESTS_EMULATOR_H
#define GRAPEVINE_TESTS_EMULATOR_H

#include <functional>
#include <memory>
#include <stddef.h>
#include <stdint.h>
#include <string>
#include <vector>

struct CUstream_st;
struct CUevent_st;

/* Run the oldest operation that has not run. For tests of programs that wait without a call of CUDA. */
extern "C" void emulator_progress(void);

namespace emulator
{

using work_fn = std::function<void()>;

/* A message to standard error, then abort: for mistakes that CUDA would answer with undefined behaviour. */
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- the environment --- */

const char *setting(const char *name); /* of GRAPEVINE_EMULATOR_<name>; "" where it is not set */
long setting_number(const char *name, long otherwise);

/* A word, and the number behind a colon, 1 where there is none. */
struct choice {
    std::string word;
    uint64_t seed;
};
/* `allowed` is like "forward|reverse"; what is not among these fails. */
choice setting_choice(const char *name, const char *otherwise, const char *allowed);

/* xorshift64*: chance enough for an order. */
struct chance {
    uint64_t state;
    uint64_t next();
    size_t below(size_t bound);
};

/* --- the queue (emulator_queue.cpp); call with the lock held --- */

struct operation {
    uint64_t serial;  /* ascending; an operation comes after lower ones only */
    const char *name; /* borrowed, static */
    work_fn work;
    std::vector<std::shared_ptr<operation>> after;
    bool done;
    double run_at_s; /* when it was done */
    double enqueued_at_s;
};
using operation_ref = std::shared_ptr<operation>;

operation_ref enqueue(const char *name, work_fn work, std::vector<operation_ref> after);
void complete(const operation_ref &what); /* run it, after what it comes after; NULL is done */
bool step(const operation_ref &what);     /* was done; else run one operation towards it */
void complete_all();
bool running();          /* this call comes out of an operation */
void run_without_call(); /* from now on, old work runs by itself (GRAPEVINE_EMULATOR_PATIENCE_MS) */

/* --- calls: each function of CUDA is one --- */

int last_error();              /* of this thread of the host; cudaPeekAtLastError */
int take_last_error();         /* cudaGetLastError */
int remember_error(int error); /* returns it */
/* Hold the lock, let the schedule run what it likes, and remember what `body` returns. Inside an operation calls are
 * not permitted. */
int call(const std::function<int()> &body);
/* Call `body` with the lock held, unless somebody else holds it. */
void call_if_free(const std::function<void()> &body);
/* The lock alone, for libraries with error codes of their own. */
struct locked {
    locked();
    ~locked();
};

/* --- streams (emulator_runtime.cpp), with the lock held --- */

/* Put work on a stream, or into the graph that the stream is captured into. A cudaError_t. */
int submit(CUstream_st *stream, const char *name, work_fn work);
/* 0 if the stream lives (NULL does), on the current device. */
int check_stream(CUstream_st *stream);
int current_device();
int device_count();

/* --- memory (emulator_memory.cpp), with the lock held --- */

/* The whole range lies in one allocation of device memory or, where `mapped` allows it, of pinned host memory. */
bool on_device(const void *pointer, size_t size, bool mapped);
/* GRAPEVINE_EMULATOR_PROTECT: before an operation, and at the end of each call. */
void open_memory();
void close_memory();

/* --- blocks of threads (emulator_kernels.cpp) --- */

void run_grid(const char *kernel, const unsigned grid[3], const unsigned block[3], const work_fn &thread);

} // namespace emulator

#endif
