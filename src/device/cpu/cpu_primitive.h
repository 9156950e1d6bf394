/* One oneDNN primitive: made once, given its memory once, run many times, with its scratch memory in the plan. */
#ifndef GRAPEVINE_DEVICE_CPU_PRIMITIVE_H
#define GRAPEVINE_DEVICE_CPU_PRIMITIVE_H

#include "device/cpu/cpu_net.h"

enum { CPU_PRIMITIVE_ARGS = 6 };

/* Start with {0}. */
struct cpu_primitive {
    const char *what;                         /* "convolution forward": for messages */
    dnnl_primitive_desc_t description;        /* owned */
    dnnl_primitive_t handle;                  /* owned */
    dnnl_exec_arg_t args[CPU_PRIMITIVE_ARGS]; /* memories owned */
    int arg_count;
    int scratch; /* buffer */
};

/* Attributes that all our primitives have: scratch memory is ours. Owned by the caller. */
enum status cpu_attributes(dnnl_primitive_attr_t *out);

/* Make it from p->description; scratch memory is planned for step `step`. */
enum status cpu_primitive_make(struct net *net, struct cpu_primitive *p, const char *what, int step);
/* Layout of one of its arguments, into `out`. */
enum status cpu_primitive_layout(const struct cpu_primitive *p, int arg, struct onednn_layout *out);
/* True where the library found nothing better than its reference loops. */
bool cpu_primitive_is_reference(const struct cpu_primitive *p);
/* Say where an argument lies. */
enum status cpu_primitive_bind(struct net *net, struct cpu_primitive *p, int arg, const void *pointer);
enum status cpu_primitive_bind_scratch(struct net *net, struct cpu_primitive *p);
/* Move an argument elsewhere. */
enum status cpu_primitive_rebind(struct cpu_primitive *p, int arg, const void *pointer);
enum status cpu_primitive_run(struct net *net, const struct cpu_primitive *p);
void cpu_primitive_release(struct cpu_primitive *p);

#endif
