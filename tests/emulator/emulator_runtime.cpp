/* libcudart but for memory and graphs: devices, streams, events, errors. */
#include <cuda_runtime_api.h>

#include <stdio.h>
#include <string.h>

#include "emulator.h"
#include "emulator_streams.h"

using namespace emulator;

static cudaError_t answer(int error)
{
    return (cudaError_t)error;
}

/* --- errors --- */

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorDeviceUninitialized, "cudaErrorDeviceUninitialized", "invalid device context"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorPeerAccessUnsupported, "cudaErrorPeerAccessUnsupported",
     "peer access is not supported between these two devices"},
    {cudaErrorMapBufferObjectFailed, "cudaErrorMapBufferObjectFailed", "mapping of buffer object failed"},
    {cudaErrorHostMemoryAlreadyRegistered, "cudaErrorHostMemoryAlreadyRegistered",
     "part or all of the requested memory range is already mapped"},
    {cudaErrorHostMemoryNotRegistered, "cudaErrorHostMemoryNotRegistered",
     "pointer does not correspond to a registered memory region"},
    {cudaErrorNotPermitted, "cudaErrorNotPermitted", "operation not permitted"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureMerge, "cudaErrorStreamCaptureMerge",
     "operation would result in a merge of separate capture sequences"},
    {cudaErrorStreamCaptureUnmatched, "cudaErrorStreamCaptureUnmatched", "capture was not ended in the same stream"},
    {cudaErrorStreamCaptureUnjoined, "cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorStreamCaptureImplicit, "cudaErrorStreamCaptureImplicit",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
    {cudaErrorStreamCaptureWrongThread, "cudaErrorStreamCaptureWrongThread",
     "attempt to terminate a thread-local capture sequence from another thread"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const char *cudaGetErrorName(cudaError_t error)
{
    for (const auto &row : errors) {
        if (row.error == error)
            return row.name;
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (const auto &row : errors) {
        if (row.error == error)
            return row.text;
    }
    return "unrecognized error code";
}

cudaError_t cudaGetLastError(void)
{
    return answer(take_last_error());
}

cudaError_t cudaPeekAtLastError(void)
{
    return answer(last_error());
}

/* --- devices --- */

static thread_local int this_thread_device = 0;

namespace emulator
{

int current_device()
{
    return this_thread_device;
}

int device_count()
{
    static const int count = (int)setting_number("DEVICES", 1);
    return count;
}

} // namespace emulator

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = device_count();
    return answer(remember_error(*count > 0 ? cudaSuccess : cudaErrorNoDevice));
}

cudaError_t cudaSetDevice(int device)
{
    return answer(call([&]() -> int {
        if (device < 0 || device >= device_count())
            return cudaErrorInvalidDevice;
        this_thread_device = device;
        return cudaSuccess;
    }));
}

cudaError_t cudaGetDevice(int *device)
{
    return answer(call([&]() -> int {
        *device = this_thread_device;
        return cudaSuccess;
    }));
}

static void capability(int *major, int *minor)
{
    const char *text = setting("CAPABILITY");
    *major = 9;
    *minor = 0;
    if (*text != '\0' && sscanf(text, "%d.%d", major, minor) != 2)
        fail("GRAPEVINE_EMULATOR_CAPABILITY=%s is not like 9.0", text);
}

static size_t memory_of_device()
{
    return (size_t)setting_number("MEMORY_MIB", 8192) << 20;
}

enum { MULTIPROCESSORS = 8 };

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    return answer(call([&]() -> int {
        if (device < 0 || device >= device_count())
            return cudaErrorInvalidDevice;
        struct cudaDeviceProp p = {};
        snprintf(p.name, sizeof(p.name), "Emulated device");
        for (size_t i = 0; i < sizeof(p.uuid.bytes); i++)
            p.uuid.bytes[i] = (char)(16 * device + (int)i);
        capability(&p.major, &p.minor);
        p.totalGlobalMem = memory_of_device();
        p.sharedMemPerBlock = 48 << 10;
        p.warpSize = 32;
        p.maxThreadsPerBlock = p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024;
        p.maxThreadsDim[2] = 64;
        p.maxGridSize[0] = INT32_MAX;
        p.maxGridSize[1] = p.maxGridSize[2] = 65535;
        p.multiProcessorCount = MULTIPROCESSORS;
        p.maxThreadsPerMultiProcessor = 2048;
        p.canMapHostMemory = p.unifiedAddressing = p.concurrentKernels = p.streamPrioritiesSupported = 1;
        p.canUseHostPointerForRegisteredMem = p.hostRegisterSupported = p.computePreemptionSupported = 1;
        p.asyncEngineCount = 2;
        p.memoryBusWidth = 1024;
        p.l2CacheSize = 4 << 20;
        p.pciBusID = device + 1;
        *properties = p;
        return cudaSuccess;
    }));
}

static int attribute_value(enum cudaDeviceAttr attribute, int device, int *value)
{
    int major, minor;
    capability(&major, &minor);
    switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
        *value = major;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = minor;
        return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
        *value = MULTIPROCESSORS;
        return cudaSuccess;
    case cudaDevAttrWarpSize:
        *value = 32;
        return cudaSuccess;
    case cudaDevAttrMaxThreadsPerBlock:
        *value = 1024;
        return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        *value = 48 << 10;
        return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = 2048;
        return cudaSuccess;
    case cudaDevAttrPciBusId:
        *value = device + 1;
        return cudaSuccess;
    case cudaDevAttrPciDeviceId:
    case cudaDevAttrPciDomainId:
    case cudaDevAttrIntegrated:
    case cudaDevAttrComputeMode:
    case cudaDevAttrGPUDirectRDMASupported:
        *value = 0;
        return cudaSuccess;
    case cudaDevAttrAsyncEngineCount:
        *value = 2;
        return cudaSuccess;
    case cudaDevAttrL2CacheSize:
        *value = 4 << 20;
        return cudaSuccess;
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
        *value = 1000000;
        return cudaSuccess;
    case cudaDevAttrGlobalMemoryBusWidth:
        *value = 1024;
        return cudaSuccess;
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrStreamPrioritiesSupported:
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
        *value = 1;
        return cudaSuccess;
    default:
        return cudaErrorInvalidValue;
    }
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device)
{
    return answer(call([&]() -> int {
        if (device < 0 || device >= device_count())
            return cudaErrorInvalidDevice;
        return attribute_value(attribute, device, value);
    }));
}

