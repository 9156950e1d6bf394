/* libcudnn's handle and the descriptors of its backend API. Which attributes a descriptor has, of which type and how
 * many elements, is a table of rules; what breaks a rule is refused as cuDNN refuses it. */
#include "emulator_cudnn.h"

#include <stdio.h>
#include <string.h>

using namespace emulator;

/* What cudnnBackendDescriptor_t points to. Descriptors refer to each other, not to these. */
struct handle {
    descriptor_ref content;
};

static thread_local std::string last_refusal;

namespace emulator
{

cudnnStatus_t refuse(cudnnStatus_t status, const std::string &why)
{
    last_refusal = why;
    return status;
}

bool has(const descriptor &d, cudnnBackendAttributeName_t name)
{
    return d.attributes.count(name) > 0;
}

descriptor_ref child(const descriptor &d, cudnnBackendAttributeName_t name)
{
    return d.attributes.at(name).descriptors.at(0);
}

void set_value(descriptor *d, cudnnBackendAttributeName_t name, int64_t number)
{
    const char *bytes = (const char *)&number;
    d->attributes[name] = {CUDNN_TYPE_INT64, 1, std::vector<char>(bytes, bytes + sizeof(number)), {}};
}

void set_child(descriptor *d, cudnnBackendAttributeName_t name, const descriptor_ref &other)
{
    d->attributes[name] = {CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, {}, {other}};
}

} // namespace emulator

/* --- rules --- */

enum need { REQUIRED, OPTIONAL, ANSWER /* given by cuDNN, cannot be set */ };

