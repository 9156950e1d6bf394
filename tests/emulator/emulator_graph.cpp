/* Capture of streams into graphs, and their launch.
 *
 * A captured stream keeps, in place of its last operation, the set of graph nodes that its next node comes after. An
 * event recorded there stands for that set, and a stream that waits for the event joins the capture. */
#include "emulator_streams.h"

#include <algorithm>

using namespace emulator;

struct CUgraph_st {
    std::vector<graph_node> nodes;
};

struct CUgraphExec_st {
    std::vector<graph_node> nodes;
    operation_ref last; /* launches of one graph run one after another */
};

static std::set<recording_ref> &recordings()
{
    static auto *live = new std::set<recording_ref>();
    return *live;
}

static thread_local cudaStreamCaptureMode this_thread_mode = cudaStreamCaptureModeGlobal;

namespace emulator
{

int spoil_capture(const recording_ref &capture, int error)
{
    capture->invalid = true;
    return error;
}

/* See cudaThreadExchangeStreamCaptureMode: which captures forbid this thread what may disturb them. */
static bool forbids(const recording &capture)
{
    if (this_thread_mode == cudaStreamCaptureModeRelaxed || capture.mode == cudaStreamCaptureModeRelaxed)
        return false;
    if (capture.thread == std::this_thread::get_id())
        return true;
    return this_thread_mode == cudaStreamCaptureModeGlobal && capture.mode == cudaStreamCaptureModeGlobal;
}

int refuse_unsafe_call()
{
    int error = cudaSuccess;
    for (const recording_ref &capture : recordings()) {
        if (forbids(*capture))
            error = spoil_capture(capture, cudaErrorStreamCaptureUnsupported);
    }
    return error;
}

int capture_work(CUstream_st *stream, const char *name, work_fn work)
{
    recording &capture = *stream->capture;
    if (capture.invalid)
        return cudaErrorStreamCaptureInvalidated;
    auto kept = std::make_shared<const work_fn>(std::move(work));
    capture.nodes.push_back(graph_node{name, kept, stream->capture_after});
    stream->capture_after = {capture.nodes.size() - 1};
    return cudaSuccess;
}

int capture_event(CUstream_st *stream, CUevent_st *event)
{
    if (stream->capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    event->point = nullptr;
    event->capture = stream->capture;
    event->capture_after = stream->capture_after;
    return cudaSuccess;
}

int capture_wait(CUstream_st *stream, CUevent_st *event)
{
    if (!event->capture) {
        if (!event->point)
            return cudaSuccess;
        return spoil_capture(stream->capture, cudaErrorStreamCaptureIsolation);
    }
    if (event->capture->ended)
        return cudaErrorCapturedEvent;
    if (event->capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    if (stream->legacy)
        return spoil_capture(event->capture, cudaErrorStreamCaptureUnsupported);
    if (stream->capture && stream->capture != event->capture) {
        spoil_capture(stream->capture, 0);
        return spoil_capture(event->capture, cudaErrorStreamCaptureMerge);
    }
    if (!stream->capture) {
        stream->capture = event->capture;
        stream->capture_after.clear();
        stream->capture->streams.insert(stream);
    }
    for (size_t node : event->capture_after) {
        if (std::find(stream->capture_after.begin(), stream->capture_after.end(), node) == stream->capture_after.end())
            stream->capture_after.push_back(node);
    }
    return cudaSuccess;
}

/* Whether every node comes before what the origin's next node would come after. */
static bool is_joined(const recording &capture)
{
    std::vector<bool> reached(capture.nodes.size(), false);
    for (size_t node : capture.origin->capture_after)
        reached[node] = true;
    for (size_t node = capture.nodes.size(); node-- > 0;) {
        if (!reached[node])
            return false;
        for (size_t before : capture.nodes[node].after)
            reached[before] = true;
    }
    return true;
}

static void end_recording(const recording_ref &capture)
{
    for (CUstream_st *stream : capture->streams) {
        stream->capture = nullptr;
        stream->capture_after.clear();
    }
    capture->ended = true;
    recordings().erase(capture);
}

} // namespace emulator

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode)
{
    return (cudaError_t)call([&]() -> int {
        std::swap(*mode, this_thread_mode);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    return (cudaError_t)call([&]() -> int {
        CUstream_st *found = find_stream(stream);
        if (found == NULL)
            return cudaErrorInvalidResourceHandle;
        if (found->legacy)
            return cudaErrorStreamCaptureUnsupported;
        if (found->capture)
            return spoil_capture(found->capture, cudaErrorIllegalState);
        auto made = std::make_shared<recording>();
        made->mode = mode;
        made->thread = std::this_thread::get_id();
        made->origin = found;
        made->streams = {found};
        made->invalid = made->ended = false;
        found->capture = made;
        found->capture_after.clear();
        recordings().insert(made);
        return cudaSuccess;
    });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    return (cudaError_t)call([&]() -> int {
        *graph = NULL;
        CUstream_st *found = find_stream(stream);
        if (found == NULL)
            return cudaErrorInvalidResourceHandle;
        recording_ref capture = found->capture;
        if (!capture)
            return cudaErrorIllegalState;
        if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
            return spoil_capture(capture, cudaErrorStreamCaptureWrongThread);
        if (capture->origin != found)
            return spoil_capture(capture, cudaErrorStreamCaptureUnmatched);
        bool invalid = capture->invalid, joined = is_joined(*capture);
        end_recording(capture);
        if (invalid)
            return cudaErrorStreamCaptureInvalidated;
        if (!joined)
            return cudaErrorStreamCaptureUnjoined;
        *graph = new CUgraph_st{capture->nodes};
        return cudaSuccess;
    });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status)
{
    return (cudaError_t)call([&]() -> int {
        CUstream_st *found = find_stream(stream);
        if (found == NULL)
            return cudaErrorInvalidResourceHandle;
        *status = !found->capture           ? cudaStreamCaptureStatusNone
                  : found->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                            : cudaStreamCaptureStatusActive;
        return cudaSuccess;
    });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count)
{
    return (cudaError_t)call([&]() -> int {
        if (graph == NULL || nodes != NULL)
            return cudaErrorNotSupported;
        *count = graph->nodes.size();
        return cudaSuccess;
    });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long)
{
    return (cudaError_t)call([&]() -> int {
        if (graph == NULL)
            return cudaErrorInvalidValue;
        *executable = new CUgraphExec_st{graph->nodes, nullptr};
        return cudaSuccess;
    });
}

/* Nodes become operations; those that come after nothing come after the stream, and the stream goes on after all. */
static void launch_nodes(CUgraphExec_st *executable, CUstream_st *stream)
{
    operation_ref begin = append(stream, "begin of graph", []() {}, {executable->last});
    std::vector<operation_ref> made;
    for (const graph_node &node : executable->nodes) {
        std::vector<operation_ref> after = {begin};
        for (size_t before : node.after)
            after.push_back(made[before]);
        std::shared_ptr<const work_fn> work = node.work;
        made.push_back(enqueue(
            node.name, [work]() { (*work)(); }, std::move(after)));
    }
    executable->last = append(
        stream, "end of graph", []() {}, made);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream)
{
    return (cudaError_t)call([&]() -> int {
        CUstream_st *found = find_stream(stream);
        if (executable == NULL)
            return cudaErrorInvalidValue;
        if (found == NULL)
            return cudaErrorInvalidResourceHandle;
        if (found->capture) /* child graphs are not emulated */
            return spoil_capture(found->capture, cudaErrorStreamCaptureUnsupported);
        if (found->legacy) {
            int refused = refuse_legacy_stream(found->device);
            if (refused)
                return refused;
        }
        launch_nodes(executable, found);
        return cudaSuccess;
    });
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t stream)
{
    return (cudaError_t)call(
        [&]() -> int { return executable && find_stream(stream) ? cudaSuccess : cudaErrorInvalidValue; });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    return (cudaError_t)call([&]() -> int {
        delete graph;
        return graph ? cudaSuccess : cudaErrorInvalidValue;
    });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable)
{
    return (cudaError_t)call([&]() -> int {
        delete executable;
        return executable ? cudaSuccess : cudaErrorInvalidValue;
    });
}
