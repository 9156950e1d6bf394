/* What descriptors of cuDNN mean: their checks when they are finalized, the program that a plan runs, its execution.
 *
 * Graphs are one convolution (forward, backward data, backward filter), or a forward convolution and GENSTATS of its
 * output, or one and a chain of additions, multiplications and ReLU (which turns NaN into 0). Every graph has three engines: the first stands for tensor cores, says so in its notes, and rounds fp32
 * inputs to tf32; the last needs no workspace. The workspace of the others is filled with NaN when a plan runs, for
 * kernels scribble there. GRAPEVINE_EMULATOR_NO_GENSTATS, _NO_POINTWISE and _NO_WIDE_WGRAD make plans with statistics,
 * with such chains, and of fp32 filter gradients from 16-bit tensors, unsupported; GRAPEVINE_EMULATOR_NONDETERMINISTIC gives
 * the first engine the note that it is so. */
#include "emulator_cudnn.h"

#include <algorithm>
#include <string.h>

namespace emulator
{

static const struct convolution_names {
    cudnnBackendDescriptorType_t operation;
    convolution_kind kind;
    cudnnBackendAttributeName_t alpha, beta, shape, x, w, y;
} convolutions[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, FORWARD, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, BACKWARD_DATA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, BACKWARD_FILTER,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
};

static const convolution_names *find_convolution(const descriptor &operation)
{
    for (const convolution_names &names : convolutions) {
        if (names.operation == operation.kind)
            return &names;
    }
    return NULL;
}

/* --- tensors --- */

static int64_t unique_id(const descriptor &tensor)
{
    return value<int64_t>(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, -1);
}

static bool is_virtual(const descriptor &tensor)
{
    return value<bool>(tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, false);
}

static bool find_type(const descriptor &tensor, number_type *type)
{
    cudnnDataType_t given = value<cudnnDataType_t>(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_DOUBLE);
    *type = given == CUDNN_DATA_HALF ? FLOAT16 : given == CUDNN_DATA_BFLOAT16 ? BFLOAT16 : FLOAT32;
    return given == CUDNN_DATA_HALF || given == CUDNN_DATA_BFLOAT16 || given == CUDNN_DATA_FLOAT;
}

/* Bytes from the first element to the end of the last. */
static size_t extent(const descriptor &tensor)
{
    std::vector<int64_t> sizes = values<int64_t>(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS);
    std::vector<int64_t> strides = values<int64_t>(tensor, CUDNN_ATTR_TENSOR_STRIDES);
    number_type type;
    find_type(tensor, &type);
    size_t last = 0;
    for (size_t i = 0; i < sizes.size(); i++)
        last += (size_t)((sizes[i] - 1) * strides[i]);
    return (last + 1) * size_of(type);
}

static cudnnStatus_t finalize_tensor(const descriptor &d)
{
    std::vector<int64_t> sizes = values<int64_t>(d, CUDNN_ATTR_TENSOR_DIMENSIONS);
    std::vector<int64_t> strides = values<int64_t>(d, CUDNN_ATTR_TENSOR_STRIDES);
    int64_t alignment = value<int64_t>(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0);
    number_type type;
    if (!find_type(d, &type))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "tensors are fp32, fp16 or bf16");
    if (sizes.size() != strides.size())
        return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor with as many sizes as strides");
    for (size_t i = 0; i < sizes.size(); i++) {
        if (sizes[i] < 1 || strides[i] < 1)
            return refuse(CUDNN_STATUS_BAD_PARAM, "sizes and strides are positive");
    }
    if (alignment < (int64_t)size_of(type) || (alignment & (alignment - 1)) != 0)
        return refuse(CUDNN_STATUS_BAD_PARAM, "the alignment is a power of 2, at least the size of an element");
    if (value<bool>(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, false) ||
        value<int64_t>(d, CUDNN_ATTR_TENSOR_VECTOR_COUNT, 1) != 1)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "tensors by value and vectorized ones are not emulated");
    return CUDNN_STATUS_SUCCESS;
}