cudaError_t cudaDeviceGetPCIBusId(char *text, int size, int device)
{
    return answer(call([&]() -> int {
        if (device < 0 || device >= device_count())
            return cudaErrorInvalidDevice;
        snprintf(text, (size_t)size, "0000:%02x:00.0", device + 1);
        return cudaSuccess;
    }));
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = device_count() > 0 ? CUDART_VERSION : 0;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    return answer(call([]() -> int {
        int refused = refuse_unsafe_call();
        if (refused)
            return refused;
        complete_all();
        return cudaSuccess;
    }));
}

/* --- streams --- */

static std::set<CUstream_st *> &streams()
{
    static auto *live = new std::set<CUstream_st *>();
    return *live;
}

static CUstream_st *legacy_stream(int device)
{
    static auto *made = new std::vector<CUstream_st *>();
    while (made->size() <= (size_t)device)
        made->push_back(new CUstream_st{(int)made->size(), true, true, nullptr, nullptr, {}});
    return (*made)[(size_t)device];
}

namespace emulator
{

CUstream_st *find_stream(CUstream_st *stream)
{
    if (stream == NULL || stream == cudaStreamLegacy)
        return legacy_stream(current_device());
    return streams().count(stream) ? stream : NULL;
}

int check_stream(CUstream_st *stream)
{
    CUstream_st *found = find_stream(stream);
    return found && found->device == current_device() ? cudaSuccess : cudaErrorInvalidResourceHandle;
}

int refuse_legacy_stream(int device)
{
    for (CUstream_st *other : streams()) {
        if (other->device == device && other->blocking && other->capture)
            return spoil_capture(other->capture, cudaErrorStreamCaptureImplicit);
    }
    return cudaSuccess;
}

/* The legacy stream and the blocking streams of a device wait for each other. */
static std::vector<operation_ref> implicit_order(CUstream_st *stream)
{
    std::vector<operation_ref> order;
    if (stream->legacy) {
        for (CUstream_st *other : streams()) {
            if (other->device == stream->device && other->blocking)
                order.push_back(other->tail);
        }
    } else if (stream->blocking) {
        order.push_back(legacy_stream(stream->device)->tail);
    }
    return order;
}

operation_ref append(CUstream_st *stream, const char *name, work_fn work, std::vector<operation_ref> others)
{
    for (const operation_ref &other : implicit_order(stream))
        others.push_back(other);
    others.push_back(stream->tail);
    stream->tail = enqueue(name, std::move(work), std::move(others));
    return stream->tail;
}

int submit(CUstream_st *stream, const char *name, work_fn work)
{
    CUstream_st *found = find_stream(stream);
    if (found == NULL)
        return cudaErrorInvalidResourceHandle;
    if (found->capture)
        return capture_work(found, name, std::move(work));
    if (found->legacy) {
        int refused = refuse_legacy_stream(found->device);
        if (refused)
            return refused;
    }
    append(found, name, std::move(work), {});
    return cudaSuccess;
}

} // namespace emulator

/* The operations after which all that the stream holds has run: the legacy stream holds the blocking ones' work too. */
static std::vector<operation_ref> ends_of(CUstream_st *stream)
{
    std::vector<operation_ref> ends;
    if (stream->legacy)
        ends = implicit_order(stream);
    ends.push_back(stream->tail);
    return ends;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *stream, unsigned flags, int)
{
    return answer(call([&]() -> int {
        if (flags & ~(unsigned)cudaStreamNonBlocking)
            return cudaErrorInvalidValue;
        bool blocking = (flags & cudaStreamNonBlocking) == 0;
        *stream = new CUstream_st{current_device(), blocking, false, nullptr, nullptr, {}};
        streams().insert(*stream);
        return cudaSuccess;
    }));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    return cudaStreamCreateWithPriority(stream, flags, 0);
}

