/* Checkpoints: a model's parameters and batch-norm statistics in a safetensors file under torchvision's names.
 *
 * Beside the tensors of the net_spec, each norm layer has its num_batches_tracked (I64 scalar), as PyTorch's state_dict
 * has; it is written for PyTorch's sake, and a file may lack it. The vectors are host memory. */
#ifndef GRAPEVINE_APP_CHECKPOINT_H
#define GRAPEVINE_APP_CHECKPOINT_H

#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "device/net_spec.h"

/* What the file says about itself, in its `__metadata__`, beside the model's name and Grapevine's version. */
struct checkpoint_info {
    const char *data;               /* name of the data set */
    const char *class_names;        /* of its classes (app/class_names.h); NULL or "": they have none */
    const char *batch_norm;         /* policy that made the statistics: "recomputed", "averaged", "own" */
    double epoch;                   /* summed over workers */
    int64_t batches_tracked;        /* gradients behind the statistics */
    const double *mean, *deviation; /* of the data (channels), or NULL: the set's usual ones; not written then */
    const double *input_mean,
        *input_deviation; /* of pixels in [0, 1], as inputs are made (channels); NULL: not known */
    enum log_level level; /* of the message if it cannot be written */
};

/* Write x (spec->parameter_size) and the statistics (spec->buffer_size), whole or not at all.
 * STATUS_MACHINE (logged): the disk refused it; nothing is left, a file of that name is as it was. */
enum status checkpoint_write(const char *path, const struct net_spec *spec, const float *parameters,
                             const float *buffers, const struct checkpoint_info *info);

enum checkpoint_mode {
    CHECKPOINT_STRICT, /* every tensor is there with its shape, and none besides */
    CHECKPOINT_INIT /* the same, but a last layer for other classes keeps what `parameters` has (said once): for another
                        * number of them, other names, or the same in another order */
};

struct class_names;

/* Read a file of ours or of torchvision into `parameters` and `buffers`, which are untouched unless STATUS_OK.
 * `classes`: those of the data set that it is meant for, NULL for any: a file that names others is read with
 * CHECKPOINT_INIT alone.
 * STATUS_DATA (logged): no such file, a broken one, or another model's: names the first tensors that are missing,
 * unexpected or of another shape, and the model that the file seems to be; or a value is not finite: names its tensor.
 * A prefix of all names that DDP or torch.compile have put there is left out (said once). */
enum status checkpoint_read(const char *path, const struct net_spec *spec, const struct class_names *classes,
                            enum checkpoint_mode mode, float *parameters, float *buffers);
/* Would checkpoint_read find all that it wants? Keeps no values, and holds one tensor at a time. */
enum status checkpoint_check(const char *path, const struct net_spec *spec, enum checkpoint_mode mode);

#endif
