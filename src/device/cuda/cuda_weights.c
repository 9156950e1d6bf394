/* The working copy's layout: which piece of which tensor goes where. */
#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"
#include "device/cuda/cuda_net.h"

/* A tensor as its operation reads it: rows × channels × taps in the flat vector, rows × taps × stored in the copy. */
struct shape {
    size_t rows, channels, taps, stored;
    bool wide;
};

static struct shape shape_of(const struct net *net, const struct net_node *node, int parameter)
{
    const struct net_tensor *tensor = &net->spec.parameters[parameter];
    const struct cuda_value *in = &net->values[node->input];
    struct shape shape = {.rows = 1, .channels = tensor->count, .taps = 1, .stored = tensor->count, .wide = true};
    if (parameter != node->weight || (node->op != NET_CONV && node->op != NET_LINEAR))
        return shape;
    shape.wide = false;
    shape.rows = tensor->shape[0];
    shape.channels = (size_t)in->channels;
    shape.stored = (size_t)in->stored;
    shape.taps = tensor->count / shape.rows / shape.channels;
    return shape;
}

/* Tiles of a row that is too long for one are cut between channels, at multiples of 8 where there are so many. */
static size_t channels_per_tile(const struct shape *shape)
{
    size_t most = CUDA_TILE / shape->taps;
    if (shape->channels <= most)
        return shape->channels;
    return most >= 8 ? most / 8 * 8 : most;
}

struct table {
    struct cuda_tile *tiles; /* owned */
    size_t count, capacity;
};

static void add_tile(struct table *table, const struct cuda_tile *tile)
{
    if (table->count == table->capacity) {
        table->capacity = table->capacity == 0 ? 1024 : 2 * table->capacity;
        table->tiles = memory_realloc(table->tiles, table->capacity, sizeof *table->tiles);
    }
    table->tiles[table->count++] = *tile;
}

static void add_tensor(struct table *table, const struct shape *shape, size_t first, size_t to)
{
    size_t channels = channels_per_tile(shape), whole = shape->channels * shape->taps;
    size_t rows = channels < shape->channels ? 1 : CUDA_TILE / whole;
    assert(shape->taps <= CUDA_TILE);
    for (size_t row = 0; row < shape->rows; row += rows) {
        for (size_t channel = 0; channel < shape->channels; channel += channels) {
            size_t rows_here = shape->rows - row < rows ? shape->rows - row : rows;
            size_t channels_here = shape->channels - channel < channels ? shape->channels - channel : channels;
            const struct cuda_tile tile = {
                .first = first + row * whole + channel * shape->taps,
                .to = to + row * shape->taps * shape->stored + channel,
                .rows = (uint32_t)rows_here,
                .channels = (uint32_t)channels_here,
                .taps = (uint32_t)shape->taps,
                .row_stride = (uint32_t)(shape->taps * shape->stored),
                .tap_stride = (uint32_t)shape->stored,
                .wide = shape->wide,
            };
            add_tile(table, &tile);
        }
    }
}

/* The node that a parameter belongs to. */
static const struct net_node *owner_of(const struct net *net, int parameter)
{
    for (int k = 0; k < net->spec.node_count; k++)
        if (net->spec.nodes[k].weight == parameter || net->spec.nodes[k].bias == parameter)
            return &net->spec.nodes[k];
    assert(!"a parameter that no node uses");
    return NULL;
}

/* The parameter that begins at element `offset` of the flat vector. */
static int parameter_at(const struct net *net, size_t offset)
{
    for (int k = 0; k < net->spec.parameter_count; k++)
        if (net->spec.parameters[k].offset == offset)
            return k;
    assert(!"a gap in the flat vector");
    return NET_NONE;
}

static size_t round_up(size_t elements)
{
    const size_t alignment = 64; /* elements: at least 128 bytes */
    return (elements + alignment - 1) / alignment * alignment;
}

/* Tiles in the order of the flat vector. */
static void lay_out(struct net *net, struct table *table, size_t *narrow, size_t *wide)
{
    for (size_t offset = 0; offset < net->spec.parameter_size;) {
        int parameter = parameter_at(net, offset);
        struct shape shape = shape_of(net, owner_of(net, parameter), parameter);
        size_t *end = shape.wide ? wide : narrow;
        struct cuda_weight *weight = &net->weights[parameter];
        *weight = (struct cuda_weight){
            .first_tile = table->count, .to = *end, .wide = shape.wide, .stored = (int)shape.stored};
        add_tensor(table, &shape, offset, *end);
        weight->tile_count = table->count - weight->first_tile;
        *end = round_up(*end + shape.rows * shape.taps * shape.stored);
        offset += net->spec.parameters[parameter].count;
    }
}

static enum status create(struct net *net, const struct table *table, size_t narrow, size_t wide)
{
    size_t narrow_bytes = narrow * cuda_type_size(net->type), wide_bytes = wide * sizeof(float);
    size_t table_bytes = table->count * sizeof table->tiles[0];
    net->tile_count = table->count;
    net->working.type = net->type;
    net->working_bytes = narrow_bytes + wide_bytes + table_bytes;
    if (net->plans_only)
        return STATUS_OK;
    TRY(cuda_alloc(table_bytes, "the working copy", &net->tiles));
    TRY(cuda_alloc(narrow_bytes, "the working copy", &net->working.narrow));
    TRY(cuda_alloc(wide_bytes, "the working copy", &net->working.wide));
    TRY_CUDA("the working copy", cudaMemcpy(net->tiles, table->tiles, table_bytes, cudaMemcpyHostToDevice));
    if (narrow_bytes > 0) /* padded channels stay zero */
        TRY_CUDA("the working copy", cudaMemset(net->working.narrow, 0, narrow_bytes));
    return STATUS_OK;
}

enum status cuda_weights_create(struct net *net)
{
    struct table table = {0};
    size_t narrow = 0, wide = 0;
    net->weights = memory_zalloc((size_t)net->spec.parameter_count, sizeof net->weights[0]);
    lay_out(net, &table, &narrow, &wide);
    enum status status = create(net, &table, narrow, wide);
    free(table.tiles);
    return status;
}

void cuda_weights_destroy(struct net *net)
{
    cudaFree(net->tiles);
    cudaFree(net->working.narrow);
    cudaFree(net->working.wide);
    free(net->weights);
}

void *cuda_net_weight(const struct net *net, int parameter)
{
    const struct cuda_weight *weight = &net->weights[parameter];
    if (weight->wide)
        return net->working.wide + weight->to;
    return (char *)net->working.narrow + weight->to * cuda_type_size(net->type);
}

float *cuda_net_gradient(const struct net *net, int parameter)
{
    return net->gradient + net->spec.parameters[parameter].offset;
}

enum status cuda_net_gather(const struct net *net, int parameter, enum cuda_type type, const void *d_working)
{
    const struct cuda_weight *weight = &net->weights[parameter];
    /* Tiles say where an element lies in the whole copy; `d_working` holds this tensor alone. */
    const char *whole = (const char *)d_working - weight->to * cuda_type_size(type);
    TRY_CUDA("gradient of a weight", cuda_gather(net->device->compute, net->tiles + weight->first_tile,
                                                 weight->tile_count, type, whole, cuda_unscale(net), net->gradient));
    return STATUS_OK;
}