cudaError_t cudaStreamCreate(cudaStream_t *stream)
{
    return cudaStreamCreateWithPriority(stream, cudaStreamDefault, 0);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    return answer(call([&]() -> int {
        if (least)
            *least = 0;
        if (greatest)
            *greatest = -5;
        return cudaSuccess;
    }));
}

/* What the stream still holds runs later all the same. */
cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    return answer(call([&]() -> int {
        if (stream == NULL || streams().count(stream) == 0)
            return cudaErrorInvalidResourceHandle;
        if (stream->capture) {
            spoil_capture(stream->capture, 0);
            stream->capture->streams.erase(stream);
        }
        streams().erase(stream);
        delete stream;
        return cudaSuccess;
    }));
}

/* For the calls that look at a stream's progress: the stream, or why not. */
static int stream_to_watch(cudaStream_t stream, CUstream_st **found)
{
    *found = find_stream(stream);
    if (*found == NULL)
        return cudaErrorInvalidResourceHandle;
    if ((*found)->capture)
        return spoil_capture((*found)->capture, cudaErrorStreamCaptureUnsupported);
    int refused = refuse_unsafe_call();
    if (!refused && (*found)->legacy)
        refused = refuse_legacy_stream((*found)->device);
    return refused;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    return answer(call([&]() -> int {
        CUstream_st *found;
        int refused = stream_to_watch(stream, &found);
        if (refused)
            return refused;
        for (const operation_ref &end : ends_of(found))
            complete(end);
        return cudaSuccess;
    }));
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    return answer(call([&]() -> int {
        CUstream_st *found;
        int refused = stream_to_watch(stream, &found);
        if (refused)
            return refused;
        for (const operation_ref &end : ends_of(found)) {
            if (!step(end))
                return cudaErrorNotReady;
        }
        return cudaSuccess;
    }));
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void *data)
{
    return answer(call([&]() -> int {
        return function ? submit(stream, "host function", [=]() { function(data); }) : cudaErrorInvalidValue;
    }));
}

/* --- events --- */

static std::set<CUevent_st *> &events()
{
    static auto *live = new std::set<CUevent_st *>();
    return *live;
}

namespace emulator
{

bool event_lives(CUevent_st *event)
{
    return events().count(event) > 0;
}

} // namespace emulator

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    return answer(call([&]() -> int {
        if (flags & cudaEventInterprocess)
            return cudaErrorNotSupported;
        bool timed = (flags & cudaEventDisableTiming) == 0;
        *event = new CUevent_st{current_device(), timed, nullptr, nullptr, {}};
        events().insert(*event);
        return cudaSuccess;
    }));
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    return answer(call([&]() -> int {
        if (events().erase(event) == 0)
            return cudaErrorInvalidResourceHandle;
        delete event;
        return cudaSuccess;
    }));
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    return answer(call([&]() -> int {
        CUstream_st *found = find_stream(stream);
        if (found == NULL || !event_lives(event) || event->device != found->device)
            return cudaErrorInvalidResourceHandle;
        if (found->capture)
            return capture_event(found, event);
        if (found->legacy) {
            int refused = refuse_legacy_stream(found->device);
            if (refused)
                return refused;
        }
        event->capture = nullptr;
        event->point = append(found, "event", []() {}, {});
        return cudaSuccess;
    }));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    return answer(call([&]() -> int {
        CUstream_st *found = find_stream(stream);
        if (found == NULL || !event_lives(event))
            return cudaErrorInvalidResourceHandle;
        if (flags != 0)
            return cudaErrorInvalidValue;
        if (found->capture || event->capture)
            return capture_wait(found, event);
        if (event->point)
            append(found, "wait for event", []() {}, {event->point});
        return cudaSuccess;
    }));
}

/* For the calls that look at an event: 0, or why not. */
static int refuse_event(cudaEvent_t event)
{
    if (!event_lives(event))
        return cudaErrorInvalidResourceHandle;
    if (event->capture)
        return spoil_capture(event->capture, cudaErrorCapturedEvent);
    return refuse_unsafe_call();
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    return answer(call([&]() -> int {
        int refused = refuse_event(event);
        if (refused)
            return refused;
        return step(event->point) ? cudaSuccess : cudaErrorNotReady;
    }));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    return answer(call([&]() -> int {
        int refused = refuse_event(event);
        if (!refused)
            complete(event->point);
        return refused;
    }));
}

cudaError_t cudaEventElapsedTime(float *elapsed_ms, cudaEvent_t start, cudaEvent_t end)
{
    static const choice time = setting_choice("TIME", "equal", "equal|real");
    return answer(call([&]() -> int {
        if (!event_lives(start) || !event_lives(end) || !start->timed || !end->timed || !start->point || !end->point)
            return cudaErrorInvalidResourceHandle;
        if (!start->point->done || !end->point->done)
            return cudaErrorNotReady;
        *elapsed_ms = time.word == "equal" ? 1e-3f : (float)(1e3 * (end->point->run_at_s - start->point->run_at_s));
        return cudaSuccess;
    }));
}
