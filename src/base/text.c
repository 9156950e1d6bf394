/* Small text services: a growing string, the nearest known name, numbers with units. */
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

static void add_va(struct text *text, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    size_t need = text->length + (size_t)length + 1;
    if (need > text->capacity) {
        text->capacity = need * 2;
        text->data = memory_realloc(text->data, text->capacity, 1);
    }
    vsnprintf(text->data + text->length, text->capacity - text->length, format, again);
    text->length += (size_t)length;
    va_end(again);
}

void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add_va(text, format, arguments);
    va_end(arguments);
}

char *text_format(const char *format, ...)
{
    struct text text = {0};
    va_list arguments;
    va_start(arguments, format);
    add_va(&text, format, arguments);
    va_end(arguments);
    return text.data;
}

void text_release(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

const char *text_view(const struct text *text)
{
    return text->data != NULL ? text->data : "";
}

static size_t least(const size_t *values, size_t count)
{
    size_t least = values[0];
    for (size_t k = 1; k < count; k++)
        least = values[k] < least ? values[k] : least;
    return least;
}

/* Edit distance with swaps of neighbours (optimal string alignment), words cut at 63 characters. Where it is more than
 * the limit, something that is more than the limit: the difference of the lengths, or that of the beginnings, is enough
 * to know it. */
static size_t edit_distance(const char *a, const char *b, size_t limit)
{
    enum { CUT = 63 };
    size_t rows[3][CUT + 1];
    size_t length_a = strnlen(a, CUT), length_b = strnlen(b, CUT), least_above = 0;
    if (length_a > length_b + limit || length_b > length_a + limit)
        return limit + 1;
    for (size_t j = 0; j <= length_b; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            if (above[j] + 1 < best)
                best = above[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best)
                best = above2[j - 2] + 1;
            row[j] = best;
        }
        size_t least_here = least(row, length_b + 1);
        if (least_here > limit && least_above > limit) /* a row is made of the two above it */
            return limit + 1;
        least_above = least_here;
    }
    return rows[length_a % 3][length_b];
}

const char *text_nearest(const char *word, const char *const *names, size_t name_count)
{
    size_t limit = strlen(word) / 3 > 2 ? strlen(word) / 3 : 2;
    const char *nearest = NULL;
    for (size_t i = 0; i < name_count; i++) {
        size_t distance = edit_distance(word, names[i], limit);
        if (distance <= limit && distance < strlen(names[i])) {
            nearest = names[i];
            limit = distance == 0 ? 0 : distance - 1;
            if (distance == 0)
                break;
        }
    }
    return nearest;
}

void text_add_list(struct text *text, const char *const *names, size_t name_count)
{
    for (size_t i = 0; i < name_count; i++)
        text_add(text, "%s%s", i > 0 ? " | " : "", names[i]);
}

void text_add_shell_word(struct text *text, const char *word)
{
    bool plain = word[0] != '\0';
    for (const char *at = word; *at != '\0'; at++)
        plain = plain && (isalnum((unsigned char)*at) || strchr("_./+-=:,@%", *at) != NULL);
    if (plain) {
        text_add(text, "%s", word);
        return;
    }
    text_add(text, "'");
    for (const char *at = word; *at != '\0'; at++)
        text_add(text, *at == '\'' ? "'\\''" : "%c", *at);
    text_add(text, "'");
}

static bool only_blank(const char *rest)
{
    return rest[strspn(rest, " \t\r\n")] == '\0';
}

bool text_ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

bool text_parse_double(const char *word, double *value)
{
    char *end;
    errno = 0;
    double parsed = strtod(word, &end);
    if (end == word || !only_blank(end) || (errno == ERANGE && !isfinite(parsed)))
        return false;
    *value = parsed;
    return true;
}

bool text_parse_int64(const char *word, int64_t *value)
{
    char *end;
    errno = 0;
    long long parsed = strtoll(word, &end, 10);
    if (end == word || !only_blank(end) || errno == ERANGE)
        return false;
    *value = parsed;
    return true;
}