static bool read_layout(const descriptor &tensor, tensor_layout *layout)
{
    std::vector<int64_t> sizes = values<int64_t>(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS);
    std::vector<int64_t> strides = values<int64_t>(tensor, CUDNN_ATTR_TENSOR_STRIDES);
    if (sizes.size() != 4)
        return false;
    std::copy(sizes.begin(), sizes.end(), layout->sizes);
    std::copy(strides.begin(), strides.end(), layout->strides);
    return find_type(tensor, &layout->type);
}

/* --- convolutions --- */

static cudnnStatus_t finalize_shape(const descriptor &d)
{
    static const cudnnBackendAttributeName_t lists[] = {
        CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_ATTR_CONVOLUTION_DILATIONS,
        CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES};
    int64_t count = value<int64_t>(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0);
    for (cudnnBackendAttributeName_t name : lists) {
        bool padding = name == CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS || name == CUDNN_ATTR_CONVOLUTION_POST_PADDINGS;
        std::vector<int64_t> list = values<int64_t>(d, name);
        if ((int64_t)list.size() != count)
            return refuse(CUDNN_STATUS_BAD_PARAM, "a convolution's lists have as many elements as spatial dimensions");
        for (int64_t one : list) {
            if (one < (padding ? 0 : 1))
                return refuse(CUDNN_STATUS_BAD_PARAM, "padding is not negative, dilations and strides are positive");
        }
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t read_shape(const descriptor &d, convolution *c, int64_t padding_behind[2])
{
    if (value<int64_t>(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0) != 2)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only convolutions with 2 spatial dimensions are emulated");
    if (value(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CONVOLUTION) != CUDNN_CROSS_CORRELATION)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only cross-correlations are emulated");
    if (value(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_DOUBLE) != CUDNN_DATA_FLOAT)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only calculation in fp32 is emulated");
    for (size_t i = 0; i < 2; i++) {
        c->pad[i] = values<int64_t>(d, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS)[i];
        c->stride[i] = values<int64_t>(d, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES)[i];
        c->dilation[i] = values<int64_t>(d, CUDNN_ATTR_CONVOLUTION_DILATIONS)[i];
        padding_behind[i] = values<int64_t>(d, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS)[i];
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_sizes(const convolution &c, const int64_t padding_behind[2])
{
    if (c.x.sizes[0] != c.y.sizes[0] || c.w.sizes[0] != c.y.sizes[1])
        return refuse(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "batch or channels do not fit together");
    if (c.x.sizes[1] != c.w.sizes[1])
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_SHAPE, "filters without all channels (groups) are not emulated");
    for (int i = 0; i < 2; i++) {
        int64_t covered = (c.w.sizes[2 + i] - 1) * c.dilation[i] + 1;
        int64_t room = c.x.sizes[2 + i] + c.pad[i] + padding_behind[i] - covered;
        if (room < 0 || c.y.sizes[2 + i] != room / c.stride[i] + 1)
            return refuse(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "the output does not have the size of the formula");
    }
    return CUDNN_STATUS_SUCCESS;
}

static double real_value(const descriptor &d, cudnnBackendAttributeName_t name)
{
    return d.attributes.at(name).type == CUDNN_TYPE_DOUBLE ? value<double>(d, name, 0) : value<float>(d, name, 0);
}

static cudnnStatus_t read_convolution(const descriptor &d, const convolution_names &names, convolution *c)
{
    int64_t padding_behind[2];
    c->kind = names.kind;
    cudnnStatus_t status = read_shape(*child(d, names.shape), c, padding_behind);
    if (status)
        return status;
    if (!read_layout(*child(d, names.x), &c->x) || !read_layout(*child(d, names.w), &c->w) ||
        !read_layout(*child(d, names.y), &c->y))
        return refuse(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "tensors of a convolution have 4 dimensions");
    if (real_value(d, names.alpha) != 1 || real_value(d, names.beta) != 0)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only alpha = 1 and beta = 0 are emulated");
    return check_sizes(*c, padding_behind);
}

/* --- statistics --- */

static cudnnStatus_t finalize_statistics(const descriptor &d)
{
    descriptor_ref x = child(d, CUDNN_ATTR_OPERATION_GENSTATS_XDESC);
    if (value(d, CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_DATA_DOUBLE) != CUDNN_DATA_FLOAT)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "statistics are calculated in fp32");
    for (auto name : {CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC}) {
        tensor_layout layout, of;
        if (!read_layout(*child(d, name), &layout) || !read_layout(*x, &of) || layout.sizes[0] != 1 ||
            layout.sizes[1] != of.sizes[1] || layout.sizes[2] != 1 || layout.sizes[3] != 1)
            return refuse(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "statistics are (1, channels, 1, 1)");
        if (layout.type != FLOAT32 || layout.strides[1] != 1)
            return refuse(CUDNN_STATUS_NOT_SUPPORTED, "statistics are fp32 and contiguous");
    }
    return CUDNN_STATUS_SUCCESS;
}

/* --- steps from element to element --- */

static cudnnStatus_t finalize_pointwise(const descriptor &d)
{
    cudnnPointwiseMode_t mode = value(d, CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_SQRT);
    if (mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_MUL && mode != CUDNN_POINTWISE_RELU_FWD)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only additions, multiplications and ReLU are emulated");
    if (value(d, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_DOUBLE) != CUDNN_DATA_FLOAT)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "only calculation in fp32 is emulated");
    return CUDNN_STATUS_SUCCESS;
}

static bool same_sizes(const tensor_layout &a, const tensor_layout &b)
{
    return std::equal(a.sizes, a.sizes + 4, b.sizes);
}

static cudnnStatus_t read_step(const descriptor &d, pointwise_step *step)
{
    tensor_layout x, y;
    step->mode =
        value(*child(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR), CUDNN_ATTR_POINTWISE_MODE, CUDNN_POINTWISE_SQRT);
    step->with = -1;
    if (!read_layout(*child(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC), &x) ||
        !read_layout(*child(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC), &y) || !same_sizes(x, y))
        return refuse(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "a step from tensor to tensor of other sizes");
    if (has(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC) == (step->mode == CUDNN_POINTWISE_RELU_FWD))
        return refuse(CUDNN_STATUS_BAD_PARAM, "a second operand too few or too many");
    if (step->mode == CUDNN_POINTWISE_RELU_FWD)
        return CUDNN_STATUS_SUCCESS;
    descriptor_ref b = child(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);
    step->with = unique_id(*b);
    if (!read_layout(*b, &step->layout))
        return refuse(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "operands of a step have 4 dimensions");
    const int64_t *sizes = step->layout.sizes;
    bool of_channels = sizes[0] == 1 && sizes[1] == x.sizes[1] && sizes[2] == 1 && sizes[3] == 1;
    if (!of_channels && !same_sizes(step->layout, x))
        return refuse(CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH, "an operand as large as the other, or of channels");
    return CUDNN_STATUS_SUCCESS;
}

/* --- graphs --- */

/* The tensors of an operation. */
static std::vector<descriptor_ref> tensors_of(const descriptor &operation)
{
    std::vector<descriptor_ref> found;
    for (const auto &entry : operation.attributes) {
        for (const descriptor_ref &one : entry.second.descriptors) {
            if (one->kind == CUDNN_BACKEND_TENSOR_DESCRIPTOR)
                found.push_back(one);
        }
    }
    return found;
}

/* Tensors of one id must be alike. */
static cudnnStatus_t check_ids(const descriptor &graph)
{
    std::map<int64_t, descriptor_ref> known;
    for (const descriptor_ref &operation : graph.attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).descriptors) {
        std::map<int64_t, bool> here;
        for (const descriptor_ref &tensor : tensors_of(*operation)) {
            int64_t id = unique_id(*tensor);
            descriptor_ref &other = known[id];
            if (here[id] || (other && (extent(*other) != extent(*tensor) || is_virtual(*other) != is_virtual(*tensor))))
                return refuse(CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES,
                              "different tensors with the unique id " + std::to_string(id));
            here[id] = true;
            other = tensor;
        }
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finalize_graph(descriptor *d)
{
    cudnnStatus_t status = check_ids(*d);
    if (status)
        return status;
    set_value(d, CUDNN_ATTR_OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, ENGINE_COUNT);
    return CUDNN_STATUS_SUCCESS;
}

/* --- engines and plans --- */

int64_t engine_workspace(int64_t engine)
{
    static const int64_t bytes[ENGINE_COUNT] = {1024, 4096, 0};
    return bytes[engine];
}

static cudnnStatus_t finalize_engine(descriptor *d)
{
    int64_t index = value<int64_t>(*d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, -1);
    if (index < 0 || index >= ENGINE_COUNT)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "no such engine");
    return CUDNN_STATUS_SUCCESS;
}

void note_engine(descriptor *engine)
{
    std::vector<cudnnBackendNumericalNote_t> notes = {CUDNN_NUMERICAL_NOTE_TENSOR_CORE};
    if (value<int64_t>(*engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0) != 0)
        return;
    if (setting_number("NONDETERMINISTIC", 0) != 0)
        notes.push_back(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
    const char *bytes = (const char *)notes.data();
    size_t size = notes.size() * sizeof(notes[0]);
    engine->attributes[CUDNN_ATTR_ENGINE_NUMERICAL_NOTE] = {
        CUDNN_TYPE_NUMERICAL_NOTE, (int64_t)notes.size(), std::vector<char>(bytes, bytes + size), {}};
}

static cudnnStatus_t check_types(const convolution &c)
{
    const tensor_layout *from = c.kind == FORWARD ? &c.x : &c.y, *with = c.kind == BACKWARD_FILTER ? &c.x : &c.w;
    const tensor_layout *to = c.kind == FORWARD ? &c.y : c.kind == BACKWARD_DATA ? &c.x : &c.w;
    if (from->type != with->type || (to->type != from->type && to->type != FLOAT32))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "inputs of one type, an output of that type or fp32");
    if (c.kind == BACKWARD_FILTER && to->type != from->type && setting_number("NO_WIDE_WGRAD", 0) != 0)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE, "no engine for fp32 filter gradients of 16-bit tensors");
    return CUDNN_STATUS_SUCCESS;
}

