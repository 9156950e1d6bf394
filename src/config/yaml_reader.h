/* libyaml's events with the place of each, as errors need it. Anchors, aliases, tags and NUL characters are refused
 * here, so what comes out is scalars, sequences and mappings. */
#ifndef GRAPEVINE_SRC_CONFIG_YAML_READER_H
#define GRAPEVINE_SRC_CONFIG_YAML_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#include "base/status.h"
#include "base/text.h"

/* Where a value stands: line `line` of `path` (0: the file as a whole), or in `argument` where that is not NULL. */
struct place {
    const char *path, *argument;
    size_t line;
};

/* Add the place as messages name it: "run.yaml:3", "run.yaml", or argument "seed=2". */
void place_add(struct text *text, const struct place *place);

/* One error message: place, key (unless NULL), then the text. */
void place_error(const struct place *place, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum { SHOWN_BYTES = 64 };

/* A word of the user's in quotation marks, cut and without control characters. Returns `out`. */
char *show_word(char out[SHOWN_BYTES], const char *word);

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the present one */
    bool has_event;
    const char *text; /* borrowed, `length` bytes */
    size_t length;
    struct place place; /* of the present event */
};

enum status yaml_reader_open(struct yaml_reader *reader, const char *text, size_t length, struct place place);
void yaml_reader_close(struct yaml_reader *reader);

/* Go on to the next event. STATUS_USAGE (logged) where the text is not YAML, or YAML of a kind that is refused. */
enum status yaml_reader_next(struct yaml_reader *reader);

/* Type of the present event. */
yaml_event_type_t yaml_reader_type(const struct yaml_reader *reader);

/* The present event is a scalar: its text, and whether it stood without quotes. */
const char *yaml_reader_word(const struct yaml_reader *reader);
bool yaml_reader_is_plain(const struct yaml_reader *reader);

#endif
