/* Numbers with their units, as people read them. */
#include "base/quantity.h"

#include <math.h>
#include <stdio.h>

char *quantity_bytes(char out[32], double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    /* From 1023.95 on one digit after the point would print 1024.0. */
    for (; bytes >= (unit == 0 ? 1023.5 : 1023.95) && unit < 4; unit++)
        bytes /= 1024;
    snprintf(out, 32, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return out;
}

char *quantity_duration(char out[32], double seconds)
{
    seconds = fmin(fmax(seconds, 0), 1e15); /* NAN becomes 0 */
    long whole = lround(seconds);
    if (seconds < 59.95) /* from there on one digit would print 60.0 */
        snprintf(out, 32, "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(out, 32, "%ld min %02ld s", whole / 60, whole % 60);
    else
        snprintf(out, 32, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
    return out;
}
