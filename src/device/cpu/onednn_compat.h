/* oneDNN behind one face: the only place where the C interfaces of oneDNN 2 (descriptors by value) and 3 (descriptors
 * by handle, primitives described in one call) differ. It is not a wrapper for anything else.
 *
 * A layout is a memory descriptor: dimensions, type and order in memory, or "any" for the library to choose. */
#ifndef GRAPEVINE_DEVICE_CPU_ONEDNN_COMPAT_H
#define GRAPEVINE_DEVICE_CPU_ONEDNN_COMPAT_H

#include <dnnl.h>
#include <dnnl_debug.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/status.h"

/* Call oneDNN; on failure log once what was being made or done, with the library's own text. `what` is a string. */
#define TRY_DNNL(what, call)                                \
    do {                                                    \
        dnnl_status_t try_dnnl_ = (call);                   \
        if (try_dnnl_ != dnnl_success)                      \
            return onednn_failed((what), #call, try_dnnl_); \
    } while (0)

static inline enum status onednn_failed(const char *what, const char *call, dnnl_status_t result)
{
    if (result == dnnl_out_of_memory) {
        memory_report(0, what);
        return STATUS_MACHINE;
    }
    int name_length = (int)strcspn(call, "(");
    const dnnl_version_t *version = dnnl_version();
    log_on_this_rank(LOG_ERROR, "oneDNN %d.%d.%d: %s: %.*s: %s; DNNL_VERBOSE=1 shows what the library was asked for",
                     version->major, version->minor, version->patch, what, name_length, call, dnnl_status2str(result));
    return STATUS_MACHINE;
}

/* Zeroed, a layout is absent: its view is NULL, as the library wants it for a missing bias. */
struct onednn_layout {
    dnnl_memory_desc_t descriptor; /* version 3: owned handle */
};

/* How a layout orders its elements in memory, read back from the library. */
struct onednn_blocking {
    bool blocked; /* the other fields say all there is */
    dnnl_dim_t strides[DNNL_MAX_NDIMS];
    int inner_count;        /* innermost blocks: 0 plain, 1 as in nChw16c */
    dnnl_dim_t inner_block; /* the first one's size and dimension */
    dnnl_dim_t inner_dimension;
};

/* Geometry of a convolution; square kernels. */
struct onednn_window {
    dnnl_alg_kind_t algorithm;
    dnnl_dims_t strides, dilates, pads; /* (height, width) */
};

/* What a convolution or inner product reads and writes, forward or backward alike. */
struct onednn_operands {
    const struct onednn_layout *source, *weights, *bias, *destination; /* bias may be NULL */
};

#if DNNL_VERSION_MAJOR >= 3

static inline const_dnnl_memory_desc_t onednn_view(const struct onednn_layout *layout)
{
    return layout == NULL ? NULL : layout->descriptor;
}

static inline dnnl_status_t onednn_layout_tag(struct onednn_layout *out, int rank, const dnnl_dims_t dims,
                                              dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(&out->descriptor, rank, dims, dnnl_f32, tag);
}

static inline dnnl_status_t onednn_layout_copy(struct onednn_layout *out, const_dnnl_memory_desc_t view)
{
    return dnnl_memory_desc_clone(&out->descriptor, view);
}

static inline void onednn_layout_release(struct onednn_layout *layout)
{
    if (layout->descriptor != NULL)
        dnnl_memory_desc_destroy(layout->descriptor);
    *layout = (struct onednn_layout){0};
}

static inline struct onednn_blocking onednn_layout_blocking(const struct onednn_layout *layout)
{
    struct onednn_blocking out = {0};
    dnnl_format_kind_t kind = dnnl_format_kind_undef;
    const dnnl_dims_t *strides = NULL, *blocks = NULL, *indices = NULL;
    int rank = 0;
    dnnl_memory_desc_query(layout->descriptor, dnnl_query_format_kind, &kind);
    if (kind != dnnl_blocked)
        return out;
    dnnl_memory_desc_query(layout->descriptor, dnnl_query_ndims_s32, &rank);
    dnnl_memory_desc_query(layout->descriptor, dnnl_query_strides, &strides);
    dnnl_memory_desc_query(layout->descriptor, dnnl_query_inner_nblks_s32, &out.inner_count);
    out.blocked = true;
    memcpy(out.strides, *strides, (size_t)rank * sizeof out.strides[0]);
    if (out.inner_count > 0) {
        dnnl_memory_desc_query(layout->descriptor, dnnl_query_inner_blks, &blocks);
        dnnl_memory_desc_query(layout->descriptor, dnnl_query_inner_idxs, &indices);
        out.inner_block = (*blocks)[0];
        out.inner_dimension = (*indices)[0];
    }
    return out;
}

static inline dnnl_status_t onednn_describe_conv_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                         const struct onednn_window *w, const struct onednn_operands *o,
                                                         const_dnnl_primitive_attr_t attributes)
{
    return dnnl_convolution_forward_primitive_desc_create(
        out, engine, dnnl_forward_training, w->algorithm, onednn_view(o->source), onednn_view(o->weights),
        onednn_view(o->bias), onednn_view(o->destination), w->strides, w->dilates, w->pads, w->pads, attributes);
}

