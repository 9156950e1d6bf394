/* Look-ups in the schema, and what messages say about its rows. */
#include "config/schema.h"

#include <string.h>

#include "config/number.h"
#include "config/schema_table.h"

size_t schema_count(void)
{
    return schema_table_count;
}

const struct schema_row *schema_row(size_t index)
{
    return &schema_table[index];
}

const struct schema_row *schema_find(const char *section, const char *key)
{
    for (size_t i = 0; i < schema_table_count; i++)
        if (strcmp(schema_table[i].section, section) == 0 && strcmp(schema_table[i].key, key) == 0)
            return &schema_table[i];
    return NULL;
}

const struct schema_row *schema_find_name(const char *name)
{
    for (size_t i = 0; i < schema_table_count; i++)
        if (strcmp(schema_table[i].name, name) == 0)
            return &schema_table[i];
    return NULL;
}

size_t schema_index(const struct schema_row *row)
{
    return (size_t)(row - schema_table);
}

size_t schema_section(const char *section)
{
    size_t i = 0;
    while (i < schema_table_count && strcmp(schema_table[i].section, section) != 0)
        i++;
    return i;
}

static void add_bounds(struct text *text, const struct schema_bounds *bounds)
{
    char low[NUMBER_BYTES], high[NUMBER_BYTES];
    text_add(text, "%c%s, %s%c", bounds->low_open ? '(' : '[', number_write(low, bounds->low),
             number_write(high, bounds->high), bounds->high_open ? ')' : ']');
}

static void add_words(struct text *text, const struct schema_row *row)
{
    size_t count = 0;
    while (row->words[count] != NULL)
        count++;
    text_add_list(text, row->words, count);
}

void schema_add_allowed(struct text *text, const struct schema_row *row)
{
    switch (row->type) {
    case SCHEMA_BOOL:
        text_add(text, "true | false");
        return;
    case SCHEMA_INTEGER:
        text_add(text, "integer in ");
        add_bounds(text, &row->bounds);
        return;
    case SCHEMA_NUMBER:
        text_add(text, "number in ");
        add_bounds(text, &row->bounds);
        text_add(text, "%s", row->can_be_auto ? " or auto" : "");
        return;
    case SCHEMA_TEXT:
        if (row->words != NULL)
            add_words(text, row);
        else
            text_add(text, "text");
        return;
    case SCHEMA_LIST:
        text_add(text, "list of numbers in ");
        add_bounds(text, &row->bounds);
        return;
    }
}

void schema_add_remedy(struct text *text, const struct schema_row *row)
{
    if (row->type == SCHEMA_BOOL) {
        text_add(text, "write true or false");
        return;
    }
    text_add(text, row->words != NULL ? "give one of " : row->type == SCHEMA_INTEGER ? "give an " : "give a ");
    schema_add_allowed(text, row);
    if (row->type == SCHEMA_LIST && strcmp(row->preset, "[]") != 0)
        text_add(text, ", such as %s", row->preset);
}

/* Sections that have this key: "section optimizer", "sections data | algorithm". False if none has. */
static bool add_sections_with(struct text *text, const char *key)
{
    const char *sections[SCHEMA_ROWS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < schema_table_count; i++)
        if (strcmp(schema_table[i].key, key) == 0 && schema_table[i].section[0] != '\0')
            sections[count++] = schema_table[i].section;
    if (count == 0)
        return false;
    text_add(text, "; \"%s\" is a key of section%s ", key, count > 1 ? "s" : "");
    text_add_list(text, sections, count);
    return true;
}

static bool add_nearest(struct text *text, const char *name)
{
    const char *names[SCHEMA_ROWS_MAX];
    for (size_t i = 0; i < schema_table_count; i++)
        names[i] = schema_table[i].name;
    const char *nearest = text_nearest(name, names, schema_table_count);
    if (nearest != NULL)
        text_add(text, "; did you mean \"%s\"?", nearest);
    return nearest != NULL;
}

static bool add_nearest_section(struct text *text, const char *name)
{
    const char *names[SCHEMA_ROWS_MAX];
    for (size_t i = 0; i < schema_table_count; i++)
        names[i] = schema_table[i].section;
    const char *nearest = text_nearest(name, names, schema_table_count);
    if (nearest != NULL && nearest[0] != '\0' && strcmp(nearest, name) == 0)
        text_add(text, "; `grapevine config %s` lists the keys of section %s", name, name);
    else if (nearest != NULL && nearest[0] != '\0')
        text_add(text, "; did you mean section \"%s\"?", nearest);
    return nearest != NULL && nearest[0] != '\0';
}

void schema_add_suggestion(struct text *text, const char *section, const char *key)
{
    struct text name = {0};
    text_add(&name, "%s%s%s", section, section[0] != '\0' ? "." : "", key);
    bool known_section = schema_section(section) < schema_table_count;
    if (!(known_section && add_sections_with(text, key)) && !add_nearest(text, text_view(&name)) &&
        !add_sections_with(text, key) && !add_nearest_section(text, section[0] != '\0' ? section : key))
        text_add(text, "; `grapevine config` lists every key");
    text_release(&name);
}