static const struct rule {
    cudnnBackendDescriptorType_t kind;
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type, other_type;
    int64_t least, most;
    need needed;
    int child_kind; /* of descriptors; −1: any operation */
} rules[] = {
#define ONE(kind, name, type, needed)                                                                               \
    {                                                                                                               \
        CUDNN_BACKEND_##kind##_DESCRIPTOR, CUDNN_ATTR_##name, CUDNN_TYPE_##type, CUDNN_TYPE_##type, 1, 1, needed, 0 \
    }
#define MANY(kind, name, type, least, most, needed)                                                              \
    {                                                                                                            \
        CUDNN_BACKEND_##kind##_DESCRIPTOR, CUDNN_ATTR_##name, CUDNN_TYPE_##type, CUDNN_TYPE_##type, least, most, \
            needed, 0                                                                                            \
    }
#define REAL(kind, name)                                                                                             \
    {                                                                                                                \
        CUDNN_BACKEND_##kind##_DESCRIPTOR, CUDNN_ATTR_##name, CUDNN_TYPE_FLOAT, CUDNN_TYPE_DOUBLE, 1, 1, REQUIRED, 0 \
    }
#define CHILD(kind, name, child, needed)                                                     \
    {                                                                                        \
        CUDNN_BACKEND_##kind##_DESCRIPTOR, CUDNN_ATTR_##name, CUDNN_TYPE_BACKEND_DESCRIPTOR, \
            CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 1, needed, CUDNN_BACKEND_##child##_DESCRIPTOR  \
    }
    ONE(TENSOR, TENSOR_UNIQUE_ID, INT64, REQUIRED),
    ONE(TENSOR, TENSOR_DATA_TYPE, DATA_TYPE, REQUIRED),
    ONE(TENSOR, TENSOR_BYTE_ALIGNMENT, INT64, REQUIRED),
    MANY(TENSOR, TENSOR_DIMENSIONS, INT64, 1, CUDNN_DIM_MAX, REQUIRED),
    MANY(TENSOR, TENSOR_STRIDES, INT64, 1, CUDNN_DIM_MAX, REQUIRED),
    ONE(TENSOR, TENSOR_IS_VIRTUAL, BOOLEAN, OPTIONAL),
    ONE(TENSOR, TENSOR_IS_BY_VALUE, BOOLEAN, OPTIONAL),
    ONE(TENSOR, TENSOR_VECTOR_COUNT, INT64, OPTIONAL),
    ONE(TENSOR, TENSOR_VECTORIZED_DIMENSION, INT64, OPTIONAL),
    ONE(CONVOLUTION, CONVOLUTION_COMP_TYPE, DATA_TYPE, REQUIRED),
    ONE(CONVOLUTION, CONVOLUTION_CONV_MODE, CONVOLUTION_MODE, REQUIRED),
    ONE(CONVOLUTION, CONVOLUTION_SPATIAL_DIMS, INT64, REQUIRED),
    MANY(CONVOLUTION, CONVOLUTION_PRE_PADDINGS, INT64, 1, CUDNN_DIM_MAX, REQUIRED),
    MANY(CONVOLUTION, CONVOLUTION_POST_PADDINGS, INT64, 1, CUDNN_DIM_MAX, REQUIRED),
    MANY(CONVOLUTION, CONVOLUTION_DILATIONS, INT64, 1, CUDNN_DIM_MAX, REQUIRED),
    MANY(CONVOLUTION, CONVOLUTION_FILTER_STRIDES, INT64, 1, CUDNN_DIM_MAX, REQUIRED),
    REAL(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_ALPHA),
    REAL(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_BETA),
    CHILD(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CONVOLUTION, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_W, TENSOR, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_X, TENSOR, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_FORWARD, OPERATION_CONVOLUTION_FORWARD_Y, TENSOR, REQUIRED),
    REAL(OPERATION_CONVOLUTION_BACKWARD_DATA, OPERATION_CONVOLUTION_BWD_DATA_ALPHA),
    REAL(OPERATION_CONVOLUTION_BACKWARD_DATA, OPERATION_CONVOLUTION_BWD_DATA_BETA),
    CHILD(OPERATION_CONVOLUTION_BACKWARD_DATA, OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CONVOLUTION, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_BACKWARD_DATA, OPERATION_CONVOLUTION_BWD_DATA_W, TENSOR, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_BACKWARD_DATA, OPERATION_CONVOLUTION_BWD_DATA_DX, TENSOR, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_BACKWARD_DATA, OPERATION_CONVOLUTION_BWD_DATA_DY, TENSOR, REQUIRED),
    REAL(OPERATION_CONVOLUTION_BACKWARD_FILTER, OPERATION_CONVOLUTION_BWD_FILTER_ALPHA),
    REAL(OPERATION_CONVOLUTION_BACKWARD_FILTER, OPERATION_CONVOLUTION_BWD_FILTER_BETA),
    CHILD(OPERATION_CONVOLUTION_BACKWARD_FILTER, OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CONVOLUTION, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_BACKWARD_FILTER, OPERATION_CONVOLUTION_BWD_FILTER_DW, TENSOR, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_BACKWARD_FILTER, OPERATION_CONVOLUTION_BWD_FILTER_X, TENSOR, REQUIRED),
    CHILD(OPERATION_CONVOLUTION_BACKWARD_FILTER, OPERATION_CONVOLUTION_BWD_FILTER_DY, TENSOR, REQUIRED),
    ONE(POINTWISE, POINTWISE_MODE, POINTWISE_MODE, REQUIRED),
    ONE(POINTWISE, POINTWISE_MATH_PREC, DATA_TYPE, REQUIRED),
    CHILD(OPERATION_POINTWISE, OPERATION_POINTWISE_PW_DESCRIPTOR, POINTWISE, REQUIRED),
    CHILD(OPERATION_POINTWISE, OPERATION_POINTWISE_XDESC, TENSOR, REQUIRED),
    CHILD(OPERATION_POINTWISE, OPERATION_POINTWISE_BDESC, TENSOR, OPTIONAL),
    CHILD(OPERATION_POINTWISE, OPERATION_POINTWISE_YDESC, TENSOR, REQUIRED),
    ONE(OPERATION_GEN_STATS, OPERATION_GENSTATS_MODE, GENSTATS_MODE, REQUIRED),
    ONE(OPERATION_GEN_STATS, OPERATION_GENSTATS_MATH_PREC, DATA_TYPE, REQUIRED),
    CHILD(OPERATION_GEN_STATS, OPERATION_GENSTATS_XDESC, TENSOR, REQUIRED),
    CHILD(OPERATION_GEN_STATS, OPERATION_GENSTATS_SUMDESC, TENSOR, REQUIRED),
    CHILD(OPERATION_GEN_STATS, OPERATION_GENSTATS_SQSUMDESC, TENSOR, REQUIRED),
    ONE(OPERATIONGRAPH, OPERATIONGRAPH_HANDLE, HANDLE, OPTIONAL),
    {CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
     CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, 64, REQUIRED, -1},
    ONE(OPERATIONGRAPH, OPERATIONGRAPH_ENGINE_GLOBAL_COUNT, INT64, ANSWER),
    CHILD(ENGINE, ENGINE_OPERATION_GRAPH, OPERATIONGRAPH, REQUIRED),
    ONE(ENGINE, ENGINE_GLOBAL_INDEX, INT64, REQUIRED),
    MANY(ENGINE, ENGINE_NUMERICAL_NOTE, NUMERICAL_NOTE, 0, CUDNN_NUMERICAL_NOTE_TYPE_COUNT, ANSWER),
    MANY(ENGINE, ENGINE_BEHAVIOR_NOTE, BEHAVIOR_NOTE, 0, CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, ANSWER),
    CHILD(ENGINECFG, ENGINECFG_ENGINE, ENGINE, REQUIRED),
    ONE(ENGINECFG, ENGINECFG_WORKSPACE_SIZE, INT64, ANSWER),
    CHILD(ENGINEHEUR, ENGINEHEUR_OPERATION_GRAPH, OPERATIONGRAPH, REQUIRED),
    ONE(ENGINEHEUR, ENGINEHEUR_MODE, HEUR_MODE, REQUIRED),
    MANY(ENGINEHEUR, ENGINEHEUR_RESULTS, BACKEND_DESCRIPTOR, 0, ENGINE_COUNT, ANSWER),
    ONE(EXECUTION_PLAN, EXECUTION_PLAN_HANDLE, HANDLE, OPTIONAL),
    CHILD(EXECUTION_PLAN, EXECUTION_PLAN_ENGINE_CONFIG, ENGINECFG, REQUIRED),
    ONE(EXECUTION_PLAN, EXECUTION_PLAN_WORKSPACE_SIZE, INT64, ANSWER),
    MANY(VARIANT_PACK, VARIANT_PACK_UNIQUE_IDS, INT64, 1, 1024, REQUIRED),
    MANY(VARIANT_PACK, VARIANT_PACK_DATA_POINTERS, VOID_PTR, 1, 1024, REQUIRED),
    ONE(VARIANT_PACK, VARIANT_PACK_WORKSPACE, VOID_PTR, OPTIONAL),
#undef ONE
#undef MANY
#undef REAL
#undef CHILD
};

