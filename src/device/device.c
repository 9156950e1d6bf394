/* The list of backends, and the choice among them. */
#include "device/device.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "device/backends.h"

/* The best first: "auto" takes the first. */
static const struct device_ops *const backends[] = {&cpu_device_ops};

enum { BACKEND_COUNT = sizeof backends / sizeof *backends };

static void log_unknown(const char *name)
{
    const char *names[BACKEND_COUNT + 1] = {"auto"};
    struct text allowed = {0};
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        names[i + 1] = backends[i]->name;
    text_add_list(&allowed, names, BACKEND_COUNT + 1);
    if (strcmp(name, "cuda") == 0)
        log_error("device.name: this build has no CUDA backend; allowed here: %s", text_view(&allowed));
    else
        log_error("device.name: there is no device \"%s\"; allowed here: %s", name, text_view(&allowed));
    text_release(&allowed);
}

const struct device_ops *device_choose(const char *name)
{
    if (strcmp(name, "auto") == 0)
        return backends[0];
    for (size_t i = 0; i < BACKEND_COUNT; i++) {
        if (strcmp(name, backends[i]->name) == 0)
            return backends[i];
    }
    log_unknown(name);
    return NULL;
}
