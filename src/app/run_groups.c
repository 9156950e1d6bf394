/* Grouping of runs over seeds. */
#include "app/run_groups.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"

/* Both have no effect, or the same value. */
static bool same_value(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

size_t run_keys_differing(const struct ended_runs *runs, size_t *out)
{
    size_t count = 0;
    for (size_t key = 0; key < run_key_count(); key++) {
        const char *first = NULL;
        bool differs = false;
        for (size_t k = 0; k < runs->count; k++) {
            const char *value = runs->runs[k].values[key];
            differs = differs || (first != NULL && value != NULL && strcmp(first, value) != 0);
            first = first != NULL ? first : value;
        }
        if (differs && !run_key_is_bookkeeping(key))
            out[count++] = key;
    }
    return count;
}

static bool alike(const struct ended_run *a, const struct ended_run *b, const size_t *keys, size_t key_count)
{
    bool same = true;
    for (size_t k = 0; k < key_count; k++)
        same = same && same_value(a->values[keys[k]], b->values[keys[k]]);
    return same;
}

/* The first run that has this value of the key. */
static size_t first_with(const struct ended_runs *runs, size_t key, const char *value)
{
    size_t k = 0;
    while (!same_value(runs->runs[k].values[key], value))
        k++;
    return k;
}

/* Below 0: the first run's group stands before the second one's. */
static int order(const struct ended_runs *runs, size_t a, size_t b, const size_t *keys, size_t key_count)
{
    for (size_t k = 0; k < key_count; k++) {
        const char *of_a = runs->runs[a].values[keys[k]], *of_b = runs->runs[b].values[keys[k]];
        double x, y;
        if (same_value(of_a, of_b))
            continue;
        if (of_a != NULL && of_b != NULL && text_parse_double(of_a, &x) && text_parse_double(of_b, &y) && x != y)
            return x < y ? -1 : 1;
        return first_with(runs, keys[k], of_a) < first_with(runs, keys[k], of_b) ? -1 : 1;
    }
    return 0;
}

static struct run_group *insert(struct run_groups *out, size_t place)
{
    out->groups = memory_realloc(out->groups, out->count + 1, sizeof out->groups[0]);
    memmove(&out->groups[place + 1], &out->groups[place], (out->count - place) * sizeof out->groups[0]);
    out->groups[place] = (struct run_group){0};
    out->count++;
    return &out->groups[place];
}

void run_groups_make(const struct ended_runs *runs, const size_t *keys, size_t key_count, struct run_groups *out)
{
    *out = (struct run_groups){0};
    for (size_t k = 0; k < runs->count; k++) {
        size_t place = 0;
        while (place < out->count && order(runs, out->groups[place].runs[0], k, keys, key_count) < 0)
            place++;
        bool found =
            place < out->count && alike(&runs->runs[out->groups[place].runs[0]], &runs->runs[k], keys, key_count);
        struct run_group *group = found ? &out->groups[place] : insert(out, place);
        group->runs = memory_realloc(group->runs, group->count + 1, sizeof group->runs[0]);
        group->runs[group->count++] = k;
    }
}

void run_groups_release(struct run_groups *groups)
{
    for (size_t k = 0; k < groups->count; k++)
        free(groups->groups[k].runs);
    free(groups->groups);
    *groups = (struct run_groups){0};
}

struct statistic run_group_statistic(const struct ended_runs *runs, const struct run_group *group, const char *figure)
{
    double *values = memory_zalloc(group->count + 1, sizeof values[0]);
    for (size_t k = 0; k < group->count; k++)
        values[k] = ended_run_figure(&runs->runs[group->runs[k]], figure);
    struct statistic statistic = statistic_of(values, group->count);
    free(values);
    return statistic;
}

void run_groups_warn_of_twins(const char *command, const struct ended_runs *runs, const struct run_groups *groups)
{
    size_t seed = run_key_find("seed");
    for (size_t g = 0; g < groups->count; g++) {
        const struct run_group *group = &groups->groups[g];
        for (size_t k = 1; k < group->count; k++)
            for (size_t j = 0; j < k; j++) {
                const struct ended_run *a = &runs->runs[group->runs[j]], *b = &runs->runs[group->runs[k]];
                if (same_value(a->values[seed], b->values[seed]))
                    log_warning("%s: %s and %s have the same configuration and seed, and count as two", command,
                                a->path, b->path);
            }
    }
}

static const char *short_title(const char *name, char *section, size_t size)
{
    const char *dot = strchr(name, '.');
    if (dot == NULL || (size_t)(dot - name) >= size)
        return name;
    memcpy(section, name, (size_t)(dot - name));
    section[dot - name] = '\0';
    return strcmp(dot, ".name") == 0 ? section : dot + 1;
}

char *run_key_title(size_t key, const size_t *keys, size_t key_count)
{
    enum { SECTION_BYTES = 64 };
    char section[SECTION_BYTES], other_section[SECTION_BYTES];
    const char *title = short_title(run_key_name(key), section, sizeof section);
    for (size_t k = 0; k < key_count; k++)
        if (keys[k] != key &&
            strcmp(title, short_title(run_key_name(keys[k]), other_section, sizeof other_section)) == 0)
            return memory_copy_text(run_key_name(key));
    return memory_copy_text(title);
}
