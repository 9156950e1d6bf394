/* Descriptors of cuDNN's backend API: what they hold (emulator_cudnn.cpp) and what they mean
 * (emulator_cudnn_graph.cpp). */
#ifndef GRAPEVINE_TESTS_EMULATOR_CUDNN_H
#define GRAPEVINE_TESTS_EMULATOR_CUDNN_H

#include <cudnn_graph.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "emulator.h"
#include "emulator_convolution.h"

struct cudnnContext {
    CUstream_st *stream;
};

namespace emulator
{

struct descriptor;
using descriptor_ref = std::shared_ptr<descriptor>;

/* A value as the program gave it: elements of one type, or other descriptors. */
struct attribute {
    cudnnBackendAttributeType_t type;
    int64_t count;
    std::vector<char> bytes;
    std::vector<descriptor_ref> descriptors;
};

/* A step from a value to the next, element by element; `with`: unique id of the other operand, −1 of ReLU. */
struct pointwise_step {
    cudnnPointwiseMode_t mode;
    int64_t with;
    tensor_layout layout; /* of the other operand: as the value, or (1, channels, 1, 1) */
};

/* What a plan runs. */
struct cudnn_program {
    convolution shape;
    int64_t x, w, y; /* unique ids */
    bool y_is_virtual;
    int64_t sums, squares;             /* unique ids; −1: no statistics */
    std::vector<pointwise_step> steps; /* of y, which is virtual then */
    int64_t result;                    /* unique id of what the last step leaves */
    tensor_layout result_layout;
    std::map<int64_t, size_t> alignment, extent; /* bytes, of every id that the variant pack must have */
    int64_t workspace;
};

struct descriptor {
    cudnnBackendDescriptorType_t kind;
    bool finalized;
    std::map<cudnnBackendAttributeName_t, attribute> attributes;
    std::shared_ptr<const cudnn_program> program; /* of a finalized plan */
};

/* Remember why, for cudnnGetLastErrorString; returns `status`. */
cudnnStatus_t refuse(cudnnStatus_t status, const std::string &why);

/* --- typed access to attributes; the rules of emulator_cudnn.cpp have checked type and count --- */

bool has(const descriptor &d, cudnnBackendAttributeName_t name);
template <typename T> std::vector<T> values(const descriptor &d, cudnnBackendAttributeName_t name)
{
    auto found = d.attributes.find(name);
    if (found == d.attributes.end())
        return {};
    const T *first = (const T *)found->second.bytes.data();
    return std::vector<T>(first, first + found->second.bytes.size() / sizeof(T));
}
template <typename T> T value(const descriptor &d, cudnnBackendAttributeName_t name, T otherwise)
{
    std::vector<T> all = values<T>(d, name);
    return all.empty() ? otherwise : all[0];
}
/* The first descriptor of an attribute that the rules require. */
descriptor_ref child(const descriptor &d, cudnnBackendAttributeName_t name);

void set_value(descriptor *d, cudnnBackendAttributeName_t name, int64_t number);
void set_child(descriptor *d, cudnnBackendAttributeName_t name, const descriptor_ref &other);

/* --- meaning --- */

enum { ENGINE_COUNT = 3 };

/* Checks beyond the rules, when a descriptor is finalized. */
cudnnStatus_t finalize_meaning(descriptor *d);
int64_t engine_workspace(int64_t engine);
/* Give an engine its numerical notes. */
void note_engine(descriptor *engine);
/* Pointers and workspace fit the plan: then enqueue it on the stream. */
cudnnStatus_t execute_plan(CUstream_st *stream, const descriptor &plan, const descriptor &pack);

} // namespace emulator

#endif
