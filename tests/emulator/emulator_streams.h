/* Streams, events and the recording of graphs: shared by emulator_runtime.cpp and emulator_graph.cpp. All of it is
 * guarded by the emulator's lock. */
#ifndef GRAPEVINE_TESTS_EMULATOR_STREAMS_H
#define GRAPEVINE_TESTS_EMULATOR_STREAMS_H

#include <cuda_runtime_api.h>
#include <set>
#include <thread>

#include "emulator.h"

namespace emulator
{

/* What a graph is made of: work, and the nodes (by their place in the graph, always lower) that it comes after. */
struct graph_node {
    const char *name;
    std::shared_ptr<const work_fn> work;
    std::vector<size_t> after;
};

/* A capture under way, or one that has ended and that an event still points into. */
struct recording {
    std::vector<graph_node> nodes;
    cudaStreamCaptureMode mode;
    std::thread::id thread;
    CUstream_st *origin;
    std::set<CUstream_st *> streams; /* origin and those that joined by an event */
    bool invalid, ended;
};
using recording_ref = std::shared_ptr<recording>;

} // namespace emulator

struct CUstream_st {
    int device;
    bool blocking; /* with the legacy stream */
    bool legacy;
    emulator::operation_ref tail;      /* its last operation; NULL: none yet */
    emulator::recording_ref capture;   /* NULL while it is not captured */
    std::vector<size_t> capture_after; /* what the next captured node comes after */
};

struct CUevent_st {
    int device;
    bool timed;
    emulator::operation_ref point;     /* NULL: never recorded, or recorded by a capture */
    emulator::recording_ref capture;   /* not NULL: last recorded by a capture */
    std::vector<size_t> capture_after; /* the nodes that it stands for there */
};

namespace emulator
{

/* The stream itself, or its device's legacy stream for NULL; NULL if there is no such stream. */
CUstream_st *find_stream(CUstream_st *stream);
bool event_lives(CUevent_st *event);

/* Enqueue on a stream that is not captured; `others` are further operations that it comes after. */
operation_ref append(CUstream_st *stream, const char *name, work_fn work, std::vector<operation_ref> others);

/* --- captures (emulator_graph.cpp) --- */

/* cudaSuccess, or the error of a call that no capture under way allows this thread; then those captures are invalid. */
int refuse_unsafe_call();
/* The legacy stream cannot be used while a stream that it waits for is captured. */
int refuse_legacy_stream(int device);
/* What a captured stream does instead of running. */
int capture_work(CUstream_st *stream, const char *name, work_fn work);
int capture_event(CUstream_st *stream, CUevent_st *event);
int capture_wait(CUstream_st *stream, CUevent_st *event);
/* The capture becomes invalid; returns `error`. */
int spoil_capture(const recording_ref &capture, int error);

} // namespace emulator

#endif
