/* Files and arguments into struct config. A source is read into a draft that replaces the config only if all of it is
 * right, so an error leaves the config as it was. */
#include "config/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "config/config_given.h"
#include "config/config_value.h"
#include "config/schema.h"
#include "config/yaml_reader.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static struct config *clone(const struct config *config)
{
    struct config *copy = memory_zalloc(1, sizeof *copy);
    *copy = *config;
    for (size_t i = 0; i < schema_count(); i++)
        if (schema_row(i)->type == SCHEMA_TEXT) {
            char **text = config_value_text(schema_row(i), copy);
            *text = memory_copy_text(*text);
        }
    config_origins_own(copy);
    return copy;
}

static void release_texts(struct config *config)
{
    for (size_t i = 0; i < schema_count(); i++)
        if (schema_row(i)->type == SCHEMA_TEXT)
            free(*config_value_text(schema_row(i), config));
}

void config_destroy(struct config *config)
{
    if (config == NULL)
        return;
    release_texts(config);
    config_origins_release(config);
    free(config);
}

/* Keep the draft (on STATUS_OK) or drop it. */
static enum status settle(struct config *config, struct config *draft, enum status status)
{
    if (status == STATUS_OK) {
        struct config old = *config;
        *config = *draft;
        *draft = old;
    }
    config_destroy(draft);
    return status;
}

