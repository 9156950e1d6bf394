/* One value of the schema: from YAML, checked, into the config, and back to YAML. */
#include "config/config_value.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/path.h"
#include "config/number.h"

static void *field(const struct schema_row *row, struct config *config)
{
    return (char *)config + row->offset;
}

static const void *field_const(const struct schema_row *row, const struct config *config)
{
    return (const char *)config + row->offset;
}

char **config_value_text(const struct schema_row *row, struct config *config)
{
    return field(row, config);
}

const char *config_value_text_const(const struct schema_row *row, const struct config *config)
{
    return *(char *const *)field_const(row, config);
}

void config_value_set_text(const struct schema_row *row, struct config *config, const char *word)
{
    char **text = config_value_text(row, config);
    char *copy = memory_copy_text(word);
    free(*text);
    *text = copy;
}

/* "<what>; <remedy of the row>". */
static enum status refuse(const struct schema_row *row, const struct yaml_reader *reader, const char *what)
{
    struct text remedy = {0};
    schema_add_remedy(&remedy, row);
    place_error(&reader->place, row->name, "%s; %s", what, text_view(&remedy));
    text_release(&remedy);
    return STATUS_USAGE;
}

/* The same about the word that the reader stands at, "<word> <what>". */
static enum status refuse_word(const struct schema_row *row, const struct yaml_reader *reader, const char *what)
{
    char shown[SHOWN_BYTES];
    struct text text = {0};
    text_add(&text, "%s %s", show_word(shown, yaml_reader_word(reader)), what);
    enum status status = refuse(row, reader, text_view(&text));
    text_release(&text);
    return status;
}

static bool within(const struct schema_bounds *bounds, double value)
{
    return (bounds->low_open ? value > bounds->low : value >= bounds->low) &&
           (bounds->high_open ? value < bounds->high : value <= bounds->high);
}

/* The number that the reader stands at, within the row's bounds. */
static enum status read_number(const struct schema_row *row, const struct yaml_reader *reader, double *out)
{
    const char *word = yaml_reader_word(reader);
    bool whole = row->type == SCHEMA_INTEGER;
    double value;
    if (!yaml_reader_is_plain(reader))
        return refuse_word(row, reader, "is a text because of its quotes");
    if (!number_read(word, &value) || (whole && !number_is_whole(word)))
        return refuse_word(row, reader, whole ? "is not an integer" : "is not a number");
    if (!within(&row->bounds, value))
        return refuse_word(row, reader, "is out of bounds");
    *out = value;
    return STATUS_OK;
}

static enum status read_bool(const struct schema_row *row, const struct yaml_reader *reader, bool *out)
{
    const char *word = yaml_reader_word(reader);
    bool is_true = strcmp(word, "true") == 0;
    if (!yaml_reader_is_plain(reader))
        return refuse_word(row, reader, "is a text because of its quotes");
    if (!is_true && strcmp(word, "false") != 0)
        return refuse_word(row, reader, "is neither true nor false");
    *out = is_true;
    return STATUS_OK;
}

static enum status read_path(const struct schema_row *row, const struct yaml_reader *reader, struct config *config)
{
    char shown[SHOWN_BYTES];
    struct text trouble = {0};
    char *path = path_expand(yaml_reader_word(reader), &trouble);
    if (path != NULL)
        config_value_set_text(row, config, path);
    else
        place_error(&reader->place, row->name, "%s: %s", show_word(shown, yaml_reader_word(reader)),
                    text_view(&trouble));
    enum status status = path != NULL ? STATUS_OK : STATUS_USAGE;
    text_release(&trouble);
    free(path);
    return status;
}

static enum status read_text(const struct schema_row *row, const struct yaml_reader *reader, struct config *config)
{
    const char *word = yaml_reader_word(reader), *nearest;
    struct text message = {0};
    char shown[SHOWN_BYTES];
    size_t count = 0;
    if (row->is_path)
        return read_path(row, reader, config);
    for (; row->words != NULL && row->words[count] != NULL; count++)
        if (strcmp(word, row->words[count]) == 0)
            break;
    if (row->words == NULL || row->words[count] != NULL) {
        config_value_set_text(row, config, word);
        return STATUS_OK;
    }
    text_add(&message, "%s is not known; ", show_word(shown, word));
    schema_add_remedy(&message, row);
    nearest = text_nearest(word, row->words, count);
    if (nearest != NULL)
        text_add(&message, " (did you mean \"%s\"?)", nearest);
    place_error(&reader->place, row->name, "%s", text_view(&message));
    text_release(&message);
    return STATUS_USAGE;
}

static enum status read_list(const struct schema_row *row, struct yaml_reader *reader, struct config_list *out)
{
    struct config_list list = {.count = 0};
    for (;;) {
        TRY(yaml_reader_next(reader));
        if (yaml_reader_type(reader) == YAML_SEQUENCE_END_EVENT)
            break;
        if (yaml_reader_type(reader) != YAML_SCALAR_EVENT)
            return refuse(row, reader, "an item of the list is not a number");
        if (list.count == CONFIG_LIST_MAX) {
            place_error(&reader->place, row->name, "the list has more than %d items; give at most that many",
                        CONFIG_LIST_MAX);
            return STATUS_USAGE;
        }
        TRY(read_number(row, reader, &list.items[list.count]));
        list.count++;
    }
    *out = list;
    return STATUS_OK;
}

