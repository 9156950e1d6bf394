/* Names of the status codes. */
#include "base/status.h"

const char *status_name(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return "done";
    case STATUS_USAGE:
        return "usage";
    case STATUS_DATA:
        return "data";
    case STATUS_MACHINE:
        return "machine";
    case STATUS_BUG:
        return "bug";
    case STATUS_REQUEUE:
        return "requeue";
    }
    return "unknown";
}
