/* The emulated cuDNN: convolutions against loops over their definition, and refusal of what cuDNN refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

#include <cuda_runtime_api.h>
#include <cudnn_backend.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <vector>

#include "emulator_number.h"

#define OK(call) assert_int_equal((call), 0)

enum pass { FORWARD, DATA, FILTER };
enum { X = 1, W, Y, SUM, SQUARE };

/* --- building --- */

static cudnnBackendDescriptor_t make(cudnnBackendDescriptorType_t kind)
{
    cudnnBackendDescriptor_t made;
    OK(cudnnBackendCreateDescriptor(kind, &made));
    return made;
}

template <typename T>
static cudnnStatus_t set(cudnnBackendDescriptor_t to, cudnnBackendAttributeName_t name,
                         cudnnBackendAttributeType_t type, const std::vector<T> &values)
{
    return cudnnBackendSetAttribute(to, name, type, (int64_t)values.size(), values.data());
}

static cudnnStatus_t set_child(cudnnBackendDescriptor_t to, cudnnBackendAttributeName_t name,
                               cudnnBackendDescriptor_t child)
{
    return cudnnBackendSetAttribute(to, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &child);
}

/* Channels contiguous, as a network's activations are. */
static std::vector<int64_t> channels_last(const std::vector<int64_t> &sizes)
{
    return {sizes[1] * sizes[2] * sizes[3], 1, sizes[1] * sizes[3], sizes[1]};
}

static cudnnBackendDescriptor_t make_tensor(int64_t id, cudnnDataType_t type, const std::vector<int64_t> &sizes)
{
    cudnnBackendDescriptor_t made = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    OK(set<int64_t>(made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, {id}));
    OK(set<cudnnDataType_t>(made, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, {type}));
    OK(set<int64_t>(made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, {16}));
    OK(set(made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, sizes));
    OK(set(made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, channels_last(sizes)));
    OK(cudnnBackendFinalize(made));
    return made;
}

struct problem {
    enum pass pass;
    bool sums;
    cudnnDataType_t type, filter_type;
    int64_t batch, channels, height, width, filters, kernel, stride, pad, dilation;

    int64_t out(int64_t size) const
    {
        return (size + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
    }
    std::vector<int64_t> sizes(int64_t id) const
    {
        if (id == X)
            return {batch, channels, height, width};
        if (id == W)
            return {filters, channels, kernel, kernel};
        if (id == Y)
            return {batch, filters, out(height), out(width)};
        return {1, filters, 1, 1};
    }
    cudnnDataType_t type_of(int64_t id) const
    {
        return id == W ? filter_type : id == SUM || id == SQUARE ? CUDNN_DATA_FLOAT : type;
    }
    size_t count(int64_t id) const
    {
        std::vector<int64_t> s = sizes(id);
        return (size_t)(s[0] * s[1] * s[2] * s[3]);
    }
};

static cudnnBackendDescriptor_t make_shape(const problem &p)
{
    cudnnBackendDescriptor_t made = make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
    OK(set<cudnnDataType_t>(made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT}));
    OK(set<cudnnConvolutionMode_t>(made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
                                   {CUDNN_CROSS_CORRELATION}));
    OK(set<int64_t>(made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, {2}));
    OK(set<int64_t>(made, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, {p.pad, p.pad}));
    OK(set<int64_t>(made, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, {p.pad, p.pad}));
    OK(set<int64_t>(made, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, {p.dilation, p.dilation}));
    OK(set<int64_t>(made, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, {p.stride, p.stride}));
    OK(cudnnBackendFinalize(made));
    return made;
}

/* Operation type, convolution, alpha, beta, x, w, y of each pass. */
static const struct names {
    cudnnBackendDescriptorType_t kind;
    cudnnBackendAttributeName_t shape, alpha, beta, x, w, y;
} names[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
};

static cudnnBackendDescriptor_t make_convolution(const problem &p, cudnnBackendDescriptor_t x,
                                                 cudnnBackendDescriptor_t w, cudnnBackendDescriptor_t y)
{
    const struct names &n = names[p.pass];
    cudnnBackendDescriptor_t made = make(n.kind);
    OK(set<float>(made, n.alpha, CUDNN_TYPE_FLOAT, {1.0f}));
    OK(set<double>(made, n.beta, CUDNN_TYPE_DOUBLE, {0.0}));
    OK(set_child(made, n.shape, make_shape(p)));
    OK(set_child(made, n.x, x));
    OK(set_child(made, n.w, w));
    OK(set_child(made, n.y, y));
    return made;
}

