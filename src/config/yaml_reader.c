/* libyaml's events with the place of each. */
#include "config/yaml_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

char *show_word(char out[SHOWN_BYTES], const char *word)
{
    size_t length = strnlen(word, SHOWN_BYTES - 8);
    bool cut = word[length] != '\0';
    while (cut && length > 0 && ((unsigned char)word[length] & 0xC0) == 0x80)
        length--; /* not within a UTF-8 character */
    char *end = out;
    *end++ = '"';
    for (size_t i = 0; i < length; i++)
        *end++ = (unsigned char)word[i] < ' ' || word[i] == 0x7F ? '?' : word[i];
    strcpy(end, cut ? "…\"" : "\"");
    return out;
}

void place_add(struct text *text, const struct place *place)
{
    char shown[SHOWN_BYTES];
    if (place->argument != NULL)
        text_add(text, "argument %s", show_word(shown, place->argument));
    else if (place->line > 0)
        text_add(text, "%s:%zu", place->path, place->line);
    else
        text_add(text, "%s", place->path);
}

void place_error(const struct place *place, const char *key, const char *format, ...)
{
    struct text line = {0};
    char message[1024];
    place_add(&line, place);
    text_add(&line, ": ");
    if (key != NULL)
        text_add(&line, "%s: ", key);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    log_error("%s%s", text_view(&line), message);
    text_release(&line);
}

enum status yaml_reader_open(struct yaml_reader *reader, const char *text, size_t length, struct place place)
{
    *reader = (struct yaml_reader){.text = text, .length = length, .place = place};
    if (!yaml_parser_initialize(&reader->parser)) {
        log_error("libyaml could not be started: out of memory");
        return STATUS_MACHINE;
    }
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, length);
    return STATUS_OK;
}

void yaml_reader_close(struct yaml_reader *reader)
{
    if (reader->has_event)
        yaml_event_delete(&reader->event);
    yaml_parser_delete(&reader->parser);
    reader->has_event = false;
}

/* Line (from 1) of a byte of the text. */
static size_t line_of(const struct yaml_reader *reader, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset && i < reader->length; i++)
        line += reader->text[i] == '\n';
    return line;
}

static bool indented_with_tab(const struct yaml_reader *reader, size_t line)
{
    const char *at = reader->text, *end = reader->text + reader->length;
    for (; line > 1 && at < end; line--) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? newline + 1 : end;
    }
    while (at < end && *at == ' ')
        at++;
    return at < end && *at == '\t';
}

static enum status not_yaml(struct yaml_reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "it cannot be read";
    if (parser->error == YAML_MEMORY_ERROR) {
        log_error("out of memory while reading YAML");
        return STATUS_MACHINE;
    }
    if (parser->error == YAML_READER_ERROR) {
        reader->place.line = line_of(reader, parser->problem_offset);
        place_error(&reader->place, NULL, "not a text in UTF-8: %s; save it as plain text", problem);
        return STATUS_USAGE;
    }
    reader->place.line = parser->problem_mark.line + 1;
    bool tab = indented_with_tab(reader, reader->place.line);
    if (parser->context != NULL && reader->place.argument == NULL)
        place_error(&reader->place, NULL, "not valid YAML: %s, %s that begins in line %zu%s", problem, parser->context,
                    parser->context_mark.line + 1, tab ? "; indent with spaces, not tabs" : "");
    else
        place_error(&reader->place, NULL, "not valid YAML: %s%s", problem, tab ? "; indent with spaces, not tabs" : "");
    return STATUS_USAGE;
}

/* Anchor and tag of the event, NULL where there is none. */
static void find_extras(const yaml_event_t *event, const yaml_char_t **anchor, const yaml_char_t **tag)
{
    *anchor = *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        *anchor = event->data.scalar.anchor;
        *tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        *anchor = event->data.sequence_start.anchor;
        *tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        *anchor = event->data.mapping_start.anchor;
        *tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_ALIAS_EVENT) {
        *anchor = event->data.alias.anchor;
    }
}

enum status yaml_reader_next(struct yaml_reader *reader)
{
    if (reader->has_event)
        yaml_event_delete(&reader->event);
    reader->has_event = yaml_parser_parse(&reader->parser, &reader->event) != 0;
    if (!reader->has_event)
        return not_yaml(reader);
    const yaml_event_t *event = &reader->event;
    reader->place.line = event->start_mark.line + 1;
    char shown[SHOWN_BYTES];
    const yaml_char_t *anchor, *tag;
    find_extras(event, &anchor, &tag);
    if (anchor != NULL) {
        place_error(&reader->place, NULL,
                    "anchors (&) and aliases (*) are not used here; write the value of %s out, or in quotes "
                    "if it is a text",
                    show_word(shown, (const char *)anchor));
        return STATUS_USAGE;
    }
    if (tag != NULL) {
        place_error(&reader->place, NULL, "tags (!) are not used here; leave %s out, or put the text in quotes",
                    show_word(shown, (const char *)tag));
        return STATUS_USAGE;
    }
    if (event->type == YAML_SCALAR_EVENT && strlen(yaml_reader_word(reader)) != event->data.scalar.length) {
        place_error(&reader->place, NULL, "%s is followed by a NUL character; take it out",
                    show_word(shown, yaml_reader_word(reader)));
        return STATUS_USAGE;
    }
    return STATUS_OK;
}

yaml_event_type_t yaml_reader_type(const struct yaml_reader *reader)
{
    return reader->event.type;
}

const char *yaml_reader_word(const struct yaml_reader *reader)
{
    return (const char *)reader->event.data.scalar.value;
}

bool yaml_reader_is_plain(const struct yaml_reader *reader)
{
    return reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}