static inline dnnl_status_t onednn_describe_conv_backward_data(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                               const struct onednn_window *w,
                                                               const struct onednn_operands *o,
                                                               const_dnnl_primitive_attr_t attributes,
                                                               const_dnnl_primitive_desc_t forward)
{
    return dnnl_convolution_backward_data_primitive_desc_create(
        out, engine, w->algorithm, onednn_view(o->source), onednn_view(o->weights), onednn_view(o->destination),
        w->strides, w->dilates, w->pads, w->pads, forward, attributes);
}

static inline dnnl_status_t onednn_describe_conv_backward_weights(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                                  const struct onednn_window *w,
                                                                  const struct onednn_operands *o,
                                                                  const_dnnl_primitive_attr_t attributes,
                                                                  const_dnnl_primitive_desc_t forward)
{
    return dnnl_convolution_backward_weights_primitive_desc_create(
        out, engine, w->algorithm, onednn_view(o->source), onednn_view(o->weights), onednn_view(o->bias),
        onednn_view(o->destination), w->strides, w->dilates, w->pads, w->pads, forward, attributes);
}

static inline dnnl_status_t onednn_describe_linear_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                           const struct onednn_operands *o,
                                                           const_dnnl_primitive_attr_t attributes)
{
    return dnnl_inner_product_forward_primitive_desc_create(out, engine, dnnl_forward_training, onednn_view(o->source),
                                                            onednn_view(o->weights), onednn_view(o->bias),
                                                            onednn_view(o->destination), attributes);
}

static inline dnnl_status_t onednn_describe_linear_backward_data(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                                 const struct onednn_operands *o,
                                                                 const_dnnl_primitive_attr_t attributes,
                                                                 const_dnnl_primitive_desc_t forward)
{
    return dnnl_inner_product_backward_data_primitive_desc_create(
        out, engine, onednn_view(o->source), onednn_view(o->weights), onednn_view(o->destination), forward, attributes);
}

static inline dnnl_status_t onednn_describe_linear_backward_weights(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                                    const struct onednn_operands *o,
                                                                    const_dnnl_primitive_attr_t attributes,
                                                                    const_dnnl_primitive_desc_t forward)
{
    return dnnl_inner_product_backward_weights_primitive_desc_create(out, engine, onednn_view(o->source),
                                                                     onednn_view(o->weights), onednn_view(o->bias),
                                                                     onednn_view(o->destination), forward, attributes);
}

static inline size_t onednn_view_size(const_dnnl_memory_desc_t view)
{
    return dnnl_memory_desc_get_size(view);
}

#else /* version 2 */

static inline const dnnl_memory_desc_t *onednn_view(const struct onednn_layout *layout)
{
    return layout == NULL ? NULL : &layout->descriptor;
}

static inline dnnl_status_t onednn_layout_tag(struct onednn_layout *out, int rank, const dnnl_dims_t dims,
                                              dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(&out->descriptor, rank, dims, dnnl_f32, tag);
}

static inline dnnl_status_t onednn_layout_copy(struct onednn_layout *out, const dnnl_memory_desc_t *view)
{
    out->descriptor = *view;
    return dnnl_success;
}

static inline void onednn_layout_release(struct onednn_layout *layout)
{
    *layout = (struct onednn_layout){0};
}

