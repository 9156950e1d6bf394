/* The schema: one row per key, in the order in which keys are shown and written. It is the only place that knows a
 * key's type, default, bounds and meaning; reading, checking, writing and describing all walk this table. */
#ifndef GRAPEVINE_SRC_CONFIG_SCHEMA_H
#define GRAPEVINE_SRC_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/config.h"

enum { SCHEMA_ROWS_MAX = CONFIG_KEYS_MAX };

enum schema_type {
    SCHEMA_BOOL,    /* bool */
    SCHEMA_INTEGER, /* int64_t */
    SCHEMA_NUMBER,  /* double */
    SCHEMA_TEXT,    /* char *, owned by the config */
    SCHEMA_LIST     /* struct config_list */
};

/* low ≤ value ≤ high, or < where that end is open. Of list items too. */
struct schema_bounds {
    double low, high;
    bool low_open, high_open;
};

struct schema_row {
    const char *name;          /* "section.key", or "key" at the top */
    const char *section, *key; /* section "" at the top */
    size_t offset;             /* into struct config */
    enum schema_type type;
    bool is_path;             /* SCHEMA_TEXT: base/path.h replaces ~ and $NAME in it */
    bool of_rank;             /* each rank of a run may have its own value */
    bool can_be_auto;         /* SCHEMA_NUMBER: the word `auto` is NAN */
    const char *const *words; /* SCHEMA_TEXT: NULL-terminated, the only values; NULL: any text */
    struct schema_bounds bounds;
    const char *preset;  /* default as it would stand in YAML; NULL: none, the key is required */
    const char *summary; /* a few words for the table */
    const char *details; /* further sentences, or NULL */
};

size_t schema_count(void);
const struct schema_row *schema_row(size_t index);

/* The row of `section` (NULL-terminated; "" for the top) and `key`, or of "section.key"; NULL if there is none. */
const struct schema_row *schema_find(const char *section, const char *key);
const struct schema_row *schema_find_name(const char *name);

/* Where a row stands in the table. */
size_t schema_index(const struct schema_row *row);

/* Index of the first row of a section, or schema_count() if there is no such section. */
size_t schema_section(const char *section);

/* "number in [0, 100] or auto", "true | false", "shared | iid | dirichlet", ... */
void schema_add_allowed(struct text *text, const struct schema_row *row);

/* What to do instead: "give a number in [0, 100] or auto", ... */
void schema_add_remedy(struct text *text, const struct schema_row *row);

/* The end of a message about an unknown key: what was probably meant, from "; " on. */
void schema_add_suggestion(struct text *text, const char *section, const char *key);

#endif