static const rule *find_rule(const descriptor &d, cudnnBackendAttributeName_t name)
{
    for (const rule &one : rules) {
        if (one.kind == d.kind && one.name == name)
            return &one;
    }
    return NULL;
}

static size_t size_of_type(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_HANDLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
        return 8;
    case CUDNN_TYPE_BOOLEAN:
        return sizeof(bool);
    default: /* enumerations, float, int32 */
        return 4;
    }
}

static std::string describe(const descriptor &d, cudnnBackendAttributeName_t name)
{
    return "attribute " + std::to_string(name) + " of descriptor type " + std::to_string(d.kind);
}

/* --- handle --- */

cudnnStatus_t cudnnCreate(cudnnHandle_t *made)
{
    if (device_count() == 0)
        return refuse(CUDNN_STATUS_NOT_INITIALIZED, "no device");
    *made = new cudnnContext{NULL};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t context)
{
    delete context;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t context, cudaStream_t stream)
{
    locked hold;
    if (context == NULL || check_stream(stream) != 0)
        return refuse(CUDNN_STATUS_BAD_PARAM, "not a handle, or not a stream of this device");
    context->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetStream(cudnnHandle_t context, cudaStream_t *stream)
{
    *stream = context->stream;
    return CUDNN_STATUS_SUCCESS;
}

size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

size_t cudnnGetCudartVersion(void)
{
    return CUDART_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    static const struct {
        int category;
        const char *name;
    } names[] = {{0, "CUDNN_STATUS_SUCCESS"},           {1000, "CUDNN_STATUS_NOT_INITIALIZED"},
                 {2000, "CUDNN_STATUS_BAD_PARAM"},      {3000, "CUDNN_STATUS_NOT_SUPPORTED"},
                 {4000, "CUDNN_STATUS_INTERNAL_ERROR"}, {5000, "CUDNN_STATUS_EXECUTION_FAILED"}};
    for (const auto &row : names) {
        if (row.category == CUDNN_STATUS_CATEGORY(status))
            return row.name;
    }
    return "CUDNN_UNKNOWN_STATUS";
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "%s", last_refusal.c_str());
    last_refusal.clear();
}

