/* Numbers as they stand in YAML. */
#include "config/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *number_write(char out[NUMBER_BYTES], double value)
{
    char digits[NUMBER_BYTES - 2];
    if (isnan(value)) {
        snprintf(out, NUMBER_BYTES, "auto");
        return out;
    }
    if (fabs(value) < 1e16 && trunc(value) == value) {
        snprintf(out, NUMBER_BYTES, "%.0f", value);
        return out;
    }
    int precision = 1;
    do
        snprintf(digits, sizeof digits, "%.*g", precision, value);
    while (strtod(digits, NULL) != value && ++precision <= 17);
    size_t mantissa = strcspn(digits, "e");
    bool needs_point = digits[mantissa] == 'e' && memchr(digits, '.', mantissa) == NULL;
    snprintf(out, NUMBER_BYTES, "%.*s%s%s", (int)mantissa, digits, needs_point ? ".0" : "", digits + mantissa);
    return out;
}

bool number_read(const char *word, double *value)
{
    char *end;
    if (word[0] == '\0' || strspn(word, "0123456789+-.eE") != strlen(word))
        return false;
    double parsed = strtod(word, &end);
    if (*end != '\0')
        return false;
    *value = parsed;
    return true;
}

bool number_is_whole(const char *word)
{
    const char *digits = word + (word[0] == '+' || word[0] == '-');
    return digits[0] != '\0' && strspn(digits, "0123456789") == strlen(digits);
}
