/* The config as YAML, and the schema as a manual. */
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "config/config_value.h"
#include "config/schema.h"

void config_write(const struct config *config, FILE *out)
{
    const char *section = "";
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_row *row = schema_row(i);
        struct text value = {0};
        if (strcmp(row->section, section) != 0)
            fprintf(out, "\n%s:\n", row->section);
        section = row->section;
        config_value_write(row, config, &value);
        fprintf(out, "%s%s: %s\n", section[0] != '\0' ? "  " : "", row->key, text_view(&value));
        text_release(&value);
    }
}

void config_each(const struct config *config, config_item_fn *visit, void *context)
{
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_row *row = schema_row(i);
        const void *from = (const char *)config + row->offset;
        struct config_item item = {.section = row->section, .key = row->key};
        switch (row->type) {
        case SCHEMA_BOOL:
            item.type = CONFIG_BOOL;
            item.flag = *(const bool *)from;
            break;
        case SCHEMA_INTEGER:
            item.type = CONFIG_INTEGER;
            item.integer = *(const int64_t *)from;
            break;
        case SCHEMA_NUMBER:
            item.type = CONFIG_NUMBER;
            item.number = *(const double *)from;
            break;
        case SCHEMA_TEXT:
            item.type = CONFIG_TEXT;
            item.text = config_value_text_const(row, config);
            break;
        case SCHEMA_LIST:
            item.type = CONFIG_LIST;
            item.list = from;
            break;
        }
        visit(context, &item);
    }
}

void config_each_shared(const struct config *config, config_value_fn *visit, void *context)
{
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_row *row = schema_row(i);
        struct text value = {0};
        if (row->of_rank)
            continue;
        config_value_write(row, config, &value);
        visit(context, row->name, text_view(&value));
        text_release(&value);
    }
}

size_t config_key_count(void)
{
    return schema_count();
}

const char *config_key_name(size_t key)
{
    return schema_row(key)->name;
}

/* Adds to the list (NULL: none) where the values differ. */
static bool differs(const struct schema_row *row, const struct config *before, const struct config *now,
                    struct text *list)
{
    struct text was = {0}, is = {0};
    config_value_write(row, before, &was);
    config_value_write(row, now, &is);
    bool differ = strcmp(text_view(&was), text_view(&is)) != 0;
    if (differ && list != NULL)
        text_add(list, "%s%s: %s, was %s", list->length > 0 ? "; " : "", row->name, text_view(&is), text_view(&was));
    text_release(&was);
    text_release(&is);
    return differ;
}

int config_differences(const struct config *before, const struct config *now, struct text *list)
{
    int count = 0;
    for (size_t i = 0; i < schema_count(); i++)
        count += differs(schema_row(i), before, now, list);
    return count;
}

bool config_same_section(const struct config *before, const struct config *now, const char *section)
{
    for (size_t i = 0; i < schema_count(); i++)
        if (strcmp(schema_row(i)->section, section) == 0 && differs(schema_row(i), before, now, NULL))
            return false;
    return true;
}

static const char *shown_default(const struct schema_row *row)
{
    return row->preset != NULL ? row->preset : "(required)";
}

static void print_table(FILE *out)
{
    fprintf(out, "%-29s %-12s %-32s %s\n", "key", "default", "values", "meaning");
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_row *row = schema_row(i);
        struct text allowed = {0};
        schema_add_allowed(&allowed, row);
        if (i > 0 && strcmp(row->section, schema_row(i - 1)->section) != 0)
            fprintf(out, "\n");
        fprintf(out, "%-29s %-12s %-32s %s\n", row->name, shown_default(row), text_view(&allowed), row->summary);
        text_release(&allowed);
    }
    fprintf(out, "\nA file has sections (data: {name: shapes}); an argument is section.key=value.\n"
                 "`grapevine config SECTION` or `grapevine config KEY` says more.\n");
}

/* Words of `paragraph` in lines of at most 96 columns, indented by two. */
static void print_wrapped(FILE *out, const char *paragraph)
{
    const size_t width = 96;
    size_t column = 0;
    while (*paragraph != '\0') {
        size_t length = strcspn(paragraph, " ");
        bool breaks = column == 0 || column + 1 + length > width;
        if (breaks)
            fprintf(out, "%s  ", column > 0 ? "\n" : "");
        else
            fprintf(out, " ");
        column = breaks ? 2 + length : column + 1 + length;
        fprintf(out, "%.*s", (int)length, paragraph);
        paragraph += length;
        paragraph += strspn(paragraph, " ");
    }
    fprintf(out, "\n");
}

static void print_row(FILE *out, const struct schema_row *row)
{
    struct text allowed = {0};
    schema_add_allowed(&allowed, row);
    fprintf(out, "%s: %s\n", row->name, row->summary);
    fprintf(out, "  %s; default %s\n", text_view(&allowed), shown_default(row));
    if (row->details != NULL)
        print_wrapped(out, row->details);
    if (row->of_rank)
        print_wrapped(out, "Each rank of `train` may have its own.");
    text_release(&allowed);
}

static enum status refuse_key(const char *key)
{
    char shown[SHOWN_BYTES];
    struct text section = {0}, suggestion = {0};
    const char *dot = strchr(key, '.');
    if (dot != NULL)
        text_add(&section, "%.*s", (int)(dot - key), key);
    schema_add_suggestion(&suggestion, text_view(&section), dot != NULL ? dot + 1 : key);
    log_error("unknown key %s%s", show_word(shown, key), text_view(&suggestion));
    text_release(&section);
    text_release(&suggestion);
    return STATUS_USAGE;
}

enum status config_get(const struct config *config, const char *key, struct text *value)
{
    const struct schema_row *row = schema_find_name(key);
    if (row == NULL)
        return refuse_key(key);
    if (row->type == SCHEMA_TEXT)
        text_add(value, "%s", config_value_text_const(row, config));
    else
        config_value_write(row, config, value);
    return STATUS_OK;
}

enum status config_describe(const char *key, FILE *out)
{
    if (key == NULL) {
        print_table(out);
        return STATUS_OK;
    }
    const struct schema_row *row = schema_find_name(key);
    size_t i = key[0] != '\0' ? schema_section(key) : schema_count();
    if (row != NULL) {
        print_row(out, row);
        return STATUS_OK;
    }
    if (i == schema_count())
        return refuse_key(key);
    for (bool first = true; i < schema_count() && strcmp(schema_row(i)->section, key) == 0; i++, first = false) {
        if (!first)
            fprintf(out, "\n");
        print_row(out, schema_row(i));
    }
    return STATUS_OK;
}
