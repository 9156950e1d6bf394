/* Which keys the user has given, and where. */
#include "config/config_given.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "config/config_value.h"

void config_origin_set(struct config *config, const struct schema_row *row, const struct place *place)
{
    struct config_origin *origin = &config->origins[schema_index(row)];
    struct text text = {0};
    place_add(&text, place);
    free(origin->place);
    *origin =
        (struct config_origin){.place = memory_copy_text(text_view(&text)), .is_argument = place->argument != NULL};
    text_release(&text);
}

void config_origins_own(struct config *config)
{
    for (size_t i = 0; i < CONFIG_KEYS_MAX; i++)
        if (config->origins[i].place != NULL)
            config->origins[i].place = memory_copy_text(config->origins[i].place);
}

void config_origins_release(struct config *config)
{
    for (size_t i = 0; i < CONFIG_KEYS_MAX; i++)
        free(config->origins[i].place);
}

static bool is_off(const struct schema_row *row, const struct config *config)
{
    static const char *const words[] = {"false", "0", "0.0", "\"\"", "[]"};
    struct text value = {0};
    bool off = false;
    config_value_write(row, config, &value);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        off = off || strcmp(text_view(&value), words[i]) == 0;
    text_release(&value);
    return off;
}

bool config_next_given(const struct config *config, size_t *index, struct config_given *out)
{
    for (; *index < schema_count(); ++*index) {
        const struct config_origin *origin = &config->origins[*index];
        if (origin->place == NULL)
            continue;
        const struct schema_row *row = schema_row((*index)++);
        *out = (struct config_given){.key = row->name,
                                     .place = origin->place,
                                     .is_argument = origin->is_argument,
                                     .is_off = is_off(row, config)};
        return true;
    }
    return false;
}

/* The row of a key that the caller knows to be there. */
static const struct schema_row *known_row(const char *key)
{
    const struct schema_row *row = schema_find_name(key);
    assert(row != NULL);
    return row;
}

bool config_is_argument(const struct config *config, const char *key)
{
    return config->origins[schema_index(known_row(key))].is_argument;
}

void config_add_value(const struct config *config, const char *key, struct text *out)
{
    config_value_write(known_row(key), config, out);
}

bool config_same_value(const struct config *config, const struct config *other, const char *key)
{
    struct text one = {0}, two = {0};
    config_add_value(config, key, &one);
    config_add_value(other, key, &two);
    bool same = strcmp(text_view(&one), text_view(&two)) == 0;
    text_release(&one);
    text_release(&two);
    return same;
}
