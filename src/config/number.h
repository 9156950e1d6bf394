/* Numbers as they stand in YAML. */
#ifndef GRAPEVINE_SRC_CONFIG_NUMBER_H
#define GRAPEVINE_SRC_CONFIG_NUMBER_H

#include <stdbool.h>

enum { NUMBER_BYTES = 40 };

/* The shortest decimal form that reads back to the same double, with a point before any exponent (so that YAML 1.1
 * readers see a number too); `auto` for NAN. Returns `out`. */
char *number_write(char out[NUMBER_BYTES], double value);

/* Digits, sign, point and exponent only: no hexadecimal, no `inf`, no `nan`. Beyond a double's range: ±INFINITY. */
bool number_read(const char *word, double *value);

/* Sign and digits only. */
bool number_is_whole(const char *word);

#endif