static bool is_null(const struct yaml_reader *reader)
{
    const char *word = yaml_reader_word(reader);
    return yaml_reader_is_plain(reader) && (word[0] == '\0' || strcmp(word, "~") == 0 || strcmp(word, "null") == 0);
}

static enum status read_scalar(const struct schema_row *row, struct yaml_reader *reader, struct config *config)
{
    double number;
    if (is_null(reader) && row->type == SCHEMA_TEXT && row->words == NULL) {
        place_error(&reader->place, row->name, "has no value; give a text, or \"\" for none");
        return STATUS_USAGE;
    }
    if (is_null(reader))
        return refuse(row, reader, "has no value");
    switch (row->type) {
    case SCHEMA_BOOL:
        return read_bool(row, reader, field(row, config));
    case SCHEMA_INTEGER:
        TRY(read_number(row, reader, &number));
        *(int64_t *)field(row, config) = (int64_t)number; /* exact: bounds of integers lie within ±2⁵³ */
        return STATUS_OK;
    case SCHEMA_NUMBER:
        if (row->can_be_auto && yaml_reader_is_plain(reader) && strcmp(yaml_reader_word(reader), "auto") == 0) {
            *(double *)field(row, config) = NAN;
            return STATUS_OK;
        }
        return read_number(row, reader, field(row, config));
    case SCHEMA_TEXT:
        return read_text(row, reader, config);
    case SCHEMA_LIST:
        return refuse_word(row, reader, "is not a list");
    }
    return STATUS_BUG;
}

enum status config_value_read(const struct schema_row *row, struct yaml_reader *reader, struct config *config)
{
    if (yaml_reader_type(reader) == YAML_SCALAR_EVENT)
        return read_scalar(row, reader, config);
    if (yaml_reader_type(reader) != YAML_SEQUENCE_START_EVENT)
        return refuse(row, reader, "a mapping stands where a value is expected");
    if (row->type != SCHEMA_LIST)
        return refuse(row, reader, "a list stands where one value is expected");
    return read_list(row, reader, field(row, config));
}

/* Whether every YAML reader takes the word, unquoted, for the same text: the first letter rules out numbers, dates and
 * signs, the list what YAML 1.1 takes for something else. */
static bool is_safe_plain(const char *word)
{
    static const char *const taken[] = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"};
    if (!isalpha((unsigned char)word[0]) && word[0] != '/')
        return false;
    for (const char *at = word; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && strchr("_./+-", *at) == NULL)
            return false;
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcasecmp(word, taken[i]) == 0)
            return false;
    return true;
}

/* Code point of a well-formed UTF-8 character of two bytes or more, and its length; 0 if it is not one. */
static unsigned long decode(const unsigned char *at, int *length)
{
    *length = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    unsigned long code = at[0] & (0xFFU >> (*length + 1));
    for (int i = 1; i < *length; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3FU);
    }
    return code;
}

/* Characters that YAML forbids in a file, or folds away as line breaks. */
static bool must_be_escaped(unsigned long code)
{
    return code < 0xA0 || code == 0x2028 || code == 0x2029 || code == 0xFEFF || code == 0xFFFE || code == 0xFFFF;
}

static void write_quoted(const char *word, struct text *out)
{
    text_add(out, "\"");
    for (const unsigned char *at = (const unsigned char *)word; *at != '\0';) {
        int length = 1;
        unsigned long code = *at < 0x80 ? *at : decode(at, &length);
        if (code == 0)
            length = 1;
        if (*at == '"' || *at == '\\')
            text_add(out, "\\%c", *at);
        else if (*at == '\n')
            text_add(out, "\\n");
        else if (*at == '\t')
            text_add(out, "\\t");
        else if (*at >= ' ' && *at < 0x7F)
            text_add(out, "%c", *at);
        else if (code == 0)
            text_add(out, "\\x%02X", *at);
        else if (must_be_escaped(code))
            text_add(out, "\\u%04lX", code);
        else
            text_add(out, "%.*s", length, (const char *)at);
        at += length;
    }
    text_add(out, "\"");
}

static void write_text(const struct schema_row *row, const char *word, struct text *out)
{
    struct text literal = {0};
    if (row->is_path)
        path_add_literal(&literal, word);
    else
        text_add(&literal, "%s", word);
    if (row->words != NULL || is_safe_plain(text_view(&literal)))
        text_add(out, "%s", text_view(&literal));
    else
        write_quoted(text_view(&literal), out);
    text_release(&literal);
}

void config_value_write(const struct schema_row *row, const struct config *config, struct text *out)
{
    const void *from = field_const(row, config);
    char number[NUMBER_BYTES];
    const struct config_list *list = from;
    switch (row->type) {
    case SCHEMA_BOOL:
        text_add(out, "%s", *(const bool *)from ? "true" : "false");
        return;
    case SCHEMA_INTEGER:
        text_add(out, "%lld", (long long)*(const int64_t *)from);
        return;
    case SCHEMA_NUMBER:
        text_add(out, "%s", number_write(number, *(const double *)from));
        return;
    case SCHEMA_TEXT:
        write_text(row, config_value_text_const(row, config), out);
        return;
    case SCHEMA_LIST:
        for (int i = 0; i < list->count; i++)
            text_add(out, "%s%s", i > 0 ? ", " : "[", number_write(number, list->items[i]));
        text_add(out, "%s", list->count > 0 ? "]" : "[]");
        return;
    }
}