/* --- descriptors --- */

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t kind, cudnnBackendDescriptor_t *made)
{
    if (made == NULL)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no place for the descriptor");
    bool known = false;
    for (const rule &one : rules)
        known = known || one.kind == kind;
    if (!known)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "descriptor type " + std::to_string(kind) + " is not emulated");
    *made = new handle{descriptor_ref(new descriptor{kind, false, {}, nullptr})};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t made)
{
    delete (handle *)made;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t check_children(const rule &r, const std::vector<descriptor_ref> &children)
{
    for (const descriptor_ref &one : children) {
        bool operation = one->kind >= CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR &&
                         one->kind <= CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR;
        if (r.child_kind < 0 ? !operation : (int)one->kind != r.child_kind)
            return refuse(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "a descriptor of the wrong type");
        if (!one->finalized)
            return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "a descriptor that is not finalized");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t made, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *elements)
{
    if (made == NULL || (elements == NULL && count > 0))
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor or no elements");
    descriptor &d = *((handle *)made)->content;
    if (d.finalized)
        return refuse(CUDNN_STATUS_NOT_INITIALIZED, describe(d, name) + ": the descriptor is finalized already");
    const rule *r = find_rule(d, name);
    if (r == NULL || r->needed == ANSWER)
        return refuse(r ? CUDNN_STATUS_BAD_PARAM : CUDNN_STATUS_NOT_SUPPORTED, describe(d, name) + " cannot be set");
    if (type != r->type && type != r->other_type)
        return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, describe(d, name) + ": wrong type of attribute");
    if (count < r->least || count > r->most)
        return refuse(CUDNN_STATUS_BAD_PARAM, describe(d, name) + ": wrong count of elements");
    attribute given = {type, count, {}, {}};
    if (type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        for (int64_t i = 0; i < count; i++) {
            handle *one = ((handle *const *)elements)[i];
            if (one == NULL)
                return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, describe(d, name) + ": no descriptor");
            given.descriptors.push_back(one->content);
        }
        cudnnStatus_t status = check_children(*r, given.descriptors);
        if (status)
            return status;
    } else {
        given.bytes.assign((const char *)elements, (const char *)elements + (size_t)count * size_of_type(type));
    }
    d.attributes[name] = given;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t made)
{
    if (made == NULL)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
    descriptor &d = *((handle *)made)->content;
    if (d.finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM, "the descriptor is finalized already");
    for (const rule &one : rules) {
        if (one.kind == d.kind && one.needed == REQUIRED && !has(d, one.name))
            return refuse(CUDNN_STATUS_BAD_PARAM, describe(d, one.name) + " is not set");
    }
    cudnnStatus_t status = finalize_meaning(&d);
    d.finalized = status == CUDNN_STATUS_SUCCESS;
    return status;
}

/* --- answers --- */

