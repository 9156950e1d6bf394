/* Where the rows lie; schema.h is how they are used. */
#ifndef GRAPEVINE_SRC_CONFIG_SCHEMA_TABLE_H
#define GRAPEVINE_SRC_CONFIG_SCHEMA_TABLE_H

#include "config/schema.h"

extern const struct schema_row schema_table[];
extern const size_t schema_table_count;

#endif