static void add_tensor(cudnn_program *program, const descriptor &tensor)
{
    program->alignment[unique_id(tensor)] = (size_t)value<int64_t>(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 1);
    program->extent[unique_id(tensor)] = extent(tensor);
}

static cudnnStatus_t read_statistics(const descriptor &operation, cudnn_program *program)
{
    if (operation.kind != CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR || program->shape.kind != FORWARD ||
        unique_id(*child(operation, CUDNN_ATTR_OPERATION_GENSTATS_XDESC)) != program->y)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN,
                      "only statistics of a convolution's output are emulated");
    if (setting_number("NO_GENSTATS", 0) != 0)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "no engine for statistics");
    descriptor_ref sums = child(operation, CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC);
    descriptor_ref squares = child(operation, CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC);
    if (is_virtual(*sums) || is_virtual(*squares))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "virtual statistics");
    program->sums = unique_id(*sums);
    program->squares = unique_id(*squares);
    add_tensor(program, *sums);
    add_tensor(program, *squares);
    return CUDNN_STATUS_SUCCESS;
}

/* Each step reads what the one before it has left, which nothing else knows. */
static cudnnStatus_t read_steps(const std::vector<descriptor_ref> &operations, cudnn_program *program)
{
    if (setting_number("NO_POINTWISE", 0) != 0)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "no engine for steps behind a convolution");
    int64_t behind = program->y;
    bool hidden = program->y_is_virtual;
    for (size_t i = 1; i < operations.size(); i++) {
        const descriptor &operation = *operations[i];
        pointwise_step step;
        if (operation.kind != CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR || program->shape.kind != FORWARD ||
            !hidden || unique_id(*child(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC)) != behind)
            return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "only a chain of virtual values is emulated");
        cudnnStatus_t status = read_step(operation, &step);
        if (status)
            return status;
        if (step.with >= 0 && is_virtual(*child(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC)))
            return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "a virtual second operand");
        if (step.with >= 0)
            add_tensor(program, *child(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC));
        program->steps.push_back(step);
        descriptor_ref y = child(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
        behind = program->result = unique_id(*y);
        hidden = is_virtual(*y);
        read_layout(*y, &program->result_layout);
        if (!hidden)
            add_tensor(program, *y);
    }
    if (hidden)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "a virtual tensor at the edge of the graph");
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t read_program(const std::vector<descriptor_ref> &operations, cudnn_program *program)
{
    const convolution_names *names = find_convolution(*operations[0]);
    if (names == NULL)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "a convolution, alone or before something else");
    cudnnStatus_t status = read_convolution(*operations[0], *names, &program->shape);
    if (!status)
        status = check_types(program->shape);
    if (status)
        return status;
    descriptor_ref x = child(*operations[0], names->x), w = child(*operations[0], names->w);
    descriptor_ref y = child(*operations[0], names->y);
    program->x = unique_id(*x);
    program->w = unique_id(*w);
    program->y = unique_id(*y);
    program->y_is_virtual = is_virtual(*y);
    if (is_virtual(*x) || is_virtual(*w) || (program->y_is_virtual && operations.size() == 1))
        return refuse(CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN, "a virtual tensor at the edge of the graph");
    add_tensor(program, *x);
    add_tensor(program, *w);
    if (!program->y_is_virtual)
        add_tensor(program, *y);
    program->sums = program->squares = -1;
    if (operations.size() == 1)
        return CUDNN_STATUS_SUCCESS;
    if (operations.size() == 2 && operations[1]->kind == CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR)
        return read_statistics(*operations[1], program);
    return read_steps(operations, program);
}

