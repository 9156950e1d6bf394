/* Names of the spans of a trace. */
#include "runtime/observer.h"

#include <assert.h>

const char *span_kind_name(enum span_kind kind)
{
    static const char *const names[SPAN_KIND_COUNT] = {"load",       "compute", "update", "cast", "wait",  "evaluate",
                                                       "checkpoint", "copy",    "put",    "peer", "apply", "reduce"};
    assert(kind >= 0 && kind < SPAN_KIND_COUNT);
    return names[kind];
}