static cudnnBackendDescriptor_t make_statistics(const problem &p, cudnnBackendDescriptor_t y)
{
    cudnnBackendDescriptor_t made = make(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
    OK(set<cudnnGenStatsMode_t>(made, CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE,
                                {CUDNN_GENSTATS_SUM_SQSUM}));
    OK(set<cudnnDataType_t>(made, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, {CUDNN_DATA_FLOAT}));
    OK(set_child(made, CUDNN_ATTR_OPERATION_GENSTATS_XDESC, y));
    OK(set_child(made, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, make_tensor(SUM, CUDNN_DATA_FLOAT, p.sizes(SUM))));
    OK(set_child(made, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, make_tensor(SQUARE, CUDNN_DATA_FLOAT, p.sizes(SUM))));
    OK(cudnnBackendFinalize(made));
    return made;
}

static cudnnBackendDescriptor_t make_graph(const problem &p)
{
    cudnnBackendDescriptor_t y = make_tensor(Y, p.type, p.sizes(Y));
    std::vector<cudnnBackendDescriptor_t> operations = {
        make_convolution(p, make_tensor(X, p.type, p.sizes(X)), make_tensor(W, p.filter_type, p.sizes(W)), y)};
    OK(cudnnBackendFinalize(operations[0]));
    if (p.sums)
        operations.push_back(make_statistics(p, y));
    cudnnBackendDescriptor_t graph = make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    OK(set(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations));
    OK(cudnnBackendFinalize(graph));
    return graph;
}

/* Plans that the heuristics' engines give; empty where none can be made. */
static std::vector<cudnnBackendDescriptor_t> make_plans(const problem &p)
{
    cudnnBackendDescriptor_t heuristics = make(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
    OK(set_child(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, make_graph(p)));
    OK(set<cudnnBackendHeurMode_t>(heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, {CUDNN_HEUR_MODE_A}));
    OK(cudnnBackendFinalize(heuristics));
    int64_t count = 0;
    OK(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &count,
                                NULL));
    assert_true(count >= 2);
    std::vector<cudnnBackendDescriptor_t> configs, plans;
    for (int64_t i = 0; i < count; i++)
        configs.push_back(make(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR));
    OK(cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, &count,
                                configs.data()));
    for (cudnnBackendDescriptor_t config : configs) {
        cudnnBackendDescriptor_t plan = make(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        OK(set_child(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config));
        if (cudnnBackendFinalize(plan) == CUDNN_STATUS_SUCCESS)
            plans.push_back(plan);
    }
    return plans;
}

/* --- data: small integers, so that every sum is exact --- */

static float sample(int64_t id, size_t i)
{
    return (float)((i * 7 + (size_t)id * 3) % 5) - 2.0f;
}

static std::vector<char> encode(cudnnDataType_t type, const std::vector<float> &values)
{
    std::vector<char> bytes(values.size() * (type == CUDNN_DATA_FLOAT ? 4 : 2));
    for (size_t i = 0; i < values.size(); i++) {
        if (type == CUDNN_DATA_FLOAT)
            ((float *)bytes.data())[i] = values[i];
        else if (type == CUDNN_DATA_HALF)
            ((fp16 *)bytes.data())[i] = from_float<fp16>(values[i]);
        else
            ((bf16 *)bytes.data())[i] = from_float<bf16>(values[i]);
    }
    return bytes;
}

/* What the definition gives for the written tensor, channels last. */
static std::vector<float> compute(const problem &p)
{
    std::vector<float> out(p.count(p.pass == FORWARD ? Y : p.pass == DATA ? X : W), 0.0f);
    int64_t out_height = p.out(p.height), out_width = p.out(p.width), taps = p.kernel * p.kernel;
    for (int64_t i = 0; i < p.batch * out_height * out_width * p.filters * taps * p.channels; i++) {
        int64_t c = i % p.channels, tap = i / p.channels % taps, k = i / p.channels / taps % p.filters;
        int64_t pixel = i / p.channels / taps / p.filters, n = pixel / out_width / out_height;
        int64_t row = pixel / out_width % out_height * p.stride - p.pad + tap / p.kernel * p.dilation;
        int64_t column = pixel % out_width * p.stride - p.pad + tap % p.kernel * p.dilation;
        if (row < 0 || row >= p.height || column < 0 || column >= p.width)
            continue;
        size_t x = (size_t)(((n * p.height + row) * p.width + column) * p.channels + c);
        size_t w = (size_t)((k * taps + tap) * p.channels + c), y = (size_t)(pixel * p.filters + k);
        if (p.pass == FORWARD)
            out[y] += sample(X, x) * sample(W, w);
        else if (p.pass == DATA)
            out[x] += sample(W, w) * sample(Y, y);
        else
            out[w] += sample(X, x) * sample(Y, y);
    }
    return out;
}

struct device_tensors {
    std::vector<int64_t> ids;
    std::vector<void *> pointers;
};

static device_tensors upload(const problem &p)
{
    device_tensors made;
    for (int64_t id = X; id <= (p.sums ? SQUARE : Y); id++) {
        std::vector<float> values(p.count(id));
        for (size_t i = 0; i < values.size(); i++)
            values[i] = sample(id, i);
        std::vector<char> bytes = encode(p.type_of(id), values);
        void *pointer;
        OK(cudaMalloc(&pointer, bytes.size()));
        bool written = id >= SUM || id == (p.pass == FORWARD ? Y : p.pass == DATA ? X : W);
        if (!written)
            OK(cudaMemcpy(pointer, bytes.data(), bytes.size(), cudaMemcpyHostToDevice));
        made.ids.push_back(id);
        made.pointers.push_back(pointer);
    }
    return made;
}

static cudnnBackendDescriptor_t make_pack(const device_tensors &tensors, void *workspace)
{
    cudnnBackendDescriptor_t made = make(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    OK(set(made, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, tensors.ids));
    OK(set(made, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, tensors.pointers));
    OK(set<void *>(made, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, {workspace}));
    OK(cudnnBackendFinalize(made));
    return made;
}

static int64_t workspace_of(cudnnBackendDescriptor_t plan)
{
    int64_t size = -1, count;
    OK(cudnnBackendGetAttribute(plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &count, &size));
    return size;
}

static void check_statistics(const problem &p, const device_tensors &tensors, const std::vector<float> &y)
{
    std::vector<float> sums((size_t)p.filters, 0.0f), squares((size_t)p.filters, 0.0f), out((size_t)p.filters);
    for (size_t i = 0; i < y.size(); i++) {
        sums[i % sums.size()] += y[i];
        squares[i % sums.size()] += y[i] * y[i];
    }
    OK(cudaMemcpy(out.data(), tensors.pointers[SUM - 1], out.size() * 4, cudaMemcpyDeviceToHost));
    assert_memory_equal(out.data(), sums.data(), out.size() * 4);
    OK(cudaMemcpy(out.data(), tensors.pointers[SQUARE - 1], out.size() * 4, cudaMemcpyDeviceToHost));
    assert_memory_equal(out.data(), squares.data(), out.size() * 4);
}

static void check_problem(const problem &p)
{
    cudnnHandle_t handle;
    OK(cudnnCreate(&handle));
    std::vector<float> want = compute(p);
    int64_t written = p.pass == FORWARD ? Y : p.pass == DATA ? X : W;
    std::vector<char> expected = encode(p.type_of(written), want), got(expected.size());
    for (cudnnBackendDescriptor_t plan : make_plans(p)) {
        device_tensors tensors = upload(p);
        void *workspace;
        OK(cudaMalloc(&workspace, (size_t)workspace_of(plan)));
        OK(cudnnBackendExecute(handle, plan, make_pack(tensors, workspace)));
        OK(cudaMemcpy(got.data(), tensors.pointers[(size_t)written - 1], got.size(), cudaMemcpyDeviceToHost));
        assert_memory_equal(got.data(), expected.data(), got.size());
        if (p.sums)
            check_statistics(p, tensors, want);
        for (void *pointer : tensors.pointers)
            OK(cudaFree(pointer));
    }
    OK(cudnnDestroy(handle));
}

/* --- tests --- */

static const problem plain = {FORWARD, false, CUDNN_DATA_FLOAT, CUDNN_DATA_FLOAT, 2, 3, 7, 6, 5, 3, 1, 1, 1};

static void convolutions_follow_their_definition(void **)
{
    for (enum pass pass : {FORWARD, DATA, FILTER}) {
        for (cudnnDataType_t type : {CUDNN_DATA_FLOAT, CUDNN_DATA_HALF, CUDNN_DATA_BFLOAT16}) {
            problem p = plain;
            p.pass = pass;
            p.type = p.filter_type = type;
            check_problem(p);
            p.stride = 2;
            p.pad = 2;
            p.dilation = 2;
            check_problem(p);
            p.kernel = 1;
            p.pad = 0;
            check_problem(p);
        }
    }
    problem wide = plain;
    wide.pass = FILTER;
    wide.type = CUDNN_DATA_BFLOAT16;
    check_problem(wide);
}

static void statistics_of_the_output(void **)
{
    problem p = plain;
    p.sums = true;
    check_problem(p);
    p.type = p.filter_type = CUDNN_DATA_BFLOAT16;
    check_problem(p);
}

static void what_the_environment_takes_away(void **)
{
    problem p = plain;
    p.sums = true;
    setenv("GRAPEVINE_EMULATOR_NO_GENSTATS", "1", 1);
    assert_int_equal(make_plans(p).size(), 0);
    unsetenv("GRAPEVINE_EMULATOR_NO_GENSTATS");
    assert_true(make_plans(p).size() > 0);
    p.sums = false;
    p.pass = FILTER;
    p.type = CUDNN_DATA_HALF;
    setenv("GRAPEVINE_EMULATOR_NO_WIDE_WGRAD", "1", 1);
    assert_int_equal(make_plans(p).size(), 0);
    unsetenv("GRAPEVINE_EMULATOR_NO_WIDE_WGRAD");
    assert_true(make_plans(p).size() > 0);
}

static void wrong_descriptors_are_refused(void **)
{
    char text[256] = "";
    cudnnBackendDescriptor_t tensor = make(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    assert_int_equal(cudnnBackendFinalize(tensor), CUDNN_STATUS_BAD_PARAM);
    cudnnGetLastErrorString(text, sizeof(text));
    assert_true(strlen(text) > 0);
    assert_int_equal(set<float>(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_FLOAT, {1.0f}),
                     CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE);
    assert_int_equal(set<int64_t>(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, {1, 2}),
                     CUDNN_STATUS_BAD_PARAM);
    cudnnBackendDescriptor_t operation = make(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
    assert_int_equal(set_child(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, tensor),
                     CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED);
    tensor = make_tensor(X, CUDNN_DATA_FLOAT, plain.sizes(X));
    assert_int_equal(set<int64_t>(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, {1}),
                     CUDNN_STATUS_NOT_INITIALIZED);
    std::vector<int64_t> wrong = plain.sizes(Y);
    wrong[2]++;
    operation = make_convolution(plain, tensor, make_tensor(W, CUDNN_DATA_FLOAT, plain.sizes(W)),
                                 make_tensor(Y, CUDNN_DATA_FLOAT, wrong));
    assert_int_equal(cudnnBackendFinalize(operation), CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH);
}

static void wrong_packs_are_refused(void **)
{
    cudnnHandle_t handle;
    OK(cudnnCreate(&handle));
    cudnnBackendDescriptor_t plan = make_plans(plain)[0];
    assert_true(workspace_of(plan) > 0);
    void *workspace;
    OK(cudaMalloc(&workspace, (size_t)workspace_of(plan)));
    device_tensors tensors = upload(plain), wrong = tensors;
    assert_int_equal(cudnnBackendExecute(handle, plan, make_pack(tensors, NULL)), CUDNN_STATUS_BAD_PARAM_NULL_POINTER);
    wrong.pointers[0] = (char *)wrong.pointers[0] + 4;
    assert_int_equal(cudnnBackendExecute(handle, plan, make_pack(wrong, workspace)),
                     CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER);
    wrong = tensors;
    wrong.ids[0] = 77;
    assert_int_equal(cudnnBackendExecute(handle, plan, make_pack(wrong, workspace)), CUDNN_STATUS_BAD_PARAM);
    wrong = tensors;
    wrong.ids.pop_back();
    wrong.pointers.pop_back();
    assert_int_equal(cudnnBackendExecute(handle, plan, make_pack(wrong, workspace)), CUDNN_STATUS_BAD_PARAM);
    OK(cudnnBackendExecute(handle, plan, make_pack(tensors, workspace)));
    OK(cudnnDestroy(handle));
}

/* The first engine is of tensor cores: where fp32 was given, its note says so and its products are of tf32. */
static void the_first_engine_rounds_to_tf32(void **)
{
    cudnnHandle_t handle;
    OK(cudnnCreate(&handle));
    problem p = {FORWARD, false, CUDNN_DATA_FLOAT, CUDNN_DATA_FLOAT, 1, 1, 1, 1, 1, 1, 1, 0, 1};
    std::vector<cudnnBackendDescriptor_t> plans = make_plans(p);
    for (size_t i = 0; i < plans.size(); i++) {
        device_tensors tensors = upload(p);
        float x = 1.0f + 0x1p-12f, w = 1.0f, y;
        OK(cudaMemcpy(tensors.pointers[0], &x, 4, cudaMemcpyHostToDevice));
        OK(cudaMemcpy(tensors.pointers[1], &w, 4, cudaMemcpyHostToDevice));
        void *workspace;
        OK(cudaMalloc(&workspace, (size_t)workspace_of(plans[i])));
        OK(cudnnBackendExecute(handle, plans[i], make_pack(tensors, workspace)));
        OK(cudaMemcpy(&y, tensors.pointers[2], 4, cudaMemcpyDeviceToHost));
        assert_true(y == (i == 0 ? 1.0f : x));
    }
    OK(cudnnDestroy(handle));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions_follow_their_definition),
        cmocka_unit_test(statistics_of_the_output),
        cmocka_unit_test(what_the_environment_takes_away),
        cmocka_unit_test(wrong_descriptors_are_refused),
        cmocka_unit_test(wrong_packs_are_refused),
        cmocka_unit_test(the_first_engine_rounds_to_tf32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