static inline struct onednn_blocking onednn_layout_blocking(const struct onednn_layout *layout)
{
    const dnnl_memory_desc_t *d = &layout->descriptor;
    struct onednn_blocking out = {0};
    if (d->format_kind != dnnl_blocked)
        return out;
    out.blocked = true;
    memcpy(out.strides, d->format_desc.blocking.strides, (size_t)d->ndims * sizeof out.strides[0]);
    out.inner_count = d->format_desc.blocking.inner_nblks;
    out.inner_block = d->format_desc.blocking.inner_blks[0];
    out.inner_dimension = d->format_desc.blocking.inner_idxs[0];
    return out;
}

static inline dnnl_status_t onednn_describe_conv_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                         const struct onednn_window *w, const struct onednn_operands *o,
                                                         const_dnnl_primitive_attr_t attributes)
{
    dnnl_convolution_desc_t description;
    dnnl_status_t result = dnnl_dilated_convolution_forward_desc_init(
        &description, dnnl_forward_training, w->algorithm, onednn_view(o->source), onednn_view(o->weights),
        onednn_view(o->bias), onednn_view(o->destination), w->strides, w->dilates, w->pads, w->pads);
    return result != dnnl_success ? result : dnnl_primitive_desc_create(out, &description, attributes, engine, NULL);
}

static inline dnnl_status_t onednn_describe_conv_backward_data(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                               const struct onednn_window *w,
                                                               const struct onednn_operands *o,
                                                               const_dnnl_primitive_attr_t attributes,
                                                               const_dnnl_primitive_desc_t forward)
{
    dnnl_convolution_desc_t description;
    dnnl_status_t result = dnnl_dilated_convolution_backward_data_desc_init(
        &description, w->algorithm, onednn_view(o->source), onednn_view(o->weights), onednn_view(o->destination),
        w->strides, w->dilates, w->pads, w->pads);
    return result != dnnl_success ? result : dnnl_primitive_desc_create(out, &description, attributes, engine, forward);
}

static inline dnnl_status_t onednn_describe_conv_backward_weights(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                                  const struct onednn_window *w,
                                                                  const struct onednn_operands *o,
                                                                  const_dnnl_primitive_attr_t attributes,
                                                                  const_dnnl_primitive_desc_t forward)
{
    dnnl_convolution_desc_t description;
    dnnl_status_t result = dnnl_dilated_convolution_backward_weights_desc_init(
        &description, w->algorithm, onednn_view(o->source), onednn_view(o->weights), onednn_view(o->bias),
        onednn_view(o->destination), w->strides, w->dilates, w->pads, w->pads);
    return result != dnnl_success ? result : dnnl_primitive_desc_create(out, &description, attributes, engine, forward);
}

static inline dnnl_status_t onednn_describe_linear_forward(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                           const struct onednn_operands *o,
                                                           const_dnnl_primitive_attr_t attributes)
{
    dnnl_inner_product_desc_t description;
    dnnl_status_t result = dnnl_inner_product_forward_desc_init(&description, dnnl_forward_training,
                                                                onednn_view(o->source), onednn_view(o->weights),
                                                                onednn_view(o->bias), onednn_view(o->destination));
    return result != dnnl_success ? result : dnnl_primitive_desc_create(out, &description, attributes, engine, NULL);
}

static inline dnnl_status_t onednn_describe_linear_backward_data(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                                 const struct onednn_operands *o,
                                                                 const_dnnl_primitive_attr_t attributes,
                                                                 const_dnnl_primitive_desc_t forward)
{
    dnnl_inner_product_desc_t description;
    dnnl_status_t result = dnnl_inner_product_backward_data_desc_init(
        &description, onednn_view(o->source), onednn_view(o->weights), onednn_view(o->destination));
    return result != dnnl_success ? result : dnnl_primitive_desc_create(out, &description, attributes, engine, forward);
}

static inline dnnl_status_t onednn_describe_linear_backward_weights(dnnl_primitive_desc_t *out, dnnl_engine_t engine,
                                                                    const struct onednn_operands *o,
                                                                    const_dnnl_primitive_attr_t attributes,
                                                                    const_dnnl_primitive_desc_t forward)
{
    dnnl_inner_product_desc_t description;
    dnnl_status_t result =
        dnnl_inner_product_backward_weights_desc_init(&description, onednn_view(o->source), onednn_view(o->weights),
                                                      onednn_view(o->bias), onednn_view(o->destination));
    return result != dnnl_success ? result : dnnl_primitive_desc_create(out, &description, attributes, engine, forward);
}

static inline size_t onednn_view_size(const dnnl_memory_desc_t *view)
{
    return dnnl_memory_desc_get_size(view);
}

#endif

#endif
