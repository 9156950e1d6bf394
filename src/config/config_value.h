/* One value of the schema: from YAML, checked, into the config, and back to YAML. */
#ifndef GRAPEVINE_SRC_CONFIG_CONFIG_VALUE_H
#define GRAPEVINE_SRC_CONFIG_CONFIG_VALUE_H

#include "base/status.h"
#include "base/text.h"
#include "config/config.h"
#include "config/schema.h"
#include "config/yaml_reader.h"

/* The reader stands at the first event of the value; it is left at the last. STATUS_USAGE (logged) where the value has
 * another type than the row, or is out of bounds. */
enum status config_value_read(const struct schema_row *row, struct yaml_reader *reader, struct config *config);

/* As YAML: `true`, `0.1`, `[0.5, 0.75]`, `ring`, `"with: signs"`. */
void config_value_write(const struct schema_row *row, const struct config *config, struct text *out);

/* Fields of the row's type. */
char **config_value_text(const struct schema_row *row, struct config *config);
const char *config_value_text_const(const struct schema_row *row, const struct config *config);
void config_value_set_text(const struct schema_row *row, struct config *config, const char *word);

#endif
