/* The list of backends, and the choice among them. */
#include "device/device.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "device/backends.h"

/* The best first: "auto" takes the first that this machine can run. */
static const struct device_ops *const backends[] = {
#ifdef GRAPEVINE_CUDA
    &cuda_device_ops,
#endif
    &cpu_device_ops,
};

enum { BACKEND_COUNT = sizeof backends / sizeof *backends };

static void log_unknown(const char *name)
{
    const char *names[BACKEND_COUNT + 1] = {"auto"};
    struct text allowed = {0};
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        names[i + 1] = backends[i]->name;
    text_add_list(&allowed, names, BACKEND_COUNT + 1);
    if (strcmp(name, "cuda") == 0)
        log_error("device.name: this build has no CUDA backend (make CUDA=1 builds it, where the CUDA Toolkit is); "
                  "allowed here: %s",
                  text_view(&allowed));
    else
        log_error("device.name: there is no device \"%s\"; allowed here: %s", name, text_view(&allowed));
    text_release(&allowed);
}

const struct device_ops *device_find(const char *name)
{
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        if (strcmp(name, backends[i]->name) == 0)
            return backends[i];
    return NULL;
}

const struct device_ops *device_choose(const char *name)
{
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        if (strcmp(name, "auto") == 0 && backends[i]->available())
            return backends[i];
    const struct device_ops *found = device_find(name);
    if (found == NULL)
        log_unknown(name);
    return found;
}
