/* Where keys were given: the origins in struct config. */
#ifndef GRAPEVINE_SRC_CONFIG_CONFIG_GIVEN_H
#define GRAPEVINE_SRC_CONFIG_CONFIG_GIVEN_H

#include "config/config.h"
#include "config/schema.h"
#include "config/yaml_reader.h"

void config_origin_set(struct config *config, const struct schema_row *row, const struct place *place);

/* Of a copy of another config: make the origins its own. */
void config_origins_own(struct config *config);
void config_origins_release(struct config *config);

#endif
