/* The backends that a build may hold. Private to this folder. */
#ifndef GRAPEVINE_DEVICE_BACKENDS_H
#define GRAPEVINE_DEVICE_BACKENDS_H

#include "device/device.h"

extern const struct device_ops cpu_device_ops;
extern const struct device_ops cuda_device_ops; /* where the build has CUDA */

#endif