static cudnnStatus_t finalize_plan(descriptor *d)
{
    descriptor_ref engine = child(*child(*d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG), CUDNN_ATTR_ENGINECFG_ENGINE);
    descriptor_ref graph = child(*engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH);
    auto program = std::make_shared<cudnn_program>();
    cudnnStatus_t status = read_program(graph->attributes.at(CUDNN_ATTR_OPERATIONGRAPH_OPS).descriptors, program.get());
    if (status)
        return status;
    int64_t index = value<int64_t>(*engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0);
    program->shape.tf32 = index == 0 && program->shape.x.type == FLOAT32;
    program->workspace = engine_workspace(index);
    set_value(d, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, program->workspace);
    d->program = program;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t finalize_meaning(descriptor *d)
{
    const convolution_names *names = find_convolution(*d);
    convolution ignored;
    if (names)
        return read_convolution(*d, *names, &ignored);
    switch (d->kind) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        return finalize_tensor(*d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        return finalize_shape(*d);
    case CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR:
        return finalize_statistics(*d);
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
        return finalize_pointwise(*d);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR: {
        pointwise_step step;
        return read_step(*d, &step);
    }
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        return finalize_graph(d);
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        note_engine(d);
        return finalize_engine(d);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        return finalize_plan(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        if (d->attributes.at(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS).count !=
            d->attributes.at(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS).count)
            return refuse(CUDNN_STATUS_BAD_PARAM, "a variant pack with as many ids as pointers");
        return CUDNN_STATUS_SUCCESS;
    default:
        return CUDNN_STATUS_SUCCESS;
    }
}

/* --- execution --- */

static cudnnStatus_t read_pack(const cudnn_program &program, const descriptor &pack,
                               std::map<int64_t, void *> *pointers)
{
    std::vector<int64_t> ids = values<int64_t>(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    std::vector<void *> given = values<void *>(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (size_t i = 0; i < ids.size(); i++) {
        if (program.extent.count(ids[i]) == 0 || pointers->count(ids[i]) > 0)
            return refuse(CUDNN_STATUS_BAD_PARAM, "unique id " + std::to_string(ids[i]) + " is unknown or given twice");
        (*pointers)[ids[i]] = given[i];
    }
    for (const auto &entry : program.extent) {
        auto found = pointers->find(entry.first);
        if (found == pointers->end())
            return refuse(CUDNN_STATUS_BAD_PARAM, "unique id " + std::to_string(entry.first) + " is not given");
        if ((uintptr_t)found->second % program.alignment.at(entry.first) != 0)
            return refuse(CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER,
                          "the pointer of unique id " + std::to_string(entry.first) + " is not aligned");
        if (!on_device(found->second, entry.second, true))
            fail("cuDNN: %zu bytes at %p, for unique id %lld, are not in device memory", entry.second, found->second,
                 (long long)entry.first);
    }
    return CUDNN_STATUS_SUCCESS;
}

/* --- a convolution and what follows it --- */

static float step_value(const pointwise_step &step, float value, float other)
{
    if (step.mode == CUDNN_POINTWISE_RELU_FWD)
        return value > 0 ? value : 0.0f;
    return step.mode == CUDNN_POINTWISE_ADD ? value + other : value * other;
}

static size_t offset_of(const tensor_layout &layout, const int64_t place[4])
{
    size_t offset = 0;
    for (int i = 0; i < 4; i++)
        offset += (size_t)((layout.sizes[i] == 1 ? 0 : place[i]) * layout.strides[i]);
    return offset;
}

/* `others`: the second operand of each step. */
static float take_steps(const std::vector<pointwise_step> &steps, const std::vector<void *> &others, float value,
                        const int64_t place[4])
{
    for (size_t k = 0; k < steps.size(); k++) {
        const tensor_layout &layout = steps[k].layout;
        float other = others[k] == NULL ? 0.0f : load(layout.type, others[k], offset_of(layout, place));
        value = step_value(steps[k], value, other);
    }
    return value;
}

static void run_program(const cudnn_program &program, const std::map<int64_t, void *> &pointers)
{
    void *x = pointers.at(program.x), *w = pointers.at(program.w);
    if (program.steps.empty()) {
        void *y = program.y_is_virtual ? NULL : pointers.at(program.y);
        float *sums = program.sums < 0 ? NULL : (float *)pointers.at(program.sums);
        float *squares = program.sums < 0 ? NULL : (float *)pointers.at(program.squares);
        convolve(program.shape, x, w, y, sums, squares);
        return;
    }
    const tensor_layout &y = program.shape.y, &result = program.result_layout;
    const int64_t last[4] = {y.sizes[0] - 1, y.sizes[1] - 1, y.sizes[2] - 1, y.sizes[3] - 1};
    std::vector<char> product((offset_of(y, last) + 1) * size_of(y.type));
    convolve(program.shape, x, w, product.data(), NULL, NULL);
    std::vector<void *> others;
    for (const pointwise_step &step : program.steps)
        others.push_back(step.with < 0 ? NULL : pointers.at(step.with));
    void *to = pointers.at(program.result);
    int64_t place[4];
    for (place[0] = 0; place[0] < y.sizes[0]; place[0]++)
        for (place[1] = 0; place[1] < y.sizes[1]; place[1]++)
            for (place[2] = 0; place[2] < y.sizes[2]; place[2]++)
                for (place[3] = 0; place[3] < y.sizes[3]; place[3]++) {
                    float value = load(y.type, product.data(), offset_of(y, place));
                    store(result.type, to, offset_of(result, place), take_steps(program.steps, others, value, place));
                }
}

cudnnStatus_t execute_plan(CUstream_st *stream, const descriptor &plan, const descriptor &pack)
{
    std::shared_ptr<const cudnn_program> program = plan.program;
    std::map<int64_t, void *> pointers;
    cudnnStatus_t status = read_pack(*program, pack, &pointers);
    if (status)
        return status;
    void *workspace = value<void *>(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, NULL);
    size_t size = (size_t)program->workspace;
    if (size > 0 && workspace == NULL)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "the plan needs a workspace");
    if (size > 0 && !on_device(workspace, size, false))
        fail("cuDNN: the workspace of %zu bytes at %p is not in device memory", size, workspace);
    if (check_stream(stream) != 0)
        return refuse(CUDNN_STATUS_EXECUTION_FAILED, "the handle's stream is gone or of another device");
    int error = submit(stream, "cuDNN plan", [=]() {
        if (size > 0)
            memset(workspace, 0xff, size);
        run_program(*program, pointers);
    });
    if (remember_error(error))
        return refuse(CUDNN_STATUS_EXECUTION_FAILED_CUDART, "the stream does not take work");
    return CUDNN_STATUS_SUCCESS;
}

} // namespace emulator
