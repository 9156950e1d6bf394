/* Facts of all ranks side by side. */
#include "app/agreement.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

enum { KEYS_NAMED_MAX = 5, VALUES_NAMED_MAX = 4, VALUE_BYTES = 160 };

static const char missing[] = "not known";

void agreement_add(struct text *facts, const char *key, const char *format, ...)
{
    char value[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    for (char *at = value; *at != '\0'; at++)
        if (*at == '\t' || *at == '\n')
            *at = ' ';
    text_add(facts, "%s\t%s\n", key, value);
}

/* One line of facts; `next` is the line after it. */
struct fact {
    const char *key, *value;
    size_t key_length, value_length;
    const char *next;
};

static bool take_fact(const char *line, struct fact *out)
{
    const char *tab = strchr(line, '\t'), *end = strchr(line, '\n');
    if (tab == NULL || end == NULL || tab > end)
        return false;
    *out = (struct fact){.key = line,
                         .value = tab + 1,
                         .key_length = (size_t)(tab - line),
                         .value_length = (size_t)(end - tab - 1),
                         .next = end + 1};
    return true;
}

static struct fact find_fact(const char *facts, const struct fact *like)
{
    struct fact fact;
    for (const char *line = facts; take_fact(line, &fact); line = fact.next)
        if (fact.key_length == like->key_length && memcmp(fact.key, like->key, like->key_length) == 0)
            return fact;
    return (struct fact){.value = missing, .value_length = sizeof missing - 1};
}

static bool same_value(const struct fact *a, const struct fact *b)
{
    return a->value_length == b->value_length && memcmp(a->value, b->value, a->value_length) == 0;
}

/* "ranks 0-2, 5": those whose value is `values[first]`. */
static void add_ranks(const struct fact *values, int size, int first, struct text *out)
{
    int count = 0;
    struct text list = {0};
    for (int rank = 0; rank < size; rank++) {
        if (!same_value(&values[rank], &values[first]))
            continue;
        int last = rank;
        while (last + 1 < size && same_value(&values[last + 1], &values[first]))
            last++;
        text_add(&list, "%s%d", count > 0 ? ", " : "", rank);
        if (last > rank)
            text_add(&list, "-%d", last);
        count += last - rank + 1;
        rank = last;
    }
    text_add(out, "%s %s", count > 1 ? "ranks" : "rank", text_view(&list));
    text_release(&list);
}

static bool is_first_of_its_value(const struct fact *values, int rank)
{
    for (int other = 0; other < rank; other++)
        if (same_value(&values[other], &values[rank]))
            return false;
    return true;
}

/* "KEY is V on ranks 0-2 and W on rank 3". */
static void describe(const struct fact *key, const struct fact *values, int size, struct text *out)
{
    int count = 0, named = 0;
    for (int rank = 0; rank < size && count <= VALUES_NAMED_MAX; rank++)
        count += is_first_of_its_value(values, rank);
    text_add(out, "%.*s is ", (int)key->key_length, key->key);
    for (int rank = 0; rank < size && named < VALUES_NAMED_MAX; rank++) {
        if (!is_first_of_its_value(values, rank))
            continue;
        int shown = values[rank].value_length < VALUE_BYTES ? (int)values[rank].value_length : (int)VALUE_BYTES;
        if (named > 0)
            text_add(out, named + 1 == count ? " and " : ", ");
        text_add(out, "%.*s%s on ", shown, values[rank].value, shown == VALUE_BYTES ? "…" : "");
        add_ranks(values, size, rank, out);
        named++;
    }
    if (count > named)
        text_add(out, ", and others elsewhere");
}

/* The fact of every rank by that key; true if they differ. */
static bool collect(const char *const *facts, int size, const struct fact *key, struct fact *values)
{
    bool differ = false;
    for (int rank = 0; rank < size; rank++) {
        values[rank] = find_fact(facts[rank], key);
        differ |= !same_value(&values[rank], &values[0]);
    }
    return differ;
}

int agreement_differences(const char *const *facts, int size, struct text *out)
{
    struct fact *values = memory_zalloc((size_t)size, sizeof values[0]), fact;
    int count = 0;
    for (int owner = 0; owner < size; owner++) {
        if (owner > 0 && strcmp(facts[owner], facts[owner - 1]) == 0)
            continue;
        for (const char *line = facts[owner]; take_fact(line, &fact); line = fact.next) {
            bool differ = collect(facts, size, &fact, values), seen = false;
            for (int before = 0; before < owner && differ && !seen; before++)
                seen = values[before].key != NULL;
            if (!differ || seen)
                continue;
            if (count++ >= KEYS_NAMED_MAX)
                continue;
            text_add(out, "%s", count > 1 ? "; " : "");
            describe(&fact, values, size, out);
        }
    }
    if (count > KEYS_NAMED_MAX)
        text_add(out, "; and %d more keys", count - KEYS_NAMED_MAX);
    free(values);
    return count;
}
