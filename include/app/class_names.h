/* Names of a data set's classes as they are kept with a model: a JSON array. */
#ifndef GRAPEVINE_APP_CLASS_NAMES_H
#define GRAPEVINE_APP_CLASS_NAMES_H

#include <stdbool.h>

#include "base/text.h"

struct class_names {
    const char *const *names; /* borrowed (count); NULL: the set has none */
    int count;
};

/* ["cat", "dog"]; adds nothing where the set has no names. */
void class_names_write(const struct class_names *classes, struct text *out);

/* Are the names that were kept (`kept`, NULL or "" where none were) other ones, or in another order? Adds how to `out`:
 * "class 1 is "dog" there and "wolf" here". False also where either side has none. */
bool class_names_differ(const char *kept, const struct class_names *classes, struct text *out);

#endif
