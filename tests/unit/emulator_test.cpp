/* The emulator of CUDA that the backend's tests run on: that it runs what is right, late but in order, and that it
 * complains about what is wrong. Run without arguments it is the test; with the name of a scenario it is a process that
 * a test starts, to die or to be the other side. */
#include "emulator.h" /* before cmocka.h, which makes a macro of fail */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <math.h>
#include <nccl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "emulator_test_kernels.h"

#define OK(call) assert_int_equal((call), 0)

static cudaStream_t new_stream()
{
    cudaStream_t stream;
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static cudaEvent_t new_event()
{
    cudaEvent_t event;
    OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
}

template <typename T> static T *on_device(size_t count)
{
    void *made;
    OK(cudaMalloc(&made, count * sizeof(T)));
    return (T *)made;
}

template <typename T> static T *on_device(const std::vector<T> &values)
{
    T *made = on_device<T>(values.size());
    OK(cudaMemcpy(made, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
    return made;
}

/* After what `stream` holds. */
template <typename T> static std::vector<T> read_back(const T *device, size_t count, cudaStream_t stream)
{
    std::vector<T> values(count);
    OK(cudaMemcpyAsync(values.data(), device, count * sizeof(T), cudaMemcpyDeviceToHost, stream));
    return values;
}

template <typename T> static T read_one(const T *device, cudaStream_t stream)
{
    return read_back(device, 1, stream)[0];
}

/* --- other processes --- */

/* This program again, as `scenario`; its wait status. `setting` is put into the environment: NAME=value, or "". */
static pid_t start(const char *scenario, const char *setting, const char *argument)
{
    pid_t child = fork();
    if (child == 0) {
        /* The sanitizers let a process die as others do. */
        putenv(strdup("ASAN_OPTIONS=detect_leaks=0:handle_segv=0"));
        putenv(strdup("TSAN_OPTIONS=handle_segv=0"));
        if (*setting)
            putenv(strdup(setting));
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(3);
        execl("/proc/self/exe", "emulator_test", scenario, argument, (char *)NULL);
        _exit(3);
    }
    return child;
}

static int finish(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void expect_abort(const char *scenario, const char *setting)
{
    int status = finish(start(scenario, setting, ""));
    assert_true(WIFSIGNALED(status));
    assert_true(WTERMSIG(status) == SIGABRT || WTERMSIG(status) == SIGSEGV);
}

static void expect_exit(const char *scenario, const char *setting)
{
    assert_int_equal(finish(start(scenario, setting, "")), 0);
}

/* --- kernels --- */

static void kernels_share_and_wait(void **)
{
    cudaStream_t stream = new_stream();
    std::vector<float> x(6 * 256);
    for (size_t i = 0; i < x.size(); i++)
        x[i] = (float)i;
    float *device = on_device(x), *sums = on_device<float>(6);
    OK(launch_sum_blocks(stream, device, sums));
    std::vector<float> out = read_back(sums, 6, stream);
    for (size_t block = 0; block < 6; block++)
        assert_true(out[block] == 256.0f * (256.0f * (float)block) + 255.0f * 128.0f);
    OK(cudaFree(device));
    OK(cudaFree(sums));
}

static void shuffles_take_every_type(void **)
{
    cudaStream_t stream = new_stream();
    double *device = on_device<double>(96);
    OK(launch_shuffle_types(stream, device));
    std::vector<double> out = read_back(device, 96, stream);
    for (unsigned t = 0; t < 96; t++) {
        double other = t ^ 5;
        assert_true(out[t] == 0.5 + 2 * other + other * 8589934592.0);
    }
}

static void fresh_shared_memory_is_nan(void **)
{
    cudaStream_t stream = new_stream();
    float *device = on_device<float>(64);
    OK(launch_read_stale(stream, device));
    for (float value : read_back(device, 64, stream))
        assert_true(isnan(value));
}

static void wrong_launches_are_refused(void **)
{
    cudaStream_t stream = new_stream();
    float *device = on_device<float>(1);
    assert_int_equal(launch_too_large(stream, device), cudaErrorInvalidConfiguration);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    OK(cudaGetLastError());
    OK(cudaStreamDestroy(stream));
    assert_int_equal(launch_add_one(stream, 1, device), cudaErrorInvalidResourceHandle);
    cudaGetLastError();
}

/* Round to nearest, ties to even, for a format with `fraction` bits and least exponent `least`. */
static float round_slowly(float x, int fraction, int least, double greatest)
{
    if (!isfinite(x) || x == 0)
        return x;
    int exponent = ilogb(x) < least ? least : ilogb(x);
    double unit = ldexp(1.0, exponent - fraction), rounded = nearbyint(x / unit) * unit;
    return fabs(rounded) > greatest ? copysignf(INFINITY, x) : (float)copysign(rounded, x);
}

static void conversions_round_to_even(void **)
{
    cudaStream_t stream = new_stream();
    std::vector<float> x;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 9973) {
        uint32_t word = (uint32_t)bits ^ (uint32_t)(bits % 3 == 0 ? bits & 0x1fff : 0);
        float value;
        memcpy(&value, &word, sizeof(value));
        x.push_back(value);
    }
    float *device = on_device(x), *back = on_device<float>(x.size());
    uint16_t *narrow = on_device<uint16_t>(x.size());
    for (int type : {16, 0}) {
        OK(launch_convert(stream, type, x.size(), device, narrow, back));
        std::vector<float> out = read_back(back, x.size(), stream);
        std::vector<uint16_t> bits = read_back(narrow, x.size(), stream);
        for (size_t i = 0; i < x.size(); i++) {
            float want = type == 16 ? round_slowly(x[i], 10, -14, 65504) : round_slowly(x[i], 7, -126, 3.3895314e38);
            if (isnan(x[i]))
                assert_int_equal(bits[i], 0x7fff);
            else
                assert_memory_equal(&out[i], &want, sizeof(want));
        }
    }
}

static void faulty_kernels_abort(void **)
{
    expect_abort("divergent-barrier", "");
    expect_abort("divergent-shuffle", "");
    expect_exit("rotate-with-barrier", "GRAPEVINE_EMULATOR_ORDER=forward");
    expect_exit("rotate-with-barrier", "GRAPEVINE_EMULATOR_ORDER=reverse");
    expect_exit("rotate-with-barrier", "GRAPEVINE_EMULATOR_ORDER=random:3");
    expect_exit("rotate-without-barrier", "GRAPEVINE_EMULATOR_ORDER=forward");
}

/* --- streams and events --- */

static void work_is_late(void **)
{
    cudaStream_t stream = new_stream();
    float *device = on_device<float>(1);
    OK(cudaMemsetAsync(device, 0, sizeof(float), stream));
    OK(launch_add_one(stream, 1, device));
    assert_true(isnan(*device)); /* emulated memory is the host's */
    assert_int_equal(cudaStreamQuery(stream), cudaErrorNotReady);
    assert_true(*device == 0.0f);
    assert_int_equal(launch_add_one(stream, 1, device), cudaErrorNotReady); /* CUDA's: an error stays until taken */
    cudaGetLastError();
    int polls = 0;
    while (cudaStreamQuery(stream) == cudaErrorNotReady)
        polls++;
    assert_in_range(polls, 1, 3);
    cudaGetLastError();
    assert_true(*device == 2.0f);
    OK(launch_add_one(stream, 1, device));
    emulator_progress();
    assert_true(*device == 3.0f);
}

static void only_what_is_needed_runs(void **)
{
    cudaStream_t first = new_stream(), second = new_stream();
    cudaEvent_t event = new_event();
    float *x = on_device(std::vector<float>{0.0f, 0.0f});
    OK(launch_add_one(first, 1, x));
    OK(cudaEventRecord(event, first));
    OK(launch_add_one(first, 1, x));
    OK(cudaMemcpyAsync(x + 1, x, sizeof(float), cudaMemcpyDeviceToDevice, second)); /* a dependency was forgotten */
    OK(cudaStreamSynchronize(second));
    assert_true(x[1] == 0.0f);
    OK(cudaStreamWaitEvent(second, event, 0));
    OK(cudaMemcpyAsync(x + 1, x, sizeof(float), cudaMemcpyDeviceToDevice, second));
    OK(cudaStreamSynchronize(second));
    assert_true(x[1] == 1.0f);
    assert_true(x[0] == 1.0f);
    OK(cudaDeviceSynchronize());
    assert_true(x[0] == 2.0f);
}

static void copies_read_when_they_run(void **)
{
    cudaStream_t stream = new_stream();
    float *device = on_device<float>(2), *pinned, pageable = 1.0f;
    OK(cudaMallocHost((void **)&pinned, sizeof(float)));
    *pinned = 1.0f;
    OK(cudaMemcpyAsync(device, pinned, sizeof(float), cudaMemcpyHostToDevice, stream));
    OK(cudaMemcpyAsync(device + 1, &pageable, sizeof(float), cudaMemcpyHostToDevice, stream));
    *pinned = pageable = 2.0f;
    assert_true(read_one(device, stream) == 2.0f);
    assert_true(read_one(device + 1, stream) == 1.0f);
    assert_int_equal(cudaMemcpyAsync(device, pinned, 12, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpyAsync(pinned, device, 4, cudaMemcpyHostToDevice, stream), cudaErrorInvalidValue);
    cudaGetLastError();
    OK(cudaFreeHost(pinned));
}

static void the_legacy_stream_waits_for_blocking_ones(void **)
{
    cudaStream_t blocking, other = new_stream();
    OK(cudaStreamCreateWithFlags(&blocking, cudaStreamDefault));
    float *x = on_device(std::vector<float>{0.0f, 0.0f}), value;
    OK(launch_add_one(blocking, 1, x));
    OK(launch_add_one(other, 1, x + 1));
    OK(cudaMemcpy(&value, x, sizeof(float), cudaMemcpyDeviceToHost));
    assert_true(value == 1.0f);
    OK(cudaMemcpy(&value, x + 1, sizeof(float), cudaMemcpyDeviceToHost));
    assert_true(value == 0.0f);
    OK(cudaMemset(x, 0, sizeof(float))); /* returns before it has run */
    assert_true(x[0] == 1.0f);
    OK(launch_add_one(blocking, 1, x));
    OK(cudaStreamSynchronize(blocking));
    assert_true(x[0] == 1.0f);
    OK(launch_add_one(blocking, 1, x));
    OK(launch_add_one(NULL, 1, x));
    int polls = 0;
    while (cudaStreamQuery(NULL) == cudaErrorNotReady)
        polls++;
    assert_int_equal(polls, 2);
    cudaGetLastError();
}

static void note_call(void *data)
{
    ++*(int *)data;
}

static void events_and_host_functions(void **)
{
    cudaStream_t stream = new_stream();
    cudaEvent_t begin, end;
    OK(cudaEventCreate(&begin));
    OK(cudaEventCreate(&end));
    int calls = 0;
    float elapsed_ms;
    OK(cudaEventQuery(begin)); /* never recorded */
    OK(cudaEventRecord(begin, stream));
    OK(cudaLaunchHostFunc(stream, note_call, &calls));
    OK(cudaEventRecord(end, stream));
    assert_int_equal(cudaEventElapsedTime(&elapsed_ms, begin, end), cudaErrorNotReady);
    cudaGetLastError();
    assert_int_equal(calls, 0);
    OK(cudaEventSynchronize(end));
    assert_int_equal(calls, 1);
    OK(cudaEventElapsedTime(&elapsed_ms, begin, end));
    assert_true(elapsed_ms >= 0);
}

/* --- graphs --- */

static void captured_work_runs_when_launched(void **)
{
    cudaStream_t origin = new_stream(), side = new_stream();
    cudaEvent_t fork_event = new_event(), join_event = new_event();
    float *x = on_device(std::vector<float>{0.0f, 0.0f});
    cudaGraph_t graph;
    cudaGraphExec_t executable;
    OK(cudaStreamBeginCapture(origin, cudaStreamCaptureModeThreadLocal));
    OK(launch_add_one(origin, 1, x));
    OK(cudaEventRecord(fork_event, origin));
    OK(cudaStreamWaitEvent(side, fork_event, 0));
    OK(cudaMemcpyAsync(x + 1, x, sizeof(float), cudaMemcpyDeviceToDevice, side));
    OK(launch_add_one(side, 1, x + 1));
    OK(cudaEventRecord(join_event, side));
    OK(cudaStreamWaitEvent(origin, join_event, 0));
    OK(launch_add_one(origin, 2, x));
    OK(cudaStreamEndCapture(origin, &graph));
    OK(cudaDeviceSynchronize());
    assert_true(x[0] == 0.0f);
    OK(cudaGraphInstantiate(&executable, graph, 0));
    OK(cudaGraphDestroy(graph));
    for (int i = 1; i <= 3; i++) {
        OK(cudaGraphLaunch(executable, origin));
        assert_true(read_one(x, origin) == 2.0f * (float)i);
        assert_true(read_one(x + 1, origin) == 2.0f * (float)i + 1.0f);
    }
    OK(cudaGraphExecDestroy(executable));
}

static void captures_forbid_what_cuda_forbids(void **)
{
    cudaStream_t stream = new_stream(), side = new_stream();
    cudaEvent_t event = new_event();
    cudaGraph_t graph;
    void *memory;
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    assert_int_equal(cudaMalloc(&memory, 4), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    OK(cudaMalloc(&memory, 4));
    assert_int_equal(cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(launch_add_one(stream, 1, (float *)memory), cudaErrorStreamCaptureInvalidated);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    cudaGetLastError();
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    OK(cudaEventRecord(event, stream));
    assert_int_equal(cudaEventQuery(event), cudaErrorCapturedEvent);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    cudaGetLastError();
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    OK(cudaEventRecord(event, stream));
    OK(cudaStreamWaitEvent(side, event, 0));
    OK(launch_add_one(side, 1, (float *)memory)); /* and is not joined */
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureUnjoined);
    cudaGetLastError();
    OK(launch_add_one(side, 1, (float *)memory));
    OK(cudaEventRecord(event, side));
    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    assert_int_equal(cudaStreamWaitEvent(stream, event, 0), cudaErrorStreamCaptureIsolation);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
    cudaGetLastError();
}

/* --- memory --- */

static void memory_is_watched(void **)
{
    void *large;
    struct cudaPointerAttributes attributes;
    assert_int_equal(cudaMalloc(&large, (size_t)1 << 40), cudaErrorMemoryAllocation);
    cudaGetLastError();
    char *device = on_device<char>(10);
    OK(cudaPointerGetAttributes(&attributes, device + 3));
    assert_int_equal(attributes.type, cudaMemoryTypeDevice);
    OK(cudaPointerGetAttributes(&attributes, &large));
    assert_int_equal(attributes.type, cudaMemoryTypeUnregistered);
    assert_int_equal(cudaFree(device + 1), cudaErrorInvalidValue);
    OK(cudaFree(device));
    assert_int_equal(cudaFree(device), cudaErrorInvalidValue);
    cudaGetLastError();
    expect_abort("overrun", "");
    expect_abort("overrun-at-exit", "");
    expect_abort("touch-freed", "");
    expect_exit("touch-device", "");
    expect_abort("touch-device", "GRAPEVINE_EMULATOR_PROTECT=1");
    expect_exit("no-device", "GRAPEVINE_EMULATOR_DEVICES=0");
}

static void memory_is_shared_between_processes(void **)
{
    float *device = on_device(std::vector<float>{1.0f, 2.0f});
    cudaIpcMemHandle_t handle;
    OK(cudaIpcGetMemHandle(&handle, device));
    void *same;
    assert_int_equal(cudaIpcOpenMemHandle(&same, handle, cudaIpcMemLazyEnablePeerAccess), cudaErrorDeviceUninitialized);
    cudaGetLastError();
    std::string text;
    for (size_t i = 0; i < sizeof(handle); i++) {
        char byte[3];
        snprintf(byte, sizeof(byte), "%02x", (unsigned char)handle.reserved[i]);
        text += byte;
    }
    assert_int_equal(finish(start("open-handle", "", text.c_str())), 0);
    assert_true(read_one(device, NULL) == 2.0f);
    assert_true(read_one(device + 1, NULL) == 3.0f);
    OK(cudaFree(device));
}

/* --- libraries --- */

static void products_of_matrices(void **)
{
    const int m = 5, n = 37, k = 200;
    cudaStream_t stream = new_stream();
    cublasHandle_t handle;
    OK(cublasCreate(&handle));
    OK(cublasSetStream(handle, stream));
    std::vector<float> a(m * k), b(k * n), c(m * n, 1.0f);
    for (size_t i = 0; i < a.size(); i++)
        a[i] = (float)(i % 7) - 3.0f;
    for (size_t i = 0; i < b.size(); i++)
        b[i] = (float)(i % 5) - 2.0f;
    float *device_a = on_device(a), *device_b = on_device(b), alpha = 0.5f, beta = 2.0f;
    for (int transposed = 0; transposed < 4; transposed++) {
        bool ta = transposed & 1, tb = transposed & 2;
        float *device_c = on_device(c);
        OK(cublasSgemm(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_T : CUBLAS_OP_N, m, n, k, &alpha,
                       device_a, ta ? k : m, device_b, tb ? n : k, &beta, device_c, m));
        std::vector<float> out = read_back(device_c, c.size(), stream);
        for (int i = 0; i < m; i++) {
            for (int j = 0; j < n; j++) {
                float sum = 0;
                for (int p = 0; p < k; p++)
                    sum += a[ta ? i * k + p : p * m + i] * b[tb ? p * n + j : j * k + p];
                assert_true(out[j * m + i] == 0.5f * sum + 2.0f);
            }
        }
    }
    assert_int_equal(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &alpha, device_a, m - 1, device_b, k, &beta,
                                 device_b, m),
                     CUBLAS_STATUS_INVALID_VALUE);
    OK(cublasDestroy(handle));
}

static void all_reduce_of_processes(void **)
{
    ncclUniqueId id;
    OK(ncclGetUniqueId(&id));
    pid_t ranks[2] = {start("reduce", "GRAPEVINE_TEST_RANK=0", id.internal),
                      start("reduce", "GRAPEVINE_TEST_RANK=1", id.internal)};
    assert_int_equal(finish(ranks[0]), 0);
    assert_int_equal(finish(ranks[1]), 0);
    ncclComm_t comm;
    OK(ncclCommInitRank(&comm, 1, id, 0));
    float *x = on_device(std::vector<float>{3.0f, 0.0f});
    OK(ncclAllReduce(x, x + 1, 1, ncclFloat, ncclSum, comm, NULL));
    assert_true(read_one(x + 1, NULL) == 3.0f);
    OK(ncclCommDestroy(comm));
}

/* --- scenarios --- */

static int reduce_scenario(const char *name)
{
    enum { COUNT = 200000 };
    int rank = atoi(getenv("GRAPEVINE_TEST_RANK"));
    ncclUniqueId id = {};
    snprintf(id.internal, sizeof(id.internal), "%s", name);
    ncclComm_t comm;
    OK(ncclCommInitRank(&comm, 2, id, rank));
    cudaStream_t stream = new_stream();
    std::vector<float> x(COUNT);
    for (size_t i = 0; i < COUNT; i++)
        x[i] = (float)(i % 1000) * (rank ? 2.0f : 1.0f);
    float *device = on_device(x);
    OK(ncclAllReduce(device, device, COUNT, ncclFloat, ncclAvg, comm, stream));
    OK(ncclAllReduce(device, device, COUNT, ncclFloat, ncclSum, comm, stream));
    if (rank == 0)
        usleep(100000); /* forces nothing: the other rank's all-reduce must not hang */
    x = read_back(device, COUNT, stream);
    for (size_t i = 0; i < COUNT; i++) {
        if (x[i] != (float)(i % 1000) * 3.0f)
            return 1;
    }
    return 0;
}

static int open_handle_scenario(const char *text)
{
    cudaIpcMemHandle_t handle;
    for (size_t i = 0; i < sizeof(handle); i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return 1;
        handle.reserved[i] = (char)byte;
    }
    void *opened;
    OK(cudaIpcOpenMemHandle(&opened, handle, cudaIpcMemLazyEnablePeerAccess));
    OK(launch_add_one(NULL, 2, (float *)opened));
    OK(cudaStreamSynchronize(NULL));
    OK(cudaIpcCloseMemHandle(opened));
    return 0;
}

static int rotate_scenario(bool waits)
{
    std::vector<float> x(64);
    for (size_t i = 0; i < 64; i++)
        x[i] = (float)i;
    float *device = on_device(x);
    OK(launch_rotate(NULL, waits, device));
    x = read_back(device, 64, NULL);
    bool right = true;
    for (size_t i = 0; i < 64; i++)
        right = right && x[i] == (float)((i + 1) % 64);
    return right == waits ? 0 : 1; /* in ascending order, without the barrier, the right neighbour has not written */
}

static int run_scenario(const std::string &scenario, const char *argument)
{
    float *x = scenario == "no-device" ? NULL : on_device<float>(16);
    if (scenario == "divergent-barrier")
        OK(launch_divergent_barrier(NULL));
    else if (scenario == "divergent-shuffle")
        OK(launch_divergent_shuffle(NULL, x));
    else if (scenario == "rotate-with-barrier" || scenario == "rotate-without-barrier")
        return rotate_scenario(scenario == "rotate-with-barrier");
    else if (scenario == "overrun" || scenario == "overrun-at-exit")
        OK(launch_add_one(NULL, 17, x));
    else if (scenario == "reduce")
        return reduce_scenario(argument);
    else if (scenario == "open-handle")
        return open_handle_scenario(argument);
    else if (scenario == "no-device")
        return cudaStreamSynchronize(NULL) == cudaErrorNoDevice ? 0 : 1;
    OK(cudaMemset(x, 0, 64));
    OK(cudaStreamSynchronize(NULL));
    if (scenario == "overrun" || scenario == "touch-freed")
        OK(cudaFree(x));
    return scenario == "touch-device" || scenario == "touch-freed" ? (int)*(volatile float *)x : 0;
}

int main(int argc, char **argv)
{
    if (argc > 2)
        return run_scenario(argv[1], argv[2]);
    unsetenv("GRAPEVINE_EMULATOR_SCHEDULE"); /* the tests say which */
    unsetenv("GRAPEVINE_EMULATOR_PROTECT");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_share_and_wait),
        cmocka_unit_test(shuffles_take_every_type),
        cmocka_unit_test(fresh_shared_memory_is_nan),
        cmocka_unit_test(wrong_launches_are_refused),
        cmocka_unit_test(conversions_round_to_even),
        cmocka_unit_test(faulty_kernels_abort),
        cmocka_unit_test(work_is_late),
        cmocka_unit_test(only_what_is_needed_runs),
        cmocka_unit_test(copies_read_when_they_run),
        cmocka_unit_test(the_legacy_stream_waits_for_blocking_ones),
        cmocka_unit_test(events_and_host_functions),
        cmocka_unit_test(captured_work_runs_when_launched),
        cmocka_unit_test(captures_forbid_what_cuda_forbids),
        cmocka_unit_test(memory_is_watched),
        cmocka_unit_test(memory_is_shared_between_processes),
        cmocka_unit_test(products_of_matrices),
        cmocka_unit_test(all_reduce_of_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