/* The whole text is the value of one row. */
static enum status read_alone(const struct schema_row *row, struct yaml_reader *reader, struct config *draft)
{
    TRY(yaml_reader_next(reader)); /* the stream starts */
    TRY(yaml_reader_next(reader));
    if (yaml_reader_type(reader) == YAML_STREAM_END_EVENT) {
        if (row->type == SCHEMA_TEXT && row->words == NULL && reader->length == 0) {
            config_value_set_text(row, draft, ""); /* run.dir= */
            return STATUS_OK;
        }
        struct text remedy = {0};
        schema_add_remedy(&remedy, row);
        place_error(&reader->place, row->name, "has no value; %s", text_view(&remedy));
        text_release(&remedy);
        return STATUS_USAGE;
    }
    TRY(yaml_reader_next(reader)); /* after the start of the document */
    TRY(config_value_read(row, reader, draft));
    size_t end = reader->event.end_mark.index, characters = 0;
    for (size_t i = 0; i < reader->length; i++)
        characters += ((unsigned char)reader->text[i] & 0xC0) != 0x80;
    for (size_t i = reader->length; i > 0 && (reader->text[i - 1] == ' ' || reader->text[i - 1] == '\n'); i--)
        characters--;
    TRY(yaml_reader_next(reader)); /* the document ends */
    TRY(yaml_reader_next(reader));
    if (yaml_reader_type(reader) != YAML_STREAM_END_EVENT || end < characters) {
        place_error(&reader->place, row->name, "only the beginning of the value would be read; put it in quotes");
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

static enum status assign(const struct schema_row *row, const char *value, struct place place, struct config *draft)
{
    struct yaml_reader reader;
    enum status status = yaml_reader_open(&reader, value, strlen(value), place);
    if (status != STATUS_OK)
        return status;
    status = read_alone(row, &reader, draft);
    yaml_reader_close(&reader);
    return status;
}

/* One list of all defaults, in the order of the rows: a parser for each of them would cost more than all else. */
static enum status read_presets(struct yaml_reader *reader, struct config *config)
{
    for (int k = 0; k < 3; k++)
        TRY(yaml_reader_next(reader)); /* stream, document and list start */
    for (size_t i = 0; i < schema_count(); i++) {
        if (schema_row(i)->preset == NULL)
            continue;
        TRY(yaml_reader_next(reader));
        TRY(config_value_read(schema_row(i), reader, config));
    }
    return STATUS_OK;
}

struct config *config_create(void)
{
    struct config *config = memory_zalloc(1, sizeof *config);
    struct text list = {0};
    struct yaml_reader reader;
    for (size_t i = 0; i < schema_count(); i++) {
        if (schema_row(i)->preset != NULL)
            text_add(&list, "- %s\n", schema_row(i)->preset);
        else
            config_value_set_text(schema_row(i), config, "");
    }
    enum status status = yaml_reader_open(&reader, text_view(&list), list.length, (struct place){.path = "defaults"});
    if (status == STATUS_OK)
        status = read_presets(&reader, config);
    assert(status == STATUS_OK);
    (void)status;
    yaml_reader_close(&reader);
    text_release(&list);
    return config;
}

/* A file's edge list is a graph of its own: the name follows the file where only one of the two is given. */
static enum status settle_graph(struct config *draft, bool has_name, bool has_file, const struct place *place)
{
    bool is_file = strcmp(draft->graph.name, "file") == 0;
    if (has_file && draft->graph.file[0] != '\0' && !is_file) {
        if (has_name) {
            place_error(place, "graph.file",
                        "an edge list is given, but graph.name is \"%s\"; leave one of the two out", draft->graph.name);
            return STATUS_USAGE;
        }
        config_value_set_text(schema_find_name("graph.name"), draft, "file");
    } else if (has_name && !has_file && !is_file) {
        config_value_set_text(schema_find_name("graph.file"), draft, "");
    }
    return STATUS_OK;
}

/* A file being read. */
struct loading {
    struct yaml_reader reader;
    struct config *draft;                 /* borrowed */
    size_t key_line[SCHEMA_ROWS_MAX];     /* where each key stands; 0: not yet */
    size_t section_line[SCHEMA_ROWS_MAX]; /* the same for the section that begins with this row */
};

static enum status refuse_unknown(const struct place *place, const char *section, const char *key)
{
    char shown[SHOWN_BYTES];
    struct text name = {0}, suggestion = {0};
    text_add(&name, "%s%s%s", section, section[0] != '\0' ? "." : "", key);
    schema_add_suggestion(&suggestion, section, key);
    place_error(place, NULL, "unknown key %s%s", show_word(shown, text_view(&name)), text_view(&suggestion));
    text_release(&name);
    text_release(&suggestion);
    return STATUS_USAGE;
}

/* Note that `name` stands in the present line; twice is an error. */
static enum status note_line(const struct yaml_reader *reader, size_t *line, const char *kind, const char *name)
{
    if (*line != 0) {
        place_error(&reader->place, NULL, "%s \"%s\" stands twice, first in line %zu; keep one", kind, name, *line);
        return STATUS_USAGE;
    }
    *line = reader->place.line;
    return STATUS_OK;
}

static enum status check_key(const struct yaml_reader *reader)
{
    if (yaml_reader_type(reader) == YAML_SCALAR_EVENT)
        return STATUS_OK;
    place_error(&reader->place, NULL, "a list or mapping stands where a key is expected; write key: value");
    return STATUS_USAGE;
}

/* The reader stands at the key of `row`: read its value. */
static enum status load_value(struct loading *loading, const struct schema_row *row)
{
    struct place place = loading->reader.place;
    TRY(note_line(&loading->reader, &loading->key_line[schema_index(row)], "key", row->name));
    TRY(yaml_reader_next(&loading->reader));
    TRY(config_value_read(row, &loading->reader, loading->draft));
    config_origin_set(loading->draft, row, &place);
    return STATUS_OK;
}

/* The reader stands at the name of a known section: read its keys. */
static enum status load_section(struct loading *loading, size_t first)
{
    struct yaml_reader *reader = &loading->reader;
    const char *section = schema_row(first)->section;
    TRY(note_line(reader, &loading->section_line[first], "section", section));
    TRY(yaml_reader_next(reader));
    bool is_scalar = yaml_reader_type(reader) == YAML_SCALAR_EVENT;
    if (is_scalar && yaml_reader_is_plain(reader) && yaml_reader_word(reader)[0] == '\0')
        return STATUS_OK; /* a section whose keys are all left out or commented out */
    if (yaml_reader_type(reader) != YAML_MAPPING_START_EVENT) {
        place_error(&reader->place, NULL, "\"%s\" is a section, not a value; give keys of it, such as %s: {%s: ...}",
                    section, section, schema_row(first)->key);
        return STATUS_USAGE;
    }
    for (;;) {
        TRY(yaml_reader_next(reader));
        if (yaml_reader_type(reader) == YAML_MAPPING_END_EVENT)
            return STATUS_OK;
        TRY(check_key(reader));
        const struct schema_row *row = schema_find(section, yaml_reader_word(reader));
        if (row == NULL)
            return refuse_unknown(&reader->place, section, yaml_reader_word(reader));
        TRY(load_value(loading, row));
    }
}

/* The reader stands at an unknown name at the top. If it is followed by a mapping, its first key is named too. */
static enum status refuse_top(struct yaml_reader *reader)
{
    struct place place = reader->place;
    char *name = memory_copy_text(yaml_reader_word(reader));
    const struct schema_row *dotted = schema_find_name(name);
    enum status status = STATUS_USAGE;
    if (dotted != NULL) {
        place_error(&place, NULL, "\"%s\" cannot stand in one word in a file; write %s: {%s: ...}", name,
                    dotted->section, dotted->key);
        goto release_name;
    }
    TRY_GOTO(yaml_reader_next(reader), release_name);
    if (yaml_reader_type(reader) == YAML_MAPPING_START_EVENT) {
        TRY_GOTO(yaml_reader_next(reader), release_name);
        if (yaml_reader_type(reader) == YAML_SCALAR_EVENT) {
            status = refuse_unknown(&reader->place, name, yaml_reader_word(reader));
            goto release_name;
        }
    }
    status = refuse_unknown(&place, "", name);
release_name:
    free(name);
    return status;
}

static enum status load_top(struct loading *loading)
{
    struct yaml_reader *reader = &loading->reader;
    for (;;) {
        TRY(yaml_reader_next(reader));
        if (yaml_reader_type(reader) == YAML_MAPPING_END_EVENT)
            return STATUS_OK;
        TRY(check_key(reader));
        const char *name = yaml_reader_word(reader);
        const struct schema_row *row = schema_find("", name);
        size_t first = name[0] != '\0' ? schema_section(name) : schema_count();
        if (row != NULL)
            TRY(load_value(loading, row));
        else if (first < schema_count())
            TRY(load_section(loading, first));
        else
            return refuse_top(reader);
    }
}

static enum status load_document(struct loading *loading)
{
    struct yaml_reader *reader = &loading->reader;
    TRY(yaml_reader_next(reader)); /* the stream starts */
    TRY(yaml_reader_next(reader));
    bool empty = yaml_reader_type(reader) == YAML_STREAM_END_EVENT;
    if (!empty) {
        TRY(yaml_reader_next(reader)); /* after the start of the document */
        empty = yaml_reader_type(reader) == YAML_SCALAR_EVENT && yaml_reader_word(reader)[0] == '\0';
    }
    if (empty) {
        reader->place.line = 0;
        place_error(&reader->place, NULL,
                    "the file is empty; it needs at least data: {name: ...} and model: {name: ...}");
        return STATUS_USAGE;
    }
    if (yaml_reader_type(reader) != YAML_MAPPING_START_EVENT) {
        place_error(&reader->place, NULL,
                    "not a configuration; sections with keys are expected, such as data: {name: shapes}");
        return STATUS_USAGE;
    }
    TRY(load_top(loading));
    TRY(yaml_reader_next(reader)); /* the document ends */
    TRY(yaml_reader_next(reader));
    if (yaml_reader_type(reader) != YAML_STREAM_END_EVENT) {
        place_error(&reader->place, NULL, "a second document begins here; a configuration is one document");
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

static enum status load_text(struct config *draft, const char *text, size_t length, const char *path)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF"; /* some editors begin a file with it */
    size_t skip = length >= 3 && memcmp(text, byte_order_mark, 3) == 0 ? 3 : 0;
    struct loading loading = {.draft = draft};
    struct place place = {.path = path};
    enum status status = yaml_reader_open(&loading.reader, text + skip, length - skip, place);
    if (status != STATUS_OK)
        return status;
    status = load_document(&loading);
    size_t name_line = loading.key_line[schema_index(schema_find_name("graph.name"))];
    place.line = loading.key_line[schema_index(schema_find_name("graph.file"))];
    if (status == STATUS_OK)
        status = settle_graph(draft, name_line != 0, place.line != 0, &place);
    yaml_reader_close(&loading.reader);
    return status;
}

/* Up to FILE_BYTES_MAX + 1 bytes of an open file, owned by the caller; NULL with errno where reading fails. */
static char *read_all(int file, size_t *length)
{
    size_t capacity = 4096;
    char *bytes = memory_zalloc(capacity, 1);
    *length = 0;
    while (*length <= FILE_BYTES_MAX) {
        if (*length == capacity) {
            capacity = capacity < FILE_BYTES_MAX ? 2 * capacity : (size_t)FILE_BYTES_MAX + 1;
            bytes = memory_realloc(bytes, capacity, 1);
        }
        ssize_t got = read(file, bytes + *length, capacity - *length);
        if (got < 0 && errno != EINTR) {
            int error = errno;
            free(bytes);
            errno = error;
            return NULL;
        }
        if (got == 0)
            break;
        *length += got > 0 ? (size_t)got : 0;
    }
    return bytes;
}

enum status config_load(struct config *config, const char *path)
{
    struct place place = {.path = path};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        place_error(&place, NULL, "cannot be opened: %s; give the path of a YAML file", strerror(errno));
        return STATUS_USAGE;
    }
    size_t length;
    char *bytes = read_all(file, &length);
    enum status status = STATUS_USAGE;
    if (bytes == NULL) {
        place_error(&place, NULL, "cannot be read: %s; give the path of a YAML file", strerror(errno));
    } else if (length > FILE_BYTES_MAX) {
        place_error(&place, NULL, "more than %d bytes, too long for a configuration; give the path of a YAML file",
                    (int)FILE_BYTES_MAX);
    } else {
        struct config *draft = clone(config);
        status = settle(config, draft, load_text(draft, bytes, length, path));
    }
    free(bytes);
    close(file);
    return status;
}

enum status config_set(struct config *config, const char *assignment)
{
    struct place place = {.argument = assignment};
    const char *equals = strchr(assignment, '=');
    if (equals == NULL) {
        place_error(&place, NULL, "not of the form section.key=value");
        return STATUS_USAGE;
    }
    char *name = text_format("%.*s", (int)(equals - assignment), assignment);
    const struct schema_row *row = schema_find_name(name);
    char *dot = strchr(name, '.');
    size_t first = name[0] != '\0' ? schema_section(name) : schema_count();
    enum status status = STATUS_USAGE;
    if (row != NULL) {
        struct config *draft = clone(config);
        status = assign(row, equals + 1, place, draft);
        config_origin_set(draft, row, &place);
        if (status == STATUS_OK)
            status = settle_graph(draft, strcmp(name, "graph.name") == 0, strcmp(name, "graph.file") == 0, &place);
        status = settle(config, draft, status);
    } else if (first < schema_count()) {
        place_error(&place, NULL, "\"%s\" is a section; set one key of it, such as %s=...", name,
                    schema_row(first)->name);
    } else {
        if (dot != NULL)
            *dot = '\0';
        refuse_unknown(&place, dot != NULL ? name : "", dot != NULL ? dot + 1 : name);
    }
    free(name);
    return status;
}

enum status config_require(const struct config *config, const char *path)
{
    for (size_t i = 0; i < schema_count(); i++) {
        const struct schema_row *row = schema_row(i);
        if (row->preset != NULL || config_value_text_const(row, config)[0] != '\0')
            continue;
        place_error(&(struct place){.path = path}, NULL,
                    "%s is missing; add %s: {%s: ...} to the file, or give %s=... as "
                    "an argument (`grapevine config %s`)",
                    row->name, row->section, row->key, row->name, row->name);
        return STATUS_USAGE;
    }
    return STATUS_OK;
}