/* Engine configurations go into descriptors that the program has made. */
static cudnnStatus_t answer_results(const descriptor &heuristics, int64_t room, int64_t *count, void *elements)
{
    *count = ENGINE_COUNT;
    for (int64_t i = 0; elements && i < room && i < ENGINE_COUNT; i++) {
        handle *place = ((handle *const *)elements)[i];
        if (place == NULL || place->content->kind != CUDNN_BACKEND_ENGINECFG_DESCRIPTOR || place->content->finalized)
            return refuse(CUDNN_STATUS_BAD_PARAM, "results need new descriptors of engine configurations");
        descriptor_ref engine(new descriptor{CUDNN_BACKEND_ENGINE_DESCRIPTOR, true, {}, nullptr});
        set_child(engine.get(), CUDNN_ATTR_ENGINE_OPERATION_GRAPH,
                  child(heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH));
        set_value(engine.get(), CUDNN_ATTR_ENGINE_GLOBAL_INDEX, i);
        note_engine(engine.get());
        set_child(place->content.get(), CUDNN_ATTR_ENGINECFG_ENGINE, engine);
        set_value(place->content.get(), CUDNN_ATTR_ENGINECFG_WORKSPACE_SIZE, engine_workspace(i));
        place->content->finalized = true;
    }
    if (elements && room < *count)
        *count = room;
    return CUDNN_STATUS_SUCCESS;
}

/* What was set, or what finalizing set. */
static cudnnStatus_t answer_stored(const descriptor &d, const rule &r, int64_t room, int64_t *count, void *elements)
{
    auto found = d.attributes.find(r.name);
    *count = found == d.attributes.end() ? 0 : found->second.count;
    if (elements == NULL || *count == 0)
        return CUDNN_STATUS_SUCCESS;
    if (r.type == CUDNN_TYPE_BACKEND_DESCRIPTOR) {
        handle *place = *(handle *const *)elements;
        if (room < 1 || place == NULL || place->content->kind != found->second.descriptors[0]->kind)
            return refuse(CUDNN_STATUS_BAD_PARAM, describe(d, r.name) + ": needs a descriptor of its kind");
        place->content = found->second.descriptors[0];
        return CUDNN_STATUS_SUCCESS;
    }
    size_t size = size_of_type(found->second.type);
    memcpy(elements, found->second.bytes.data(), size * (size_t)(room < *count ? room : *count));
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const made, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t room, int64_t *count, void *elements)
{
    if (made == NULL)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no descriptor");
    const descriptor &d = *((handle *)made)->content;
    if (!d.finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, describe(d, name) + ": the descriptor is not finalized");
    const rule *r = find_rule(d, name);
    if (r == NULL)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, describe(d, name) + " is not emulated");
    if (type != r->type && type != r->other_type)
        return refuse(CUDNN_STATUS_BAD_PARAM_ATTRIBUTE_TYPE, describe(d, name) + ": wrong type of attribute");
    if (room < 0)
        return refuse(CUDNN_STATUS_BAD_PARAM, describe(d, name) + ": wrong count of elements");
    int64_t ignored;
    if (count == NULL)
        count = &ignored;
    if (name == CUDNN_ATTR_ENGINEHEUR_RESULTS)
        return answer_results(d, room, count, elements);
    return answer_stored(d, *r, room, count, elements);
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t context, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack)
{
    locked hold;
    if (context == NULL || plan == NULL || pack == NULL)
        return refuse(CUDNN_STATUS_BAD_PARAM_NULL_POINTER, "no handle, plan or variant pack");
    const descriptor &p = *((handle *)plan)->content, &v = *((handle *)pack)->content;
    if (p.kind != CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR || v.kind != CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
        return refuse(CUDNN_STATUS_BAD_PARAM_DESCRIPTOR_TYPE, "not a plan and a variant pack");
    if (!p.finalized || !v.finalized)
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "plan or variant pack is not finalized");
    return execute_plan(context->stream, p, v);
}
